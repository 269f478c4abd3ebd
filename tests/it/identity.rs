//! The same event is the same everywhere: its id, its objects' names and
//! `$(uid)` are equal across retries, restarts and replicas that share nothing.

use std::path::{Path, PathBuf};

use tripline::verify::registry;

use crate::support::{Gateway, files_in};

/// A listener that takes whatever comes and writes the uid down.
const ALL: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: all}
spec:
  triggers:
  - name: one
    template:
      spec:
        resourcetemplates:
        - {apiVersion: v1, kind: ConfigMap, metadata: {generateName: a-}, data: {uid: $(uid)}}
        - {apiVersion: v1, kind: ConfigMap, metadata: {name: b-$(uid)}}
"#;

type Headers = &'static [(&'static str, &'static str)];

/// A delivery of every sender that tells its deliveries apart.
const DELIVERIES: [(&str, Headers, &str); 7] = [
    (
        "github",
        &[("X-GitHub-Event", "push"), ("X-GitHub-Delivery", "1")],
        "{}",
    ),
    (
        "gitlab",
        &[("X-Gitlab-Event", "Push Hook"), ("Idempotency-Key", "1")],
        "{}",
    ),
    (
        "gitlab",
        &[
            ("X-Gitlab-Event", "Push Hook"),
            ("Webhook-Id", "2"),
            ("Webhook-Signature", "v1,x"),
        ],
        "{}",
    ),
    (
        "bitbucket",
        &[("X-Event-Key", "repo:push"), ("X-Request-UUID", "1")],
        "{}",
    ),
    (
        "bitbucket",
        &[("X-Event-Key", "repo:refs_changed"), ("X-Request-Id", "2")],
        "{}",
    ),
    (
        "harbor",
        &[("Content-Type", "application/cloudevents+json")],
        r#"{"specversion":"1.0","type":"harbor.artifact.pushed","id":"1","source":"/policies/2","data":{}}"#,
    ),
    (
        "harbor",
        &[],
        r#"{"type":"PUSH_ARTIFACT","occur_at":1,"event_data":{}}"#,
    ),
];

/// Posts every delivery; the ids of the events.
async fn post_all(gateway: &Gateway) -> Vec<String> {
    let mut ids = Vec::new();
    for (sender, headers, body) in DELIVERIES {
        let json = ("Content-Type", "application/json");
        let own = headers.iter().any(|(name, _)| *name == json.0);
        let headers: Vec<_> = headers
            .iter()
            .copied()
            .chain((!own).then_some(json))
            .collect();
        let answer = gateway
            .post("/default/all", &headers, body.as_bytes())
            .await;
        assert_eq!(answer.status, 202, "{sender}: {answer:?}");
        ids.push(answer.json()["eventID"].as_str().unwrap().to_owned());
    }
    ids
}

/// What was made: names and contents.
fn made(folder: &Path) -> Vec<(PathBuf, String)> {
    let out = folder.join("out");
    let files = files_in(&out).into_iter();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&out).unwrap().to_owned(), text)
    };
    files.map(read).collect()
}

#[tokio::test]
async fn names_and_uid_are_equal_across_replicas_retries_and_restarts() {
    let count = 2 * DELIVERIES.len();
    let one = Gateway::start(&[("t.yaml", ALL)]).await;
    let ids = post_all(&one).await;
    one.wait_for_objects(count).await;

    // Another journal, whose first attempts fail, and whose process ends.
    let other = Gateway::start(&[("t.yaml", ALL)]).await;
    let blocked = other.folder.path().join("out");
    std::fs::write(&blocked, "a file").unwrap();
    assert_eq!(post_all(&other).await, ids);
    let path = "/api/v1/deliveries?state=retrying";
    other
        .ask_until(path, |answer| {
            answer["items"].as_array().unwrap().len() == DELIVERIES.len()
        })
        .await;
    std::fs::remove_file(&blocked).unwrap();
    let other = other.restart().await;
    other.wait_for_objects(count).await;
    assert_eq!(made(one.folder.path()), made(other.folder.path()));

    // What comes again is known by both.
    assert_eq!(post_all(&one).await, ids);
    assert_eq!(post_all(&other).await, ids);
    one.wait_for_objects(count).await;

    let mut distinct = ids.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), DELIVERIES.len());
    // A sender that is added must come with a delivery of its own here.
    let without_ids = ["slack"];
    for sender in registry::senders().filter(|sender| !without_ids.contains(&sender.name)) {
        let is_here = DELIVERIES.iter().any(|(name, ..)| *name == sender.name);
        assert!(is_here, "{} is not among the deliveries", sender.name);
    }
}

#[tokio::test]
async fn what_is_performed_again_has_other_names_and_another_uid() {
    let again = ALL.replace(
        "metadata: {name: all}",
        "metadata: {name: all, annotations: {tripline.dev/redelivery.one: rerun}}",
    );
    let gateway = Gateway::start(&[("t.yaml", &again)]).await;
    let (first, second) = (post_all(&gateway).await, post_all(&gateway).await);
    assert!(
        first
            .iter()
            .zip(&second)
            .all(|(first, second)| first != second)
    );
    // Names that are made of $(uid) alone would be taken otherwise.
    gateway.wait_for_objects(4 * DELIVERIES.len()).await;
}

#[tokio::test]
async fn a_delivery_is_known_for_as_long_as_the_window_says() {
    let files = [("t.yaml", ALL)];
    let none = std::time::Duration::ZERO;
    let gateway = Gateway::start_with(&files, |config| config.dedupe.hash_window = none).await;
    let (first, second) = (post_all(&gateway).await, post_all(&gateway).await);
    let same = |index: usize| first[index] == second[index];
    // The last one is known by its bytes alone.
    let last = DELIVERIES.len() - 1;
    assert!((0..last).all(same) && !same(last));
    let gateway = Gateway::start_with(&files, |config| config.dedupe.window = none).await;
    let (first, second) = (post_all(&gateway).await, post_all(&gateway).await);
    let same = |index: usize| first[index] == second[index];
    assert!(!(0..last).any(same) && same(last));
}
