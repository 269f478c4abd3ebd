//! Groups that ask once for all their triggers.

use std::time::Duration;

use serde_json::{Value, json};

use super::interceptor::Elsewhere;
use super::{BODY, GITHUB, TEMPLATE, data_of, gateway, go_on};
use crate::support::{PUSH_SECRET, wait_until};

pub(super) const GROUP: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: hook}
spec:
  triggerGroups:
  - name: g
    interceptors: [INTERCEPTORS]
    triggerSelector: {labelSelector: {matchLabels: {g: "1"}}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: one, labels: {g: "1"}}
spec:
  interceptors: [{ref: {name: cel}, params: [{name: filter, value: "has(body.after)"}]}]
  bindings: [{name: x, value: $(extensions.x)}, {name: rev, value: $(body.after)}]
  template: {ref: tt}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: two, labels: {g: "1"}}
spec:
  bindings: [{name: rev, value: $(body.after)}]
  template: {ref: tt}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: never, labels: {g: "1"}}
spec:
  interceptors: [{ref: {name: cel}, params: [{name: filter, value: "body.after == 'no'"}]}]
  template: {ref: tt}
---
"#;

#[tokio::test]
async fn a_group_asks_once_for_all_its_triggers() {
    let elsewhere = Elsewhere::start(&[(503, json!({})), (503, json!({})), (200, go_on())]).await;
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let group = GROUP.replace("INTERCEPTORS", &interceptors) + TEMPLATE;
    let gateway = gateway(&[&group, PUSH_SECRET, &elsewhere.manifest("remote")]).await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    let row = &answer.json()["triggers"][0];
    assert_eq!(
        (&row["verdict"], &row["reason"]),
        (&json!("deferred"), &json!("awaits_interceptor"))
    );
    gateway.wait_for_objects(2).await;
    let requests = elsewhere.asked();
    assert!(requests.len() <= 3, "{requests:?}");
    let request: Value = serde_json::from_str(&requests[0].1).unwrap();
    let group = "namespaces/default/triggerGroups/g";
    assert_eq!(request["context"]["trigger_id"], group);
    let again = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(again.status, 202);
    wait_until(
        || elsewhere.asked().len() > requests.len(),
        "another question",
    )
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(gateway.objects().len(), 2);
}

#[tokio::test]
async fn what_a_group_s_webhook_puts_in_the_event_s_place_is_what_its_triggers_get() {
    let elsewhere = Elsewhere::start(&[(200, json!({"after": "changed"}))]).await;
    let interceptors = format!(
        "{GITHUB}, {{webhook: {{url: 'http://{}/'}}}}",
        elsewhere.address
    );
    let group = GROUP.replace("INTERCEPTORS", &interceptors) + TEMPLATE;
    let gateway = gateway(&[&group, PUSH_SECRET]).await;
    gateway.push("/default/hook", "1", BODY).await;
    gateway.wait_for_objects(2).await;
    assert_eq!(data_of(&gateway)["rev"], "changed");
    assert_eq!(elsewhere.asked().len(), 1);
}

#[tokio::test]
async fn an_event_is_decided_on_once_nobody_has_to_be_asked_any_more() {
    let elsewhere = Elsewhere::start(&[(503, json!({}))]).await;
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let group = GROUP.replace("INTERCEPTORS", &interceptors) + TEMPLATE;
    let gateway = gateway(&[&group, PUSH_SECRET, &elsewhere.manifest("remote")]).await;
    gateway.push("/default/hook", "1", BODY).await;
    wait_until(|| !elsewhere.asked().is_empty(), "the question").await;
    let unasking = GROUP.replace("INTERCEPTORS", GITHUB) + TEMPLATE;
    gateway.write("a.yaml", &unasking);
    gateway.wait_for_objects(2).await;
}

#[tokio::test]
async fn an_event_that_a_group_waits_with_outlives_a_restart() {
    let (elsewhere, address) = {
        let elsewhere = Elsewhere::start(&[(503, json!({}))]).await;
        (elsewhere.manifest("remote"), elsewhere.address)
    };
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let group = GROUP.replace("INTERCEPTORS", &interceptors) + TEMPLATE;
    let gateway = gateway(&[&group, PUSH_SECRET, &elsewhere]).await;
    gateway.push("/default/hook", "1", BODY).await;
    // The secret rotates meanwhile: what was proved stays so.
    gateway.write(
        "b.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: hook}\nstringData: {token: rotated}\n",
    );
    // And the interceptor has moved.
    let moved = Elsewhere::start(&[(200, go_on())]).await;
    assert_ne!(moved.address, address);
    gateway.write("c.yaml", &moved.manifest("remote"));
    let gateway = gateway.restart().await;
    gateway.wait_for_objects(2).await;
    assert_eq!(moved.asked().len(), 1);
}
