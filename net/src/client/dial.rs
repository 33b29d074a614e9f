//! Opening TCP connections to addresses as Go's `net` package reads them. Forms that only the C library knows, such as
//! octal or shortened IPv4 addresses, are no addresses: they would mean another machine than in Prometheus.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::error::io_text;

/// How long addresses of the preferred family have before those of the other are tried beside them.
const FALLBACK_DELAY: Duration = Duration::from_millis(300);
/// An address is given this long at least before the next one is tried.
const MIN_ATTEMPT: Duration = Duration::from_secs(2);

/// Connects to a host and port; the errors start with `dial tcp`. Of the time until `deadline` each of the host's
/// addresses gets its share.
pub(super) async fn dial(host: &str, port: &str, deadline: Instant) -> Result<TcpStream, String> {
    let port: u16 = port.parse().map_err(|_| format!("dial tcp: address {port}: invalid port"))?;
    // Latency matters more than packets; failing to say so does not matter.
    let connected = |stream: TcpStream| {
        let _ = stream.set_nodelay(true);
        stream
    };
    if let Some(address) = literal(host, port) {
        return match TcpStream::connect(address).await {
            Ok(stream) => Ok(connected(stream)),
            Err(error) => Err(format!("dial tcp {}: connect: {}", join(host, port), io_text(&error))),
        };
    }
    let addresses = lookup(host, port).await.map_err(|why| format!("dial tcp: lookup {host}: {why}"))?;
    let prefers_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == prefers_v4);
    race(&first, &second, deadline)
        .await
        .map(connected)
        .map_err(|(address, why)| format!("dial tcp {address}: {why}"))
}

/// Connects to a local socket.
pub(super) async fn dial_unix(path: &Path) -> Result<UnixStream, String> {
    let connected = UnixStream::connect(path).await;
    connected.map_err(|error| format!("dial unix {}: connect: {}", path.display(), io_text(&error)))
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn join(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') || host.contains('%') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// An address in Go's notation. No host at all means this machine.
fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    if host.is_empty() {
        return Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(SocketAddr::from((ip, port)));
    }
    let (address, zone) = host.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok()?;
    (!zone.is_empty()).then(|| SocketAddr::V6(SocketAddrV6::new(address, port, 0, interface(zone))))
}

/// The number of a network interface, given its name or number; 0, which no interface has, if there is none.
fn interface(zone: &str) -> u32 {
    let by_name = || {
        let index = std::fs::read_to_string(Path::new("/sys/class/net").join(zone).join("ifindex")).ok()?;
        index.trim().parse().ok()
    };
    zone.parse().ok().or_else(|| if zone.contains('/') { None } else { by_name() }).unwrap_or(0)
}

async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    const NO_SUCH_HOST: &str = "no such host";
    if !is_domain_name(host) || is_number(host) {
        return Err(NO_SUCH_HOST.to_owned());
    }
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| lookup_text(&error))?;
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() { Err(NO_SUCH_HOST.to_owned()) } else { Ok(addresses) }
}

fn lookup_text(error: &io::Error) -> String {
    let text = error.to_string();
    if text.contains("Name or service not known") || text.contains("No address associated") {
        return "no such host".to_owned();
    }
    text.trim_start_matches("failed to lookup address information: ").to_ascii_lowercase()
}

/// What may be asked of the DNS. Source: Go's `isDomainName`.
fn is_domain_name(name: &str) -> bool {
    if name == "." {
        return true;
    }
    let labels = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let has_letter = labels.bytes().any(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'-');
    labels.len() <= 253 && labels.split('.').all(is_label) && has_letter
}

