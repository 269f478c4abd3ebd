//! Starting, being ready, stopping.

use std::io::{Read, Write};

use tripline::app::{App, Triggers};
use tripline::config::Config;

use crate::support::{
    Gateway, PUSH, PUSH_SECRET, SECRET, connect, exchange, github_signature, push_gateway,
    read_response, wait_until,
};

async fn get(address: std::net::SocketAddr, path: &str, host: &str) -> crate::support::Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    exchange(address, request.into()).await
}

#[tokio::test]
async fn probes_tell_that_it_lives_and_is_ready() {
    let gateway = push_gateway().await;
    assert_eq!(get(gateway.app.probe, "/healthz", "x").await.status, 200);
    let ready = get(gateway.app.probe, "/readyz", "x").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["journal"], true);
    gateway.push("/default/hook", "1", r#"{"after":"a"}"#).await;
    gateway.wait_for_objects(1).await;
    let mut metrics = String::new();
    // The object is there a moment before it is counted.
    for _ in 0..500 {
        metrics = get(gateway.app.probe, "/metrics", "x").await.body;
        if metrics.contains("eventlistener_triggered_resources_total") {
            break;
        }
    }
    for line in [
        "tripline_requests_total{code=\"202\"} 1",
        "tripline_verdicts_total{verdict=\"matched\",reason=\"\"} 1",
        "tripline_config_errors 0",
        "eventlistener_event_received_total{status=\"succeeded\"} 1",
        "eventlistener_triggered_resources_total{kind=\"ConfigMap\"} 1",
        "eventlistener_http_duration_seconds_count 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn the_admin_port_shows_what_is_in_force_to_this_machine_only() {
    let gateway = push_gateway().await;
    let status = get(gateway.app.admin, "/api/v1/status", "127.0.0.1").await;
    assert_eq!(status.status, 200);
    let listener = &status.json()["listeners"][0];
    assert_eq!(listener["path"], "/default/hook");
    assert_eq!(listener["triggers"][0]["id"], "default/hook#push");
    assert_eq!(listener["triggers"][0]["ready"], true);
    let rebound = get(gateway.app.admin, "/api/v1/status", "evil.example").await;
    assert_eq!(rebound.status, 403);
}

#[tokio::test]
async fn a_trigger_that_does_not_work_is_shown_with_its_mistakes() {
    let gateway = Gateway::start(&[(
        "push.yaml",
        &PUSH.replace("name: github}", "name: nothing}"),
    )])
    .await;
    let status = get(gateway.app.admin, "/api/v1/status", "localhost")
        .await
        .json();
    let trigger = &status["listeners"][0]["triggers"][0];
    assert_eq!(trigger["ready"], false);
    let problem = trigger["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("push.yaml:9:19: there is no ClusterInterceptor nothing"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_names_the_flag_and_a_folder_that_is_taken_itself() {
    let gateway = push_gateway().await;
    let folder = tempfile::tempdir().unwrap();
    let config = |listen: String, data: std::path::PathBuf| {
        let mut config = Config::default();
        config.ingress.listen = listen;
        config.admin.listen = "127.0.0.1:0".into();
        config.probe.listen = "127.0.0.1:0".into();
        config.data = data;
        config
    };
    let start = async |config| {
        let triggers = Triggers::Paths(vec![folder.path().into()]);
        format!(
            "{:#}",
            App::start(config, triggers)
                .await
                .err()
                .expect("it does not start")
        )
    };
    let taken = gateway.app.ingress.to_string();
    let error = start(config(taken.clone(), folder.path().join("data"))).await;
    assert!(
        error.contains(&taken) && error.contains("--listen"),
        "{error}"
    );
    let error = start(config(
        "127.0.0.1:0".into(),
        gateway.folder.path().join("data"),
    ))
    .await;
    assert!(
        error.contains("in use") && error.contains("--data"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_has_begun_is_answered_before_it_stops() {
    let gateway = push_gateway().await;
    let body = r#"{"after":"last"}"#;
    let signature = github_signature(SECRET, body.as_bytes());
    let (address, out) = (gateway.app.ingress, gateway.folder.path().join("out"));
    let mut stream = connect(address);
    let (first, second) = body.split_at(4);
    let head = format!(
        "POST /default/hook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\n\
         X-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The gateway asks for the body: the request has begun.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100"));
    stream.write_all(first.as_bytes()).unwrap();
    let Gateway { folder, app } = gateway;
    let draining = tokio::spawn(app.drain(true));
    let refused = || std::net::TcpStream::connect(address).is_err();
    wait_until(refused, "the end of new connections").await;
    stream.write_all(second.as_bytes()).unwrap();
    let response = tokio::task::spawn_blocking(move || read_response(&mut stream))
        .await
        .unwrap();
    assert!(response.starts_with(b"HTTP/1.1 202"));
    assert!(draining.await.unwrap(), "it stops cleanly");
    assert_eq!(crate::support::files_in(&out).len(), 1);
    drop(folder);
}

#[tokio::test]
async fn while_it_drains_it_is_not_ready_and_still_accepts() {
    let gateway = Gateway::start_with(&[("push.yaml", PUSH), ("s.yaml", PUSH_SECRET)], |config| {
        config.drain.delay = std::time::Duration::from_secs(2);
    })
    .await;
    let (ingress, probe) = (gateway.app.ingress, gateway.app.probe);
    let Gateway { folder, app } = gateway;
    let draining = tokio::spawn(app.drain(false));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let ready = get(probe, "/readyz", "x").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["draining"], true);
    let body = "{}";
    let signature = github_signature(SECRET, body.as_bytes());
    let request = format!(
        "POST /default/hook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: issues\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: 2\r\n\r\n{body}"
    );
    assert_eq!(exchange(ingress, request.into()).await.status, 202);
    assert!(draining.await.unwrap());
    drop(folder);
}
