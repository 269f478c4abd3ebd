//! Interceptors that are asked over the network: real ones, on ports of this
//! machine.

use std::time::Duration;

use serde_json::{Value, json};
use tripline::model::ids::EventId;
use tripline::model::verdict::{DeliveryState, Reason};

use crate::support::{Gateway, PUSH_SECRET, Response, SECRET, github_signature, wait_until};

mod groups;
mod interceptor;
mod proofs;
mod webhooks;

use interceptor::{Elsewhere, manifest};

const BODY: &str = r#"{"after":"abc"}"#;

/// A listener whose trigger has these interceptors and keeps the extension `x`.
fn trigger(interceptors: &str, annotations: &str) -> String {
    format!(
        r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {{name: hook, annotations: {{{annotations}}}}}
spec:
  triggers:
  - name: t
    interceptors: [{interceptors}]
    bindings:
    - {{name: x, value: $(extensions.x)}}
    - {{name: rev, value: $(body.after)}}
    template: {{ref: tt}}
---
{TEMPLATE}"#
    )
}

const TEMPLATE: &str = r#"apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: tt}
spec:
  params: [{name: x, default: none}, {name: rev, default: none}]
  resourcetemplates:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {generateName: c-}
    data: {x: $(tt.params.x), rev: $(tt.params.rev)}
"#;

const GITHUB: &str = "{ref: {name: github}, params: [{name: secretRef, value: {secretName: hook, secretKey: token}}]}";

fn go_on() -> Value {
    json!({"continue": true, "extensions": {"x": "from elsewhere"}})
}

async fn gateway(files: &[&str]) -> Gateway {
    let names = ["a.yaml", "b.yaml", "c.yaml", "d.yaml"];
    let files: Vec<(&str, &str)> = names.into_iter().zip(files.iter().copied()).collect();
    Gateway::start(&files).await
}

