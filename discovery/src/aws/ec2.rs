//! Instances of EC2. Source: the Amazon EC2 API Reference (Query API, version 2016-11-15).

use std::collections::BTreeMap;

use config::discovery::AwsTargets;
use model::Labels;
use roxmltree::Node;

use super::{SEPARATOR, Service};
use crate::TargetGroup;
use crate::error::{RefreshError, StartError};
use crate::labels::{MetaLabels, address, surrounded};
use crate::poll::Mechanism;
use crate::rest::Pages;
use crate::xml::{child, items, parse, text};

const VERSION: &str = "2016-11-15";
/// Network interfaces of an instance; AWS has far fewer.
const MAX_INTERFACES: usize = 1_000;

/// Asks EC2 for instances.
pub struct Ec2 {
    config: AwsTargets,
    service: Service,
    /// Zone ids by this account's names of zones, once they are known.
    zone_ids: Option<BTreeMap<String, String>>,
}

impl Ec2 {
    /// Nothing is asked yet.
    pub fn new(config: AwsTargets) -> Result<Self, StartError> {
        Ok(Self { service: Service::new(&config, "ec2")?, config, zone_ids: None })
    }

    async fn zones(&self) -> Result<BTreeMap<String, String>, RefreshError> {
        let params = [("Action".to_owned(), "DescribeAvailabilityZones".to_owned())];
        let answer = self.service.query(VERSION, &params).await?;
        read_zones(answer.text()?).map_err(|why| answer.wrong(why))
    }

    async fn instances(&self, place: &Place<'_>) -> Result<Vec<Labels>, RefreshError> {
        let mut targets = Vec::new();
        let mut next_token = String::new();
        let mut pages = Pages::default();
        loop {
            pages.turn()?;
            let answer = self.service.query(VERSION, &self.describe_instances(&next_token)).await?;
            let read = read_instances(answer.text()?, place, &mut targets);
            next_token = read.map_err(|why| answer.wrong(why))?;
            if next_token.is_empty() {
                return Ok(targets);
            }
        }
    }

    fn describe_instances(&self, next_token: &str) -> Vec<(String, String)> {
        let mut params = vec![("Action".to_owned(), "DescribeInstances".to_owned())];
        for (i, filter) in (1..).zip(&self.config.filters) {
            params.push((format!("Filter.{i}.Name"), filter.name.clone()));
            for (j, value) in (1..).zip(&filter.values) {
                params.push((format!("Filter.{i}.Value.{j}"), value.clone()));
            }
        }
        if !next_token.is_empty() {
            params.push(("NextToken".to_owned(), next_token.to_owned()));
        }
        params
    }
}

impl Mechanism for Ec2 {
    async fn refresh(&mut self) -> Result<Vec<TargetGroup>, RefreshError> {
        let region = self.service.region().await?;
        if self.zone_ids.is_none() {
            match self.zones().await {
                Ok(zone_ids) => self.zone_ids = Some(zone_ids),
                // Users may list instances without being allowed to list zones.
                Err(error) => tracing::debug!(
                    component = "discovery",
                    mechanism = "ec2",
                    err = %error,
                    "Unable to describe availability zones"
                ),
            }
        }
        let none = BTreeMap::new();
        let zone_ids = self.zone_ids.as_ref().unwrap_or(&none);
        let place = Place { region: &region, port: self.config.port, zone_ids };
        let targets = self.instances(&place).await;
        let targets = targets.map_err(|error| error.within("could not describe instances"))?;
        Ok(vec![TargetGroup { source: region, labels: Labels::default(), targets }])
    }
}

/// What the labels of an instance tell besides what is in the answer.
struct Place<'a> {
    region: &'a str,
    port: i64,
    zone_ids: &'a BTreeMap<String, String>,
}

fn read_zones(answer: &str) -> Result<BTreeMap<String, String>, String> {
    let document = parse(answer)?;
    let zones = items(document.root_element(), "availabilityZoneInfo", "item");
    Ok(zones
        .filter_map(|zone| Some((text(zone, "zoneName")?.to_owned(), text(zone, "zoneId")?.to_owned())))
        .collect())
}

/// Adds the targets of a page, and gives the token of the next one, "" for none.
fn read_instances(answer: &str, place: &Place<'_>, targets: &mut Vec<Labels>) -> Result<String, String> {
    let document = parse(answer)?;
    let root = document.root_element();
    for reservation in items(root, "reservationSet", "item") {
        let owner = text(reservation, "ownerId");
        let instances = items(reservation, "instancesSet", "item");
        targets.extend(instances.filter_map(|instance| target(instance, owner, place)));
    }
    Ok(text(root, "nextToken").unwrap_or_default().to_owned())
}

