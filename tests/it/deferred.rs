//! Events that cannot be verified yet.

use crate::support::{Gateway, PATIENCE, PUSH, PUSH_SECRET};

const BODY: &str = r#"{"after":"abc"}"#;

#[tokio::test]
async fn an_event_waits_for_its_secret_and_is_done_when_that_comes() {
    let gateway = Gateway::start(&[("push.yaml", PUSH)]).await;
    let response = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(response.status, 202);
    assert_eq!(response.json()["deferred"], true);
    // Nobody knows who it is that asks.
    assert_eq!(response.json().get("triggers"), None);
    // It outlives the process, too.
    let gateway = gateway.restart().await;
    assert!(gateway.objects().is_empty());
    gateway.write("secret.yaml", PUSH_SECRET);
    gateway.wait_for_objects(1).await;
    // It is known from then on.
    let again = gateway.push("/default/hook", "1", BODY).await.json();
    assert_eq!(again["duplicate"], true);
}

#[tokio::test]
async fn a_forgery_that_waited_is_refused_when_the_secret_comes() {
    let gateway = Gateway::start(&[("push.yaml", PUSH)]).await;
    let headers = [
        ("X-GitHub-Event", "push"),
        ("X-GitHub-Delivery", "forged"),
        (
            "X-Hub-Signature-256",
            "sha256=0000000000000000000000000000000000000000000000000000000000000000",
        ),
    ];
    let forged = gateway
        .post("/default/hook", &headers, BODY.as_bytes())
        .await;
    assert_eq!(forged.json()["deferred"], true);
    gateway.push("/default/hook", "genuine", BODY).await;
    gateway.write("secret.yaml", PUSH_SECRET);
    gateway.wait_for_objects(1).await;
    settled(&gateway).await;
    assert_eq!(gateway.objects().len(), 1);
}

#[tokio::test]
async fn what_waits_for_one_listener_is_bounded() {
    let set = |config: &mut tripline::config::Config| {
        *config = serde_json::from_value(serde_json::json!({
            "ingress": {"listen": "127.0.0.1:0"},
            "admin": {"listen": "127.0.0.1:0"},
            "probe": {"listen": "127.0.0.1:0"},
            "data": config.data,
            "sink": config.sink,
            "limits": {"deferredEvents": 1},
        }))
        .unwrap();
    };
    let gateway = Gateway::start_with(&[("push.yaml", PUSH)], set).await;
    assert_eq!(gateway.push("/default/hook", "1", BODY).await.status, 202);
    let full = gateway.push("/default/hook", "2", BODY).await;
    assert_eq!(full.status, 503);
    assert_eq!(full.json()["reason"], "deferred_quota");
    assert!(full.head.to_ascii_lowercase().contains("retry-after: "));
}

#[tokio::test]
async fn events_of_a_broken_trigger_wait_until_it_is_mended() {
    let broken = PUSH.replace("eventTypes, value: [push]", "eventTypes, value: push");
    let gateway = Gateway::start(&[("push.yaml", &broken), ("s.yaml", PUSH_SECRET)]).await;
    let response = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(response.status, 202);
    assert_eq!(response.json()["deferred"], true);
    assert_eq!(response.json()["triggers"][0]["reason"], "bad_config");
    // Its verifier is sound, so that strangers do not get that far.
    let stranger = gateway
        .post("/default/hook", &[("X-GitHub-Event", "push")], b"{}")
        .await;
    assert_eq!(stranger.status, 401);
    gateway.write("push.yaml", PUSH);
    gateway.wait_for_objects(1).await;
}

#[tokio::test]
async fn an_event_whose_trigger_is_deleted_stops_waiting() {
    let gateway = Gateway::start_with(&[("push.yaml", PUSH)], |config| {
        config.limits.deleted_after = std::time::Duration::ZERO;
    })
    .await;
    let response = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(response.json()["deferred"], true);
    let other = PUSH.replace("- name: push", "- name: other");
    gateway.write("push.yaml", &other);
    settled(&gateway).await;
    assert!(gateway.objects().is_empty());
}

/// Waits until nothing waits for its verification.
async fn settled(gateway: &Gateway) {
    let began = std::time::Instant::now();
    while gateway.app.journal().counts().await.unwrap().deferred > 0 {
        assert!(began.elapsed() < PATIENCE, "an event still waits");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
