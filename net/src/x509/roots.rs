//! The certificates that are trusted: those of the configuration, or the system's, found where Go finds them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::certificate::Certificate;

/// Files that hold a system's authorities; the first that can be read counts.
const FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Directories of such files; all count.
const DIRECTORIES: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// A set of trusted certificates.
#[derive(Default)]
pub struct Roots {
    certificates: Vec<Certificate>,
    by_subject: HashMap<Vec<u8>, Vec<usize>>,
    known: HashSet<Vec<u8>>,
}

impl Roots {
    /// The certificates in a PEM text; what is none is passed over. `None` if there is not one.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let mut roots = Self::default();
        roots.add_pem(pem);
        (!roots.certificates.is_empty()).then_some(roots)
    }

    /// The system's. Reads many files.
    pub fn of_system(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name| variable(name).filter(|value| !value.is_empty());
        let file = given("SSL_CERT_FILE");
        let files: Vec<&str> = file.as_deref().map_or_else(|| FILES.to_vec(), |file| vec![file]);
        let mut roots = Self::default();
        if let Some(pem) = files.iter().find_map(|file| std::fs::read(file).ok()) {
            roots.add_pem(&pem);
        }
        let directories = given("SSL_CERT_DIR");
        let directories: Vec<&str> =
            directories.as_deref().map_or_else(|| DIRECTORIES.to_vec(), |list| list.split(':').collect());
        for directory in directories {
            for path in entries(Path::new(directory)) {
                if let Ok(pem) = std::fs::read(path) {
                    roots.add_pem(&pem);
                }
            }
        }
        roots
    }

    fn add_pem(&mut self, pem: &[u8]) {
        for der in certificates_in_pem(pem) {
            if let Ok(certificate) = Certificate::from_der(&der)
                && self.known.insert(der)
            {
                let subject = certificate.subject.clone();
                self.by_subject.entry(subject).or_default().push(self.certificates.len());
                self.certificates.push(certificate);
            }
        }
    }

    /// Whether this very certificate is trusted.
    pub(super) fn contains(&self, certificate: &Certificate) -> bool {
        self.known.contains(&certificate.der)
    }

    /// The trusted certificates with this subject.
    pub(super) fn with_subject(&self, subject: &[u8]) -> impl Iterator<Item = &Certificate> {
        self.by_subject.get(subject).into_iter().flatten().filter_map(|i| self.certificates.get(*i))
    }
}

/// A directory's files without links to others of them, in order.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let is_link_inside =
        |path: &PathBuf| std::fs::read_link(path).is_ok_and(|target| !target.to_string_lossy().contains('/'));
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| !is_link_inside(path)).collect();
    paths.sort();
    paths
}

/// The DER of every `CERTIFICATE` block.
pub(crate) fn certificates_in_pem(pem: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(pem);
    let mut found = Vec::new();
    let mut rest = &*text;
    while let Some((_, after)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
        let Some((body, after)) = after.split_once("-----END CERTIFICATE-----") else { break };
        rest = after;
        let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        if let Ok(der) = BASE64_STANDARD.decode(packed) {
            found.push(der);
        }
    }
    found
}