/// An instance without any address that can be reached is no target.
fn target(instance: Node<'_, '_>, owner: Option<&str>, place: &Place<'_>) -> Option<Labels> {
    let ipv6 = Ipv6::of(instance);
    let private_ip = text(instance, "privateIpAddress");
    let host = private_ip.or(ipv6.preferred())?;
    let mut labels = MetaLabels::new("__meta_ec2_");
    labels.address(&address(host, place.port));
    let mut set = |name: &str, value: Option<&str>| {
        labels.set_some(name, value);
    };
    let zone = child(instance, "placement").and_then(|placement| text(placement, "availabilityZone"));
    let public_ip = text(instance, "ipAddress");
    set("instance_id", text(instance, "instanceId"));
    set("region", Some(place.region));
    set("owner_id", owner);
    set("default_ipv6_address", ipv6.preferred());
    set("private_ip", private_ip);
    set("private_dns_name", text(instance, "privateDnsName"));
    set("platform", text(instance, "platform"));
    set("public_ip", public_ip);
    set("public_dns_name", public_ip.and_then(|_| text(instance, "dnsName")));
    if !ipv6.primary.is_empty() {
        set("primary_ipv6_addresses", Some(&surrounded(&ipv6.primary, SEPARATOR)));
    }
    if !ipv6.all.is_empty() {
        set("ipv6_addresses", Some(&surrounded(&ipv6.all, SEPARATOR)));
    }
    set("ami", text(instance, "imageId"));
    set("availability_zone", zone);
    set("availability_zone_id", zone.and_then(|zone| place.zone_ids.get(zone)).map(String::as_str));
    set("instance_state", child(instance, "instanceState").and_then(|state| text(state, "name")));
    set("instance_type", text(instance, "instanceType"));
    set("instance_lifecycle", text(instance, "instanceLifecycle"));
    set("architecture", text(instance, "architecture"));
    if let Some(vpc) = text(instance, "vpcId") {
        set("vpc_id", Some(vpc));
        set("primary_subnet_id", text(instance, "subnetId"));
        let mut subnets: Vec<&str> = Vec::new();
        for subnet in interfaces(instance).filter_map(|interface| text(interface, "subnetId")) {
            if !subnets.contains(&subnet) {
                subnets.push(subnet);
            }
        }
        set("subnet_id", Some(&surrounded(&subnets, SEPARATOR)));
    }
    for item in items(instance, "tagSet", "item") {
        if let (Some(key), Some(value)) = (text(item, "key"), text(item, "value")) {
            labels.set_part("tag_", key, value);
        }
    }
    Some(labels.finish())
}

/// The IPv6 addresses of an instance.
#[derive(Default)]
struct Ipv6<'a> {
    /// By the index of their interface; "" for an interface without one.
    primary: Vec<&'a str>,
    all: Vec<&'a str>,
}

impl<'a> Ipv6<'a> {
    fn of(instance: Node<'a, '_>) -> Self {
        let mut found = Self::default();
        if child(instance, "vpcId").is_none() {
            return found;
        }
        for interface in interfaces(instance).filter(|interface| text(*interface, "subnetId").is_some()) {
            for item in items(interface, "ipv6AddressesSet", "item") {
                let Some(address) = text(item, "ipv6Address") else { continue };
                found.all.push(address);
                let index = child(interface, "attachment").and_then(|node| text(node, "deviceIndex"));
                let index: usize = index.and_then(|text| text.parse().ok()).unwrap_or(0);
                if text(item, "isPrimaryIpv6") == Some("true") && index < MAX_INTERFACES {
                    if found.primary.len() <= index {
                        found.primary.resize(index + 1, "");
                    }
                    if let Some(place) = found.primary.get_mut(index) {
                        *place = address;
                    }
                }
            }
        }
        found
    }

    /// The first primary address, else the first of all.
    fn preferred(&self) -> Option<&'a str> {
        self.primary.iter().chain(&self.all).copied().find(|address| !address.is_empty())
    }
}

