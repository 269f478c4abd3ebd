//! What is written down before the first effect, and whose interceptors are
//! asked after the answer.

use super::*;
use crate::journal::progress::Happening as Step;
use crate::model::finding::{Finding, Stop};

const RENDERED: Rendered = Rendered {
    params: Vec::new(),
    manifests: Vec::new(),
    as_of: None,
};

/// A delivery whose headers are kept sealed, and its number.
async fn asking(fixture: &Fixture) -> DeliveryId {
    let mut headers = Headers::new();
    headers.append("X-Gitlab-Token", "canary-token");
    let mut event = event(1, None, 0, &["t1"]);
    event.deliveries[0].resume = Some(1);
    event.deliveries[0].unsealed = Some(headers);
    event.deliveries[0].findings = vec![Finding::passed("verify")];
    new_id(&fixture.accept(event).await[0])
}

fn sealed(fixture: &Fixture) -> Option<Vec<u8>> {
    let file = Connection::open(fixture.path()).unwrap();
    let question = "SELECT sealed_headers FROM deliveries";
    file.query_row(question, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn headers_are_kept_sealed_until_nobody_has_to_be_asked() {
    let fixture = Fixture::new();
    let id = asking(&fixture).await;
    let kept = sealed(&fixture).unwrap();
    assert!(!kept.windows(12).any(|window| window == b"canary-token"));
    let fixture = fixture.reopen().await;
    let leased = fixture.lease(1, 1).await;
    let headers = leased[0].unsealed.as_ref().unwrap();
    assert_eq!(headers.get("X-Gitlab-Token"), Some("canary-token"));
    assert_eq!(leased[0].resume, Some(1));
    let committed = fixture.journal.commit(id, RENDERED.into(), vec![]);
    committed.await.unwrap();
    assert_eq!(sealed(&fixture), None);
}

#[tokio::test]
async fn headers_of_a_delivery_that_has_ended_are_forgotten() {
    for (step, is_kept) in [
        (Step::FailedForNow(Reason::InterceptorUnavailable), true),
        (Step::FailedForGood(Reason::InterceptorFailed), false),
        (Step::NotWanted(Reason::InterceptorStopped), false),
    ] {
        let fixture = Fixture::new();
        let id = asking(&fixture).await;
        let progress = Progress::accepted(0).after(step, 100, &RetryPolicy::DEFAULT, 1.0);
        let recorded = fixture.journal.record(id, attempt(100), progress);
        recorded.await.unwrap();
        assert_eq!(sealed(&fixture).is_some(), is_kept, "{step:?}");
    }
}

#[tokio::test]
async fn what_interceptors_found_after_the_answer_is_kept_with_the_rest() {
    let fixture = Fixture::new();
    let id = asking(&fixture).await;
    let stop = Stop::filtered(Reason::FilterFalse, "not [this] one");
    let more = vec![Finding::passed("remote"), Finding::stopped("cel", stop)];
    let committed = fixture.journal.commit(id, RENDERED.into(), more.clone());
    committed.await.unwrap();
    let file = Connection::open(fixture.path()).unwrap();
    let question = "SELECT findings FROM deliveries";
    let kept: String = file.query_row(question, [], |row| row.get(0)).unwrap();
    let kept: Vec<Finding> = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept[0], Finding::passed("verify"));
    assert_eq!(kept[1..], more);
}

#[tokio::test]
async fn what_was_rendered_is_there_for_the_next_attempt() {
    let fixture = Fixture::new();
    let receipts = fixture.accept(event(1, None, 0, &["t1"])).await;
    let rendered = Rendered {
        params: vec![Param {
            name: "p".into(),
            value: "v".into(),
        }],
        manifests: vec![Manifest(json!({"kind": "Job"}))],
        as_of: Some("42".into()),
    };
    let id = new_id(&receipts[0]);
    fixture
        .journal
        .commit(id, Arc::new(rendered.clone()), vec![])
        .await
        .unwrap();
    let fixture = fixture.reopen().await;
    let leased = fixture.lease(1, 1).await;
    assert_eq!(leased[0].rendered, Some(rendered));
}
