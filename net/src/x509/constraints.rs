//! Name constraints: which names the certificates below an authority may have. Source: RFC 5280, section 4.2.1.10, and
//! Go's `crypto/x509`.

use std::fmt;
use std::net::IpAddr;

use super::certificate::{AlternativeNames, Certificate, address};
use super::der::{Der, SEQUENCE, context_constructed};

/// The constraints of one authority.
#[derive(Debug, Default, PartialEq)]
pub(super) struct NameConstraints {
    permitted: Subtrees,
    excluded: Subtrees,
}

#[derive(Debug, Default, PartialEq)]
struct Subtrees {
    dns: Vec<String>,
    networks: Vec<Network>,
    emails: Vec<String>,
    uris: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Network {
    address: IpAddr,
    mask: IpAddr,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match self.mask {
            IpAddr::V4(mask) => mask.to_bits().count_ones(),
            IpAddr::V6(mask) => mask.to_bits().count_ones(),
        };
        write!(f, "{}/{bits}", self.address)
    }
}

impl NameConstraints {
    /// The constraints, and whether all of them are of a kind that is understood.
    pub fn read(mut der: Der<'_>) -> Option<(Self, bool)> {
        let mut this = Self::default();
        let mut is_understood = true;
        for (tag, subtrees) in
            [(context_constructed(0), &mut this.permitted), (context_constructed(1), &mut this.excluded)]
        {
            if let Some(list) = der.optional(tag) {
                is_understood &= subtrees.read(list.inside())?;
            }
        }
        der.is_empty().then_some((this, is_understood))
    }

    fn check(&self, names: &AlternativeNames) -> Result<(), String> {
        for name in &names.dns {
            self.check_one("DNS name", name, |t| &t.dns, |c| within_domain(name, c))?;
        }
        for uri in &names.uris {
            let host = host_of(uri)?;
            self.check_one("URI", uri, |t| &t.uris, |c| within_domain(&host, c))?;
        }
        for email in &names.emails {
            self.check_one("email address", email, |t| &t.emails, |c| email_within(email, c))?;
        }
        for ip in &names.addresses {
            self.check_one("IP address", &ip.to_string(), |t| &t.networks, |net| in_network(*ip, net))?;
        }
        Ok(())
    }

    fn check_one<C: fmt::Display>(
        &self,
        kind: &str,
        name: &str,
        constraints: impl Fn(&Subtrees) -> &Vec<C>,
        covers: impl Fn(&C) -> bool,
    ) -> Result<(), String> {
        let permitted = constraints(&self.permitted);
        if !permitted.is_empty() && !permitted.iter().any(&covers) {
            return Err(format!("{kind} {name:?} is not permitted by any constraint"));
        }
        match constraints(&self.excluded).iter().find(|constraint| covers(constraint)) {
            Some(constraint) => {
                let constraint = constraint.to_string();
                Err(format!("{kind} {name:?} is excluded by constraint {constraint:?}"))
            }
            None => Ok(()),
        }
    }
}

impl Subtrees {
    fn read(&mut self, mut der: Der<'_>) -> Option<bool> {
        let mut is_understood = true;
        while !der.is_empty() {
            let base = der.expect(SEQUENCE)?.inside().value()?;
            let text = || String::from_utf8_lossy(base.content).to_ascii_lowercase();
            match base.tag {
                0x81 => self.emails.push(text()),
                0x82 => self.dns.push(text()),
                0x86 => self.uris.push(text()),
                0x87 => {
                    let (ip, mask) = base.content.split_at_checked(base.content.len() / 2)?;
                    self.networks.push(Network { address: address(ip)?, mask: address(mask)? });
                }
                _ => is_understood = false,
            }
        }
        Some(is_understood)
    }
}

/// Checks the names of every certificate in a chain, leaf first, against the constraints of those above it.
pub(super) fn check_chain(chain: &[&Certificate]) -> Result<(), String> {
    for (i, below) in chain.iter().enumerate() {
        let Some(names) = &below.names else { continue };
        for above in chain.iter().skip(i + 1) {
            if let Some(constraints) = &above.constraints {
                constraints.check(names)?;
            }
        }
    }
    Ok(())
}

