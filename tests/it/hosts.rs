//! A Service's name in the Host header stands for a listener, where the path
//! names none.

use serde_json::Value;

use crate::support::{Gateway, PUSH, PUSH_SECRET, SECRET, exchange, github_signature};

async fn gateway() -> Gateway {
    let other = PUSH.replace("name: hook", "name: other");
    let files = [
        ("push.yaml", PUSH),
        ("other.yaml", &other),
        ("secret.yaml", PUSH_SECRET),
    ];
    Gateway::start(&files).await
}

/// The listener that takes a signed push; nothing where none does.
async fn taken(gateway: &Gateway, host: &str, path: &str) -> Option<String> {
    let body = r#"{"after":"abc"}"#;
    let signature = github_signature(SECRET, body.as_bytes());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nX-GitHub-Event: push\r\n\
         X-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(gateway.app.ingress, request.into_bytes()).await;
    match answer.json()["eventListener"].take() {
        Value::String(name) => Some(name),
        _ => None,
    }
}

#[tokio::test]
async fn a_service_s_name_stands_for_a_path() {
    let gateway = gateway().await;
    for host in ["el-hook.default", "el-hook.default.svc.cluster.local:8080"] {
        for path in ["/", "/?x=1", "/some/path", "/one"] {
            let listener = taken(&gateway, host, path).await;
            assert_eq!(listener.as_deref(), Some("hook"), "{host} {path}");
        }
    }
}

#[tokio::test]
async fn a_path_that_names_a_listener_comes_first() {
    let gateway = gateway().await;
    let listener = taken(&gateway, "el-hook.default.svc", "/default/other/x").await;
    assert_eq!(listener.as_deref(), Some("other"));
}

#[tokio::test]
async fn other_hosts_name_nobody() {
    let gateway = gateway().await;
    for host in [
        "hooks.example.com",
        "el-missing.default.svc",
        "el-hook.elsewhere.svc",
    ] {
        assert_eq!(taken(&gateway, host, "/").await, None, "{host}");
        assert_eq!(taken(&gateway, host, "/some/path").await, None, "{host}");
    }
}
