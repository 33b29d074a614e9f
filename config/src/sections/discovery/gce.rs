//! `gce_sd_configs`.

use crate::sections::table::{Checked, int, refresh_interval, require, section, text};

section! {
    /// An entry of `gce_sd_configs`: which instances of Google Compute Engine to list.
    pub struct GceSd, check => {
        project: String = "project", text("").always();
        /// As `europe-west1-b`.
        zone: String = "zone", text("").always();
        /// In the API's language; "" for none.
        filter: String = "filter", text("");
        refresh_interval_ms: i64 = "refresh_interval", refresh_interval(60);
        /// Of all targets.
        port: i64 = "port", int(80).always();
        /// Around and between an instance's tags.
        tag_separator: String = "tag_separator", text(",");
    }
}

fn check(sd: &GceSd) -> Checked {
    require("project", !sd.project.is_empty(), "GCE SD configuration requires a project")?;
    require("zone", !sd.zone.is_empty(), "GCE SD configuration requires a zone")
}
