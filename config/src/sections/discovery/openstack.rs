//! `openstack_sd_configs`.

use crate::sections::http_client::{Secret, TlsConfig};
use crate::sections::table::{
    Checked, boolean, choice, int, one_of, refresh_interval, require, required, secret, section, text, tls,
};

choice! {
    /// What is a target.
    pub enum OpenStackRole {
        Instance = "instance",
        Hypervisor = "hypervisor",
        LoadBalancer = "loadbalancer",
    }
}

choice! {
    /// Which of a service's URLs is asked.
    pub enum OpenStackAvailability {
        Public = "public",
        Internal = "internal",
        Admin = "admin",
    }
}

section! {
    /// An entry of `openstack_sd_configs`. Without an identity endpoint, the environment tells all of who asks.
    pub struct OpenStackSd, check => {
        identity_endpoint: String = "identity_endpoint", text("").always();
        username: String = "username", text("").always();
        user_id: String = "userid", text("").always();
        password: Secret = "password", secret().always();
        project_name: String = "project_name", text("").always();
        project_id: String = "project_id", text("").always();
        domain_name: String = "domain_name", text("").always();
        domain_id: String = "domain_id", text("").always();
        application_credential_name: String = "application_credential_name", text("").always();
        application_credential_id: String = "application_credential_id", text("").always();
        application_credential_secret: Secret = "application_credential_secret", secret().always();
        role: OpenStackRole = "role",
            required("role missing (one of: instance, hypervisor, loadbalancer)").always();
        region: String = "region", text("").always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60).always();
        /// Of all targets but load balancers.
        port: i64 = "port", int(80).always();
        /// Instances of all projects.
        all_tenants: bool = "all_tenants", boolean(false);
        tls: TlsConfig = "tls_config", tls();
        availability: OpenStackAvailability = "availability", one_of(OpenStackAvailability::Public);
    }
}

fn check(sd: &OpenStackSd) -> Checked {
    require("region", !sd.region.is_empty(), "openstack SD configuration requires a region")
}
