//! Where targets come from: `static_configs` and every `*_sd_configs` section, a file for each mechanism.

mod aws;
mod azure;
mod consul;
mod digitalocean;
mod dns;
mod docker;
mod eureka;
mod file;
mod gce;
mod hetzner;
mod http;
mod ionos;
mod kubernetes;
mod kuma;
mod linode;
mod marathon;
mod nomad;
mod oci;
mod openstack;
mod outscale;
mod ovhcloud;
mod puppetdb;
mod scaleway;
mod stackit;
mod triton;
mod uyuni;
mod vultr;
mod zookeeper;

use crate::context::Context;
use crate::sections::table::{Field, Section};
use crate::yaml::fields::Fields;
use crate::yaml::{Fault, Pos};

pub use aws::{AwsRole, AwsSd, AwsTargets, Ec2Sd, EcsSd, ElasticacheSd, Filter, LightsailSd, MskSd, RdsSd};
pub use azure::{AzureAuthentication, AzureSd};
pub use consul::ConsulSd;
pub use digitalocean::{DigitalOceanRole, DigitalOceanSd};
pub use dns::{DnsRecord, DnsSd};
pub use docker::{DockerSd, DockerSwarmSd, SwarmRole};
pub use eureka::EurekaSd;
pub use file::{FileSd, is_file_pattern};
pub use gce::GceSd;
pub use hetzner::{HetznerRole, HetznerSd};
pub use http::{HttpSd, check_http_url};
pub use ionos::IonosSd;
pub use kubernetes::{
    KubernetesAttach, KubernetesNamespaces, KubernetesRole, KubernetesSd, KubernetesSelector,
};
pub use kuma::KumaSd;
pub use linode::LinodeSd;
pub use marathon::MarathonSd;
pub use nomad::NomadSd;
pub use oci::{OciAuth, OciSd};
pub use openstack::{OpenStackAvailability, OpenStackRole, OpenStackSd};
pub use outscale::OutscaleSd;
pub use ovhcloud::{OvhCloudSd, OvhCloudService};
pub use puppetdb::PuppetDbSd;
pub use scaleway::{ScalewayRole, ScalewaySd};
pub use stackit::StackitSd;
pub use triton::{TritonRole, TritonSd};
pub use uyuni::UyuniSd;
pub use vultr::VultrSd;
pub use zookeeper::{NerveSd, ServersetSd};

/// Targets with common labels, as written in `static_configs`, discovery files and HTTP answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticGroup {
    /// `host:port` texts.
    pub targets: Vec<String>,
    /// Common labels, sorted by name. Values may be empty.
    pub labels: Vec<(String, String)>,
}

/// Declares what an entry of a discovery section can be, and in which section it stands.
macro_rules! mechanisms {
    ($( $variant:ident($entry:ty) = $name:literal, )*) => {
        /// One discovery section entry.
        #[derive(Clone, Debug, PartialEq)]
        pub enum SdConfig {
            /// All of `static_configs`.
            Static(Vec<StaticGroup>),
            $( #[doc = concat!("An entry of `", $name, "`.")] $variant(Box<$entry>), )*
        }

        /// The sections of all mechanisms but `static_configs`.
        const SECTIONS: &[&str] = &[$( $name, )*];

        impl SdConfig {
            fn read_mechanisms(
                f: &mut Fields<'_>,
                cx: &Context<'_>,
                found: &mut Vec<Self>,
            ) -> Result<(), Fault> {
                $(
                    found.extend(read_list(f, $name, |f| {
                        if NOT_YET.contains(&$name) {
                            cx.note(f.pos(), f.path(), "this discovery finds no targets");
                        }
                        <$entry>::read(f, cx).map(|entry| Self::$variant(Box::new(entry)))
                    })?);
                )*
                Ok(())
            }

            /// The section in which it stands.
            pub fn section_name(&self) -> &'static str {
                match self {
                    Self::Static(_) => "static_configs",
                    $( Self::$variant(_) => $name, )*
                }
            }

            /// Its fields, for printing; none for `static_configs`.
            pub fn fields(&self) -> Vec<Field<'_>> {
                match self {
                    Self::Static(_) => Vec::new(),
                    $( Self::$variant(entry) => entry.fields(), )*
                }
            }
        }
    };
}

