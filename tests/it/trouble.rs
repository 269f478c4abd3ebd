//! What is said and kept when memory, the journal or the configuration fails.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tripline::act::{Action, Actor, Effect, Performing};
use tripline::catalog::{Catalog, Loader, SourceFile};
use tripline::intercept::calls::NoCalls;
use tripline::journal::history::History;
use tripline::journal::progress::RetryPolicy;
use tripline::journal::sqlite::SqliteJournal;
use tripline::journal::upkeep::Retention;
use tripline::journal::{Journal, Quota, Quotas};
use tripline::model::event::{BodyRule, RawEvent};
use tripline::model::headers::Headers;
use tripline::model::manifest::Manifest;
use tripline::model::secret::NoSecrets;
use tripline::model::verdict::DeliveryState;
use tripline::pipeline::{Acceptance, Circumstances, Gate, judge};
use tripline::worker::{self, Lifecycle, Worker};
use uuid::Uuid;

use crate::support::{Gateway, PATIENCE, PUSH, PUSH_SECRET, connect, push_gateway, read_response};

const BODY: &str = r#"{"after":"abc"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_fit_into_memory_are_told_to_come_later() {
    let files = [("push.yaml", PUSH), ("s.yaml", PUSH_SECRET)];
    let gateway = Gateway::start_with(&files, |config| {
        let limits = json!({"body": "64KiB", "inFlight": "64KiB"});
        config.limits = serde_json::from_value(limits).unwrap();
    })
    .await;
    let began = std::time::Instant::now();
    let (mut stream, busy) = loop {
        // All but the last byte of a body that takes what there is for large
        // ones, and another one.
        let mut stream = connect(gateway.app.ingress);
        let head = "POST /default/hook HTTP/1.1\r\nHost: x\r\nContent-Length: 40960\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b' '; 40959]).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let other = gateway.post("/default/hook", &[], &vec![b' '; 40960]).await;
        if other.status == 503 {
            break (stream, other);
        }
        assert!(began.elapsed() < PATIENCE, "the room is taken");
    };
    // Small ones still find room.
    assert_eq!(gateway.push("/default/hook", "1", BODY).await.status, 202);
    assert_eq!(busy.status, 503);
    assert_eq!(busy.json()["reason"], "overloaded");
    assert!(busy.head.to_ascii_lowercase().contains("retry-after: "));
    stream.write_all(b" ").unwrap();
    let first = tokio::task::spawn_blocking(move || read_response(&mut stream));
    assert!(first.await.unwrap().starts_with(b"HTTP/1.1 401"));
    let other = gateway.post("/default/hook", &[], &vec![b' '; 40960]).await;
    assert_eq!(other.status, 401);
}

#[tokio::test]
async fn nothing_is_accepted_that_cannot_be_written_down() {
    let gateway = push_gateway().await;
    gateway.app.journal().close().await.unwrap();
    let wanted = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(wanted.status, 503);
    assert_eq!(wanted.json()["reason"], "journal_unavailable");
    assert!(wanted.head.to_ascii_lowercase().contains("retry-after: "));
    // What nobody wants needs no journal.
    let stranger = gateway
        .post("/default/hook", &[("X-GitHub-Event", "push")], b"{}")
        .await;
    assert_eq!(stranger.status, 401);
    let ready = crate::support::exchange(
        gateway.app.probe,
        b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
    );
    assert_eq!(ready.await.status, 503);
}

#[tokio::test]
async fn a_listener_without_triggers_accepts_nothing() {
    let none = PUSH.split("spec:").next().unwrap().to_owned() + "spec: {triggers: []}\n";
    let gateway = Gateway::start(&[("push.yaml", &none)]).await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reason"], "no_triggers");
    gateway.write("push.yaml", PUSH);
    gateway.write("s.yaml", PUSH_SECRET);
    gateway.push_until_matched("/default/hook", BODY).await;
    gateway.wait_for_objects(1).await;
}

