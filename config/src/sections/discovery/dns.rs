//! `dns_sd_configs`.

use crate::context::Context;
use crate::sections::table::{
    Checked, Choice, FieldValue, Line, Read, choice, int, refresh_interval, require, section, texts,
};
use crate::yaml::fields::Fields;

choice! {
    /// Record type of [`DnsSd`], whose name may be written in any case.
    pub enum DnsRecord {
        /// Service records; they hold the port.
        Srv = "SRV",
        /// IPv4 addresses.
        A = "A",
        /// IPv6 addresses.
        Aaaa = "AAAA",
        /// Mail exchangers.
        Mx = "MX",
        /// Name servers.
        Ns = "NS",
    }
}

section! {
    /// An entry of `dns_sd_configs`.
    pub struct DnsSd, check => {
        /// Names to look up; not empty.
        names: Vec<String> = "names", texts();
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(30);
        record: DnsRecord = "type", record_type().always();
        /// Of all targets; not 0 unless the type is SRV.
        port: i64 = "port", int(0).always();
    }
}

fn check(sd: &DnsSd) -> Checked {
    require("names", !sd.names.is_empty(), "DNS-SD config must contain at least one SRV record name")?;
    let has_port = sd.record == DnsRecord::Srv || sd.port != 0;
    require("port", has_port, "a port is required in DNS-SD configs for all record types except SRV")
}

/// Upper or lower case.
fn record_type() -> Line<impl Read<DnsRecord>, DnsRecord> {
    let read = |f: &mut Fields<'_>, name, _: &Context<'_>| {
        let written = f.text(name, DnsRecord::Srv.as_str())?;
        let upper = written.to_uppercase();
        let found = DnsRecord::ALL.iter().find(|(known, _)| *known == upper);
        found.map(|(_, record)| *record).ok_or_else(|| {
            let message = format!("invalid DNS-SD records type {written} (expected SRV, A, AAAA, MX or NS)");
            f.fault(name, message)
        })
    };
    Line { read, show: |value| FieldValue::Text(value.as_str()), always: false }
}
