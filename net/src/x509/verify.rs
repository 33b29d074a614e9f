//! Building chains from a leaf to a trusted certificate. Source: Go's `Certificate.Verify`.

use jiff::Timestamp;

use super::certificate::Certificate;
use super::constraints;
use super::hostname::verify_hostname;
use super::roots::Roots;

/// Signatures that are verified for one chain at most; a hostile server could ask for any number.
const MAX_SIGNATURE_CHECKS: usize = 100;
/// RSA keys below this are broken.
const MIN_RSA_BITS: u32 = 1024;
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0];

/// Verifies that the first certificate is for `host` and that a chain leads from it to a trusted one at the time
/// `now`, in seconds since 1970. The others are what the server sent along. Errors start with `x509: `.
pub fn verify(chain: &[Certificate], roots: &Roots, host: &str, now: i64) -> Result<(), String> {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Err("x509: the server sent no certificate".to_owned());
    };
    let search = Search { roots, intermediates, now };
    search.check_validity(leaf, Kind::Leaf, &[])?;
    verify_hostname(leaf, host)?;
    let mut chains = Vec::new();
    if roots.contains(leaf) {
        chains.push(vec![leaf]);
    } else {
        search.extend(&[leaf], &mut 0, &mut chains)?;
    }
    let mut refusal = None;
    for chain in &chains {
        match check_usage(chain).and_then(|()| constraints_of(chain)) {
            Ok(()) => return Ok(()),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap_or_else(|| UNKNOWN_AUTHORITY.to_owned()))
}

const UNKNOWN_AUTHORITY: &str = "x509: certificate signed by unknown authority";

fn constraints_of(chain: &[&Certificate]) -> Result<(), String> {
    constraints::check_chain(chain).map_err(|error| {
        format!("x509: a root or intermediate certificate is not authorized to sign for this name: {error}")
    })
}

/// Every certificate that says what it is for must be for servers.
fn check_usage(chain: &[&Certificate]) -> Result<(), String> {
    let is_for_servers = |certificate: &&Certificate| {
        let usages = &certificate.extended_key_usage;
        usages.is_empty() || usages.iter().any(|usage| usage == SERVER_AUTH || usage == ANY_USAGE)
    };
    if chain.iter().all(is_for_servers) {
        return Ok(());
    }
    Err("x509: certificate specifies an incompatible key usage".to_owned())
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Leaf,
    Intermediate,
    Root,
}

struct Search<'a> {
    roots: &'a Roots,
    intermediates: &'a [Certificate],
    now: i64,
}

impl<'a> Search<'a> {
    /// Finds the chains that begin with this one.
    fn extend(
        &self,
        chain: &[&'a Certificate],
        checks: &mut usize,
        chains: &mut Vec<Vec<&'a Certificate>>,
    ) -> Result<(), String> {
        let Some(&last) = chain.last() else { return Ok(()) };
        let found_before = chains.len();
        // Why the first candidate was not taken.
        let mut hint: Option<(String, &Certificate)> = None;
        let mut failure = None;
        let roots = self.roots.with_subject(&last.issuer).map(|candidate| (Kind::Root, candidate));
        let sent = self.intermediates.iter().filter(|c| c.subject == last.issuer);
        for (kind, candidate) in roots.chain(sent.map(|candidate| (Kind::Intermediate, candidate))) {
            *checks += 1;
            if *checks > MAX_SIGNATURE_CHECKS {
                return Err("x509: signature check attempts limit reached while verifying certificate chain"
                    .to_owned());
            }
            if chain.iter().any(|known| known.der == candidate.der) {
                continue;
            }
            let fits =
                check_signature(last, candidate).and_then(|()| self.check_validity(candidate, kind, chain));
            if let Err(error) = fits {
                hint.get_or_insert((error, candidate));
                continue;
            }
            let longer = [chain, &[candidate]].concat();
            match kind {
                Kind::Root => chains.push(longer),
                _ => failure = self.extend(&longer, checks, chains).err(),
            }
        }
        if chains.len() > found_before {
            return Ok(());
        }
        Err(failure.unwrap_or_else(|| match hint {
            Some((error, candidate)) => format!(
                "{UNKNOWN_AUTHORITY} (possibly because of {error:?} while trying to verify candidate authority \
                 certificate {:?})",
                candidate.display_name()
            ),
            None => UNKNOWN_AUTHORITY.to_owned(),
        }))
    }

    fn check_validity(
        &self,
        certificate: &Certificate,
        kind: Kind,
        below: &[&Certificate],
    ) -> Result<(), String> {
        if certificate.has_unknown_critical {
            return Err("x509: unhandled critical extension".to_owned());
        }
        let expired = |relation, bound| {
            let (now, bound) = (rfc3339(self.now), rfc3339(bound));
            Err(format!(
                "x509: certificate has expired or is not yet valid: current time {now} is {relation} {bound}"
            ))
        };
        if self.now < certificate.not_before {
            return expired("before", certificate.not_before);
        }
        if self.now > certificate.not_after {
            return expired("after", certificate.not_after);
        }
        if kind == Kind::Intermediate && certificate.is_ca != Some(true) {
            return Err("x509: certificate is not authorized to sign other certificates".to_owned());
        }
        let intermediates = below.len().saturating_sub(1) as u64;
        if certificate.path_len.is_some_and(|max| intermediates > max) {
            return Err("x509: too many intermediates for path length constraint".to_owned());
        }
        Ok(())
    }
}

/// Whether `parent` may sign certificates and has signed this one.
fn check_signature(child: &Certificate, parent: &Certificate) -> Result<(), String> {
    let says_nothing = parent.version == 3 && parent.is_ca.is_none();
    if says_nothing || parent.is_ca == Some(false) || parent.may_sign == Some(false) {
        return Err(
            "x509: invalid signature: parent certificate cannot sign this kind of certificate".to_owned()
        );
    }
    if let Some(algorithm) = child.insecure_algorithm {
        return Err(format!("x509: cannot verify signature: insecure algorithm {algorithm}"));
    }
    let unknown = |_| "x509: cannot verify signature: algorithm unimplemented".to_owned();
    let key = parent.x509.public_key().map_err(unknown)?;
    if key.rsa().is_ok() && key.bits() < MIN_RSA_BITS {
        return Err(format!("crypto/rsa: {}-bit keys are insecure", key.bits()));
    }
    match child.x509.verify(&key) {
        Ok(true) => Ok(()),
        Ok(false) if key.rsa().is_ok() => Err("crypto/rsa: verification error".to_owned()),
        Ok(false) => Err("x509: signature verification failure".to_owned()),
        Err(error) => Err(unknown(error)),
    }
}

fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