#[tokio::test]
async fn who_may_be_meant_for_a_trigger_that_nobody_can_read_is_not_refused() {
    let selecting = PUSH.replace(
        "spec:\n  triggers:",
        "spec:\n  namespaceSelector: {matchNames: [default]}\n  triggers:",
    );
    let torn = "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: x\n";
    let files = [
        ("a.yaml", &*selecting),
        ("b.yaml", torn),
        ("s.yaml", PUSH_SECRET),
    ];
    let gateway = Gateway::start(&files).await;
    assert_eq!(gateway.push("/default/hook", "1", BODY).await.status, 202);
    let headers = [("X-GitHub-Event", "push")];
    let unknown = gateway.post("/default/hook", &headers, b"{}").await;
    assert_eq!(unknown.status, 503, "{unknown:?}");
    assert_eq!(unknown.json()["reason"], "config_unread");
    std::fs::remove_file(gateway.folder.path().join("triggers/b.yaml")).unwrap();
    let began = std::time::Instant::now();
    while gateway.post("/default/hook", &headers, b"{}").await.status != 401 {
        assert!(began.elapsed() < PATIENCE, "the listener is whole again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_spoilt_copy_takes_nothing_away() {
    let copy = PUSH.replace("  triggers:", "  trigers:");
    let files = [
        ("a.yaml", PUSH),
        ("s.yaml", PUSH_SECRET),
        ("z.yaml", &*copy),
    ];
    let gateway = Gateway::start(&files).await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let headers = [("X-GitHub-Event", "push")];
    let stranger = gateway.post("/default/hook", &headers, b"{}").await;
    assert_eq!(stranger.status, 401);
}

#[tokio::test]
async fn a_listener_that_nobody_can_read_is_not_missing() {
    let torn = PUSH.replace("  triggers:", "  triggers: [");
    let gateway = Gateway::start(&[("push.yaml", &torn)]).await;
    let answer = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["reason"], "config_unread");
    // Here its name can be read, and no more.
    let misspelt = PUSH.replace("  triggers:", "  trigers:");
    gateway.write("push.yaml", &misspelt);
    gateway.write("other.yaml", &PUSH.replace("name: hook", "name: other"));
    let began = std::time::Instant::now();
    while gateway.push("/default/nowhere", "1", BODY).await.status != 404 {
        assert!(
            began.elapsed() < PATIENCE,
            "what is not there is missing again"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(answer.json()["reason"], "config_unread");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_cannot_be_read_keeps_what_it_held() {
    let gateway = push_gateway().await;
    let path = gateway.folder.path().join("triggers/push.yaml");
    // A link to itself: whoever runs this test cannot read it.
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let status = || async {
        let request = b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
        crate::support::exchange(gateway.app.admin, request)
            .await
            .json()
    };
    let began = std::time::Instant::now();
    while status().await["mistakes"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        assert!(began.elapsed() < PATIENCE, "the mistake is told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        gateway.push("/default/hook", "1", BODY).await.verdict(),
        "matched"
    );
    gateway.wait_for_objects(1).await;
}

#[tokio::test]
async fn where_some_may_not_wait_the_others_are_served_and_the_sender_hears_so() {
    let second = r#"
  - name: later
    interceptors:
    - ref: {name: github}
      params: [{name: secretRef, value: {secretName: missing, secretKey: token}}]
    template: {spec: {resourcetemplates: [{apiVersion: v1, kind: ConfigMap, metadata: {generateName: later-}}]}}
"#;
    let both = format!("{}{second}", PUSH.trim_end());
    let files = [("push.yaml", both.as_str()), ("s.yaml", PUSH_SECRET)];
    let gateway = Gateway::start_with(&files, |config| {
        config.limits = serde_json::from_value(json!({"deferredEvents": 1})).unwrap();
    })
    .await;
    let rows = |answer: crate::support::Response| {
        let answer = answer.json();
        let rows = answer["triggers"].as_array().unwrap().clone();
        let texts = rows
            .iter()
            .map(|row| format!("{} {}", row["verdict"], row["reason"]));
        texts.collect::<Vec<_>>()
    };
    let first = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(
        rows(first),
        ["\"matched\" null", "\"deferred\" \"secret_missing\""]
    );
    let second = gateway.push("/default/hook", "2", BODY).await;
    assert_eq!(second.status, 202);
    assert_eq!(
        rows(second),
        ["\"matched\" null", "\"failed\" \"deferred_quota\""]
    );
    gateway.wait_for_objects(2).await;
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_performed_from_the_journal() {
    let files = [("push.yaml", PUSH), ("s.yaml", PUSH_SECRET)];
    let gateway = Gateway::start_with(&files, |config| {
        // Parsed, the body is larger than what there is.
        let limits = json!({"body": "8KiB", "inFlight": "8KiB"});
        config.limits = serde_json::from_value(limits).unwrap();
    })
    .await;
    let body = format!(r#"{{"after":"abc","list":[{}1]}}"#, "1,".repeat(3000));
    let answer = gateway.push("/default/hook", "1", &body).await;
    assert_eq!(answer.verdict(), "matched", "{answer:?}");
    gateway.wait_for_objects(1).await;
}

#[tokio::test]
async fn a_folder_that_is_in_the_way_only_delays() {
    let gateway = push_gateway().await;
    let out = gateway.folder.path().join("out");
    std::fs::write(&out, "in the way").unwrap();
    assert_eq!(gateway.push("/default/hook", "1", BODY).await.status, 202);
    let began = std::time::Instant::now();
    while gateway.app.journal().counts().await.unwrap().deliveries != [(DeliveryState::Retrying, 1)]
    {
        assert!(began.elapsed() < PATIENCE, "the delivery is tried again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::fs::remove_file(&out).unwrap();
    gateway.wait_for_objects(1).await;
}

/// Panics the first time that it is asked.
#[derive(Default)]
struct Startled(AtomicUsize);

impl Action for Startled {
    fn perform<'a>(&'a self, manifest: &'a Manifest, _: Actor<'a>) -> Performing<'a> {
        Box::pin(async move {
            let before = self.0.fetch_add(1, Ordering::SeqCst);
            assert!(before > 0, "the first time");
            Ok(Effect::Created(
                manifest.name().unwrap_or_default().to_owned(),
            ))
        })
    }

    fn describe(&self) -> String {
        "nothing".into()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_panics_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Arc::new(SqliteJournal::open(&folder.path().join("journal.db")).unwrap());
    let (journal, history): (Arc<dyn Journal>, Arc<dyn History>) =
        (Arc::clone(&opened) as _, opened);
    let text = PUSH.replace(
        "- {name: secretRef, value: {secretName: hook, secretKey: token}}",
        "",
    );
    let file = SourceFile {
        name: "push.yaml".into(),
        text,
    };
    let loaded = Loader::default().load(&vec![file].into());
    assert_eq!(loaded.diagnostics, []);
    let listener = Arc::clone(loaded.snapshot.only().unwrap());
    let catalog = Arc::new(Catalog::new(Duration::ZERO));
    catalog.replace(loaded.snapshot, vec![]);
    let room = Quota {
        events: 1,
        bytes: 1,
    };
    let quotas = Quotas {
        verified: room,
        unverified: room,
    };
    let gate = Arc::new(Gate::new(Arc::clone(&journal), quotas));
    let action = Arc::new(Startled::default());
    let worker = Worker::new(worker::Parts {
        gate: Arc::clone(&gate),
        history,
        catalog,
        secrets: Arc::new(NoSecrets),
        action: Arc::clone(&action) as _,
        calls: Arc::new(NoCalls),
        metrics: Arc::default(),
        policy: RetryPolicy::DEFAULT,
        flow: worker::Flow::DEFAULT,
        deferred_for: Duration::from_secs(60),
        retention: Retention::default(),
        notices: None,
        lifecycle: Lifecycle::silent(),
    });
    let mut headers = Headers::new();
    headers.append("X-GitHub-Event", "push");
    let request = RawEvent {
        method: "POST".into(),
        url: "/".into(),
        headers,
        body: BODY.into(),
        rule: BodyRule::default(),
    };
    let circumstances = Circumstances {
        secrets: &NoSecrets,
        fresh: Uuid::now_v7(),
        received_ms: 0,
        explain: false,
        proven: &[],
    };
    let mut accepted = judge(&listener, request, &circumstances);
    let at = Acceptance::new(tripline::clock::unix_ms());
    let held = gate.admit(&mut accepted, &listener, at).await.unwrap();
    assert_eq!(held.len(), 1);
    worker.take(held, (), false);
    let stop = CancellationToken::new();
    let working = {
        let (worker, stop) = (Arc::clone(&worker), stop.clone());
        tokio::spawn(async move { worker.run(stop).await })
    };
    let began = std::time::Instant::now();
    while journal.counts().await.unwrap().deliveries != [(DeliveryState::Done, 1)] {
        assert!(began.elapsed() < PATIENCE, "it is made again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(action.0.load(Ordering::SeqCst), 2);
    stop.cancel();
    working.await.unwrap();
}