fn event_of(response: &Response) -> EventId {
    EventId(
        response.json()["eventID"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap(),
    )
}

async fn ended(gateway: &Gateway, event: EventId) -> (DeliveryState, Option<Reason>) {
    let journal = gateway.app.journal();
    for _ in 0..1000 {
        let deliveries = journal.deliveries_of(event).await.unwrap();
        if let [delivery] = &deliveries[..]
            && delivery.progress.state.is_final()
        {
            return (delivery.progress.state, delivery.progress.reason);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the delivery does not end");
}

fn data_of(gateway: &Gateway) -> Value {
    let text = std::fs::read_to_string(&gateway.objects()[0]).unwrap();
    serde_saphyr::from_str::<Value>(&text).unwrap()["data"].clone()
}

#[tokio::test]
async fn an_interceptor_elsewhere_is_asked_after_the_answer_and_adds_extensions() {
    let elsewhere = Elsewhere::start(&[(200, go_on())]).await;
    let interceptors =
        format!("{{ref: {{name: remote}}, params: [{{name: k, value: [1]}}]}}, {GITHUB}");
    let files = [
        &trigger(&interceptors, ""),
        PUSH_SECRET,
        &elsewhere.manifest("remote"),
    ];
    let gateway = gateway(&files).await;
    let answer = gateway.push("/default/hook/path?q=1", "1", BODY).await;
    assert_eq!(answer.verdict(), "matched");
    gateway.wait_for_objects(1).await;
    let expected = json!({"x": "from elsewhere", "rev": "abc"});
    assert_eq!(data_of(&gateway), expected);
    let asked = elsewhere.asked();
    let request: Value = serde_json::from_str(&asked[0].1).unwrap();
    assert_eq!(request["body"], BODY);
    assert_eq!(request["interceptor_params"], json!({"k": [1]}));
    assert_eq!(request["context"]["event_url"], "/path?q=1");
    assert_eq!(
        request["context"]["trigger_id"],
        "namespaces/default/triggers/t"
    );
    assert_eq!(request["context"]["event_id"], answer.json()["eventID"]);
    let signature = github_signature(SECRET, BODY.as_bytes());
    assert_eq!(request["header"]["X-Hub-Signature-256"], json!([signature]));
}

#[tokio::test]
async fn what_an_interceptor_elsewhere_does_not_want_is_cancelled() {
    let no = json!({"continue": false, "status": {"code": 7, "message": "not today"}});
    let elsewhere = Elsewhere::start(&[(200, no)]).await;
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let files = [
        &trigger(&interceptors, ""),
        PUSH_SECRET,
        &elsewhere.manifest("remote"),
    ];
    let gateway = gateway(&files).await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    let expected = (DeliveryState::Cancelled, Some(Reason::InterceptorStopped));
    assert_eq!(ended(&gateway, event_of(&answer)).await, expected);
    assert!(gateway.objects().is_empty());
}

#[tokio::test]
async fn strangers_ask_nobody() {
    let elsewhere = Elsewhere::start(&[(200, go_on())]).await;
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let files = [
        &trigger(&interceptors, ""),
        PUSH_SECRET,
        &elsewhere.manifest("remote"),
    ];
    let gateway = gateway(&files).await;
    let forged = [
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", "sha256=00"),
    ];
    let answer = gateway
        .post("/default/hook", &forged, BODY.as_bytes())
        .await;
    assert_eq!(answer.status, 401);
    gateway.push("/default/hook", "1", BODY).await;
    gateway.wait_for_objects(1).await;
    assert_eq!(elsewhere.asked().len(), 1);
}

#[tokio::test]
async fn one_that_is_away_is_asked_again_with_what_proves_the_event_and_none_of_it_is_written() {
    let address = Elsewhere::start(&[(200, go_on())]).await.address;
    // Nobody listens on the next port of it; that is where the interceptor is.
    let free = std::net::TcpListener::bind((address.ip(), 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let files = [
        &trigger(&interceptors, ""),
        PUSH_SECRET,
        &manifest("remote", address),
    ];
    let gateway = gateway(&files).await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(answer.verdict(), "matched");
    let event = event_of(&answer);
    let retrying = || async {
        let journal = gateway.app.journal();
        let deliveries = journal.deliveries_of(event).await.unwrap();
        deliveries[0].progress.reason == Some(Reason::InterceptorUnavailable)
    };
    for _ in 0..500 {
        if retrying().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let signature = github_signature(SECRET, BODY.as_bytes());
    let gateway = gateway.restart().await;
    for file in std::fs::read_dir(gateway.folder.path().join("data")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let signature = signature.as_bytes();
        assert!(
            !bytes
                .windows(signature.len())
                .any(|window| window == signature)
        );
    }
    let elsewhere = Elsewhere::start_at(&address.to_string(), &[(200, go_on())]).await;
    gateway.wait_for_objects(1).await;
    let request: Value = serde_json::from_str(&elsewhere.asked()[0].1).unwrap();
    assert_eq!(request["header"]["X-Hub-Signature-256"], json!([signature]));
}

#[tokio::test]
async fn an_interceptor_that_has_moved_is_asked_where_it_is() {
    let away = Elsewhere::start(&[(503, json!({}))]).await;
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let files = [
        &trigger(&interceptors, ""),
        PUSH_SECRET,
        &away.manifest("remote"),
    ];
    let gateway = gateway(&files).await;
    gateway.push("/default/hook", "1", BODY).await;
    wait_until(|| !away.asked().is_empty(), "the first question").await;
    let moved = Elsewhere::start(&[(200, go_on())]).await;
    gateway.write("c.yaml", &moved.manifest("remote"));
    gateway.wait_for_objects(1).await;
    assert_eq!(moved.asked().len(), 1);
}

#[tokio::test]
async fn the_annotation_says_what_becomes_of_an_event_without_an_answer() {
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    for (policy, answers, expected) in [
        (
            "stop",
            (503, json!({})),
            (DeliveryState::Dead, Some(Reason::InterceptorUnavailable)),
        ),
        ("continue", (503, json!({})), (DeliveryState::Done, None)),
        (
            "retry",
            (404, json!({})),
            (DeliveryState::Dead, Some(Reason::InterceptorFailed)),
        ),
    ] {
        let elsewhere = Elsewhere::start(&[answers]).await;
        let annotation = format!("tripline.dev/interceptor-failure.t: {policy}");
        let files = [
            &trigger(&interceptors, &annotation),
            PUSH_SECRET,
            &elsewhere.manifest("remote"),
        ];
        let gateway = gateway(&files).await;
        let answer = gateway.push("/default/hook", "1", BODY).await;
        assert_eq!(
            ended(&gateway, event_of(&answer)).await,
            expected,
            "{policy}"
        );
        let made = usize::from(policy == "continue");
        assert_eq!(gateway.objects().len(), made, "{policy}");
    }
}

#[tokio::test]
async fn an_interceptor_that_is_too_busy_is_left_alone_for_as_long_as_it_says() {
    let elsewhere = Elsewhere::start(&[(429, json!({}))]).await;
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let files = [
        &trigger(&interceptors, ""),
        PUSH_SECRET,
        &elsewhere.manifest("remote"),
    ];
    let gateway = gateway(&files).await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    let journal = gateway.app.journal();
    let mut progress = None;
    for _ in 0..1000 {
        let deliveries = journal.deliveries_of(event_of(&answer)).await.unwrap();
        progress = deliveries.first().map(|delivery| delivery.progress);
        if progress.is_some_and(|progress| progress.attempts == 1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let progress = progress.unwrap();
    assert_eq!(progress.reason, Some(Reason::InterceptorUnavailable));
    // The wait alone, and up to a second more so that not all come at once.
    assert!(
        (120_000..=121_000).contains(&progress.tried_ms),
        "{progress:?}"
    );
    assert!(progress.due_ms - progress.accepted_ms >= 120_000);
    assert_eq!(elsewhere.asked().len(), 1);
}

#[tokio::test]
async fn who_is_known_by_somebody_elsewhere_alone_counts_from_then_on() {
    let no = json!({"continue": false});
    let elsewhere = Elsewhere::start(&[(200, no), (200, go_on())]).await;
    let files = [
        &trigger("{ref: {name: remote}}", ""),
        &elsewhere.manifest("remote")[..],
    ];
    let gateway = gateway(&files).await;
    let headers = [("X-GitHub-Event", "push"), ("X-GitHub-Delivery", "7")];
    // A stranger takes an id that somebody else is about to use.
    let stranger = gateway
        .post("/default/hook", &headers, BODY.as_bytes())
        .await;
    assert_eq!(stranger.status, 202);
    assert_eq!(stranger.json()["deferred"], true);
    assert_eq!(stranger.json().get("triggers"), None);
    wait_until(|| elsewhere.asked().len() == 1, "the first question").await;
    let genuine = gateway
        .post("/default/hook", &headers, BODY.as_bytes())
        .await;
    assert_eq!(genuine.json()["deferred"], true);
    gateway.wait_for_objects(1).await;
    let again = gateway
        .post("/default/hook", &headers, BODY.as_bytes())
        .await;
    assert_eq!(again.status, 202);
    wait_until(|| elsewhere.asked().len() == 3, "the third question").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(gateway.objects().len(), 1, "it is known by then");
    let counts = gateway.app.journal().counts().await.unwrap();
    assert_eq!(counts.deferred, 0);
}

#[tokio::test]
async fn whom_a_listener_names_hears_what_becomes_of_events_and_nothing_of_requests() {
    let elsewhere = Elsewhere::start(&[(200, json!({}))]).await;
    let uri = format!("spec:\n  cloudEventURI: http://{}/\n", elsewhere.address);
    let triggers = trigger(GITHUB, "").replacen("spec:\n", &uri, 1);
    let gateway = gateway(&[&triggers, PUSH_SECRET]).await;
    // A stranger is no news.
    let forged = [
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", "sha256=00"),
    ];
    gateway
        .post("/default/hook", &forged, BODY.as_bytes())
        .await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    wait_until(|| elsewhere.asked().len() == 3, "three events").await;
    let mut kinds: Vec<String> = Vec::new();
    for (headers, body) in elsewhere.asked() {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        kinds.push(header("ce-type"));
        assert_eq!(json!(header("ce-id")), answer.json()["eventID"]);
        assert_eq!(header("ce-specversion"), "1.0");
        let source = "/apis/triggers.tekton.dev/v1beta1/namespaces/default/EventListener/hook";
        assert_eq!(header("ce-source"), source);
        assert!(
            !body.contains("sha256") && !body.contains("X-Hub"),
            "{body}"
        );
    }
    kinds.sort();
    let expected = ["done", "started", "successful"];
    let expected = expected.map(|stage| format!("dev.tekton.event.triggers.{stage}.v1"));
    assert_eq!(kinds, expected);
}
