//! `aws_sd_configs`, and those of its roles: `ec2_sd_configs` and so on.

use crate::sections::aws::AwsAccess;
use crate::sections::http_client::{HttpClientConfig, Secret};
use crate::sections::table::{
    Checked, choice, duration, http, int, list, no_rules, refresh_interval, refuse, required, secret,
    section, text, texts,
};

/// What roles that list clusters allow AWS to be asked at once.
const CONCURRENCY: i64 = 10;

choice! {
    /// What AWS is asked for.
    pub enum AwsRole {
        Ec2 = "ec2",
        Ecs = "ecs",
        Elasticache = "elasticache",
        Lightsail = "lightsail",
        Msk = "msk",
        Rds = "rds",
    }
}

section! {
    /// A condition on what an API lists.
    pub struct Filter, no_rules => {
        name: String = "name", text("").always();
        /// One of them must match.
        values: Vec<String> = "values", texts().always();
    }
}

section! {
    /// An entry of `aws_sd_configs`; the role decides the defaults of what is not written.
    pub struct AwsSd, check_refresh => {
        role: AwsRole = "role",
            required("unknown AWS SD role \"\" (expected ec2, ecs, elasticache, lightsail, msk or rds)").always();
        region: String = "region", text("");
        endpoint: String = "endpoint", text("");
        access_key: String = "access_key", text("");
        secret_key: Secret = "secret_key", secret();
        profile: String = "profile", text("");
        role_arn: String = "role_arn", text("");
        external_id: String = "external_id", text("");
        /// 0 for the role's default.
        refresh_interval_ms: i64 = "refresh_interval", duration(0);
        /// 0 for the role's default.
        port: i64 = "port", int(0);
        http: HttpClientConfig = "basic_auth and so on", http();
        filters: Vec<Filter> = "filters", list();
        clusters: Vec<String> = "clusters", texts();
    }
}

fn check_refresh(sd: &AwsSd) -> Checked {
    match sd.refresh_interval_ms {
        ..0 => refuse("refresh_interval", "refresh_interval must not be negative"),
        _ => Ok(()),
    }
}

