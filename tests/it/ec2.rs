//! Instances of EC2 as moto, a server that behaves like AWS, lists them.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::process::Process;
use crate::harness::server::Server;
use crate::harness::{eventually, free_port, programs};

const PATIENCE: Duration = Duration::from_secs(60);

/// Asks moto, which takes any signature but wants to see for which service it is.
fn ask(url: &str, params: &[(&str, &str)]) -> Option<String> {
    let scope =
        "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=x";
    let request = ureq::post(url).header("Authorization", scope);
    let params = params.iter().copied().chain([("Version", "2016-11-15")]);
    request.send_form(params).ok()?.body_mut().read_to_string().ok()
}

/// The text of the first element of this name.
fn first<'a>(answer: &'a str, element: &str) -> &'a str {
    let start = answer.split_once(&format!("<{element}>")).unwrap().1;
    start.split_once('<').unwrap().0
}

#[test]
fn instances_are_found_with_their_labels() {
    let Some(moto) = programs::moto_server() else { return };
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/");
    let mut command = Command::new(moto);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let _moto = Process::start(&mut command, &dir.path().join("moto.log"));
    let images = eventually("moto answers", PATIENCE, || ask(&url, &[("Action", "DescribeImages")]));
    let image = first(&images, "imageId");
    let run = [("Action", "RunInstances"), ("ImageId", image), ("MinCount", "1"), ("MaxCount", "1")];
    let tagged = [
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "env"),
        ("TagSpecification.1.Tag.1.Value", "prod"),
        ("TagSpecification.1.Tag.2.Key", "a b"),
        ("TagSpecification.1.Tag.2.Value", "x & y"),
    ];
    let instance = ask(&url, &[&run[..], &tagged[..]].concat()).unwrap();
    ask(&url, &run).unwrap();

    let access = format!("region: eu-west-1, endpoint: '{url}', access_key: AK, secret_key: hidden");
    let mut config = "scrape_configs:\n".to_owned();
    for (job, section) in [
        ("filtered", "ec2_sd_configs: [{ACCESS, port: 9100, filters: [{name: 'tag:env', values: [prod]}]}]"),
        ("all", "aws_sd_configs: [{ACCESS, role: ec2}]"),
    ] {
        let section = section.replace("ACCESS", &access);
        writeln!(config, "- job_name: {job}\n  {section}").unwrap();
    }
    let server = Server::start(dir.path(), &config, &[]);
    let targets = |job: &str| -> Vec<Value> {
        let answer = server.get("/api/v1/targets").json();
        let active = answer["data"]["activeTargets"].as_array().unwrap();
        active
            .iter()
            .filter(|target| target["scrapePool"] == job)
            .map(|t| t["discoveredLabels"].clone())
            .collect()
    };
    eventually("both instances", PATIENCE, || (targets("all").len() == 2).then_some(()));
    let found = eventually("one instance", PATIENCE, || targets("filtered").pop());
    assert_eq!(targets("filtered").len(), 1);

    let element = |name: &str| first(&instance, name).to_owned();
    // The first element of this name is that of the network interface.
    let instance_only = instance.split_once("</networkInterfaceSet>").unwrap().1;
    let private_ip = first(instance_only, "privateIpAddress");
    for (label, want) in [
        ("__address__", format!("{private_ip}:9100")),
        ("__meta_ec2_ami", image.to_owned()),
        ("__meta_ec2_architecture", element("architecture")),
        ("__meta_ec2_availability_zone", element("availabilityZone")),
        ("__meta_ec2_instance_id", first(instance_only, "instanceId").to_owned()),
        ("__meta_ec2_instance_state", "running".to_owned()),
        ("__meta_ec2_instance_type", element("instanceType")),
        ("__meta_ec2_owner_id", "123456789012".to_owned()),
        ("__meta_ec2_primary_subnet_id", element("subnetId")),
        ("__meta_ec2_private_dns_name", first(instance_only, "privateDnsName").to_owned()),
        ("__meta_ec2_private_ip", private_ip.to_owned()),
        ("__meta_ec2_public_dns_name", first(instance_only, "dnsName").to_owned()),
        ("__meta_ec2_public_ip", first(instance_only, "ipAddress").to_owned()),
        ("__meta_ec2_region", "eu-west-1".to_owned()),
        ("__meta_ec2_subnet_id", format!(",{},", element("subnetId"))),
        ("__meta_ec2_tag_a_b", "x & y".to_owned()),
        ("__meta_ec2_tag_env", "prod".to_owned()),
        ("__meta_ec2_vpc_id", element("vpcId")),
    ] {
        assert_eq!(found[label], want, "{label} in {found}");
    }
    let zone_id = found["__meta_ec2_availability_zone_id"].as_str().unwrap();
    assert!(zone_id.starts_with("euw1-az"), "{zone_id}");
    assert!(!server.get("/api/v1/status/config").body.contains("hidden"));
}
