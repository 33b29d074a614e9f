//! `kubernetes_sd_configs`.

use std::path::PathBuf;

use crate::sections::http_client::HttpClientConfig;
use crate::sections::table::{
    Checked, Choice, boolean, choice, http, inner, list, no_rules, path, refuse, required, section, text,
    texts, url,
};
use crate::url::GoUrl;

choice! {
    /// A kind of object.
    pub enum KubernetesRole {
        Pod = "pod",
        Service = "service",
        Endpoints = "endpoints",
        EndpointSlice = "endpointslice",
        Node = "node",
        Ingress = "ingress",
    }
}

section! {
    /// `namespaces`
    pub struct KubernetesNamespaces, no_rules => {
        /// Take the namespace of the own pod, in addition to `names`.
        own_namespace: bool = "own_namespace", boolean(false).always();
        /// Empty for all, unless `own_namespace` is set.
        names: Vec<String> = "names", texts().always();
    }
}

section! {
    /// An entry of `selectors`: which objects of a role are asked for.
    pub struct KubernetesSelector, no_rules => {
        role: KubernetesRole = "role",
            required("role missing (one of: pod, service, endpoints, endpointslice, node, ingress)");
        /// "" for all.
        label: String = "label", text("");
        /// "" for all.
        field: String = "field", text("");
    }
}

section! {
    /// `attach_metadata`: which other objects add labels to targets.
    pub struct KubernetesAttach, no_rules => {
        /// Name, labels and annotations of the node.
        node: bool = "node", boolean(false).always();
        /// Labels and annotations of the namespace.
        namespace: bool = "namespace", boolean(false).always();
        /// The name of the deployment.
        deployment: bool = "deployment", boolean(false).always();
        /// The name of the job.
        job: bool = "job", boolean(false).always();
        /// The name of the cron job.
        cron_job: bool = "cronjob", boolean(false).always();
    }
}

section! {
    /// An entry of `kubernetes_sd_configs`. Without a server and without a kubeconfig, the pod's service account serves.
    pub struct KubernetesSd, check => {
        api_server: Option<GoUrl> = "api_server", url();
        /// Which objects are targets.
        role: KubernetesRole = "role",
            required("role missing (one of: pod, service, endpoints, endpointslice, node, ingress)").always();
        /// How to reach the API server; excludes `api_server`.
        kubeconfig_file: Option<PathBuf> = "kubeconfig_file", path().always();
        http: HttpClientConfig = "basic_auth and so on", http();
        namespaces: KubernetesNamespaces = "namespaces", inner();
        /// At most one for each role.
        selectors: Vec<KubernetesSelector> = "selectors", list();
        attach_metadata: KubernetesAttach = "attach_metadata", inner();
    }
}

impl KubernetesRole {
    /// Roles whose selectors mean something to this one.
    fn selectors(self) -> &'static [Self] {
        match self {
            Self::Pod => &[Self::Pod, Self::Node],
            Self::Service => &[Self::Service],
            Self::EndpointSlice => &[Self::Pod, Self::Service, Self::EndpointSlice],
            Self::Endpoints => &[Self::Pod, Self::Service, Self::Endpoints],
            Self::Node => &[Self::Node],
            Self::Ingress => &[Self::Ingress],
        }
    }
}

fn check(sd: &KubernetesSd) -> Checked {
    let (has_server, has_kubeconfig) = (sd.api_server.is_some(), sd.kubeconfig_file.is_some());
    if has_server && has_kubeconfig {
        return refuse("api_server", "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    }
    if sd.http != HttpClientConfig::default() {
        if has_kubeconfig {
            return refuse(
                "kubeconfig_file",
                "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
            );
        }
        if !has_server {
            return refuse(
                "api_server",
                "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
            );
        }
    }
    if sd.namespaces.own_namespace {
        for (field, is_set) in [("api_server", has_server), ("kubeconfig_file", has_kubeconfig)] {
            if is_set {
                let message = format!("cannot use '{field}' and 'namespaces.own_namespace' simultaneously");
                return refuse("namespaces", message);
            }
        }
    }
    for (i, selector) in sd.selectors.iter().enumerate() {
        let (role, selected) = (sd.role.as_str(), selector.role);
        if sd.selectors.iter().take(i).any(|earlier| earlier.role == selected) {
            return refuse("selectors", format!("duplicated selector role: {}", selected.as_str()));
        }
        if !sd.role.selectors().contains(&selected) {
            let allowed: Vec<&str> = sd.role.selectors().iter().map(|role| role.as_str()).collect();
            let message = format!("{role} role supports only {} selectors", allowed.join(", "));
            return refuse("selectors", message);
        }
        if let Some(part) = selector.field.split(',').find(|part| !part.is_empty() && !part.contains('=')) {
            let field = &selector.field;
            return refuse("selectors", format!("invalid selector: '{field}'; can't understand '{part}'"));
        }
    }
    Ok(())
}
