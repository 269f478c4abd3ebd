//! That nobody gets past what a trigger asks for because somebody else has
//! been asked.

use serde_json::json;
use tripline::model::verdict::{DeliveryState, Reason};

use super::groups::GROUP;
use super::interceptor::Elsewhere;
use super::{BODY, GITHUB, TEMPLATE, ended, event_of, gateway, go_on, trigger};
use crate::support::{Gateway, PUSH_SECRET, SECRET, github_signature, wait_until};

/// Waits until nothing waits any more.
async fn settled(gateway: &Gateway) {
    for _ in 0..1000 {
        if gateway.app.journal().counts().await.unwrap().deferred == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("something still waits");
}

#[tokio::test]
async fn a_trigger_of_a_group_still_asks_for_its_own_secret() {
    let elsewhere = Elsewhere::start(&[(200, go_on())]).await;
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let own = "{ref: {name: github}, params: [{name: secretRef, value: {secretName: own, secretKey: token}}]}";
    let group = GROUP.replace("INTERCEPTORS", &interceptors).replace(
        "spec:\n  bindings: [{name: rev, value: $(body.after)}]",
        &format!(
            "spec:\n  interceptors: [{own}]\n  bindings: [{{name: rev, value: $(body.after)}}]"
        ),
    );
    assert!(group.contains("secretName: own"));
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\nstringData: {token: another}\n";
    let group = group + TEMPLATE;
    let gateway = gateway(&[&group, PUSH_SECRET, &elsewhere.manifest("remote"), secret]).await;
    gateway.push("/default/hook", "1", BODY).await;
    gateway.wait_for_objects(1).await;
    settled(&gateway).await;
    assert_eq!(
        gateway.objects().len(),
        1,
        "only the trigger without a secret of its own"
    );
}

#[tokio::test]
async fn what_stands_behind_a_webhook_that_is_away_is_asked_all_the_same() {
    let elsewhere = Elsewhere::start(&[(503, json!({}))]).await;
    for (filter, expected) in [
        ("body.after == 'abc'", (DeliveryState::Done, None)),
        (
            "body.after == 'x'",
            (DeliveryState::Cancelled, Some(Reason::FilterFalse)),
        ),
    ] {
        let interceptors = format!(
            "{GITHUB}, {{webhook: {{url: 'http://{}/'}}}}, \
             {{ref: {{name: cel}}, params: [{{name: filter, value: \"{filter}\"}}]}}",
            elsewhere.address
        );
        let triggers = trigger(&interceptors, "tripline.dev/interceptor-failure: continue");
        let gateway = gateway(&[&triggers, PUSH_SECRET]).await;
        let answer = gateway.push("/default/hook", "1", BODY).await;
        assert_eq!(
            ended(&gateway, event_of(&answer)).await,
            expected,
            "{filter}"
        );
    }
}

#[tokio::test]
async fn nothing_goes_on_without_the_only_one_who_knows_the_sender() {
    let elsewhere = Elsewhere::start(&[(503, json!({}))]).await;
    let annotation = "tripline.dev/interceptor-failure: continue";
    let triggers = trigger("{ref: {name: remote}}", annotation);
    let gateway = gateway(&[&triggers, &elsewhere.manifest("remote")]).await;
    let answer = gateway.post("/default/hook", &[], BODY.as_bytes()).await;
    assert_eq!(answer.json()["deferred"], true);
    wait_until(|| elsewhere.asked().len() >= 3, "another question").await;
    assert!(gateway.objects().is_empty());
    assert_eq!(gateway.app.journal().counts().await.unwrap().deferred, 1);
}

/// A group that asks `remote`, whose only trigger has these interceptors.
fn asking_group(own: &str) -> String {
    let group = GROUP.replace("INTERCEPTORS", "{ref: {name: remote}}");
    let (listener, _) = group.split_once("---").unwrap();
    format!(
        r#"{listener}---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {{name: one, labels: {{g: "1"}}}}
spec:
  interceptors: [{own}]
  template: {{ref: tt}}
---
{TEMPLATE}"#
    )
}

#[tokio::test]
async fn a_stranger_makes_no_group_ask_whose_triggers_know_him() {
    let compared = "{ref: {name: cel}, params: [{name: filter, value: \
        \"header.canonical('X-Token').compareSecret('token', 'hook')\"}]}";
    for own in [GITHUB, compared] {
        let elsewhere = Elsewhere::start(&[(200, go_on())]).await;
        let group = asking_group(own);
        let gateway = gateway(&[&group, PUSH_SECRET, &elsewhere.manifest("remote")]).await;
        let forged = [
            ("X-GitHub-Event", "push"),
            ("X-Hub-Signature-256", "sha256=00"),
            ("X-Token", "guessed"),
        ];
        let answer = gateway
            .post("/default/hook", &forged, BODY.as_bytes())
            .await;
        assert_eq!(answer.status, 401, "{own}");
        let known = [
            ("X-GitHub-Event", "push"),
            (
                "X-Hub-Signature-256",
                &github_signature(SECRET, BODY.as_bytes()),
            ),
            ("X-Token", SECRET),
        ];
        let answer = gateway.post("/default/hook", &known, BODY.as_bytes()).await;
        assert_eq!(answer.json()["deferred"], true, "{own}");
        gateway.wait_for_objects(1).await;
        assert_eq!(elsewhere.asked().len(), 1, "{own}");
    }
}

#[tokio::test]
async fn a_comparison_that_is_passed_without_the_secret_proves_nothing() {
    let compared = "header.canonical('X-Token').compareSecret('token', 'hook')";
    let elsewhere = Elsewhere::start(&[(503, json!({}))]).await;
    for params in [
        format!("{{name: filter, value: \"{compared} || body.after == 'abc'\"}}"),
        format!("{{name: overlays, value: [{{key: ok, expression: \"{compared}\"}}]}}"),
        format!("{{name: filter, value: \"{compared} ? true : true\"}}"),
    ] {
        let interceptors =
            format!("{{ref: {{name: cel}}, params: [{params}]}}, {{ref: {{name: remote}}}}");
        let triggers = trigger(&interceptors, "");
        let gateway = gateway(&[&triggers, PUSH_SECRET, &elsewhere.manifest("remote")]).await;
        let stranger = [("X-Token", "guessed")];
        let answer = gateway
            .post("/default/hook", &stranger, BODY.as_bytes())
            .await;
        assert_eq!(answer.json()["deferred"], true, "{params}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_known_event_whose_group_fails_for_good_is_kept() {
    let elsewhere = Elsewhere::start(&[(404, json!({}))]).await;
    let group = asking_group(GITHUB);
    let gateway = gateway(&[&group, PUSH_SECRET, &elsewhere.manifest("remote")]).await;
    gateway.push("/default/hook", "1", BODY).await;
    settled(&gateway).await;
    assert!(gateway.objects().is_empty());
    let counts = gateway.app.journal().counts().await.unwrap();
    assert_eq!(counts.given_up, 1);
}
