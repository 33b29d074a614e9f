//! Requests signed for AWS, with keys from each of the places where AWS's own clients look.

use std::collections::BTreeMap;

use config::aws::AwsAccess;

use super::*;

/// A signer that sees these variables and no others.
fn signer(access: AwsAccess, variables: &[(&str, &str)]) -> Arc<AwsSigner> {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let variables = Arc::new(move |name: &str| variables.get(name).cloned());
    Arc::new(AwsSigner::with_variables(access, "aps", client(&HttpClientConfig::default()), variables))
}

/// What the server sees of a request that is sent with this access and environment.
async fn sent(access: AwsAccess, variables: &[(&str, &str)]) -> Result<String, String> {
    let server = Server::start(|_| ok("")).await;
    let client = client(&HttpClientConfig::default()).signed(signer(access, variables));
    let request = Request::post(server.url("/api/v2/alerts"), "application/json", "[]");
    client.send(&request, SECOND).await.map_err(|error| error.to_string())?;
    Ok(server.last())
}

fn in_region() -> AwsAccess {
    AwsAccess { region: "eu-west-1".to_owned(), ..AwsAccess::default() }
}

fn credential(request: &str) -> &str {
    let start = request.find("Credential=").unwrap() + "Credential=".len();
    request[start..].split('/').next().unwrap()
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let fields = request.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

const STS_ANSWER: &str = "<R xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Credentials>\
    <AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>T</SessionToken>\
    <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></R>";

#[tokio::test]
async fn configured_keys_sign_before_all_others() {
    let access = AwsAccess { keys: Some(("AK".to_owned(), Secret::new("hidden"))), ..in_region() };
    let request =
        sent(access, &[("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "x")]).await.unwrap();
    let authorization = header(&request, "authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AK/"), "{authorization}");
    assert!(authorization.contains(
        "/eu-west-1/aps/aws4_request, SignedHeaders=content-length;content-type;host;x-amz-date, "
    ));
    assert!(header(&request, "x-amz-date").is_some() && !request.contains("hidden"));
}

#[tokio::test]
async fn keys_of_the_environment() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_SESSION_TOKEN", "T"),
        ("AWS_REGION", "us-east-2"),
    ];
    let request = sent(AwsAccess::default(), &variables).await.unwrap();
    assert_eq!((credential(&request), header(&request, "x-amz-security-token")), ("ENV", Some("T")));
    assert!(request.contains("/us-east-2/aps/"), "{request}");
}

#[tokio::test]
async fn profiles_lead_to_keys_and_roles() {
    let sts = Server::start(|_| ok(STS_ANSWER)).await;
    let dir = tempfile::tempdir().unwrap();
    let (config, credentials) = (dir.path().join("config"), dir.path().join("credentials"));
    std::fs::write(
        &config,
        "[profile role]\nrole_arn = arn:r\nsource_profile = base\nregion = eu-west-3\n\
         [profile a]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=a\n\
         [profile p]\nsso_session=x\n\
         [profile q]\ncredential_process=echo '{\"AccessKeyId\":\"PROCESS\",\"SecretAccessKey\":\"x\"}'\n",
    )
    .unwrap();
    std::fs::write(&credentials, "[base]\naws_access_key_id=BASE\naws_secret_access_key=x\n").unwrap();
    let variables = [
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &sts.url("/").to_string()),
        // A profile that the configuration names comes before them.
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    let profile = |name: &str| AwsAccess { profile: name.to_owned(), ..in_region() };
    assert_eq!(credential(&sent(profile("base"), &variables).await.unwrap()), "BASE");
    assert_eq!(credential(&sent(profile("q"), &variables).await.unwrap()), "PROCESS");
    assert_eq!(sts.lines().len(), 0);
    let from_profile = AwsAccess { region: String::new(), ..profile("role") };
    let request = sent(from_profile, &variables).await.unwrap();
    assert_eq!((credential(&request), header(&request, "x-amz-security-token")), ("ASIA", Some("T")));
    assert!(request.contains("/eu-west-3/aps/"), "{request}");
    assert_eq!(credential(&sts.last()), "BASE");
    assert!(
        sts.last().contains("Action=AssumeRole&DurationSeconds=900&RoleArn=arn%3Ar&RoleSessionName=trivium-")
    );
    for (name, want) in
        [("none", "there is no profile \"none\""), ("a", "leads in a circle"), ("p", "uses sso_session")]
    {
        let error = sent(profile(name), &variables).await.unwrap_err();
        assert!(error.contains("cannot get AWS credentials") && error.contains(want), "{error}");
    }
}

#[tokio::test]
async fn configured_roles_are_assumed_and_kept() {
    let sts = Server::start(|_| ok(STS_ANSWER)).await;
    let access = AwsAccess {
        keys: Some(("AK".to_owned(), Secret::new("x"))),
        role_arn: "arn:r".to_owned(),
        external_id: "e x".to_owned(),
        ..in_region()
    };
    let server = Server::start(|_| ok("")).await;
    let signer = signer(access, &[("AWS_ENDPOINT_URL", &sts.url("").to_string())]);
    let client = client(&HttpClientConfig::default()).signed(signer);
    for _ in 0..2 {
        get(&client, server.url("/")).await.unwrap();
        assert_eq!(credential(&server.last()), "ASIA");
    }
    assert_eq!(sts.lines(), ["POST / HTTP/1.1"]);
    assert!(sts.last().contains("&ExternalId=e+x&RoleArn=arn%3Ar&"), "{}", sts.last());
    assert!(sts.last().contains("/eu-west-1/sts/aws4_request"), "{}", sts.last());
}

#[tokio::test]
async fn refused_roles_are_named() {
    let sts = Server::start(|_| {
        let body = b"<E><Error><Code>AccessDenied</Code><Message>not you</Message></Error></E>";
        reply("403 Forbidden", "", body)
    })
    .await;
    let url = sts.url("").to_string();
    let access = AwsAccess {
        keys: Some(("AK".to_owned(), Secret::new("x"))),
        role_arn: "arn:r".to_owned(),
        ..in_region()
    };
    let error = sent(access, &[("AWS_ENDPOINT_URL", &url)]).await.unwrap_err();
    assert!(
        error.contains("cannot assume role \"arn:r\"") && error.contains("AccessDenied: not you"),
        "{error}"
    );
}

#[tokio::test]
async fn web_identities() {
    let sts = Server::start(|_| ok(STS_ANSWER)).await;
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "ey.J\n").unwrap();
    let url = sts.url("/").to_string();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:w"),
        ("AWS_ROLE_SESSION_NAME", "me"),
        ("AWS_ENDPOINT_URL", &url),
    ];
    assert_eq!(credential(&sent(in_region(), &variables).await.unwrap()), "ASIA");
    let want = "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aw&RoleSessionName=me&Version=2011-06-15&WebIdentityToken=ey.J";
    assert!(sts.last().ends_with(want), "{}", sts.last());
    assert!(header(&sts.last(), "authorization").is_none());
}

