//! That nobody gets past what a trigger asks for because somebody else has
//! been asked.

use serde_json::json;
use tripline::model::verdict::{DeliveryState, Reason};

use super::interceptor::Elsewhere;
use super::{BODY, GITHUB, GROUP, TEMPLATE, ended, event_of, gateway, go_on, trigger};
use crate::support::{Gateway, PUSH_SECRET, wait_until};

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
