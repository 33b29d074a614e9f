//! Through a proxy to a server: CONNECT of HTTP, and SOCKS 5 (RFC 1928, RFC 1929).

use std::net::IpAddr;

use hyper::header::{HeaderMap, HeaderValue, USER_AGENT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::io_text;
use super::http1::{Connection, write_request};
use super::stream::Stream;

/// Asks an HTTP proxy for a connection to `address`.
pub(super) async fn connect(
    stream: Stream,
    address: &str,
    mut headers: HeaderMap,
    user_agent: &HeaderValue,
) -> Result<Stream, String> {
    headers.entry(USER_AGENT).or_insert_with(|| user_agent.clone());
    let mut request = Vec::new();
    write_request(&mut request, "CONNECT", address, address, &headers, None);
    let mut connection = Connection::new(stream);
    // As for HEAD, what follows the head is no body.
    let head = connection.exchange(&[&request], true).await.map_err(|failure| failure.error.to_string())?;
    if head.status.as_u16() != 200 {
        let text = head.status_text.unwrap_or_default();
        return Err(text.split_once(' ').map_or("unknown status code", |(_, words)| words).to_owned());
    }
    connection.into_idle().ok_or_else(|| "proxy sent bytes before it was asked for any".to_owned())
}

/// Asks a SOCKS proxy for a connection. Names are the proxy's to look up, as in Go.
pub(super) async fn socks(
    mut stream: Stream,
    host: &str,
    port: u16,
    credentials: Option<&(String, String)>,
) -> Result<Stream, String> {
    let io = |error: std::io::Error| io_text(&error);
    let methods: &[u8] = if credentials.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(methods).await.map_err(io)?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await.map_err(io)?;
    match (chosen, credentials) {
        ([5, 0], _) => {}
        ([5, 2], Some((user, password))) => log_in(&mut stream, user, password).await?,
        ([5, _], _) => return Err("no acceptable authentication methods".to_owned()),
        ([version, _], _) => return Err(format!("unexpected protocol version {version}")),
    }
    let mut request = vec![5, 1, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            request.push(1);
            request.extend(ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            request.push(4);
            request.extend(ip.octets());
        }
        Err(_) => {
            request.extend([3, u8::try_from(host.len()).map_err(|_| "FQDN too long".to_owned())?]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await.map_err(io)?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await.map_err(io)?;
    let [version, code, _, kind] = reply;
    if version != 5 {
        return Err(format!("unexpected protocol version {version}"));
    }
    if code != 0 {
        return Err(refusal(code));
    }
    let address_len = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await.map_err(io)?),
        kind => return Err(format!("unknown address type {kind}")),
    };
    // Where the proxy connects from is of no interest.
    stream.read_exact(&mut vec![0; address_len + 2]).await.map_err(io)?;
    Ok(stream)
}

async fn log_in(stream: &mut Stream, user: &str, password: &str) -> Result<(), String> {
    let io = |error: std::io::Error| io_text(&error);
    let (Ok(user_len), Ok(password_len)) = (u8::try_from(user.len()), u8::try_from(password.len())) else {
        return Err("invalid username/password".to_owned());
    };
    let mut request = vec![1, user_len];
    request.extend(user.as_bytes());
    request.push(password_len);
    request.extend(password.as_bytes());
    stream.write_all(&request).await.map_err(io)?;
    let mut reply = [0; 2];
    stream.read_exact(&mut reply).await.map_err(io)?;
    match reply {
        [1, 0] => Ok(()),
        [1, _] => Err("username/password authentication failed".to_owned()),
        [version, _] => Err(format!("invalid username/password version {version}")),
    }
}

fn refusal(code: u8) -> String {
    let text = match code {
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        code => return format!("unknown error unknown code: {code}"),
    };
    format!("unknown error {text}")
}