const KEYS: &str =
    r#"{"AccessKeyId":"ASIB","SecretAccessKey":"s","Token":"T","Expiration":"2999-01-01T00:00:00Z"}"#;

#[tokio::test]
async fn keys_and_region_of_the_instance() {
    let instance = Server::start(|request| match request.lines().next().unwrap() {
        "PUT /latest/api/token HTTP/1.1" => ok("session"),
        _ if header(request, "x-aws-ec2-metadata-token") != Some("session") => {
            reply("401 Unauthorized", "", b"")
        }
        "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1" => ok("the-role\n"),
        "GET /latest/meta-data/iam/security-credentials/the-role HTTP/1.1" => ok(KEYS),
        "GET /latest/meta-data/placement/region HTTP/1.1" => ok("ap-south-1"),
        _ => reply("404 Not Found", "", b""),
    })
    .await;
    let url = instance.url("/").to_string();
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())];
    let request = sent(AwsAccess::default(), &variables).await.unwrap();
    assert_eq!(credential(&request), "ASIB");
    assert!(request.contains("/ap-south-1/aps/"), "{request}");
    let disabled = [variables[0], ("AWS_EC2_METADATA_DISABLED", "true")];
    let error = sent(in_region(), &disabled).await.unwrap_err();
    assert!(error.contains("AWS_EC2_METADATA_DISABLED"), "{error}");
}

#[tokio::test]
async fn keys_of_the_container() {
    let container = Server::start(|request| match header(request, "authorization") {
        Some("ticket") => ok(KEYS),
        _ => reply("403 Forbidden", "", b""),
    })
    .await;
    let url = container.url("/keys").to_string();
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "ticket"),
    ];
    assert_eq!(credential(&sent(in_region(), &variables).await.unwrap()), "ASIB");
    let error = sent(in_region(), &variables[..1]).await.unwrap_err();
    assert!(error.contains("403 Forbidden"), "{error}");
    let far = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/keys")];
    let error = sent(in_region(), &far).await.unwrap_err();
    assert!(error.contains("only loopback/ecs/eks hosts are allowed"), "{error}");
}
