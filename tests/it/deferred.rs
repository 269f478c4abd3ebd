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
async fn a_verdict_stands_when_the_secret_rotates_while_the_event_waits() {
    let broken = PUSH.replace("eventTypes, value: [push]", "eventTypes, value: push");
    let gateway = Gateway::start(&[("push.yaml", &broken), ("s.yaml", PUSH_SECRET)]).await;
    let response = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(response.json()["triggers"][0]["verdict"], "deferred");
    gateway.write(
        "s.yaml",
        &PUSH_SECRET.replace("a secret of tests", "rotated"),
    );
    let began = std::time::Instant::now();
    while gateway.push("/default/hook", "1", BODY).await.status != 401 {
        assert!(began.elapsed() < PATIENCE, "the secret is rotated");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    gateway.write("push.yaml", PUSH);
    settled(&gateway).await;
    assert!(!gateway.wait_for_objects(1).await.is_empty());
}

#[tokio::test]
async fn a_verified_event_that_waits_too_long_is_kept() {
    let broken = PUSH.replace("eventTypes, value: [push]", "eventTypes, value: push");
    let files = [("push.yaml", &*broken), ("s.yaml", PUSH_SECRET)];
    let gateway = Gateway::start_with(&files, |config| {
        config.limits.deferred_time = std::time::Duration::ZERO;
    })
    .await;
    assert_eq!(gateway.push("/default/hook", "1", BODY).await.status, 202);
    // Every change is a reason to look again.
    gateway.write("other.yaml", &broken.replace("name: hook", "name: other"));
    settled(&gateway).await;
    let counts = gateway.app.journal().counts().await.unwrap();
    assert_eq!((counts.deferred, counts.given_up), (0, 1));
}

#[tokio::test]
async fn who_is_told_to_come_again_finds_nothing_of_it_kept() {
    let second = r#"
  - name: later
    interceptors:
    - ref: {name: github}
      params: [{name: secretRef, value: {secretName: missing, secretKey: token}}]
    template: {spec: {resourcetemplates: []}}
"#;
    let broken = PUSH.replace("eventTypes, value: [push]", "eventTypes, value: push");
    let both = format!("{}{second}", broken.trim_end());
    let files = [("push.yaml", both.as_str()), ("s.yaml", PUSH_SECRET)];
    let gateway = Gateway::start_with(&files, |config| {
        config.limits = serde_json::from_value(serde_json::json!({"deferredEvents": 0})).unwrap();
    })
    .await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(
        (answer.status, &answer.json()["reason"]),
        (503, &"deferred_quota".into())
    );
    assert_eq!(gateway.app.journal().counts().await.unwrap().deferred, 0);
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
