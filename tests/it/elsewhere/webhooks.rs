//! Tekton's deprecated webhooks, which put another event in the place of one.

use std::time::Duration;

use serde_json::json;

use super::interceptor::Elsewhere;
use super::{BODY, GITHUB, data_of, gateway, trigger};
use crate::support::{PUSH_SECRET, wait_until};

#[tokio::test]
async fn a_webhook_replaces_body_and_headers_for_what_comes_after_it() {
    let elsewhere = Elsewhere::start(&[(200, json!({"after": "changed"}))]).await;
    let filter = "header.match('X-From', 'elsewhere') && body.after == 'changed'";
    let interceptors = format!(
        "{GITHUB}, {{webhook: {{url: 'http://{}/', header: [{{name: X-Own, value: [a, b]}}]}}}}, \
         {{ref: {{name: cel}}, params: [{{name: filter, value: \"{filter}\"}}]}}",
        elsewhere.address
    );
    let gateway = gateway(&[&trigger(&interceptors, ""), PUSH_SECRET]).await;
    gateway.push("/default/hook/x", "1", BODY).await;
    gateway.wait_for_objects(1).await;
    assert_eq!(data_of(&gateway)["rev"], "changed");
    let (headers, body) = &elsewhere.asked()[0];
    assert_eq!(body, BODY);
    assert_eq!(headers["eventlistener-request-url"], "/x");
    let own: Vec<_> = headers.get_all("x-own").iter().collect();
    assert_eq!(own, ["a", "b"]);
}

#[tokio::test]
async fn a_signature_after_a_webhook_is_that_of_what_the_webhook_gave() {
    // It signs nothing, so that the event is refused after it.
    let elsewhere = Elsewhere::start(&[(200, json!({"after": "forged"}))]).await;
    let interceptors = format!(
        "{{webhook: {{url: 'http://{}/'}}}}, {GITHUB}",
        elsewhere.address
    );
    let gateway = gateway(&[&trigger(&interceptors, ""), PUSH_SECRET]).await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(answer.json()["deferred"], true);
    wait_until(|| !elsewhere.asked().is_empty(), "the question").await;
    for _ in 0..500 {
        if gateway.app.journal().counts().await.unwrap().deferred == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let counts = gateway.app.journal().counts().await.unwrap();
    assert_eq!((counts.deferred, counts.deliveries), (0, vec![]));
    assert!(gateway.objects().is_empty());
}