section! {
    /// An entry of `ec2_sd_configs`.
    pub struct Ec2Sd, check_filters => {
        endpoint: String = "endpoint", text("").always();
        region: String = "region", text("").always();
        access_key: String = "access_key", text("");
        secret_key: Secret = "secret_key", secret();
        profile: String = "profile", text("");
        role_arn: String = "role_arn", text("");
        external_id: String = "external_id", text("");
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        port: i64 = "port", int(80).always();
        filters: Vec<Filter> = "filters", list().always();
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

fn check_filters(sd: &Ec2Sd) -> Checked {
    match sd.filters.iter().any(|filter| filter.values.is_empty()) {
        true => refuse("filters", "EC2 SD configuration filter values cannot be empty"),
        false => Ok(()),
    }
}

section! {
    /// An entry of `lightsail_sd_configs`.
    pub struct LightsailSd, no_rules => {
        endpoint: String = "endpoint", text("").always();
        region: String = "region", text("").always();
        access_key: String = "access_key", text("");
        secret_key: Secret = "secret_key", secret();
        profile: String = "profile", text("");
        role_arn: String = "role_arn", text("");
        external_id: String = "external_id", text("");
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        port: i64 = "port", int(80).always();
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

section! {
    /// An entry of `ecs_sd_configs`.
    pub struct EcsSd, no_rules => {
        region: String = "region", text("").always();
        endpoint: String = "endpoint", text("").always();
        access_key: String = "access_key", text("");
        secret_key: Secret = "secret_key", secret();
        profile: String = "profile", text("");
        role_arn: String = "role_arn", text("");
        external_id: String = "external_id", text("");
        /// Names or ARNs; empty for all.
        clusters: Vec<String> = "clusters", texts();
        port: i64 = "port", int(80).always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        /// How many requests run at once.
        request_concurrency: i64 = "request_concurrency", int(2 * CONCURRENCY);
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

section! {
    /// An entry of `elasticache_sd_configs`.
    pub struct ElasticacheSd, no_rules => {
        region: String = "region", text("").always();
        endpoint: String = "endpoint", text("").always();
        access_key: String = "access_key", text("");
        secret_key: Secret = "secret_key", secret();
        profile: String = "profile", text("");
        role_arn: String = "role_arn", text("");
        external_id: String = "external_id", text("");
        /// Names or ARNs; empty for all.
        clusters: Vec<String> = "clusters", texts();
        port: i64 = "port", int(80).always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        /// How many requests run at once.
        request_concurrency: i64 = "request_concurrency", int(CONCURRENCY);
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

section! {
    /// An entry of `msk_sd_configs`.
    pub struct MskSd, no_rules => {
        region: String = "region", text("").always();
        endpoint: String = "endpoint", text("").always();
        access_key: String = "access_key", text("");
        secret_key: Secret = "secret_key", secret();
        profile: String = "profile", text("");
        role_arn: String = "role_arn", text("");
        external_id: String = "external_id", text("");
        /// Names or ARNs; empty for all.
        clusters: Vec<String> = "clusters", texts();
        port: i64 = "port", int(80).always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        /// How many requests run at once.
        request_concurrency: i64 = "request_concurrency", int(CONCURRENCY);
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

section! {
    /// An entry of `rds_sd_configs`.
    pub struct RdsSd, no_rules => {
        region: String = "region", text("").always();
        endpoint: String = "endpoint", text("").always();
        access_key: String = "access_key", text("");
        secret_key: Secret = "secret_key", secret();
        profile: String = "profile", text("");
        role_arn: String = "role_arn", text("");
        external_id: String = "external_id", text("");
        /// Names or ARNs; empty for all.
        clusters: Vec<String> = "clusters", texts();
        port: i64 = "port", int(80).always();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        filters: Vec<Filter> = "filters", list().always();
        /// How many requests run at once.
        request_concurrency: i64 = "request_concurrency", int(CONCURRENCY);
        http: HttpClientConfig = "basic_auth and so on", http();
    }
}

/// What one role of AWS is asked for, whichever section says so.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsTargets {
    /// Which API.
    pub role: AwsRole,
    /// Keys and region.
    pub access: AwsAccess,
    /// Where to ask instead of at the service's own URL; "" for that.
    pub endpoint: String,
    /// How to reach it.
    pub http: HttpClientConfig,
    /// All must be met.
    pub filters: Vec<Filter>,
    /// Names or ARNs of what to list; empty for all there are.
    pub clusters: Vec<String>,
    /// Of all targets.
    pub port: i64,
    /// More than 0.
    pub refresh_interval_ms: i64,
    /// How many requests run at once, where there are several; as written.
    pub request_concurrency: i64,
}

macro_rules! targets {
    ($($section:ident, $role:expr, { $($field:ident),* };)*) => {
        $(
            impl $section {
                /// What is asked for.
                pub fn targets(&self) -> AwsTargets {
                    let role: fn(&Self) -> AwsRole = $role;
                    AwsTargets {
                        access: AwsAccess {
                            region: self.region.clone(),
                            keys: AwsAccess::keys(&self.access_key, &self.secret_key),
                            profile: self.profile.clone(),
                            role_arn: self.role_arn.clone(),
                            external_id: self.external_id.clone(),
                            use_fips_sts_endpoint: false,
                        },
                        endpoint: self.endpoint.clone(),
                        http: self.http.clone(),
                        $($field: self.$field.clone(),)*
                        ..AwsTargets::defaults(role(self), self.port, self.refresh_interval_ms)
                    }
                }
            }
        )*
    };
}

targets! {
    AwsSd, |sd| sd.role, { filters, clusters };
    Ec2Sd, |_| AwsRole::Ec2, { filters };
    LightsailSd, |_| AwsRole::Lightsail, {};
    EcsSd, |_| AwsRole::Ecs, { clusters, request_concurrency };
    ElasticacheSd, |_| AwsRole::Elasticache, { clusters, request_concurrency };
    MskSd, |_| AwsRole::Msk, { clusters, request_concurrency };
    RdsSd, |_| AwsRole::Rds, { filters, clusters, request_concurrency };
}

impl AwsTargets {
    /// 0 for a port or an interval means the default.
    fn defaults(role: AwsRole, port: i64, refresh_interval_ms: i64) -> Self {
        Self {
            role,
            access: AwsAccess::default(),
            endpoint: String::new(),
            http: HttpClientConfig::default(),
            filters: Vec::new(),
            clusters: Vec::new(),
            port: if port == 0 { 80 } else { port },
            refresh_interval_ms: if refresh_interval_ms == 0 { 60_000 } else { refresh_interval_ms },
            request_concurrency: if role == AwsRole::Ecs { 2 * CONCURRENCY } else { CONCURRENCY },
        }
    }
}
