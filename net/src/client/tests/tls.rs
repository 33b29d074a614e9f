//! TLS with certificates of every kind, made with the openssl command when the tests run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use config::http_client::{TlsConfig, TlsVersion};
use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, SslContextBuilder, SslFiletype, SslMethod, SslVerifyMode, SslVersion};

use super::*;

/// Makes certificates. A certificate `name` is `name.pem` and `name.key`.
struct Authority {
    dir: tempfile::TempDir,
}

/// Extensions of an authority.
const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
/// Names of the servers of these tests.
const LOOPBACK: &str = "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

impl Authority {
    /// `None`, said, without the command.
    fn new() -> Option<Self> {
        static HAS_OPENSSL: LazyLock<bool> = LazyLock::new(|| {
            Command::new("openssl").arg("version").output().is_ok_and(|o| o.status.success())
        });
        if !*HAS_OPENSSL {
            println!("SKIPPED: the openssl command is not installed");
            return None;
        }
        Some(Self { dir: tempfile::tempdir().unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pem(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.pem"))
    }

    fn key(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.key"))
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A certificate with these extensions and no others, signed by `issuer`, or by itself.
    fn issue(&self, name: &str, issuer: Option<&str>, extensions: &str, key: &[&str], more: &[&str]) {
        let (pem, csr, key_file, ext) =
            (format!("{name}.pem"), format!("{name}.csr"), format!("{name}.key"), format!("{name}.ext"));
        std::fs::write(self.path("empty.cnf"), "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
        let subject = format!("/CN={name}");
        let request = [
            "req",
            "-new",
            "-nodes",
            "-config",
            "empty.cnf",
            "-subj",
            &subject,
            "-keyout",
            &key_file,
            "-out",
            &csr,
        ];
        self.run(&[&request[..], key].concat());
        let (issuer_pem, issuer_key);
        let mut sign = vec!["x509", "-req", "-in", &csr, "-out", &pem, "-days", "2"];
        if let Some(issuer) = issuer {
            (issuer_pem, issuer_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
            sign.extend(["-CA", &issuer_pem, "-CAkey", &issuer_key, "-CAcreateserial"]);
        } else {
            sign.extend(["-signkey", &key_file]);
        }
        if !extensions.is_empty() {
            std::fs::write(self.path(&ext), extensions).unwrap();
            sign.extend(["-extfile", &ext]);
        }
        self.run(&[&sign[..], more].concat());
    }

    /// An elliptic-curve certificate for loopback.
    fn issue_server(&self, name: &str, issuer: Option<&str>) {
        self.issue(name, issuer, LOOPBACK, P256, &[]);
    }

    /// Authority, intermediate and a server's certificate.
    fn issue_chain(&self) {
        self.issue("root", None, CA, P256, &[]);
        self.issue("middle", Some("root"), CA, P256, &[]);
        self.issue_server("leaf", Some("middle"));
    }
}

/// What a server offers: the certificate and what it sends along.
fn context(authority: &Authority, name: &str, sent_along: &[&str]) -> SslContextBuilder {
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    context.set_certificate_file(authority.pem(name), SslFiletype::PEM).unwrap();
    context.set_private_key_file(authority.key(name), SslFiletype::PEM).unwrap();
    for name in sent_along {
        let pem = std::fs::read(authority.pem(name)).unwrap();
        context.add_extra_chain_cert(openssl::x509::X509::from_pem(&pem).unwrap()).unwrap();
    }
    context
}

async fn serve_tls(context: SslContextBuilder) -> Server {
    Server::listen(Arc::new(|_: &str| ok("secure")), Some(context.build())).await
}

fn file(path: impl AsRef<Path>) -> Option<SecretSource> {
    Some(SecretSource::File(path.as_ref().to_owned()))
}

fn trusting(ca: &Path) -> TlsConfig {
    TlsConfig { ca: file(ca), ..TlsConfig::default() }
}

fn careless() -> TlsConfig {
    TlsConfig { insecure_skip_verify: true, ..TlsConfig::default() }
}

/// The body, or the error without method and URL.
async fn ask(tls: &TlsConfig, url: GoUrl) -> Result<String, String> {
    let config = HttpClientConfig { tls: tls.clone(), ..HttpClientConfig::default() };
    let response = client(&config).send(&Request::get(url), SECOND).await;
    let response = response.map_err(|error| match error {
        HttpError::Request { source, .. } => source.to_string(),
        error => error.to_string(),
    })?;
    let body = response.read(1 << 20, Vec::new()).await.map_err(|e| e.to_string())?;
    Ok(String::from_utf8(body).unwrap())
}

async fn asked(tls: &TlsConfig, server: &Server) -> Result<String, String> {
    ask(tls, server.url("/")).await
}

fn unverified(why: &str) -> Result<String, String> {
    Err(format!("tls: failed to verify certificate: x509: {why}"))
}

#[tokio::test]
async fn a_self_signed_certificate_is_its_own_authority() {
    let Some(authority) = Authority::new() else { return };
    // What `openssl req -x509` makes: an authority by its extensions.
    authority.run(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=x",
        "-days",
        "2",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        "req.key",
        "-out",
        "req.pem",
    ]);
    authority.issue("plain", None, LOOPBACK, P256, &[]);
    authority.issue("signs", None, &format!("{CA}{LOOPBACK}"), P256, &[]);
    authority.issue("no-ca", None, &format!("basicConstraints=critical,CA:FALSE\n{LOOPBACK}"), P256, &[]);
    for name in ["req", "plain", "signs", "no-ca"] {
        let server = serve_tls(context(&authority, name, &[])).await;
        assert_eq!(asked(&trusting(&authority.pem(name)), &server).await, Ok("secure".to_owned()), "{name}");
        assert_eq!(asked(&careless(), &server).await, Ok("secure".to_owned()));
        let unknown = unverified("certificate signed by unknown authority");
        assert_eq!(asked(&TlsConfig::default(), &server).await, unknown, "{name}");
    }
}

#[tokio::test]
async fn any_certificate_of_a_chain_may_be_trusted() {
    let Some(authority) = Authority::new() else { return };
    authority.issue_chain();
    let unknown = unverified("certificate signed by unknown authority");
    for (sent_along, trusted, reached) in [
        (&[][..], "leaf", true),
        (&[], "middle", true),
        (&[], "root", false),
        (&["middle"], "leaf", true),
        (&["middle"], "middle", true),
        (&["middle"], "root", true),
        (&["root", "middle"], "root", true),
    ] {
        let server = serve_tls(context(&authority, "leaf", sent_along)).await;
        let want = if reached { Ok("secure".to_owned()) } else { unknown.clone() };
        assert_eq!(
            asked(&trusting(&authority.pem(trusted)), &server).await,
            want,
            "{sent_along:?} {trusted}"
        );
    }
    // One file may hold several, and what is none.
    let both: Vec<u8> =
        ["root", "middle"].iter().flat_map(|n| std::fs::read(authority.pem(n)).unwrap()).collect();
    std::fs::write(authority.pem("both"), [b"# a comment\n", &both[..]].concat()).unwrap();
    let server = serve_tls(context(&authority, "leaf", &[])).await;
    assert_eq!(asked(&trusting(&authority.pem("both")), &server).await, Ok("secure".to_owned()));
    // Inline, too.
    let inline = TlsConfig {
        ca: inline(&std::fs::read_to_string(authority.pem("middle")).unwrap()),
        ..TlsConfig::default()
    };
    assert_eq!(asked(&inline, &server).await, Ok("secure".to_owned()));
}

#[tokio::test]
async fn what_signs_must_be_allowed_to() {
    let Some(authority) = Authority::new() else { return };
    authority.issue("root", None, CA, P256, &[]);
    // A server's certificate that signs another.
    authority.issue("no-ca", Some("root"), "basicConstraints=CA:FALSE\n", P256, &[]);
    authority.issue_server("by-no-ca", Some("no-ca"));
    authority.issue("silent", Some("root"), "subjectKeyIdentifier=none\n", P256, &[]);
    authority.issue_server("by-silent", Some("silent"));
    authority.issue("no-path", Some("root"), "basicConstraints=critical,CA:TRUE,pathlen:0\n", P256, &[]);
    authority.issue("below", Some("no-path"), CA, P256, &[]);
    authority.issue_server("too-deep", Some("below"));
    authority.issue(
        "mail",
        Some("root"),
        &format!("{LOOPBACK}extendedKeyUsage=emailProtection\n"),
        P256,
        &[],
    );
    authority.issue("client", Some("root"), &format!("{LOOPBACK}extendedKeyUsage=clientAuth\n"), P256, &[]);
    authority.issue(
        "any",
        Some("root"),
        &format!("{LOOPBACK}extendedKeyUsage=anyExtendedKeyUsage\n"),
        P256,
        &[],
    );
    authority.issue("signs", Some("root"), &format!("{LOOPBACK}keyUsage=critical,keyCertSign\n"), P256, &[]);
    authority.issue("odd", Some("root"), &format!("{LOOPBACK}1.2.3.4=critical,ASN1:NULL\n"), P256, &[]);
    authority.issue("sha1", Some("root"), LOOPBACK, P256, &["-sha1"]);
    let within = "nameConstraints=critical,permitted;IP:127.0.0.0/255.0.0.0,permitted;DNS:localhost\n";
    authority.issue("within", Some("root"), &format!("{CA}{within}"), P256, &[]);
    authority.issue_server("by-within", Some("within"));
    authority.issue(
        "without",
        Some("root"),
        &format!("{CA}nameConstraints=critical,excluded;DNS:localhost\n"),
        P256,
        &[],
    );
    authority.issue_server("by-without", Some("without"));
    // Identifiers of keys are hints, not conditions.
    authority.issue("hinted", Some("root"), &format!("{LOOPBACK}authorityKeyIdentifier=none\n"), P256, &[]);
    let cannot = |name: &str| {
        format!(
            "certificate signed by unknown authority (possibly because of \"x509: invalid signature: parent certificate \
             cannot sign this kind of certificate\" while trying to verify candidate authority certificate {name:?})"
        )
    };
    for (name, sent_along, why) in [
        ("by-no-ca", &["no-ca"][..], cannot("no-ca").as_str()),
        ("by-silent", &["silent"], &cannot("silent")),
        (
            "too-deep",
            &["below", "no-path"],
            "certificate signed by unknown authority (possibly because of \"x509: too many intermediates for path length constraint\" while trying to verify candidate authority certificate \"no-path\")",
        ),
        ("mail", &[], "certificate specifies an incompatible key usage"),
        ("client", &[], "certificate specifies an incompatible key usage"),
        ("any", &[], ""),
        ("signs", &[], ""),
        ("odd", &[], "unhandled critical extension"),
        (
            "sha1",
            &[],
            "certificate signed by unknown authority (possibly because of \"x509: cannot verify signature: insecure algorithm ECDSA-SHA1\" while trying to verify candidate authority certificate \"root\")",
        ),
        ("by-within", &["within"], ""),
        (
            "by-without",
            &["without"],
            "a root or intermediate certificate is not authorized to sign for this name: DNS name \"localhost\" is excluded by constraint \"localhost\"",
        ),
        ("hinted", &[], ""),
    ] {
        let server = serve_tls(context(&authority, name, sent_along)).await;
        let want = if why.is_empty() { Ok("secure".to_owned()) } else { unverified(why) };
        assert_eq!(asked(&trusting(&authority.pem("root")), &server).await, want, "{name}");
        assert_eq!(asked(&careless(), &server).await, Ok("secure".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn names_as_go_matches_them() {
    let Some(authority) = Authority::new() else { return };
    authority.issue("root", None, CA, P256, &[]);
    for (names, server_name, want) in [
        ("IP:127.0.0.1", "", ""),
        ("IP:127.0.0.2", "", "certificate is valid for 127.0.0.2, not 127.0.0.1"),
        (
            "DNS:127.0.0.1",
            "",
            "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
        ),
        ("DNS:a.example", "a.example", ""),
        ("DNS:a.example", "A.Example.", ""),
        (
            "DNS:a.example,DNS:b.example",
            "c.example",
            "certificate is valid for a.example, b.example, not c.example",
        ),
        ("DNS:*.example", "a.example", ""),
        ("DNS:*.example", "a.b.example", "certificate is valid for *.example, not a.b.example"),
        ("DNS:*.example", "example", "certificate is valid for *.example, not example"),
        ("DNS:a*.example", "ab.example", "certificate is valid for a*.example, not ab.example"),
        ("DNS:a.*.example", "a.b.example", "certificate is valid for a.*.example, not a.b.example"),
        ("DNS:*", "localhost", "certificate is valid for *, not localhost"),
        (
            "email:x@a.example",
            "a.example",
            "certificate is not valid for any names, but wanted to match a.example",
        ),
        ("", "server", "certificate relies on legacy Common Name field, use SANs instead"),
        ("", "other", "certificate is not valid for any names, but wanted to match other"),
    ] {
        let extensions = if names.is_empty() {
            "keyUsage=digitalSignature\n".to_owned()
        } else {
            format!("subjectAltName={names}\n")
        };
        authority.issue("server", Some("root"), &extensions, P256, &[]);
        let server = serve_tls(context(&authority, "server", &[])).await;
        let tls = TlsConfig { server_name: server_name.to_owned(), ..trusting(&authority.pem("root")) };
        let want = if want.is_empty() { Ok("secure".to_owned()) } else { unverified(want) };
        assert_eq!(asked(&tls, &server).await, want, "{names} {server_name}");
    }
}

#[tokio::test]
async fn insecure_skip_verify_judges_nothing() {
    let Some(authority) = Authority::new() else { return };
    authority.issue("root", None, CA, P256, &[]);
    // Version 1, as the command makes it without extensions.
    authority.issue("v1", Some("root"), "", &["-newkey", "rsa:2048"], &[]);
    let text = openssl::x509::X509::from_pem(&std::fs::read(authority.pem("v1")).unwrap()).unwrap();
    assert_eq!(text.version(), 0);
    authority.issue("weak", Some("root"), LOOPBACK, &["-newkey", "rsa:1024"], &[]);
    authority.issue("elsewhere", Some("root"), "subjectAltName=DNS:elsewhere\n", P256, &[]);
    authority.issue("broken", Some("root"), LOOPBACK, P256, &[]);
    let mut der = openssl::x509::X509::from_pem(&std::fs::read(authority.pem("broken")).unwrap())
        .unwrap()
        .to_der()
        .unwrap();
    let last = der.len() - 1;
    der[last] ^= 1;
    let broken = openssl::x509::X509::from_der(&der).unwrap();
    std::fs::write(authority.pem("broken"), broken.to_pem().unwrap()).unwrap();
    expire(&authority, "expired", "root");
    for (name, want) in [
        ("v1", "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"),
        ("elsewhere", "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"),
        (
            "broken",
            "certificate signed by unknown authority (possibly because of \"x509: signature verification failure\" while trying to verify candidate authority certificate \"root\")",
        ),
        ("expired", "certificate has expired or is not yet valid: current time "),
        ("weak", ""),
    ] {
        let server = serve_tls(context(&authority, name, &[])).await;
        assert_eq!(asked(&careless(), &server).await, Ok("secure".to_owned()), "{name}");
        let verified = asked(&trusting(&authority.pem("root")), &server).await;
        match want {
            "" => assert_eq!(verified, Ok("secure".to_owned()), "{name}"),
            want => {
                let error = verified.unwrap_err();
                assert!(error.starts_with(&unverified(want).unwrap_err()), "{name}: {error}");
            }
        }
    }
}

/// A certificate that ended yesterday.
fn expire(authority: &Authority, name: &str, issuer: &str) {
    authority.issue_server(name, Some(issuer));
    let read = |path: PathBuf| std::fs::read(path).unwrap();
    let old = openssl::x509::X509::from_pem(&read(authority.pem(name))).unwrap();
    let mut builder = openssl::x509::X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(old.serial_number()).unwrap();
    builder.set_subject_name(old.subject_name()).unwrap();
    builder.set_issuer_name(old.issuer_name()).unwrap();
    builder.set_pubkey(&old.public_key().unwrap()).unwrap();
    let time = |days_ago: u64| {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - days_ago * 86_400;
        openssl::asn1::Asn1Time::from_unix(seconds as i64).unwrap()
    };
    builder.set_not_before(&time(3)).unwrap();
    builder.set_not_after(&time(1)).unwrap();
    let key = PKey::private_key_from_pem(&read(authority.key(issuer))).unwrap();
    let names = openssl::x509::extension::SubjectAlternativeName::new()
        .ip("127.0.0.1")
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, openssl::hash::MessageDigest::sha256()).unwrap();
    std::fs::write(authority.pem(name), builder.build().to_pem().unwrap()).unwrap();
}

#[tokio::test]
async fn keys_and_suites() {
    let Some(authority) = Authority::new() else { return };
    for (name, key) in [
        ("p256", P256),
        ("p384", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("p521", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        ("ed25519", &["-newkey", "ed25519"]),
        ("rsa", &["-newkey", "rsa:2048"]),
    ] {
        authority.issue(name, None, LOOPBACK, key, &[]);
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let mut context = context(&authority, name, &[]);
            context.set_min_proto_version(Some(version)).unwrap();
            context.set_max_proto_version(Some(version)).unwrap();
            let server = serve_tls(context).await;
            assert_eq!(
                asked(&trusting(&authority.pem(name)), &server).await,
                Ok("secure".to_owned()),
                "{name}"
            );
        }
    }
    for (name, suite, reached) in [
        ("rsa", "ECDHE-RSA-AES128-SHA", true),
        ("rsa", "ECDHE-RSA-AES256-SHA", true),
        ("p256", "ECDHE-ECDSA-AES128-SHA", true),
        ("rsa", "ECDHE-RSA-CHACHA20-POLY1305", true),
        // Without forward secrecy, as in Go.
        ("rsa", "AES128-GCM-SHA256", false),
    ] {
        let mut context = context(&authority, name, &[]);
        context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
        context.set_cipher_list(suite).unwrap();
        let server = serve_tls(context).await;
        let want = if reached {
            Ok("secure".to_owned())
        } else {
            Err("remote error: tls: handshake failure".to_owned())
        };
        assert_eq!(asked(&trusting(&authority.pem(name)), &server).await, want, "{suite}");
    }
}

#[tokio::test]
async fn versions() {
    let Some(authority) = Authority::new() else { return };
    authority.issue("rsa", None, LOOPBACK, &["-newkey", "rsa:2048"], &[]);
    authority.issue("ec", None, LOOPBACK, P256, &[]);
    let only = |name: &str, version: SslVersion| {
        let mut context = context(&authority, name, &[]);
        context.set_min_proto_version(Some(version)).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        context
    };
    use TlsVersion::{Tls10, Tls11, Tls12, Tls13};
    let refused = "remote error: tls: protocol version not supported";
    for (served, min, max, want) in [
        (SslVersion::TLS1, None, None, refused),
        (SslVersion::TLS1, Some(Tls10), None, ""),
        (SslVersion::TLS1, Some(Tls11), None, refused),
        (SslVersion::TLS1_1, Some(Tls10), None, ""),
        (SslVersion::TLS1_1, Some(Tls10), Some(Tls11), ""),
        (SslVersion::TLS1_1, None, None, refused),
        (SslVersion::TLS1_2, Some(Tls10), None, ""),
        (SslVersion::TLS1_2, Some(Tls13), None, refused),
        (SslVersion::TLS1_2, None, Some(Tls12), ""),
        (SslVersion::TLS1_3, None, Some(Tls12), refused),
        (SslVersion::TLS1_3, Some(Tls13), Some(Tls13), ""),
        (
            SslVersion::TLS1_2,
            None,
            Some(Tls11),
            "tls: no supported versions satisfy MinVersion and MaxVersion",
        ),
    ] {
        for name in ["rsa", "ec"] {
            let server = serve_tls(only(name, served)).await;
            let tls = TlsConfig { min_version: min, max_version: max, ..trusting(&authority.pem(name)) };
            let want = if want.is_empty() { Ok("secure".to_owned()) } else { Err(want.to_owned()) };
            assert_eq!(asked(&tls, &server).await, want, "{name} {served:?} {min:?} {max:?}");
        }
    }
    let empty = TlsConfig { min_version: Some(Tls13), max_version: Some(Tls12), ..TlsConfig::default() };
    let config = HttpClientConfig { tls: empty, ..HttpClientConfig::default() };
    assert_eq!(HttpClient::new(&config, "a").err(), Some(SetupError::TlsRange));
}

/// A server that answers on TLS with these bytes and closes the connection without a word of TLS.
async fn without_close_notify(context: SslContextBuilder, answer: &'static str) -> GoUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let context = context.build();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = SslStream::new(Ssl::new(&context).unwrap(), stream).unwrap();
            Pin::new(&mut stream).accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url(&format!("https://{address}/"))
}

#[tokio::test]
async fn a_stream_may_end_without_close_notify() {
    let Some(authority) = Authority::new() else { return };
    authority.issue_server("server", None);
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (answer, want) in [
            ("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nup 1\n", Ok("up 1\n")),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nup 1\n", Ok("up 1\n")),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nup 1\n", Err("unexpected EOF")),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nup 1\n\r\n", Err("unexpected EOF")),
            ("", Err("EOF")),
        ] {
            let mut context = context(&authority, "server", &[]);
            context.set_max_proto_version(Some(version)).unwrap();
            let url = without_close_notify(context, answer).await;
            let got = ask(&trusting(&authority.pem("server")), url).await;
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "{answer}");
        }
    }
}

#[tokio::test]
async fn what_is_no_tls_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"garbage that is no TLS\r\n", b""] {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The whole of what the client says, lest closing resets.
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
            stream.read_exact(&mut rest).await.unwrap();
            stream.write_all(answer).await.unwrap();
        }
    });
    for want in [
        "http: server gave HTTP response to HTTPS client",
        "tls: first record does not look like a TLS handshake",
        "EOF",
    ] {
        assert_eq!(ask(&careless(), url(&format!("https://{address}/"))).await, Err(want.to_owned()));
    }
}

#[tokio::test]
async fn client_certificates_are_read_again_when_they_change() {
    let Some(authority) = Authority::new() else { return };
    authority.issue("root", None, CA, P256, &[]);
    authority.issue_server("server", Some("root"));
    authority.issue("stranger", None, "", P256, &[]);
    authority.issue("friend", Some("root"), "extendedKeyUsage=clientAuth\n", &["-newkey", "rsa:2048"], &[]);
    let mut context = context(&authority, "server", &[]);
    context.set_ca_file(authority.pem("root")).unwrap();
    context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    let server = serve_tls(context).await;
    let (cert, key) = (authority.pem("own"), authority.key("own"));
    let put = |name: &str| {
        std::fs::copy(authority.pem(name), &cert).unwrap();
        std::fs::copy(authority.key(name), &key).unwrap();
    };
    put("stranger");
    let tls = TlsConfig { cert: file(&cert), key: file(&key), ..trusting(&authority.pem("root")) };
    let client = client(&HttpClientConfig { tls, ..HttpClientConfig::default() });
    assert!(get(&client, server.url("/")).await.is_err());
    put("friend");
    assert_eq!(get(&client, server.url("/")).await.unwrap(), "secure");
    assert_eq!(
        asked(&trusting(&authority.pem("root")), &server).await,
        Err("remote error: tls: handshake failure".to_owned())
    );
    std::fs::copy(authority.key("root"), &key).unwrap();
    let error = get(&client, server.url("/")).await.unwrap_err();
    let want = format!(
        "unable to use specified client cert (file {}) & key (file {}): tls: private key does not match public key",
        cert.display(),
        key.display()
    );
    assert!(error.ends_with(&want), "{error}");
}

#[tokio::test]
async fn authorities_are_read_again_when_they_change() {
    let Some(authority) = Authority::new() else { return };
    authority.issue_server("one", None);
    authority.issue_server("two", None);
    let ca = authority.pem("ca");
    std::fs::copy(authority.pem("one"), &ca).unwrap();
    let server = serve_tls(context(&authority, "two", &[])).await;
    let client = client(&HttpClientConfig { tls: trusting(&ca), ..HttpClientConfig::default() });
    assert!(
        get(&client, server.url("/")).await.unwrap_err().ends_with("certificate signed by unknown authority")
    );
    std::fs::write(&ca, [std::fs::read(authority.pem("two")).unwrap(), b"\n".to_vec()].concat()).unwrap();
    assert_eq!(get(&client, server.url("/")).await.unwrap(), "secure");
    std::fs::write(&ca, "no certificate").unwrap();
    let error = get(&client, server.url("/")).await.unwrap_err();
    assert!(error.ends_with(&format!("unable to use specified CA cert file {}", ca.display())), "{error}");
    std::fs::remove_file(&ca).unwrap();
    let error = get(&client, server.url("/")).await.unwrap_err();
    let want = format!(
        "unable to read CA cert: unable to read file {0}: open {0}: no such file or directory",
        ca.display()
    );
    assert!(error.ends_with(&want), "{error}");
}

#[tokio::test]
async fn the_systems_authorities_are_found_where_go_finds_them() {
    let Some(authority) = Authority::new() else { return };
    authority.issue_server("a", None);
    authority.issue_server("b", None);
    let directory = authority.path("certs");
    std::fs::create_dir(&directory).unwrap();
    std::fs::copy(authority.pem("b"), directory.join("b")).unwrap();
    let roots = crate::x509::Roots::of_system(|name| match name {
        "SSL_CERT_FILE" => Some(authority.pem("a").display().to_string()),
        "SSL_CERT_DIR" => Some(format!("/nowhere:{}", directory.display())),
        _ => None,
    });
    for name in ["a", "b"] {
        let pem = std::fs::read(authority.pem(name)).unwrap();
        let der = crate::x509::certificates_in_pem(&pem).remove(0);
        let chain = [crate::x509::Certificate::from_der(&der).unwrap()];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        assert_eq!(crate::x509::verify(&chain, &roots, "localhost", now), Ok(()), "{name}");
    }
}

/// A server that speaks the first of its protocols that the client offers; answers with the request's version.
async fn serve_http2(authority: &Authority, protocols: &'static [u8]) -> GoUrl {
    let mut context = context(authority, "server", &[]);
    context.set_alpn_select_callback(|_, offered| {
        openssl::ssl::select_next_proto(protocols, offered).ok_or(AlpnError::NOACK)
    });
    let context = context.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = SslStream::new(Ssl::new(&context).unwrap(), stream).unwrap();
            tokio::spawn(async move {
                Pin::new(&mut stream).accept().await.unwrap();
                let service =
                    hyper::service::service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
                        let text = format!("{:?} {}", request.version(), request.uri());
                        Ok::<_, std::convert::Infallible>(hyper::Response::new(http_body_util::Full::new(
                            bytes::Bytes::from(text),
                        )))
                    });
                let io = hyper_util::rt::TokioIo::new(stream);
                let builder =
                    hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
                let _ = builder.serve_connection(io, service).await;
            });
        }
    });
    url(&format!("https://{address}/x?y=z"))
}

#[tokio::test]
async fn http2_is_spoken_where_both_ends_do() {
    let Some(authority) = Authority::new() else { return };
    authority.issue_server("server", None);
    for (protocols, enable_http2, want) in [
        (&b"\x02h2\x08http/1.1"[..], true, "HTTP/2.0 https://"),
        (b"\x02h2\x08http/1.1", false, "HTTP/1.1 /x?y=z"),
        (b"\x08http/1.1", true, "HTTP/1.1 /x?y=z"),
    ] {
        let url = serve_http2(&authority, protocols).await;
        let tls = trusting(&authority.pem("server"));
        let client = client(&HttpClientConfig { tls, enable_http2, ..HttpClientConfig::default() });
        for _ in 0..3 {
            let text = get(&client, url.clone()).await.unwrap();
            assert!(text.starts_with(want) && text.ends_with("/x?y=z"), "{text}");
        }
    }
}