/// Whether a name is a domain or below it; with a dot in front of the domain only below.
fn within_domain(name: &str, domain: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let (domain, may_equal) = match domain.strip_prefix('.') {
        Some(domain) => (domain, false),
        None => (domain, true),
    };
    match name.strip_suffix(domain) {
        _ if domain.is_empty() => true,
        Some("") => may_equal,
        Some(rest) => rest.ends_with('.'),
        None => false,
    }
}

fn host_of(uri: &str) -> Result<String, String> {
    let refuse = |why: &str| Err(format!("URI {uri:?} {why} cannot be matched against constraints"));
    let Ok(url) = config::url::GoUrl::parse(uri) else { return refuse("that is malformed") };
    let host = url.hostname().to_ascii_lowercase();
    if host.is_empty() {
        return refuse("with empty host");
    }
    if host.parse::<IpAddr>().is_ok() || url.host().starts_with('[') {
        return refuse("with IP");
    }
    Ok(host)
}

/// A constraint is a mailbox, a host, or with a dot in front every host below a domain.
fn email_within(email: &str, constraint: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else { return false };
    match constraint.rsplit_once('@') {
        Some((user, host)) => local.eq_ignore_ascii_case(user) && domain.eq_ignore_ascii_case(host),
        None if constraint.starts_with('.') => within_domain(domain, constraint),
        None => domain.eq_ignore_ascii_case(constraint),
    }
}

fn in_network(ip: IpAddr, network: &Network) -> bool {
    match (ip, network.address, network.mask) {
        (IpAddr::V4(ip), IpAddr::V4(net), IpAddr::V4(mask)) => ip & mask == net & mask,
        (IpAddr::V6(ip), IpAddr::V6(net), IpAddr::V6(mask)) => ip & mask == net & mask,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network_of(address: &str, mask: &str) -> Network {
        Network { address: address.parse().unwrap(), mask: mask.parse().unwrap() }
    }

    fn subtrees(dns: &[&str], network: Option<(&str, &str)>) -> Subtrees {
        Subtrees {
            dns: dns.iter().map(|d| (*d).to_owned()).collect(),
            networks: network.iter().map(|(ip, mask)| network_of(ip, mask)).collect(),
            emails: vec!["me@mail.example".to_owned(), ".mail.org".to_owned(), "host.net".to_owned()],
            uris: vec!["exact.example".to_owned(), ".below.example".to_owned()],
        }
    }

    #[test]
    fn permitted_and_excluded() {
        let constraints = NameConstraints {
            permitted: subtrees(&["example.com", ".sub.org"], Some(("10.0.0.0", "255.0.0.0"))),
            excluded: Subtrees { dns: vec!["bad.example.com".to_owned()], ..Subtrees::default() },
        };
        let one = |kind: &str, name: &str| {
            let mut names = AlternativeNames::default();
            match kind {
                "dns" => names.dns.push(name.to_owned()),
                "ip" => names.addresses.push(name.parse().unwrap()),
                "uri" => names.uris.push(name.to_owned()),
                _ => names.emails.push(name.to_owned()),
            }
            constraints.check(&names).is_ok()
        };
        for (kind, name, want) in [
            ("dns", "example.com", true),
            ("dns", "A.EXAMPLE.com", true),
            ("dns", "notexample.com", false),
            ("dns", "bad.example.com", false),
            ("dns", "x.bad.example.com", false),
            ("dns", "sub.org", false),
            ("dns", "a.sub.org", true),
            ("dns", "other.net", false),
            ("ip", "10.1.2.3", true),
            ("ip", "11.1.2.3", false),
            ("ip", "::1", false),
            ("email", "me@mail.example", true),
            ("email", "you@mail.example", false),
            ("email", "you@a.mail.org", true),
            ("email", "you@mail.org", false),
            ("email", "you@host.net", true),
            ("uri", "http://exact.example/", true),
            ("uri", "http://a.exact.example/", true),
            ("uri", "spiffe://a.below.example/x", true),
            ("uri", "http://below.example/x", false),
            ("uri", "http://10.0.0.1/", false),
            ("uri", "urn:x", false),
        ] {
            assert_eq!(one(kind, name), want, "{kind} {name}");
        }
    }
}
