//! What a journal promises, on a real file.

use std::path::PathBuf;

use serde_json::{Map, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::journal::progress::{Happening, RetryPolicy};
use crate::journal::{Leased, NewDelivery, Quota, Recorded};
use crate::model::event::RawEvent;
use crate::model::headers::Headers;
use crate::model::ids::{DeliveryKey, EventId, ListenerId, Revision, TriggerId};
use crate::model::manifest::Manifest;
use crate::model::params::Param;
use crate::model::verdict::{DeliveryState, Reason};

mod asking;
mod erasing;
mod history;
mod leasing;
mod schedule;
mod upkeep;
mod waiting;

use leasing::{back, request};

struct Fixture {
    folder: TempDir,
    journal: SqliteJournal,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
        Self { folder, journal }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    async fn accept(&self, event: NewEvent) -> Vec<Receipt> {
        let admitted = self.journal.admit(Some(event), vec![], false, QUOTAS).await;
        admitted.unwrap().receipts
    }

    /// Lets an event wait; whether there was room.
    async fn defer(&self, event: NewDeferral) -> bool {
        let admitted = self.journal.admit(None, vec![event], true, QUOTAS).await;
        admitted.unwrap().turned_away.is_empty()
    }

    async fn waiting(&self) -> Option<(i64, NewDeferral)> {
        let next = self.journal.next_deferred(0).await.unwrap()?;
        Some((next.id, next.waiting.unwrap()))
    }

    async fn lease(&self, now_ms: i64, limit: usize) -> Vec<Leased> {
        self.journal
            .lease(request(now_ms, limit))
            .await
            .unwrap()
            .leased
    }

    /// When the next one is due, where nothing is yet.
    async fn next_due(&self, now_ms: i64) -> Option<i64> {
        let lease = self.journal.lease(request(now_ms, 9)).await.unwrap();
        assert!(lease.leased.is_empty() && lease.left.is_empty());
        lease.next_due_ms
    }

    /// Ends the process's hold on the journal and opens it again.
    async fn reopen(self) -> Self {
        self.journal.close().await.unwrap();
        drop(self.journal);
        let journal = SqliteJournal::open(&self.folder.path().join("journal.db")).unwrap();
        Self {
            folder: self.folder,
            journal,
        }
    }
}

fn listener() -> ListenerId {
    ListenerId {
        namespace: "default".into(),
        name: "github".into(),
    }
}

fn delivery(trigger: &str) -> NewDelivery {
    NewDelivery {
        trigger: TriggerId(trigger.into()),
        revision: Revision("r1".into()),
        source: "{}".into(),
        rerun: false,
        extensions: Map::from_iter([("x".into(), json!([1]))]),
        findings: Vec::new(),
        resume: None,
        unsealed: None,
        rendered: None,
    }
}

fn event(number: u128, key: Option<&str>, at_ms: i64, triggers: &[&str]) -> NewEvent {
    NewEvent {
        id: EventId(Uuid::from_u128(number)),
        rerun_id: EventId(Uuid::from_u128(number + 1_000)),
        replay_of: None,
        proven: Vec::new(),
        listener: listener(),
        received_ms: at_ms,
        accepted_ms: at_ms,
        key: key.map(|id| (DeliveryKey::new(&listener(), "somebody", "", id), 60_000)),
        request: Recorded {
            method: "POST".into(),
            url: "/".into(),
            headers: Headers::new(),
            body: "{}".into(),
        },
        deliveries: triggers.iter().map(|trigger| delivery(trigger)).collect(),
    }
}

fn attempt(at_ms: i64) -> Attempt {
    Attempt {
        started_ms: at_ms,
        ended_ms: at_ms,
        reason: None,
        detail: None,
        acted: 0,
    }
}

fn ended(since_ms: i64) -> KeptSince {
    KeptSince {
        ended_ms: Some(since_ms),
        ..KeptSince::default()
    }
}

fn new_id(receipt: &Receipt) -> DeliveryId {
    match receipt {
        Receipt::New { id, .. } => *id,
        Receipt::Duplicate { .. } => panic!("{receipt:?} is no new delivery"),
    }
}

#[tokio::test]
async fn an_accepted_delivery_outlives_the_process_that_took_it() {
    let fixture = Fixture::new();
    let receipts = fixture.accept(event(1, Some("a"), 10, &["t1", "t2"])).await;
    assert_eq!(receipts.len(), 2);
    // Both are held by whoever accepted them, so that nobody else gets them.
    assert!(fixture.lease(20, 9).await.is_empty());
    let fixture = fixture.reopen().await;
    let leased = fixture.lease(20, 9).await;
    let triggers: Vec<&str> = leased.iter().map(|d| d.trigger.0.as_str()).collect();
    assert_eq!(triggers, ["t1", "t2"]);
    assert_eq!(leased[0].extensions["x"], json!([1]));
    assert_eq!(leased[0].rendered, None);
}

#[tokio::test]
async fn the_same_delivery_is_known_within_its_time() {
    let journal = Fixture::new();
    let first = journal.accept(event(1, Some("a"), 0, &["t1"])).await;
    let id = new_id(&first[0]);
    let done = Progress::accepted(0).after(Happening::Succeeded, 5, &RetryPolicy::DEFAULT, 1.0);
    journal.journal.record(id, attempt(5), done).await.unwrap();

    let again = journal
        .accept(event(1, Some("a"), 59_999, &["t1", "t2"]))
        .await;
    assert_eq!(
        again[0],
        Receipt::Duplicate {
            event: EventId(Uuid::from_u128(1)),
            state: DeliveryState::Done,
            reason: None
        }
    );
    // A trigger that did not match it before has not performed it.
    assert!(matches!(again[1], Receipt::New { event, .. } if event.0.as_u128() == 1));

    // Afterwards it is an event of its own, with an id of its own.
    let late = journal.accept(event(1, Some("a"), 60_000, &["t1"])).await;
    assert!(matches!(late[0], Receipt::New { event, .. } if event.0.as_u128() == 1_001));
}

#[tokio::test]
async fn a_trigger_may_ask_for_redeliveries() {
    let fixture = Fixture::new();
    fixture.accept(event(1, Some("a"), 0, &["t1"])).await;
    let mut again = event(1, Some("a"), 1, &["t1"]);
    again.deliveries[0].rerun = true;
    let receipts = fixture.accept(again).await;
    assert!(matches!(receipts[0], Receipt::New { event, .. } if event.0.as_u128() == 1_001));
}

#[tokio::test]
async fn an_event_whose_key_is_forgotten_is_not_taken_for_itself() {
    let fixture = Fixture::new();
    fixture.accept(event(1, Some("a"), 0, &["t1"])).await;
    assert_eq!(fixture.journal.tidy(60_000, ended(0)).await.unwrap(), 1);
    let again = fixture
        .accept(event(1, Some("a"), 60_001, &["t1", "t2"]))
        .await;
    assert!(matches!(again[0], Receipt::New { event, .. } if event.0.as_u128() == 1_001));
    // One that never had it may have it under its own id.
    assert!(matches!(again[1], Receipt::New { event, .. } if event.0.as_u128() == 1));
}

#[tokio::test]
async fn deliveries_without_a_key_are_all_different() {
    let fixture = Fixture::new();
    for number in 1..=2 {
        let receipts = fixture.accept(event(number, None, 0, &["t1"])).await;
        assert!(matches!(receipts[0], Receipt::New { .. }));
    }
}

#[tokio::test]
async fn a_retry_is_leased_when_it_is_due_and_not_before() {
    let fixture = Fixture::new();
    let receipts = fixture.accept(event(1, None, 0, &["t1"])).await;
    let failed = Happening::FailedForNow(Reason::SinkUnavailable);
    let progress = Progress::accepted(0).after(failed, 100, &RetryPolicy::DEFAULT, 1.0);
    let id = new_id(&receipts[0]);
    fixture
        .journal
        .record(id, attempt(100), progress)
        .await
        .unwrap();
    assert_eq!(fixture.next_due(1_099).await, Some(1_100));
    assert!(fixture.lease(1_099, 9).await.is_empty());
    let leased = fixture.lease(1_100, 9).await;
    assert_eq!(leased[0].progress.attempts, 1);
    assert_eq!(leased[0].progress.reason, Some(Reason::SinkUnavailable));
    assert_eq!(fixture.next_due(1_100).await, None);
    fixture.journal.hand_back(vec![back(id)]).await.unwrap();
    assert_eq!(fixture.lease(1_100, 9).await.len(), 1);
}

const QUOTAS: Quotas = Quotas {
    verified: Quota {
        events: 3,
        bytes: 1_000,
    },
    unverified: Quota {
        events: 2,
        bytes: 10,
    },
};

#[tokio::test]
async fn what_ended_well_is_forgotten_and_what_was_given_up_is_not() {
    let fixture = Fixture::new();
    let policy = RetryPolicy::DEFAULT;
    for (number, happening) in [
        (1, Happening::Succeeded),
        (2, Happening::FailedForGood(Reason::ManifestInvalid)),
    ] {
        let receipts = fixture.accept(event(number, None, 0, &["t1"])).await;
        let progress = Progress::accepted(0).after(happening, 100, &policy, 1.0);
        let recorded = fixture
            .journal
            .record(new_id(&receipts[0]), attempt(100), progress);
        recorded.await.unwrap();
    }
    assert_eq!(fixture.journal.tidy(200, ended(100)).await.unwrap(), 0);
    assert_eq!(fixture.journal.tidy(200, ended(101)).await.unwrap(), 1);
    let counts = fixture.journal.counts().await.unwrap();
    assert_eq!(counts.deliveries, [(DeliveryState::Dead, 1)]);
    let of = |number| {
        fixture
            .journal
            .deliveries_of(EventId(Uuid::from_u128(number)))
    };
    assert!(of(1).await.unwrap().is_empty());
    assert_eq!(of(2).await.unwrap().len(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_journal() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let journal = SqliteJournal::open(&data.join("journal.db")).unwrap();
    let accepted = journal.admit(Some(event(1, None, 0, &["t1"])), vec![], false, QUOTAS);
    accepted.await.unwrap();
    let mode = |path: &std::path::Path| {
        let meta = std::fs::metadata(path).unwrap();
        meta.permissions().mode() & 0o777
    };
    assert_eq!(mode(&data), 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn keys_are_forgotten_after_their_time() {
    let fixture = Fixture::new();
    fixture.accept(event(1, Some("a"), 0, &["t1"])).await;
    assert_eq!(fixture.journal.tidy(59_999, ended(0)).await.unwrap(), 0);
    assert_eq!(fixture.journal.tidy(60_000, ended(0)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_folder_has_one_journal_at_a_time() {
    let fixture = Fixture::new();
    let second = SqliteJournal::open(&fixture.path());
    assert!(matches!(second, Err(JournalError::InUse(_))));
}

#[test]
fn a_file_that_is_no_journal_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    std::fs::write(
        &path,
        "this is no database, and long enough to look like one",
    )
    .unwrap();
    let error = SqliteJournal::open(&path).err().unwrap().to_string();
    assert!(error.contains("journal.db"), "{error}");
}

#[test]
fn a_journal_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    drop(connection);
    let opened = SqliteJournal::open(&path);
    assert!(matches!(
        opened,
        Err(JournalError::TooNew { found: 99, .. })
    ));
}

#[tokio::test]
async fn one_job_that_cannot_be_written_does_not_take_the_others_with_it() {
    let fixture = Fixture::new();
    // The delivery does not exist, so that its attempt breaks a reference.
    let missing = fixture.journal.write(|connection| {
        let attempt = "INSERT INTO attempts (delivery, number, started_ms, ended_ms)
                       VALUES (99, 1, 0, 0)";
        Ok(connection.execute(attempt, [])?)
    });
    let fine = fixture.accept(event(1, None, 0, &["t1"]));
    let (missing, fine) = tokio::join!(missing, fine);
    assert!(matches!(missing, Err(JournalError::Write(_))));
    assert_eq!(fine.len(), 1);
    let counts = fixture.journal.counts().await.unwrap();
    assert_eq!(counts.deliveries, [(DeliveryState::Running, 1)]);
}

#[tokio::test]
async fn nobody_holds_what_is_replayed() {
    let fixture = Fixture::new();
    fixture.accept(event(1, None, 0, &["t1"])).await;
    let replay = NewEvent {
        replay_of: Some(EventId(Uuid::from_u128(1))),
        ..event(2, None, 5, &["t1"])
    };
    let id = new_id(&fixture.accept(replay).await[0]);
    // Whoever has asked for it may be gone by now.
    let leased = fixture.lease(5, 9).await;
    assert_eq!(leased.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn what_became_of_a_delivery_that_was_forgotten_is_no_failure() {
    let fixture = Fixture::new();
    let recorded = fixture
        .journal
        .record(DeliveryId(99), attempt(1), Progress::accepted(0));
    recorded.await.unwrap();
}

#[tokio::test]
async fn many_at_once_share_commits_and_are_all_there() {
    let fixture = Fixture::new();
    let accepts = (0..300).map(|n| fixture.accept(event(n, None, 0, &["t1"])));
    for receipt in futures_util::future::join_all(accepts).await {
        assert_eq!(receipt.len(), 1);
    }
    let counts = fixture.journal.counts().await.unwrap();
    assert_eq!(counts.deliveries, [(DeliveryState::Running, 300)]);
}

#[tokio::test]
async fn a_closed_journal_says_so() {
    let fixture = Fixture::new();
    fixture.journal.close().await.unwrap();
    let late = event(1, None, 0, &["t1"]);
    let late = fixture
        .journal
        .admit(Some(late), vec![], false, QUOTAS)
        .await;
    assert!(matches!(late, Err(JournalError::Closed)));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_does_not_hide_the_others() {
    let fixture = Fixture::new();
    fixture.accept(event(1, None, 0, &["t1"])).await;
    fixture.accept(event(2, None, 0, &["t1"])).await;
    fixture.journal.close().await.unwrap();
    let Fixture { folder, journal } = fixture;
    drop(journal);
    let connection = Connection::open(folder.path().join("journal.db")).unwrap();
    connection
        .execute("UPDATE deliveries SET extensions = 'torn' WHERE id = 1", [])
        .unwrap();
    drop(connection);
    let journal = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
    let lease = journal.lease(request(1, 9)).await.unwrap();
    assert_eq!(lease.leased.len(), 1);
    assert_eq!(lease.buried[0].trigger.0, "t1");
    let counts = journal.counts().await.unwrap();
    let expected = [(DeliveryState::Dead, 1), (DeliveryState::Running, 1)];
    assert_eq!(counts.deliveries, expected);
}