/// Whether the C library takes the name for an address with hexadecimal parts.
fn is_number(name: &str) -> bool {
    let is_hex = |label: &str| {
        let digits = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
        digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    name.split('.').all(|label| is_hex(label) || label.bytes().all(|b| b.is_ascii_digit()))
}

type Failed = (SocketAddr, String);

/// Tries the second addresses when the first ones have failed, and beside them when they take their time.
async fn race(first: &[SocketAddr], second: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Failed> {
    if second.is_empty() {
        return one_by_one(first, deadline).await;
    }
    let mut first = std::pin::pin!(one_by_one(first, deadline));
    let failure = tokio::select! {
        biased;
        connected = &mut first => match connected {
            Ok(stream) => return Ok(stream),
            Err(failure) => Some(failure),
        },
        () = tokio::time::sleep(FALLBACK_DELAY) => None,
    };
    if let Some(failure) = failure {
        return one_by_one(second, deadline).await.map_err(|_| failure);
    }
    let mut second = std::pin::pin!(one_by_one(second, deadline));
    tokio::select! {
        connected = &mut first => match connected {
            Ok(stream) => Ok(stream),
            Err(failure) => second.await.map_err(|_| failure),
        },
        connected = &mut second => match connected {
            Ok(stream) => Ok(stream),
            Err(_) => first.await,
        },
    }
}

/// The error is the first address's.
async fn one_by_one(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Failed> {
    let mut first_failure = None;
    for (i, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = (left / (addresses.len() - i) as u32).max(MIN_ATTEMPT);
        let failure = match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => format!("connect: {}", io_text(&error)),
            Err(_) => "i/o timeout".to_owned(),
        };
        first_failure.get_or_insert((*address, failure));
    }
    Err(first_failure.unwrap_or((SocketAddr::from(([0, 0, 0, 0], 0)), "missing address".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_as_go_reads_them() {
        for (host, want) in [
            ("127.0.0.1", Some("127.0.0.1:1")),
            ("", Some("0.0.0.0:1")),
            ("::1", Some("[::1]:1")),
            ("::ffff:1.2.3.4", Some("[::ffff:1.2.3.4]:1")),
            ("fe80::1%7", Some("[fe80::1%7]:1")),
            ("fe80::1%no-such-interface", Some("[fe80::1]:1")),
            ("fe80::1%", None),
            ("127.1", None),
            ("0177.0.0.1", None),
            ("127.0.0.01", None),
            ("0x7f.0.0.1", None),
            ("2130706433", None),
            ("1.2.3.4.", None),
            ("1.2.3.4%lo", None),
        ] {
            assert_eq!(literal(host, 1).map(|address| address.to_string()).as_deref(), want, "{host}");
        }
        assert_eq!(interface("lo"), 1);
    }

    #[tokio::test]
    async fn what_is_no_address_is_not_looked_up_by_the_c_library() {
        let soon = Instant::now() + Duration::from_secs(5);
        for host in [
            "0177.0.0.1",
            "127.1",
            "2130706433",
            "1.2.3.4.5",
            "0x7f.1",
            "0x7f000001",
            "127.0.0.01",
            "a..b",
            "-a.b",
        ] {
            let error = dial(host, "1", soon).await.unwrap_err();
            assert_eq!(error, format!("dial tcp: lookup {host}: no such host"));
        }
    }

    #[tokio::test]
    async fn errors_name_the_address() {
        let soon = Instant::now() + Duration::from_secs(5);
        for (host, port, want) in [
            ("127.0.0.1", "1", "dial tcp 127.0.0.1:1: connect: connection refused"),
            ("", "1", "dial tcp :1: connect: connection refused"),
            ("127.0.0.1", "99999", "dial tcp: address 99999: invalid port"),
            (
                "fe80::1%no-such-interface",
                "1",
                "dial tcp [fe80::1%no-such-interface]:1: connect: invalid argument",
            ),
        ] {
            let error = dial(host, port, soon).await.unwrap_err();
            // Where IPv6 is switched off the system says so.
            if !error.contains("address family not supported") && !error.contains("network is unreachable") {
                assert_eq!(error, want);
            }
        }
    }
}
