//! How often, how long and from where on a delivery is tried again.

use std::time::Duration;

use serde_json::json;
use tripline::journal::DeliveryView;
use tripline::model::ids::EventId;
use tripline::model::verdict::{DeliveryState, Reason};

use crate::support::{Gateway, PATIENCE, PUSH, PUSH_SECRET, Response};

const BODY: &str = r#"{"after":"abc"}"#;

/// [`PUSH`] with annotations on its listener.
fn annotated(annotations: &str) -> String {
    let metadata = format!("metadata: {{name: hook, annotations: {{{annotations}}}}}");
    PUSH.replacen("metadata: {name: hook}", &metadata, 1)
}

async fn start(annotations: &str) -> Gateway {
    let text = annotated(annotations);
    Gateway::start(&[("push.yaml", &text), ("secret.yaml", PUSH_SECRET)]).await
}

fn event_of(response: &Response) -> EventId {
    let answer = response.json();
    EventId(answer["eventID"].as_str().unwrap().parse().unwrap())
}

/// Where the delivery of a push stands, once that is as wanted.
async fn standing(
    gateway: &Gateway,
    event: EventId,
    is_wanted: impl Fn(&DeliveryView) -> bool,
) -> DeliveryView {
    let began = std::time::Instant::now();
    loop {
        let mut views = gateway.app.journal().deliveries_of(event).await.unwrap();
        if let Some(view) = views.pop().filter(&is_wanted) {
            return view;
        }
        assert!(began.elapsed() < PATIENCE, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Puts a file where a folder of the sink would be.
fn block(gateway: &Gateway, path: &str) {
    let path = gateway.folder.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "in the way").unwrap();
}

/// Reason and detail of the attempts that were made, from the file.
fn attempts(gateway: &Gateway) -> Vec<(Option<String>, Option<String>)> {
    let path = gateway.folder.path().join("data/journal.db");
    let journal = rusqlite::Connection::open(path).unwrap();
    let mut asked = journal
        .prepare("SELECT reason, detail FROM attempts ORDER BY number")
        .unwrap();
    let rows = asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_later_attempt_begins_behind_what_is_made() {
    let one = "        - apiVersion: v1\n          kind: ConfigMap\n          metadata: {generateName: push-}\n";
    let five = ["a", "b", "c", "d", "e"].map(|name| {
        let namespace = if name == "d" { ", namespace: shut" } else { "" };
        one.replace("generateName: push-", &format!("name: {name}{namespace}"))
    });
    let text = annotated("tripline.dev/retry-backoff: 100ms..200ms").replace(one, &five.concat());
    let files = [("push.yaml", &*text), ("secret.yaml", PUSH_SECRET)];
    let gateway = Gateway::start(&files).await;
    block(&gateway, "out/shut");
    let event = event_of(&gateway.push("/default/hook", "1", BODY).await);
    let retrying = |view: &DeliveryView| view.progress.state == DeliveryState::Retrying;
    standing(&gateway, event, retrying).await;
    let names = |gateway: &Gateway| -> Vec<String> {
        let objects = gateway.objects();
        let names = objects.iter().filter_map(|path| path.file_stem());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    };
    let configmaps = gateway.folder.path().join("out/default/ConfigMap");
    assert_eq!(std::fs::read_dir(&configmaps).unwrap().count(), 3);
    let failed = attempts(&gateway).remove(0);
    assert_eq!(failed.0.as_deref(), Some("sink_unavailable"));
    let detail = failed.1.unwrap();
    assert!(detail.ends_with("; 3 of 5 resources are made"), "{detail}");
    // Whoever takes them away does not get them again, and a restart in between
    // makes no difference.
    std::fs::remove_dir_all(&configmaps).unwrap();
    let gateway = gateway.restart().await;
    std::fs::remove_file(gateway.folder.path().join("out/shut")).unwrap();
    standing(&gateway, event, |view| {
        view.progress.state == DeliveryState::Done
    })
    .await;
    let mut made = names(&gateway);
    made.sort();
    assert_eq!(made, ["d", "e"]);
}

#[tokio::test]
async fn a_trigger_says_how_often_it_is_tried() {
    let annotations = "tripline.dev/retry-attempts.push: \"2\", tripline.dev/retry-backoff: 100ms";
    let gateway = start(annotations).await;
    block(&gateway, "out");
    let event = event_of(&gateway.push("/default/hook", "1", BODY).await);
    let ended = |view: &DeliveryView| view.progress.state.is_final();
    let dead = standing(&gateway, event, ended).await.progress;
    assert_eq!(dead.state, DeliveryState::Dead);
    assert_eq!(dead.reason, Some(Reason::RetriesExhausted));
    assert_eq!(dead.attempts, 2);
    let attempts = attempts(&gateway);
    assert_eq!(attempts.len(), 2);
    let (reason, detail) = attempts[1].clone();
    assert_eq!(reason.as_deref(), Some("sink_unavailable"));
    let detail = detail.unwrap();
    let expected = "given up after 2 attempts, the last with sink_unavailable: ";
    assert!(detail.starts_with(expected), "{detail}");
    assert!(
        detail.contains("Not a directory") || detail.contains("File exists"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_delivery_keeps_the_policy_by_which_it_matched() {
    let few = "tripline.dev/retry-attempts: \"3\", tripline.dev/retry-backoff: 300ms";
    let gateway = start(few).await;
    block(&gateway, "out");
    let event = event_of(&gateway.push("/default/hook", "1", BODY).await);
    let retrying = |view: &DeliveryView| view.progress.state == DeliveryState::Retrying;
    standing(&gateway, event, retrying).await;
    let before = gateway.folder.path().join("triggers/push.yaml");
    let many = annotated("tripline.dev/retry-attempts: \"1000\"");
    std::fs::write(before, many).unwrap();
    let ended = |view: &DeliveryView| view.progress.state.is_final();
    let dead = standing(&gateway, event, ended).await.progress;
    assert_eq!((dead.state, dead.attempts), (DeliveryState::Dead, 3));
}

#[tokio::test]
async fn the_settings_hold_where_no_trigger_says_otherwise() {
    let files = [("push.yaml", PUSH), ("secret.yaml", PUSH_SECRET)];
    let gateway = Gateway::start_with(&files, |config| {
        let retry = json!({"attempts": 1});
        config.retry = serde_json::from_value(retry).unwrap();
    })
    .await;
    block(&gateway, "out");
    let event = event_of(&gateway.push("/default/hook", "1", BODY).await);
    let ended = |view: &DeliveryView| view.progress.state.is_final();
    let dead = standing(&gateway, event, ended).await.progress;
    assert_eq!((dead.state, dead.attempts), (DeliveryState::Dead, 1));
}
