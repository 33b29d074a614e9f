//! Labels, pages, tokens and refusals, against a scripted server.

use super::*;
use crate::testing::{Reply, Server};

fn config() -> GceSd {
    GceSd {
        project: "p".to_owned(),
        zone: "z".to_owned(),
        filter: "labels.env = prod".to_owned(),
        port: 80,
        tag_separator: ",".to_owned(),
        refresh_interval_ms: 60_000,
    }
}

const INSTANCE: &str = r#"{"id":"123","name":"n","zone":"https://z","status":"RUNNING","machineType":"https://m",
    "networkInterfaces":[
     {"name":"nic0","network":"https://n0","subnetwork":"https://s0","networkIP":"10.0.0.1",
      "accessConfigs":[{"type":"ONE_TO_ONE_NAT","natIP":"1.2.3.4"}]},
     {"name":"nic-1","networkIP":"10.0.1.1"}],
    "tags":{"items":["a","b"],"fingerprint":"f"},
    "metadata":{"items":[{"key":"k-1","value":"v"},{"key":"none"}]},
    "labels":{"env":"prod"}}"#;

#[test]
fn labels_of_instances() {
    let instance: Instance = serde_json::from_str(INSTANCE).unwrap();
    let want = Labels::from_pairs([
        ("__address__", "10.0.0.1:80"),
        ("__meta_gce_instance_id", "123"),
        ("__meta_gce_instance_name", "n"),
        ("__meta_gce_instance_status", "RUNNING"),
        ("__meta_gce_interface_ipv4_nic0", "10.0.0.1"),
        ("__meta_gce_interface_ipv4_nic_1", "10.0.1.1"),
        ("__meta_gce_label_env", "prod"),
        ("__meta_gce_machine_type", "https://m"),
        ("__meta_gce_metadata_k_1", "v"),
        ("__meta_gce_network", "https://n0"),
        ("__meta_gce_private_ip", "10.0.0.1"),
        ("__meta_gce_project", "p"),
        ("__meta_gce_public_ip", "1.2.3.4"),
        ("__meta_gce_subnetwork", "https://s0"),
        ("__meta_gce_tags", ",a,b,"),
        ("__meta_gce_zone", "https://z"),
    ]);
    assert_eq!(target(&instance, &config()), Some(want));
    assert_eq!(target(&serde_json::from_str("{}").unwrap(), &config()), None);
}

/// The metadata server and the API in one.
async fn server() -> Server {
    Server::start(|asked| match asked.target.as_str() {
        token if token.contains("/token?scopes=") => {
            Reply::json(r#"{"access_token":"T","expires_in":3600,"token_type":"Bearer"}"#)
        }
        refused if refused.contains("/projects/refuse/") => {
            Reply::of(403, "application/json", r#"{"error":{"code":403,"message":"not you"}}"#)
        }
        last if last.contains("pageToken=second") => Reply::json(format!(r#"{{"items":[{INSTANCE}]}}"#)),
        _ => Reply::json(format!(r#"{{"items":[{INSTANCE}],"nextPageToken":"second"}}"#)),
    })
    .await
}

/// Asks this server for tokens and instances.
fn gce(server: &Server, config: GceSd) -> Gce {
    let host = server.url.replace("http://", "");
    let variables: Variables = Arc::new(move |name| (name == "GCE_METADATA_HOST").then(|| host.clone()));
    Gce { config, api: server.url.clone(), variables, client: None }
}

#[tokio::test]
async fn pages_with_the_instances_token() {
    let server = server().await;
    let mut gce = gce(&server, config());
    for _ in 0..2 {
        let groups = gce.refresh().await.unwrap();
        assert_eq!((groups[0].source.as_str(), groups[0].targets.len()), ("GCE_p_z", 2));
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 5, "one token for both refreshes: {asked:?}");
    let token = "/computeMetadata/v1/instance/service-accounts/default/token\
                 ?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcompute.readonly";
    assert_eq!((asked[0].target.as_str(), asked[0].headers["metadata-flavor"].as_str()), (token, "Google"));
    let list = "/projects/p/zones/z/instances?filter=labels.env+%3D+prod";
    assert_eq!((&asked[1].target, &asked[2].target), (&list.to_owned(), &format!("{list}&pageToken=second")));
    assert_eq!(asked[1].headers["authorization"], "Bearer T");
}

#[tokio::test]
async fn refusals_are_told() {
    let server = server().await;
    let mut refused = gce(&server, GceSd { project: "refuse".to_owned(), ..config() });
    let error = refused.refresh().await.unwrap_err().to_string();
    assert!(error.starts_with("error retrieving refresh targets from gce: Get \"http://127"), "{error}");
    assert!(error.contains("403 Status: {\"error\":{\"code\":403,\"message\":\"not you\"}}"), "{error}");
    let variables: Variables =
        Arc::new(|name| (name == "GOOGLE_APPLICATION_CREDENTIALS").then(|| "/nowhere/key.json".to_owned()));
    let mut gce = Gce { variables, ..gce(&server, config()) };
    let error = gce.refresh().await.unwrap_err().to_string();
    assert!(error.contains("GOOGLE_APPLICATION_CREDENTIALS: /nowhere/key.json"), "{error}");
}
