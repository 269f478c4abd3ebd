//! What is kept, for how long, and in how much room.

use super::*;
use crate::journal::progress::Happening as Step;
use crate::journal::sqlite::upkeep::{self, Step as Done};
use crate::journal::upkeep::Refusal;

/// A body that takes up several pages.
const BODY: usize = 64 * 1024;

fn large(number: u128) -> NewEvent {
    let key = format!("key-{number}");
    let mut event = event(number, Some(&key), 0, &["t1"]);
    event.request.body = vec![b'x'; BODY].into();
    event
}

impl Fixture {
    fn within(bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let journal = SqliteJournal::open_within(&path, bounds).unwrap();
        Self { folder, journal }
    }

    /// One step, as the thread that looks after the file has it done.
    async fn step(&self) -> Done {
        let gauge = Arc::clone(&self.journal.gauge);
        let step = move |connection: &Connection| upkeep::step(connection, &gauge);
        self.journal.write(step).await.unwrap()
    }

    async fn states(&self) -> Vec<(DeliveryState, u64)> {
        self.journal.counts().await.unwrap().deliveries
    }
}

fn bounded(size: u64) -> Bounds {
    Bounds {
        size: Some(size),
        free: 0,
    }
}

#[tokio::test]
async fn where_room_is_short_what_ended_first_is_forgotten_and_nothing_else() {
    let fixture = Fixture::within(bounded(4 * 1024 * 1024));
    let mut ids = Vec::new();
    for number in 0..100 {
        ids.push(new_id(&fixture.accept(large(number)).await[0]));
    }
    fixture
        .end(ids[0], Step::FailedForGood(Reason::ManifestInvalid), 1)
        .await;
    for id in &ids[10..] {
        fixture.end(*id, Step::Succeeded, 100 + id.0).await;
    }
    while fixture.step().await != Done::Nothing {}
    let states = fixture.states().await;
    let of = |state| states.iter().find(|(known, _)| *known == state);
    assert_eq!(of(DeliveryState::Dead), Some(&(DeliveryState::Dead, 1)));
    assert_eq!(
        of(DeliveryState::Running),
        Some(&(DeliveryState::Running, 9))
    );
    let (_, done) = of(DeliveryState::Done).unwrap();
    assert!((1..60).contains(done), "{done}");
    let last = EventId(Uuid::from_u128(99));
    assert_eq!(
        fixture.journal.deliveries_of(last).await.unwrap().len(),
        1,
        "those that ended last are kept"
    );
    // Keys are kept by time alone, so that a repetition is still known.
    for number in [10, 99] {
        let again = fixture.accept(large(number)).await;
        assert!(matches!(again[0], Receipt::Duplicate { .. }), "{again:?}");
    }
}

#[tokio::test]
async fn a_full_journal_refuses_new_events_until_something_has_ended() {
    let fixture = Fixture::within(bounded(1024 * 1024));
    let mut ids = Vec::new();
    let refused = loop {
        let number = ids.len() as u128;
        let admitted = fixture
            .journal
            .admit(Some(large(number)), vec![], false, QUOTAS);
        match admitted.await {
            Ok(admitted) => ids.push(new_id(&admitted.receipts[0])),
            Err(error) => break error,
        }
        assert!(ids.len() < 100, "it is full some time");
        fixture.step().await;
    };
    let full = matches!(refused, JournalError::Refused(Refusal::Size { .. }));
    assert!(full, "{refused}");
    assert!(fixture.journal.check().await.is_err());
    assert!(fixture.journal.room().refusal.is_some());
    // What was accepted goes on, and makes room.
    for id in ids {
        fixture.end(id, Step::Succeeded, 100).await;
    }
    while fixture.step().await != Done::Nothing {}
    assert_eq!(fixture.accept(large(1_000)).await.len(), 1);
    fixture.journal.check().await.unwrap();
}

#[tokio::test]
async fn a_file_becomes_smaller_when_much_of_it_is_forgotten() {
    let fixture = Fixture::new();
    for number in 0..400 {
        let id = new_id(&fixture.accept(large(number)).await[0]);
        fixture.end(id, Step::Succeeded, 100).await;
    }
    fixture.step().await;
    let before = fixture.journal.room();
    assert!(before.file > 24 * 1024 * 1024, "{before:?}");
    while fixture.journal.tidy(0, ended(1_000)).await.unwrap() > 0 {}
    while fixture.step().await != Done::Nothing {}
    let after = fixture.journal.room();
    assert!(after.file < before.file / 2, "{after:?}");
    let fixture = fixture.reopen().await;
    let length = std::fs::metadata(fixture.path()).unwrap().len();
    assert!(length < before.file / 2, "{length}");
}

#[tokio::test]
async fn a_file_that_was_made_before_files_shrank_does_so_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../schema/1.sql")).unwrap();
    old.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(old);
    let journal = SqliteJournal::open(&path).unwrap();
    journal.close().await.unwrap();
    let connection = Connection::open(&path).unwrap();
    let mode: i64 = connection
        .query_row("PRAGMA auto_vacuum", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, 2);
}

#[tokio::test]
async fn what_was_given_up_is_kept_for_its_own_times() {
    let fixture = Fixture::new();
    let id = new_id(&fixture.accept(event(1, None, 0, &["t1"])).await[0]);
    let failed = Step::FailedForGood(Reason::ManifestInvalid);
    fixture.end(id, failed, 100).await;
    assert!(fixture.defer(waiting::deferral("token", "{}")).await);
    let (waiting, _) = fixture.waiting().await.unwrap();
    fixture.journal.give_up(waiting, 100).await.unwrap();
    let tidy = |dead_ms, given_up_ms| {
        let kept = KeptSince {
            ended_ms: None,
            dead_ms,
            given_up_ms,
        };
        fixture.journal.tidy(1_000, kept)
    };
    assert_eq!(tidy(None, None).await.unwrap(), 0);
    assert_eq!(tidy(Some(100), Some(100)).await.unwrap(), 0);
    assert_eq!(tidy(Some(101), None).await.unwrap(), 1);
    assert_eq!(tidy(None, Some(101)).await.unwrap(), 1);
    let counts = fixture.journal.counts().await.unwrap();
    assert_eq!((counts.deliveries.len(), counts.given_up), (0, 0));
}

#[tokio::test]
async fn a_damaged_page_that_is_met_is_told_by_name_and_nothing_new_is_taken() {
    let fixture = Fixture::new();
    for number in 0..50 {
        fixture.accept(large(number)).await;
    }
    fixture.journal.close().await.unwrap();
    let path = fixture.path();
    let Fixture { folder, journal } = fixture;
    drop(journal);
    let journal = SqliteJournal::open(&path).unwrap();
    // Every page from the second half on, while it is open.
    let length = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let garbage = vec![0xA5; usize::try_from(length / 2).unwrap()];
    std::os::unix::fs::FileExt::write_all_at(&file, &garbage, length / 2).unwrap();
    let leased = journal.lease(request(i64::MAX, 64)).await;
    assert!(
        matches!(leased, Err(JournalError::Damaged { .. })),
        "{leased:?}"
    );
    let refused = journal.admit(Some(large(99)), vec![], false, QUOTAS).await;
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("journal.db"), "{told}");
    assert!(told.contains("tripline journal salvage"), "{told}");
    assert!(journal.check().await.is_err());
    drop(folder);
}
