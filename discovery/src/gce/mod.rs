//! Instances of Google Compute Engine. Source: the Compute Engine API, version 1, `instances.list`.

mod credentials;

use std::collections::BTreeMap;
use std::sync::Arc;

use config::discovery::GceSd;
use config::url::GoUrl;
use model::Labels;
use serde::Deserialize;

use crate::TargetGroup;
use crate::error::RefreshError;
use crate::labels::{MetaLabels, surrounded};
use crate::poll::{Mechanism, interval};
use crate::rest::{Pages, get_json};
use crate::url::{join, segment};
use credentials::{Authorized, Variables};

const API: &str = "https://compute.googleapis.com/compute/v1";

/// Asks Compute Engine for instances.
pub struct Gce {
    config: GceSd,
    api: String,
    variables: Variables,
    /// Once it is known where tokens come from.
    client: Option<Authorized>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<Instance>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Instance {
    id: String,
    name: String,
    zone: String,
    status: String,
    machine_type: String,
    network_interfaces: Vec<Interface>,
    tags: Tags,
    metadata: Metadata,
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Interface {
    name: String,
    network: String,
    subnetwork: String,
    #[serde(rename = "networkIP")]
    network_ip: String,
    access_configs: Vec<AccessConfig>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessConfig {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "natIP")]
    nat_ip: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tags {
    items: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    items: Vec<MetadataItem>,
}

#[derive(Deserialize)]
struct MetadataItem {
    #[serde(default)]
    key: String,
    value: Option<String>,
}

impl Gce {
    /// Nothing is asked yet.
    pub fn new(config: &GceSd) -> Self {
        let variables: Variables = Arc::new(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
        Self { config: config.clone(), api: API.to_owned(), variables, client: None }
    }

    fn url(&self, page_token: &str) -> Result<GoUrl, RefreshError> {
        let (project, zone) = (segment(&self.config.project), segment(&self.config.zone));
        let query = [("filter", self.config.filter.as_str()), ("pageToken", page_token)];
        let query = query.into_iter().filter(|(_, value)| !value.is_empty());
        join(&self.api, &format!("projects/{project}/zones/{zone}/instances"), query)
    }

    async fn instances(&self, client: &mut Authorized) -> Result<Vec<Labels>, RefreshError> {
        let mut targets = Vec::new();
        let mut page_token = String::new();
        let mut pages = Pages::default();
        loop {
            pages.turn()?;
            let page: Page = client.ask(get_json(self.url(&page_token)?)).await?.json()?;
            targets.extend(page.items.iter().filter_map(|instance| target(instance, &self.config)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(targets);
            }
        }
    }
}

impl Mechanism for Gce {
    async fn refresh(&mut self) -> Result<Vec<TargetGroup>, RefreshError> {
        let failed = |error: RefreshError| error.within("error retrieving refresh targets from gce");
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Authorized::find(&self.variables, interval(self.config.refresh_interval_ms))
                .await
                .map_err(failed)?,
        };
        let targets = self.instances(&mut client).await.map_err(failed)?;
        // After a failure credentials are looked for again: their file may have changed.
        self.client = Some(client);
        let source = format!("GCE_{}_{}", self.config.project, self.config.zone);
        Ok(vec![TargetGroup { source, labels: Labels::default(), targets }])
    }
}

/// An instance without a network is no target.
fn target(instance: &Instance, config: &GceSd) -> Option<Labels> {
    let first = instance.network_interfaces.first()?;
    let mut labels = MetaLabels::new("__meta_gce_");
    labels
        .address(&format!("{}:{}", first.network_ip, config.port))
        .set("project", &config.project)
        .set("zone", &instance.zone)
        .set("instance_id", &instance.id)
        .set("instance_name", &instance.name)
        .set("instance_status", &instance.status)
        .set("machine_type", &instance.machine_type)
        .set("network", &first.network)
        .set("subnetwork", &first.subnetwork)
        .set("private_ip", &first.network_ip);
    for interface in &instance.network_interfaces {
        labels.set_part("interface_ipv4_", &interface.name, &interface.network_ip);
    }
    if !instance.tags.items.is_empty() {
        labels.set("tags", surrounded(&instance.tags.items, &config.tag_separator));
    }
    for item in &instance.metadata.items {
        if let Some(value) = &item.value {
            labels.set_part("metadata_", &item.key, value);
        }
    }
    for (name, value) in &instance.labels {
        labels.set_part("label_", name, value);
    }
    if let Some(access) = first.access_configs.first().filter(|access| access.kind == "ONE_TO_ONE_NAT") {
        labels.set("public_ip", &access.nat_ip);
    }
    Some(labels.finish())
}

#[cfg(test)]
mod tests;
