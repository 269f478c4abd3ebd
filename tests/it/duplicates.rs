//! The same delivery, again.

use crate::support::{Gateway, PUSH, PUSH_SECRET, push_gateway};

const BODY: &str = r#"{"after":"abc"}"#;

#[tokio::test]
async fn a_redelivery_answers_what_became_of_the_first_and_makes_nothing() {
    let gateway = push_gateway().await;
    let first = gateway.push("/default/hook", "1", BODY).await.json();
    gateway.wait_for_objects(1).await;
    let gateway = gateway.restart().await;
    let response = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(response.status, 202);
    let again = response.json();
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["eventID"], first["eventID"]);
    assert!(
        again["message"]
            .as_str()
            .unwrap()
            .contains("tripline.dev/redelivery")
    );
    let row = &again["triggers"][0];
    assert_eq!(
        (&row["duplicate"], &row["state"]),
        (&true.into(), &"done".into())
    );
    // Another one is another one.
    let other = gateway.push("/default/hook", "2", BODY).await.json();
    assert_eq!(other.get("duplicate"), None);
    gateway.wait_for_objects(2).await;
}

#[tokio::test]
async fn a_stranger_cannot_use_up_a_delivery_id() {
    let gateway = push_gateway().await;
    let headers = [("X-GitHub-Event", "push"), ("X-GitHub-Delivery", "1")];
    let stranger = gateway
        .post("/default/hook", &headers, BODY.as_bytes())
        .await;
    assert_eq!(stranger.status, 401);
    let response = gateway.push("/default/hook", "1", BODY).await.json();
    assert_eq!(response.get("duplicate"), None);
    gateway.wait_for_objects(1).await;
}

#[tokio::test]
async fn a_trigger_may_ask_to_run_redeliveries_again() {
    let triggers = PUSH.replace(
        "metadata: {name: hook}",
        "metadata: {name: hook, annotations: {tripline.dev/redelivery.push: rerun}}",
    );
    let gateway = Gateway::start(&[("push.yaml", &triggers), ("s.yaml", PUSH_SECRET)]).await;
    let first = gateway.push("/default/hook", "1", BODY).await.json();
    let again = gateway.push("/default/hook", "1", BODY).await.json();
    assert_ne!(first["eventID"], again["eventID"]);
    gateway.wait_for_objects(2).await;
}

#[tokio::test]
async fn harbor_is_known_by_its_bytes_for_a_while() {
    let triggers = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: hook}
spec:
  triggers:
  - name: push
    interceptors:
    - ref: {name: harbor}
      params: [{name: eventTypes, value: [PUSH_ARTIFACT]}]
    template:
      spec:
        resourcetemplates: [{apiVersion: v1, kind: ConfigMap, metadata: {generateName: h-}}]
"#;
    let gateway = Gateway::start(&[("t.yaml", triggers)]).await;
    let body = |at: u32| format!(r#"{{"type":"PUSH_ARTIFACT","occur_at":{at},"event_data":{{}}}}"#);
    let post = async |path: &str, at| gateway.post(path, &[], body(at).as_bytes()).await.json();
    assert_eq!(post("/default/hook", 1).await.get("duplicate"), None);
    assert_eq!(post("/default/hook", 1).await["duplicate"], true);
    assert_eq!(post("/default/hook", 2).await.get("duplicate"), None);
    // Another policy sends to another path.
    assert_eq!(post("/default/hook/other", 1).await.get("duplicate"), None);
    gateway.wait_for_objects(3).await;
}

#[tokio::test]
async fn a_sender_without_ids_is_never_taken_for_a_repetition() {
    let triggers = PUSH.replace("    interceptors:\n    - ref: {name: github}\n      params:\n      - {name: secretRef, value: {secretName: hook, secretKey: token}}\n      - {name: eventTypes, value: [push]}\n", "");
    assert_ne!(triggers, PUSH);
    let gateway = Gateway::start(&[("t.yaml", &triggers)]).await;
    for _ in 0..2 {
        let response = gateway.post("/default/hook", &[], BODY.as_bytes()).await;
        assert_eq!(response.verdict(), "matched");
    }
    gateway.wait_for_objects(2).await;
}
