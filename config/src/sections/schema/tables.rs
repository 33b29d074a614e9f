//! The tables of sections that are checked but not acted upon: fields, defaults and rules of Prometheus 3.14.

use super::{Field, Kind, Schema, Section};
use crate::sections::http_client::{Auth, HttpClientConfig};
use crate::url::{GoUrl, refused};
use Kind::{
    Bool, Duration, Http, Inner, Int, List, Nested, OneOf, Path, Secret, Text, TextMap, Texts, Tls, Url,
};

type Checked = Result<(), (&'static str, String)>;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

const fn schema(name: &'static str, fields: &'static [Field], check: fn(&Section) -> Checked) -> Schema {
    Schema { name, fields, check }
}

const HTTP: Field = Field::new("", Http);
const REFRESH: &str = "refresh_interval";

/// For sections with no rules but those of each field.
fn no_check(_: &Section) -> Checked {
    Ok(())
}

fn refuse(field: &'static str, message: &str) -> Checked {
    Err((field, message.to_owned()))
}

fn refuse_both(s: &Section, [a, b]: [&'static str; 2], message: &str) -> Checked {
    if s.is_set(a) && s.is_set(b) { refuse(b, message) } else { Ok(()) }
}

fn check_url(s: &Section, field: &'static str, needs_host: bool, message: &str) -> Checked {
    match GoUrl::parse(s.text(field)) {
        Err(e) => Err((field, refused(s.text(field), &e))),
        Ok(url) if needs_host && (url.scheme().is_empty() || url.host().is_empty()) => refuse(field, message),
        Ok(_) => Ok(()),
    }
}

/// Every discovery kind that is not acted upon, sorted by name.
pub static DISCOVERY: &[Schema] = &[
    schema("aws_sd_configs", AWS, |s| {
        s.require("role", "unknown AWS SD role \"\" (expected ec2, ecs, elasticache, lightsail, msk or rds)")
    }),
    schema(
        "azure_sd_configs",
        &[
            Field::new("environment", Text("AzurePublicCloud")),
            Field::shown("port", Int(80)),
            Field::shown("subscription_id", Text("")),
            Field::new("tenant_id", Text("")),
            Field::new("client_id", Text("")),
            Field::new("client_secret", Secret),
            Field::new(REFRESH, Duration(5 * MINUTE)),
            Field::new(
                "authentication_method",
                OneOf(&["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"]),
            ),
            Field::new("resource_group", Text("")),
            HTTP,
        ],
        |s| {
            s.require("subscription_id", "azure SD configuration requires a subscription_id")?;
            if s.text("authentication_method") == "OAuth" {
                s.require("tenant_id", "azure SD configuration requires a tenant_id")?;
                s.require("client_id", "azure SD configuration requires a client_id")?;
                s.require("client_secret", "azure SD configuration requires a client_secret")?;
            }
            Ok(())
        },
    ),
    schema(
        "consul_sd_configs",
        &[
            Field::new("server", Text("localhost:8500")),
            Field::new("path_prefix", Text("")),
            Field::new("token", Secret),
            Field::new("datacenter", Text("")),
            Field::new("namespace", Text("")),
            Field::new("partition", Text("")),
            Field::new("tag_separator", Text(",")),
            Field::new("scheme", Text("http")),
            Field::new("username", Text("")),
            Field::new("password", Secret),
            Field::shown("allow_stale", Bool(true)),
            Field::new(REFRESH, Duration(30 * SECOND)),
            Field::new("services", Texts),
            Field::new("tags", Texts),
            Field::new("node_meta", TextMap),
            Field::new("filter", Text("")),
            Field::new("health_filter", Text("")),
            HTTP,
        ],
        |s| {
            if s.text("server").trim().is_empty() {
                return refuse("server", "consul SD configuration requires a server address");
            }
            let user = s.is_set("username") || s.is_set("password");
            match s.auth() {
                Auth::Basic(_) if user => refuse(
                    "basic_auth",
                    "at most one of consul SD configuration username and password and basic auth can be configured",
                ),
                Auth::Authorization(_) | Auth::OAuth2(_) if user => {
                    refuse("username", "at most one of basic_auth, oauth2 & authorization must be configured")
                }
                Auth::Authorization(_) | Auth::OAuth2(_) if s.is_set("token") => refuse(
                    "token",
                    "at most one of consul SD token, authorization, or oauth2 can be configured",
                ),
                _ => Ok(()),
            }
        },
    ),
    schema(
        "digitalocean_sd_configs",
        &[
            HTTP,
            Field::shown(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
            Field::shown("role", OneOf(&["droplets", "databases"])),
        ],
        no_check,
    ),
    schema(
        "docker_sd_configs",
        &[
            HTTP,
            Field::shown("host", Text("")),
            Field::shown("port", Int(80)),
            Field::shown("filters", List(&FILTER)),
            Field::shown("host_networking_host", Text("localhost")),
            Field::shown(REFRESH, Duration(MINUTE)),
            Field::shown("match_first_network", Bool(true)),
        ],
        |s| {
            s.require("host", "host missing")?;
            check_url(s, "host", false, "")
        },
    ),
    schema(
        "dockerswarm_sd_configs",
        &[
            HTTP,
            Field::shown("host", Text("")),
            Field::shown("role", OneOf(&["", "services", "tasks", "nodes"])),
            Field::shown("port", Int(80)),
            Field::shown("filters", List(&FILTER)),
            Field::shown(REFRESH, Duration(MINUTE)),
        ],
        |s| {
            s.require("host", "host missing")?;
            check_url(s, "host", false, "")?;
            s.require("role", "role missing (one of: tasks, services, nodes)")
        },
    ),
    schema(
        "ec2_sd_configs",
        &[
            Field::shown("endpoint", Text("")),
            Field::shown("region", Text("")),
            Field::new("access_key", Text("")),
            Field::new("secret_key", Secret),
            Field::new("profile", Text("")),
            Field::new("role_arn", Text("")),
            Field::new("external_id", Text("")),
            Field::new(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
            Field::shown("filters", List(&FILTER)),
            HTTP,
        ],
        |s| {
            let empty = s.sections("filters").iter().any(|filter| filter.texts("values").is_empty());
            if empty {
                refuse("filters", "EC2 SD configuration filter values cannot be empty")
            } else {
                Ok(())
            }
        },
    ),
    schema("ecs_sd_configs", AWS_CLUSTERS_20, no_check),
    schema("elasticache_sd_configs", AWS_CLUSTERS_10, no_check),
    schema(
        "eureka_sd_configs",
        &[Field::new("server", Text("")), HTTP, Field::new(REFRESH, Duration(30 * SECOND))],
        |s| {
            s.require("server", "eureka_sd: empty or null eureka server")?;
            check_url(s, "server", true, "eureka_sd: invalid eureka server URL")
        },
    ),
    schema(
        "gce_sd_configs",
        &[
            Field::shown("project", Text("")),
            Field::shown("zone", Text("")),
            Field::new("filter", Text("")),
            Field::new(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
            Field::new("tag_separator", Text(",")),
        ],
        |s| {
            s.require("project", "GCE SD configuration requires a project")?;
            s.require("zone", "GCE SD configuration requires a zone")
        },
    ),
    schema(
        "hetzner_sd_configs",
        &[
            HTTP,
            Field::shown(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
            Field::shown("role", OneOf(&["", "robot", "hcloud"])),
            Field::new("label_selector", Text("")),
        ],
        |s| s.require("role", "role missing (one of: robot, hcloud)"),
    ),
    schema(
        "ionos_sd_configs",
        &[
            Field::shown("datacenter_id", Text("")),
            HTTP,
            Field::shown(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
        ],
        |s| s.require("datacenter_id", "datacenter id can't be empty"),
    ),
    schema("kubernetes_sd_configs", KUBERNETES, check_kubernetes),
    schema(
        "kuma_sd_configs",
        &[
            HTTP,
            Field::new(REFRESH, Duration(15 * SECOND)),
            Field::new("fetch_timeout", Duration(2 * MINUTE)),
            Field::new("server", Text("")),
            Field::new("client_id", Text("")),
        ],
        |s| {
            s.require("server", "kuma SD server must not be empty")?;
            check_url(s, "server", true, "kuma SD server must not be empty and have a scheme")
        },
    ),
    schema(
        "lightsail_sd_configs",
        &[
            Field::shown("endpoint", Text("")),
            Field::shown("region", Text("")),
            Field::new("access_key", Text("")),
            Field::new("secret_key", Secret),
            Field::new("profile", Text("")),
            Field::new("role_arn", Text("")),
            Field::new("external_id", Text("")),
            Field::new(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
            HTTP,
        ],
        no_check,
    ),
    schema(
        "linode_sd_configs",
        &[
            HTTP,
            Field::shown(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
            Field::new("tag_separator", Text(",")),
            Field::new("region", Text("")),
        ],
        no_check,
    ),
    schema(
        "marathon_sd_configs",
        &[
            Field::new("servers", Texts),
            Field::new(REFRESH, Duration(30 * SECOND)),
            Field::new("auth_token", Secret),
            Field::new("auth_token_file", Path),
            HTTP,
        ],
        |s| {
            s.require("servers", "marathon_sd: must contain at least one Marathon server")?;
            refuse_both(
                s,
                ["auth_token", "auth_token_file"],
                "marathon_sd: at most one of auth_token & auth_token_file must be configured",
            )?;
            let token = s.is_set("auth_token") || s.is_set("auth_token_file");
            match s.auth() {
                Auth::Basic(_) if token => refuse(
                    "basic_auth",
                    "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured",
                ),
                Auth::Authorization(_) if token => refuse(
                    "authorization",
                    "marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured",
                ),
                _ => Ok(()),
            }
        },
    ),
    schema("msk_sd_configs", AWS_CLUSTERS_10, no_check),
    schema("nerve_sd_configs", ZOOKEEPER, |s| check_zookeeper(s, "nerve")),
    schema(
        "nomad_sd_configs",
        &[
            Field::shown("allow_stale", Bool(true)),
            HTTP,
            Field::shown("namespace", Text("default")),
            Field::shown(REFRESH, Duration(MINUTE)),
            Field::shown("region", Text("global")),
            Field::shown("server", Text("http://localhost:4646")),
            Field::new("tag_separator", Text(",")),
        ],
        |s| match s.text("server").trim() {
            "" => refuse("server", "nomad SD configuration requires a server address"),
            _ => Ok(()),
        },
    ),
    schema(
        "oci_sd_configs",
        &[
            Field::new("auth", OneOf(&["api_key", "instance_principal"])),
            Field::new("tenancy", Text("")),
            Field::new("user", Text("")),
            Field::new("fingerprint", Text("")),
            Field::new("key_file", Path),
            Field::new("key_passphrase", Secret),
            Field::new("key_passphrase_file", Path),
            Field::shown("region", Text("")),
            Field::new("compartments", Texts),
            HTTP,
            Field::shown("port", Int(80)),
            Field::shown(REFRESH, Duration(MINUTE)),
        ],
        check_oci,
    ),
    schema(
        "openstack_sd_configs",
        &[
            Field::shown("identity_endpoint", Text("")),
            Field::shown("username", Text("")),
            Field::shown("userid", Text("")),
            Field::shown("password", Secret),
            Field::shown("project_name", Text("")),
            Field::shown("project_id", Text("")),
            Field::shown("domain_name", Text("")),
            Field::shown("domain_id", Text("")),
            Field::shown("application_credential_name", Text("")),
            Field::shown("application_credential_id", Text("")),
            Field::shown("application_credential_secret", Secret),
            Field::shown("role", OneOf(&["", "instance", "hypervisor", "loadbalancer"])),
            Field::shown("region", Text("")),
            Field::shown(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
            Field::new("all_tenants", Bool(false)),
            Field::new("tls_config", Tls),
            Field::new("availability", OneOf(&["public", "internal", "admin"])),
        ],
        |s| {
            s.require("role", "role missing (one of: instance, hypervisor, loadbalancer)")?;
            s.require("region", "openstack SD configuration requires a region")
        },
    ),
    schema(
        "outscale_sd_configs",
        &[
            Field::new("endpoint", Text("")),
            Field::shown("region", Text("eu-west-2")),
            Field::shown("access_key", Text("")),
            Field::shown("secret_key", Secret),
            Field::shown("secret_key_file", Path),
            Field::new(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
            HTTP,
        ],
        |s| {
            s.require("region", "outscale SD configuration requires a region")?;
            s.require("access_key", "outscale SD configuration requires access_key")?;
            check_secret_key(s)
        },
    ),
    schema(
        "ovhcloud_sd_configs",
        &[
            Field::shown("endpoint", Text("ovh-eu")),
            Field::shown("application_key", Text("")),
            Field::shown("application_secret", Secret),
            Field::shown("consumer_key", Secret),
            Field::shown(REFRESH, Duration(MINUTE)),
            Field::shown("service", OneOf(&["", "dedicated_server", "vps"])),
        ],
        |s| {
            s.require("endpoint", "endpoint can not be empty")?;
            s.require("application_key", "application key can not be empty")?;
            s.require("application_secret", "application secret can not be empty")?;
            s.require("consumer_key", "consumer key can not be empty")?;
            s.require("service", "unknown service: expected dedicated_server or vps")
        },
    ),
    schema(
        "puppetdb_sd_configs",
        &[
            HTTP,
            Field::new(REFRESH, Duration(MINUTE)),
            Field::shown("url", Text("")),
            Field::shown("query", Text("")),
            Field::shown("include_parameters", Bool(false)),
            Field::shown("port", Int(80)),
        ],
        |s| {
            crate::sections::discovery::check_http_url(s.text("url")).map_err(|e| ("url", e))?;
            s.require("query", "query missing")
        },
    ),
    schema("rds_sd_configs", AWS_RDS, no_check),
    schema(
        "scaleway_sd_configs",
        &[
            Field::shown("project_id", Text("")),
            Field::new("api_url", Text("https://api.scaleway.com")),
            Field::shown("zone", Text("fr-par-1")),
            Field::shown("access_key", Text("")),
            Field::shown("secret_key", Secret),
            Field::shown("secret_key_file", Path),
            Field::new("name_filter", Text("")),
            Field::new("tags_filter", Texts),
            HTTP,
            Field::shown(REFRESH, Duration(MINUTE)),
            Field::shown("port", Int(80)),
            Field::shown("role", OneOf(&["", "instance", "baremetal"])),
        ],
        |s| {
            s.require("role", "role missing (one of: instance, baremetal)")?;
            s.require("project_id", "project_id is mandatory")?;
            check_secret_key(s)?;
            s.require("access_key", "access_key is mandatory")?;
            let key = s.text("access_key").strip_prefix("SCW").unwrap_or("");
            if key.len() != 17 || !key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
                return refuse("access_key", "invalid access key format, expected SCWXXXXXXXXXXXXXXXXX");
            }
            check_uuid(s, "project_id", "invalid project ID format, expected a UUID")?;
            match s.secret("secret_key") {
                Some(secret) if !is_uuid(secret.reveal()) => {
                    refuse("secret_key", "invalid secret key format, expected a UUID")
                }
                _ => Ok(()),
            }
        },
    ),
    schema("serverset_sd_configs", ZOOKEEPER, |s| check_zookeeper(s, "serverset")),
    schema(
        "stackit_sd_configs",
        &[
            HTTP,
            Field::shown("project", Text("")),
            Field::new(REFRESH, Duration(MINUTE)),
            Field::new("port", Int(80)),
            Field::new("region", Text("eu01")),
            Field::new("endpoint", Text("")),
            Field::new("service_account_key", Secret),
            Field::new("private_key", Secret),
            Field::new("service_account_key_path", Text("")),
            Field::new("private_key_path", Text("")),
            Field::new("credentials_file_path", Text("")),
        ],
        |s| {
            if !s.is_set("endpoint") && !s.is_set("region") {
                return refuse("region", "stackit_sd: endpoint and region missing");
            }
            check_url(s, "endpoint", false, "")
        },
    ),
    schema(
        "triton_sd_configs",
        &[
            Field::shown("account", Text("")),
            Field::shown("role", OneOf(&["container", "cn"])),
            Field::shown("dns_suffix", Text("")),
            Field::shown("endpoint", Text("")),
            Field::new("groups", Texts),
            Field::shown("port", Int(9163)),
            Field::new(REFRESH, Duration(MINUTE)),
            Field::new("tls_config", Tls),
            Field::shown("version", Int(1)),
        ],
        |s| {
            s.require("account", "triton SD configuration requires an account")?;
            s.require("dns_suffix", "triton SD configuration requires a dns_suffix")?;
            s.require("endpoint", "triton SD configuration requires an endpoint")?;
            s.require(REFRESH, "triton SD configuration requires refresh_interval to be positive")
        },
    ),
    schema(
        "uyuni_sd_configs",
        &[
            Field::shown("server", Text("")),
            Field::shown("username", Text("")),
            Field::shown("password", Secret),
            HTTP,
            Field::new("entitlement", Text("monitoring_entitled")),
            Field::new("separator", Text(",")),
            Field::new(REFRESH, Duration(MINUTE)),
        ],
        |s| {
            s.require("server", "Uyuni SD configuration requires server host")?;
            check_url(s, "server", false, "")?;
            s.require("username", "Uyuni SD configuration requires a username")?;
            s.require("password", "Uyuni SD configuration requires a password")
        },
    ),
    schema(
        "vultr_sd_configs",
        &[HTTP, Field::shown(REFRESH, Duration(MINUTE)), Field::shown("port", Int(80))],
        no_check,
    ),
];

static FILTER: Schema =
    schema("filters", &[Field::shown("name", Text("")), Field::shown("values", Texts)], no_check);

/// The form that covers all AWS roles; the role decides the defaults of what is not written.
const AWS: &[Field] = &[
    Field::shown("role", OneOf(&["", "ec2", "ecs", "elasticache", "lightsail", "msk", "rds"])),
    Field::new("region", Text("")),
    Field::new("endpoint", Text("")),
    Field::new("access_key", Text("")),
    Field::new("secret_key", Secret),
    Field::new("profile", Text("")),
    Field::new("role_arn", Text("")),
    Field::new("external_id", Text("")),
    Field::new(REFRESH, Duration(0)),
    Field::new("port", Int(0)),
    HTTP,
    Field::new("filters", List(&FILTER)),
    Field::new("clusters", Texts),
];

macro_rules! aws_clusters {
    ($concurrency:expr $(, $filters:expr)?) => {
        &[
            Field::shown("region", Text("")),
            Field::shown("endpoint", Text("")),
            Field::new("access_key", Text("")),
            Field::new("secret_key", Secret),
            Field::new("profile", Text("")),
            Field::new("role_arn", Text("")),
            Field::new("external_id", Text("")),
            Field::new("clusters", Texts),
            Field::shown("port", Int(80)),
            Field::new(REFRESH, Duration(MINUTE)),
            $($filters,)?
            Field::new("request_concurrency", Int($concurrency)),
            HTTP,
        ]
    };
}

const AWS_CLUSTERS_10: &[Field] = aws_clusters!(10);
const AWS_CLUSTERS_20: &[Field] = aws_clusters!(20);
const AWS_RDS: &[Field] = aws_clusters!(10, Field::shown("filters", List(&FILTER)));

const ROLES: &[&str] = &["", "pod", "service", "endpoints", "endpointslice", "node", "ingress"];

const KUBERNETES: &[Field] = &[
    Field::new("api_server", Url),
    Field::shown("role", OneOf(ROLES)),
    Field::shown("kubeconfig_file", Path),
    HTTP,
    Field::new(
        "namespaces",
        Inner(&schema(
            "namespaces",
            &[Field::shown("own_namespace", Bool(false)), Field::shown("names", Texts)],
            no_check,
        )),
    ),
    Field::new(
        "selectors",
        List(&schema(
            "selectors",
            &[Field::new("role", OneOf(ROLES)), Field::new("label", Text("")), Field::new("field", Text(""))],
            no_check,
        )),
    ),
    Field::new(
        "attach_metadata",
        Inner(&schema(
            "attach_metadata",
            &[
                Field::shown("node", Bool(false)),
                Field::shown("namespace", Bool(false)),
                Field::shown("deployment", Bool(false)),
                Field::shown("job", Bool(false)),
                Field::shown("cronjob", Bool(false)),
            ],
            no_check,
        )),
    ),
];

fn check_kubernetes(s: &Section) -> Checked {
    s.require("role", "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)")?;
    refuse_both(
        s,
        ["kubeconfig_file", "api_server"],
        "cannot use 'kubeconfig_file' and 'api_server' simultaneously",
    )?;
    if s.http().is_some_and(|http| *http != HttpClientConfig::default()) {
        if s.is_set("kubeconfig_file") {
            return refuse(
                "kubeconfig_file",
                "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
            );
        }
        s.require(
            "api_server",
            "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
        )?;
    }
    if s.section("namespaces").is_some_and(|n| n.is_set("own_namespace")) {
        for field in ["api_server", "kubeconfig_file"] {
            if s.is_set(field) {
                return Err((
                    "namespaces",
                    format!("cannot use '{field}' and 'namespaces.own_namespace' simultaneously"),
                ));
            }
        }
    }
    let role = s.text("role");
    let allowed: &[&str] = match role {
        "pod" => &["pod", "node"],
        "service" => &["service"],
        "endpointslice" => &["pod", "service", "endpointslice"],
        "endpoints" => &["pod", "service", "endpoints"],
        "node" => &["node"],
        _ => &["ingress"],
    };
    let mut seen = Vec::new();
    for selector in s.sections("selectors") {
        let selected = selector.text("role");
        if seen.contains(&selected) {
            return Err(("selectors", format!("duplicated selector role: {selected}")));
        }
        seen.push(selected);
        if !allowed.contains(&selected) {
            return Err(("selectors", format!("{role} role supports only {} selectors", allowed.join(", "))));
        }
        let field = selector.text("field");
        if let Some(part) = field.split(',').find(|part| !part.is_empty() && !part.contains('=')) {
            return Err(("selectors", format!("invalid selector: '{field}'; can't understand '{part}'")));
        }
    }
    Ok(())
}

fn check_oci(s: &Section) -> Checked {
    s.require("region", "oci_sd: region is required")?;
    let own = ["tenancy", "user", "fingerprint", "key_file"];
    if s.text("auth") == "api_key" {
        for field in own {
            if !s.is_set(field) {
                return Err((field, format!("oci_sd: api_key auth requires {field}")));
            }
        }
        refuse_both(
            s,
            ["key_passphrase", "key_passphrase_file"],
            "oci_sd: at most one of key_passphrase and key_passphrase_file must be configured",
        )?;
    } else if let Some(field) =
        own.into_iter().chain(["key_passphrase", "key_passphrase_file"]).find(|field| s.is_set(field))
    {
        return refuse(
            field,
            "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, key_passphrase, or \
             key_passphrase_file set",
        );
    }
    if let Some(i) = s.texts("compartments").iter().position(String::is_empty) {
        return Err(("compartments", format!("oci_sd: compartments[{i}] must not be empty")));
    }
    s.require(REFRESH, "oci_sd: refresh_interval must be positive")
}

fn check_secret_key(s: &Section) -> Checked {
    if !s.is_set("secret_key") && !s.is_set("secret_key_file") {
        return refuse("secret_key", "one of secret_key & secret_key_file must be configured");
    }
    refuse_both(
        s,
        ["secret_key", "secret_key_file"],
        "at most one of secret_key & secret_key_file must be configured",
    )
}

const ZOOKEEPER: &[Field] = &[
    Field::shown("servers", Texts),
    Field::shown("paths", Texts),
    Field::new("timeout", Duration(10 * SECOND)),
];

fn check_zookeeper(s: &Section, kind: &str) -> Checked {
    if !s.is_set("servers") {
        return Err(("servers", format!("{kind} SD config must contain at least one Zookeeper server")));
    }
    if !s.is_set("paths") {
        return Err(("paths", format!("{kind} SD config must contain at least one path")));
    }
    match s.texts("paths").iter().find(|path| !path.starts_with('/')) {
        Some(path) => Err(("paths", format!("{kind} SD config paths must begin with '/': {path}"))),
        None => Ok(()),
    }
}

/// Signing of requests for AWS.
pub static SIGV4: Schema = schema(
    "sigv4",
    &[
        Field::new("region", Text("")),
        Field::new("access_key", Text("")),
        Field::new("secret_key", Secret),
        Field::new("profile", Text("")),
        Field::new("role_arn", Text("")),
        Field::new("external_id", Text("")),
        Field::new("use_fips_sts_endpoint", Bool(false)),
        Field::new("service_name", Text("")),
    ],
    |s| {
        if s.is_set("access_key") != s.is_set("secret_key") {
            return refuse(
                if s.is_set("access_key") { "access_key" } else { "secret_key" },
                "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config",
            );
        }
        if s.is_set("external_id") && !s.is_set("role_arn") {
            return refuse("external_id", "external_id can only be used with role_arn");
        }
        Ok(())
    },
);

/// Tokens of Google Cloud.
pub static GOOGLE_IAM: Schema = schema("google_iam", &[Field::new("credentials_file", Text(""))], no_check);

/// Tokens of Azure.
pub static AZURE_AD: Schema = schema(
    "azuread",
    &[
        Field::new(
            "managed_identity",
            Nested(&schema("managed_identity", &[Field::new("client_id", Text(""))], no_check)),
        ),
        Field::new(
            "workload_identity",
            Nested(&schema(
                "workload_identity",
                &[
                    Field::new("client_id", Text("")),
                    Field::new("tenant_id", Text("")),
                    Field::new("token_file_path", Text("")),
                ],
                |s| {
                    s.require(
                        "client_id",
                        "must provide an Azure Workload Identity client_id in the Azure AD config",
                    )?;
                    s.require(
                        "tenant_id",
                        "must provide an Azure Workload Identity tenant_id in the Azure AD config",
                    )?;
                    check_uuid(s, "client_id", "the provided Azure Workload Identity client_id is invalid")?;
                    check_uuid(s, "tenant_id", "the provided Azure Workload Identity tenant_id is invalid")
                },
            )),
        ),
        Field::new(
            "oauth",
            Nested(&schema(
                "oauth",
                &[
                    Field::new("client_id", Text("")),
                    Field::new("client_secret", Secret),
                    Field::new("tenant_id", Text("")),
                ],
                |s| {
                    s.require("client_id", "must provide an Azure OAuth client_id in the Azure AD config")?;
                    s.require(
                        "client_secret",
                        "must provide an Azure OAuth client_secret in the Azure AD config",
                    )?;
                    s.require("tenant_id", "must provide an Azure OAuth tenant_id in the Azure AD config")?;
                    check_uuid(s, "client_id", "the provided Azure OAuth client_id is invalid")
                },
            )),
        ),
        Field::new("sdk", Nested(&schema("sdk", &[Field::new("tenant_id", Text(""))], no_check))),
        Field::new(
            "certificate",
            Nested(&schema(
                "certificate",
                &[
                    Field::new("client_id", Text("")),
                    Field::new("tenant_id", Text("")),
                    Field::new("certificate_path", Text("")),
                    Field::new("certificate_key_path", Text("")),
                    Field::new("certificate_password", Secret),
                    Field::new("send_certificate_chain", Bool(false)),
                ],
                |s| {
                    s.require(
                        "client_id",
                        "must provide an Azure Certificate client_id in the Azure AD config",
                    )?;
                    s.require(
                        "tenant_id",
                        "must provide an Azure Certificate tenant_id in the Azure AD config",
                    )?;
                    s.require(
                        "certificate_path",
                        "must provide an Azure Certificate certificate_path in the Azure AD config",
                    )?;
                    check_uuid(s, "client_id", "the provided Azure Certificate client_id is invalid")
                },
            )),
        ),
        Field::new("cloud", OneOf(&["AzurePublic", "AzureChina", "AzureGovernment", ""])),
        Field::new("scope", Text("")),
    ],
    |s| {
        let methods = ["managed_identity", "workload_identity", "oauth", "sdk", "certificate"];
        let given: Vec<_> = methods.into_iter().filter(|m| s.section(m).is_some()).collect();
        match given.as_slice() {
            [] => {
                return refuse(
                    "",
                    "must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure Certificate or Azure \
                 SDK in the Azure AD config",
                );
            }
            [_] => {}
            [_, second, ..] => {
                return refuse(
                    second,
                    "cannot provide multiple authentication methods in the Azure AD config",
                );
            }
        }
        if let Some(identity) = s.section("managed_identity").filter(|i| i.is_set("client_id")) {
            check_uuid(identity, "client_id", "the provided Azure Managed Identity client_id is invalid")
                .map_err(|(_, message)| ("managed_identity", message))?;
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "_:/.-".contains(c);
        if !s.text("scope").chars().all(valid) {
            return refuse("scope", "the provided scope contains invalid characters");
        }
        Ok(())
    },
);

fn check_uuid(s: &Section, field: &'static str, message: &str) -> Checked {
    if is_uuid(s.text(field)) { Ok(()) } else { refuse(field, message) }
}

/// As Google's uuid package: 8-4-4-4-12 hex digits, or those 32 alone, in braces, or after `urn:uuid:`.
fn is_uuid(text: &str) -> bool {
    let braced = || text.strip_prefix('{')?.strip_suffix('}');
    let bare = text.strip_prefix("urn:uuid:").or_else(braced).unwrap_or(text);
    let lengths: Vec<usize> = bare.split('-').map(str::len).collect();
    let hex = bare.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    hex && (lengths == [8, 4, 4, 4, 12] || lengths == [32])
}