mechanisms! {
    Aws(AwsSd) = "aws_sd_configs",
    Azure(AzureSd) = "azure_sd_configs",
    Consul(ConsulSd) = "consul_sd_configs",
    DigitalOcean(DigitalOceanSd) = "digitalocean_sd_configs",
    Dns(DnsSd) = "dns_sd_configs",
    Docker(DockerSd) = "docker_sd_configs",
    DockerSwarm(DockerSwarmSd) = "dockerswarm_sd_configs",
    Ec2(Ec2Sd) = "ec2_sd_configs",
    Ecs(EcsSd) = "ecs_sd_configs",
    Elasticache(ElasticacheSd) = "elasticache_sd_configs",
    Eureka(EurekaSd) = "eureka_sd_configs",
    File(FileSd) = "file_sd_configs",
    Gce(GceSd) = "gce_sd_configs",
    Hetzner(HetznerSd) = "hetzner_sd_configs",
    Http(HttpSd) = "http_sd_configs",
    Ionos(IonosSd) = "ionos_sd_configs",
    Kubernetes(KubernetesSd) = "kubernetes_sd_configs",
    Kuma(KumaSd) = "kuma_sd_configs",
    Lightsail(LightsailSd) = "lightsail_sd_configs",
    Linode(LinodeSd) = "linode_sd_configs",
    Marathon(MarathonSd) = "marathon_sd_configs",
    Msk(MskSd) = "msk_sd_configs",
    Nerve(NerveSd) = "nerve_sd_configs",
    Nomad(NomadSd) = "nomad_sd_configs",
    Oci(OciSd) = "oci_sd_configs",
    OpenStack(OpenStackSd) = "openstack_sd_configs",
    Outscale(OutscaleSd) = "outscale_sd_configs",
    OvhCloud(OvhCloudSd) = "ovhcloud_sd_configs",
    PuppetDb(PuppetDbSd) = "puppetdb_sd_configs",
    Rds(RdsSd) = "rds_sd_configs",
    Scaleway(ScalewaySd) = "scaleway_sd_configs",
    Serverset(ServersetSd) = "serverset_sd_configs",
    Stackit(StackitSd) = "stackit_sd_configs",
    Triton(TritonSd) = "triton_sd_configs",
    Uyuni(UyuniSd) = "uyuni_sd_configs",
    Vultr(VultrSd) = "vultr_sd_configs",
}

/// All mechanisms, by the names of their sections without `_sd_configs` or `_configs`, and whether each finds targets in
/// this version.
pub fn mechanisms() -> impl Iterator<Item = (&'static str, bool)> {
    let named =
        |section: &&'static str| Some((section.strip_suffix("_sd_configs")?, !NOT_YET.contains(section)));
    SECTIONS.iter().filter_map(named).chain([("static", true)])
}

/// Sections that are checked, but find no targets in this version.
pub const NOT_YET: &[&str] = &[
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ecs_sd_configs",
    "elasticache_sd_configs",
    "eureka_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "msk_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "rds_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

impl SdConfig {
    /// Reads all discovery sections out of a job or a group of Alertmanagers. Without relabelling, a static target must
    /// be a host, not a URL.
    pub fn read_all(f: &mut Fields<'_>, cx: &Context<'_>, relabelled: bool) -> Result<Vec<Self>, Fault> {
        let mut found = Vec::new();
        let mut groups = read_list(f, "static_configs", StaticGroup::read)?;
        if !relabelled {
            for (target, pos) in groups.iter().flat_map(|(_, targets)| targets) {
                if target.contains('/') {
                    return Err(Fault::new(*pos, format!("{target:?} is not a valid hostname")));
                }
            }
        }
        if !groups.is_empty() {
            found.push(Self::Static(groups.drain(..).map(|(group, _)| group).collect()));
        }
        Self::read_mechanisms(f, cx, &mut found)?;
        Ok(found)
    }
}

fn read_list<'n, T>(
    f: &mut Fields<'n>,
    name: &'static str,
    mut read: impl FnMut(Fields<'n>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    f.list(name, |node, path| {
        if node.is_null() {
            return Err(Fault::new(node.pos, format!("empty or null section in {name}")));
        }
        read(Fields::new(node, path)?)
    })
}

impl StaticGroup {
    /// Reads a group; its targets come again with their places.
    pub fn read(mut f: Fields<'_>) -> Result<(Self, Vec<(String, Pos)>), Fault> {
        let targets = f.list("targets", |node, path| match node.scalar() {
            _ if node.is_null() => Ok((String::new(), node.pos)),
            Some(scalar) => Ok((scalar.text.clone(), node.pos)),
            None => Err(Fault::new(node.pos, format!("{path}: expected a text, found {}", node.describe()))),
        })?;
        let labels = f.text_map("labels")?;
        f.finish()?;
        if labels.iter().any(|(name, _)| name.is_empty()) {
            return Err(f.fault("labels", "\"\" is not a valid label name"));
        }
        Ok((Self { targets: targets.iter().map(|(target, _)| target.clone()).collect(), labels }, targets))
    }
}
