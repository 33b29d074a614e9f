//! Instances of Lightsail. Source: the Amazon Lightsail API Reference, GetInstances.

use config::discovery::AwsTargets;
use model::Labels;
use serde::Deserialize;
use serde_json::json;

use super::{SEPARATOR, Service};
use crate::TargetGroup;
use crate::error::{RefreshError, StartError};
use crate::labels::{MetaLabels, address, surrounded};
use crate::poll::Mechanism;
use crate::rest::Pages;

/// Asks Lightsail for instances.
pub struct Lightsail {
    config: AwsTargets,
    service: Service,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    instances: Vec<Instance>,
    next_page_token: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Instance {
    name: String,
    blueprint_id: String,
    bundle_id: String,
    support_code: String,
    private_ip_address: Option<String>,
    public_ip_address: String,
    ipv6_addresses: Vec<String>,
    location: Location,
    state: State,
    tags: Vec<Tag>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Location {
    availability_zone: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tag {
    key: String,
    value: String,
}

impl Lightsail {
    /// Nothing is asked yet.
    pub fn new(config: AwsTargets) -> Result<Self, StartError> {
        Ok(Self { service: Service::new(&config, "lightsail")?, config })
    }
}

impl Mechanism for Lightsail {
    /// All pages; Prometheus stops after the first.
    async fn refresh(&mut self) -> Result<Vec<TargetGroup>, RefreshError> {
        let region = self.service.region().await?;
        let mut targets = Vec::new();
        let mut body = json!({});
        let mut pages = Pages::default();
        loop {
            pages.turn()?;
            let answer = self.service.json("Lightsail_20161128.GetInstances", &body).await;
            let answer: Answer = answer.map_err(|error| error.within("could not get instances"))?;
            let found = answer.instances.iter();
            targets.extend(found.filter_map(|instance| target(instance, &region, self.config.port)));
            if answer.next_page_token.is_empty() {
                return Ok(vec![TargetGroup { source: region, labels: Labels::default(), targets }]);
            }
            body = json!({ "pageToken": answer.next_page_token });
        }
    }
}

fn target(instance: &Instance, region: &str, port: i64) -> Option<Labels> {
    let private_ip = instance.private_ip_address.as_deref()?;
    let mut labels = MetaLabels::new("__meta_lightsail_");
    labels
        .address(&address(private_ip, port))
        .set("private_ip", private_ip)
        .set("region", region)
        .set("availability_zone", &instance.location.availability_zone)
        .set("blueprint_id", &instance.blueprint_id)
        .set("bundle_id", &instance.bundle_id)
        .set("instance_name", &instance.name)
        .set("instance_state", &instance.state.name)
        .set("instance_support_code", &instance.support_code)
        .set("public_ip", &instance.public_ip_address);
    if !instance.ipv6_addresses.is_empty() {
        labels.set("ipv6_addresses", surrounded(&instance.ipv6_addresses, SEPARATOR));
    }
    for tag in &instance.tags {
        labels.set_part("tag_", &tag.key, &tag.value);
    }
    Some(labels.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_instances() {
        let answer = r#"{"instances":[
            {"name":"n","blueprintId":"debian","bundleId":"nano","supportCode":"6/i","privateIpAddress":"10.0.0.1",
             "publicIpAddress":"1.2.3.4","ipv6Addresses":["fd00::1","fd00::2"],"location":{"availabilityZone":"eu-west-1a"},
             "state":{"code":16,"name":"running"},"tags":[{"key":"a-b","value":"v"},{"key":"k"}],"createdAt":1.5},
            {"name":"without address"}]}"#;
        let answer: Answer = serde_json::from_str(answer).unwrap();
        let targets: Vec<Labels> =
            answer.instances.iter().filter_map(|i| target(i, "eu-west-1", 9100)).collect();
        let want = Labels::from_pairs([
            ("__address__", "10.0.0.1:9100"),
            ("__meta_lightsail_availability_zone", "eu-west-1a"),
            ("__meta_lightsail_blueprint_id", "debian"),
            ("__meta_lightsail_bundle_id", "nano"),
            ("__meta_lightsail_instance_name", "n"),
            ("__meta_lightsail_instance_state", "running"),
            ("__meta_lightsail_instance_support_code", "6/i"),
            ("__meta_lightsail_ipv6_addresses", ",fd00::1,fd00::2,"),
            ("__meta_lightsail_private_ip", "10.0.0.1"),
            ("__meta_lightsail_public_ip", "1.2.3.4"),
            ("__meta_lightsail_region", "eu-west-1"),
            ("__meta_lightsail_tag_a_b", "v"),
        ]);
        assert_eq!(targets, [want]);
    }
}