fn interfaces<'a, 'i>(instance: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    items(instance, "networkInterfaceSet", "item")
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;
    use crate::testing::{Reply, Server};
    use config::discovery::{AwsRole, Filter};

    const INSTANCES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><reservationSet>
<item><ownerId>123</ownerId><instancesSet>
 <item><instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name></instanceState>
  <privateDnsName>ip-10-0-0-1</privateDnsName><dnsName>public</dnsName><instanceType>t3.nano</instanceType>
  <placement><availabilityZone>eu-west-1a</availabilityZone></placement><platform>windows</platform>
  <subnetId>s-1</subnetId><vpcId>v-1</vpcId><privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>1.2.3.4</ipAddress>
  <architecture>x86_64</architecture><instanceLifecycle>spot</instanceLifecycle>
  <tagSet><item><key>a b</key><value>x &amp; y</value></item><item><key>empty</key><value/></item></tagSet>
  <networkInterfaceSet>
   <item><subnetId>s-1</subnetId><attachment><deviceIndex>1</deviceIndex></attachment><ipv6AddressesSet>
    <item><ipv6Address>fd00::1</ipv6Address><isPrimaryIpv6>false</isPrimaryIpv6></item>
    <item><ipv6Address>fd00::2</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item>
   <item><subnetId>s-2</subnetId></item><item><subnetId>s-1</subnetId></item><item/></networkInterfaceSet></item>
 <item><instanceId>i-2</instanceId><placement><availabilityZone>eu-west-1b</availabilityZone></placement><vpcId>v</vpcId>
  <networkInterfaceSet><item><subnetId>s</subnetId><ipv6AddressesSet>
   <item><ipv6Address>fd00::3</ipv6Address></item></ipv6AddressesSet></item></networkInterfaceSet></item>
 <item><instanceId>i-3</instanceId></item>
</instancesSet></item></reservationSet><nextToken>more</nextToken></DescribeInstancesResponse>"#;

    #[test]
    fn labels_of_instances() {
        let zones = "<R><availabilityZoneInfo><item><zoneName>eu-west-1a</zoneName><zoneId>euw1-az2</zoneId></item>\
                     <item><zoneName>x</zoneName></item></availabilityZoneInfo></R>";
        let zone_ids = read_zones(zones).unwrap();
        let place = Place { region: "eu-west-1", port: 9100, zone_ids: &zone_ids };
        let mut targets = Vec::new();
        assert_eq!(read_instances(INSTANCES, &place, &mut targets).as_deref(), Ok("more"));
        let first = Labels::from_pairs([
            ("__address__", "10.0.0.1:9100"),
            ("__meta_ec2_ami", "ami-1"),
            ("__meta_ec2_architecture", "x86_64"),
            ("__meta_ec2_availability_zone", "eu-west-1a"),
            ("__meta_ec2_availability_zone_id", "euw1-az2"),
            ("__meta_ec2_default_ipv6_address", "fd00::2"),
            ("__meta_ec2_instance_id", "i-1"),
            ("__meta_ec2_instance_lifecycle", "spot"),
            ("__meta_ec2_instance_state", "running"),
            ("__meta_ec2_instance_type", "t3.nano"),
            ("__meta_ec2_ipv6_addresses", ",fd00::1,fd00::2,"),
            ("__meta_ec2_owner_id", "123"),
            ("__meta_ec2_platform", "windows"),
            ("__meta_ec2_primary_ipv6_addresses", ",,fd00::2,"),
            ("__meta_ec2_primary_subnet_id", "s-1"),
            ("__meta_ec2_private_dns_name", "ip-10-0-0-1"),
            ("__meta_ec2_private_ip", "10.0.0.1"),
            ("__meta_ec2_public_dns_name", "public"),
            ("__meta_ec2_public_ip", "1.2.3.4"),
            ("__meta_ec2_region", "eu-west-1"),
            ("__meta_ec2_subnet_id", ",s-1,s-2,"),
            ("__meta_ec2_tag_a_b", "x & y"),
            ("__meta_ec2_vpc_id", "v-1"),
        ]);
        assert_eq!(targets.len(), 2);
        assert_eq!(targets[0], first);
        assert_eq!(targets[1].get("__address__"), Some("[fd00::3]:9100"));
        assert_eq!(targets[1].get("__meta_ec2_default_ipv6_address"), Some("fd00::3"));
        assert_eq!(targets[1].get("__meta_ec2_availability_zone_id"), None);
        let error = read_instances("{}", &place, &mut targets).unwrap_err();
        assert!(error.starts_with("the answer is no XML"), "{error}");
    }

    const REFUSAL: &str = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>not you</Message>\
                           </Error></Errors></Response>";

    #[tokio::test]
    async fn pages_filters_and_refusals() {
        let server = Server::start(|asked| match asked.body.as_str() {
            zones if zones.contains("Zones") => Reply::of(403, "text/xml", REFUSAL),
            last if last.contains("NextToken=more") => {
                Reply::of(200, "text/xml", INSTANCES.replace("<nextToken>more</nextToken>", ""))
            }
            _ => Reply::of(200, "text/xml", INSTANCES),
        })
        .await;
        let mut config = config(AwsRole::Ec2, &server.url);
        config.filters =
            vec![Filter { name: "tag:a".to_owned(), values: vec!["b c".to_owned(), "d".to_owned()] }];
        let mut ec2 = Ec2::new(config.clone()).unwrap();
        let groups = ec2.refresh().await.unwrap();
        assert_eq!((groups[0].source.as_str(), groups[0].targets.len()), ("eu-west-1", 4));
        let asked = server.asked();
        assert!(asked[0].body.contains("Action=DescribeAvailabilityZones&Version="), "{asked:?}");
        let filters = "Filter.1.Name=tag%3Aa&Filter.1.Value.1=b+c&Filter.1.Value.2=d";
        assert_eq!(asked[1].body, format!("Action=DescribeInstances&{filters}&Version={VERSION}"));
        assert!(asked[2].body.contains(&format!("{filters}&NextToken=more&Version=")), "{asked:?}");
        assert!(asked.iter().all(|one| one.headers["authorization"].contains("/eu-west-1/ec2/aws4_request")));
        assert!(!format!("{asked:?}").contains("hidden"));

        let refuses = Server::start(|_| Reply::of(403, "text/xml", REFUSAL)).await;
        let mut ec2 = Ec2::new(AwsTargets { endpoint: refuses.url.clone(), ..config }).unwrap();
        assert_eq!(
            ec2.refresh().await.unwrap_err().to_string(),
            format!(
                "could not describe instances: Post \"{}\": 403 Status: UnauthorizedOperation: not you",
                refuses.url
            )
        );
    }
}
