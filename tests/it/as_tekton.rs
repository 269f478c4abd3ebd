//! Listeners that answer, and read, as Tekton's do.

use serde_json::{Value, json};

use crate::support::{Gateway, PUSH, PUSH_SECRET, Response, exchange};

fn as_tekton(annotations: &str) -> String {
    PUSH.replace(
        "metadata: {name: hook}",
        &format!("metadata: {{name: hook, annotations: {{{annotations}}}}}"),
    )
}

const RESPONSES: &str = "tripline.dev/responses: tekton";

async fn gateway(annotations: &str) -> Gateway {
    let triggers = as_tekton(annotations);
    Gateway::start(&[("push.yaml", &triggers), ("secret.yaml", PUSH_SECRET)]).await
}

fn keys(response: &Response) -> Vec<String> {
    let body = response.json();
    body.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn whoever_sends_is_told_the_same() {
    let gateway = gateway(RESPONSES).await;
    let genuine = gateway.push("/default/hook", "1", r#"{"after":"a"}"#).await;
    let forged = [
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", "sha256=00"),
    ];
    let forged = gateway.post("/default/hook", &forged, b"{}").await;
    for answer in [&genuine, &forged] {
        assert_eq!(answer.status, 202);
        let expected = ["eventID", "eventListener", "eventListenerUID", "namespace"];
        assert_eq!(keys(answer), expected);
    }
    gateway.wait_for_objects(1).await;
}

#[tokio::test]
async fn every_method_is_taken_and_a_bad_body_is_told_in_tekton_s_words() {
    let gateway = gateway(RESPONSES).await;
    for method in ["GET", "PUT", "DELETE"] {
        let request =
            format!("{method} /default/hook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}");
        let answer = exchange(gateway.app.ingress, request.into_bytes()).await;
        assert_eq!(answer.status, 202, "{method}");
    }
    let answer = gateway.post("/default/hook", &[], b"not json").await;
    assert_eq!(answer.status, 400);
    let expected = json!({
        "eventListener": "hook",
        "namespace": "default",
        "eventListenerUID": "",
        "errorMessage": "Invalid event body format : invalid character 'o' in literal null (expecting 'u')",
    });
    assert_eq!(answer.json(), expected);
    // Others hear what is so.
    let plain = self::gateway("a: b").await;
    assert_eq!(plain.post("/default/hook", &[], b"{}").await.status, 401);
}

#[tokio::test]
async fn a_cloud_event_is_answered_by_one() {
    let gateway = gateway("a: b").await;
    let body = r#"{"after":"a"}"#;
    let signature = crate::support::github_signature(crate::support::SECRET, body.as_bytes());
    let headers = [
        ("Ce-Specversion", "1.0"),
        ("Ce-Id", "1"),
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", &signature),
    ];
    let answer = gateway
        .post("/default/hook", &headers, body.as_bytes())
        .await;
    assert_eq!(answer.status, 202);
    let head = answer.head.to_ascii_lowercase();
    let id: Value = answer.json()["eventID"].clone();
    for line in [
        "ce-specversion: 1.0".to_owned(),
        format!("ce-id: {}", id.as_str().unwrap()),
        "ce-source: hook".to_owned(),
        "ce-type: dev.tekton.event.triggers.accepted.v1".to_owned(),
    ] {
        assert!(head.contains(&line), "{line} is not in {head}");
    }
    // Who is refused learns nothing of the listener.
    let forged = [("Ce-Specversion", "1.0"), ("X-GitHub-Event", "push")];
    let answer = gateway.post("/default/hook", &forged, b"{}").await;
    assert_eq!(answer.status, 401);
    assert!(!answer.head.to_ascii_lowercase().contains("ce-source"));
}

#[tokio::test]
async fn without_validation_forms_are_bodies() {
    let triggers = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: hook, annotations: {tekton.dev/payload-validation: "false"}}
spec:
  triggers:
  - name: t
    interceptors: [{ref: {name: cel}, params: [{name: filter, value: "body.b[0] == 'x y'"}]}]
    bindings: [{name: rev, value: "$(body.a)"}]
    template:
      spec:
        params: [{name: rev}]
        resourcetemplates:
        - {apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}, data: {rev: $(tt.params.rev)}}
"#;
    let gateway = Gateway::start(&[("t.yaml", triggers)]).await;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = gateway.post("/default/hook", &form, b"a=1&b=x+y").await;
    assert_eq!(answer.verdict(), "matched", "{answer:?}");
    let objects = gateway.wait_for_objects(1).await;
    let text = std::fs::read_to_string(&objects[0]).unwrap();
    assert!(text.contains(r#"[\"1\"]"#), "{text}");
}
