//! What a journal remembers, and what people may do to it.

use tripline::journal::history::{Change, DeliveryFilter, Erasure, EventFilter, Page, Paging};

use super::{
    DeliveryState, Duration, Happening, Place, Reason, accept, end, event, lease, new_id,
    nothing_comes, now_ms, record, waiting,
};

fn page(limit: usize, cursor: Option<String>) -> Paging {
    Paging { limit, cursor }
}

/// Every page of a list, one after the other.
async fn all<T, F>(list: impl Fn(Paging) -> F) -> Vec<T>
where
    F: Future<Output = Page<T>>,
{
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let found = list(page(2, cursor)).await;
        assert!(found.items.len() <= 2);
        items.extend(found.items);
        cursor = found.next;
        if cursor.is_none() {
            return items;
        }
    }
}

/// Events and deliveries are listed, newest first, each once.
pub(super) async fn lists_what_was_accepted(place: &dyn Place) {
    let opened = place.open_history().await;
    let (journal, history) = (&*opened.journal, &*opened.history);
    let at_ms = now_ms() - 100;
    for (key, offset, triggers) in [
        ("a", 0, &["t1"][..]),
        ("b", 1, &["t1", "t2"]),
        ("c", 2, &["t2"]),
    ] {
        accept(journal, event(key, at_ms + offset, triggers)).await;
    }
    for leased in lease(journal, now_ms(), 4).await {
        let happening = match leased.trigger.0.as_str() {
            "t1" => Happening::Succeeded,
            _ => Happening::FailedForGood(Reason::NameTaken),
        };
        record(journal, &leased, happening, now_ms()).await;
    }
    let events = |filter: EventFilter| {
        all(move |page| {
            let filter = filter.clone();
            async move { history.events(filter, page).await.unwrap() }
        })
    };
    let ids = |keys: &[&str]| -> Vec<_> { keys.iter().map(|key| event(key, 0, &[]).id).collect() };
    let found = events(EventFilter::default()).await;
    assert_eq!(
        found.iter().map(|e| e.id).collect::<Vec<_>>(),
        ids(&["c", "b", "a"])
    );
    assert_eq!(found[1].deliveries.len(), 2);
    let dead = EventFilter {
        states: vec![DeliveryState::Dead],
        ..EventFilter::default()
    };
    let found = events(dead).await;
    assert_eq!(
        found.iter().map(|e| e.id).collect::<Vec<_>>(),
        ids(&["c", "b"])
    );
    let early = EventFilter {
        until_ms: Some(at_ms + 1),
        ..EventFilter::default()
    };
    assert_eq!(events(early).await.len(), 1);
    let deliveries = |filter: DeliveryFilter| {
        all(move |page| {
            let filter = filter.clone();
            async move { history.deliveries(filter, page).await.unwrap() }
        })
    };
    assert_eq!(deliveries(DeliveryFilter::default()).await.len(), 4);
    let dead = DeliveryFilter {
        states: vec![DeliveryState::Dead],
        reason: Some(Reason::NameTaken),
        ..DeliveryFilter::default()
    };
    let dead = deliveries(dead).await;
    assert_eq!(dead.len(), 2);
    let (summary, detail) = history.delivery(dead[0].id).await.unwrap().unwrap();
    assert_eq!(summary, dead[0]);
    assert_eq!(detail.attempts.len(), 1);
    assert_eq!(detail.source, "{\"a\":1}");
    let whole = history.event(dead[0].event).await.unwrap().unwrap();
    assert_eq!(&whole.requests[0].request.body[..], b"{\"n\":1}");
    end(opened.journal).await;
}

/// What was replayed says by what.
pub(super) async fn notes_what_was_replayed(place: &dyn Place) {
    let opened = place.open_history().await;
    let (journal, history) = (&*opened.journal, &*opened.history);
    let sent = event("a", now_ms(), &["t1"]);
    accept(journal, sent.clone()).await;
    let leased = lease(journal, now_ms(), 1).await;
    let gone = Happening::FailedForGood(Reason::NameTaken);
    record(journal, &leased[0], gone, now_ms()).await;
    let mut again = event("a", now_ms(), &["t1"]);
    again.id = again.rerun_id;
    again.key = None;
    again.replay_of = Some(sent.id);
    new_id(&accept(journal, again.clone()).await[0]);
    let dead = DeliveryFilter {
        states: vec![DeliveryState::Dead],
        ..DeliveryFilter::default()
    };
    let found = history
        .deliveries(dead.clone(), page(9, None))
        .await
        .unwrap();
    assert_eq!(found.items[0].replayed_by, Some(again.id));
    let open = DeliveryFilter {
        unreplayed: true,
        ..dead
    };
    let found = history.deliveries(open, page(9, None)).await.unwrap();
    assert!(found.items.is_empty(), "{:?}", found.items);
    let record = history.event(again.id).await.unwrap().unwrap();
    assert_eq!(record.requests[0].summary.replay_of, Some(sent.id));
    end(opened.journal).await;
}

/// A delivery that is to be retried can be retried now, or put away.
pub(super) async fn lets_people_retry_and_discard(place: &dyn Place) {
    let opened = place.open_history().await;
    let (journal, history) = (&*opened.journal, &*opened.history);
    accept(journal, event("a", now_ms(), &["t1", "t2"])).await;
    let leased = lease(journal, now_ms(), 2).await;
    // So that the wait is long.
    let mut progress = Vec::new();
    for leased in &leased {
        let mut leased = leased.clone();
        leased.progress.attempts = 5;
        let failed = Happening::FailedForNow(Reason::SinkUnavailable);
        progress.push(record(journal, &leased, failed, now_ms()).await);
    }
    nothing_comes(journal, now_ms()).await;
    let put_away = history.discard(leased[1].id, now_ms()).await.unwrap();
    assert_eq!(put_away, Change::Made);
    let hurried = history.retry_now(leased[0].id, now_ms()).await.unwrap();
    assert_eq!(hurried, Change::Made);
    let again = lease(journal, now_ms(), 1).await;
    assert_eq!(again[0].id, leased[0].id);
    assert_eq!(again[0].progress.attempts, 6);
    record(journal, &again[0], Happening::Succeeded, now_ms()).await;
    // Long after both had been due.
    let late = progress[1].due_ms + 1_000;
    nothing_comes(journal, late).await;
    let (summary, _) = history.delivery(leased[1].id).await.unwrap().unwrap();
    assert_eq!(summary.progress.state, DeliveryState::Cancelled);
    assert_eq!(summary.progress.reason, Some(Reason::Discarded));
    // Whoever sends it again is told what became of both.
    let again = accept(journal, event("a", now_ms(), &["t1", "t2"])).await;
    let states: Vec<DeliveryState> = again.iter().map(|one| super::earlier(one).0).collect();
    assert_eq!(states, [DeliveryState::Done, DeliveryState::Cancelled]);
    let done = history.discard(leased[0].id, now_ms()).await.unwrap();
    assert_eq!(done, Change::NotNow(DeliveryState::Done));
    end(opened.journal).await;
}

/// What is erased leaves its skeleton, and is known all the same.
pub(super) async fn erases_payloads(place: &dyn Place) {
    let opened = place.open_history().await;
    let (journal, history) = (&*opened.journal, &*opened.history);
    let sent = event("a", now_ms(), &["t1", "t2"]);
    accept(journal, sent.clone()).await;
    let leased = lease(journal, now_ms(), 2).await;
    record(journal, &leased[0], Happening::Succeeded, now_ms()).await;
    let failed = Happening::FailedForNow(Reason::SinkUnavailable);
    record(journal, &leased[1], failed, now_ms()).await;
    let refused = history.erase(sent.id, false, now_ms()).await.unwrap();
    let under_way = Erasure::UnderWay {
        deliveries: vec![leased[1].id],
        waiting: 0,
    };
    assert_eq!(refused, under_way);
    let erased = history.erase(sent.id, true, now_ms()).await.unwrap();
    let expected = Erasure::Erased {
        requests: 1,
        cancelled: vec![leased[1].id],
        waiting: 0,
    };
    assert_eq!(erased, expected);
    let record = history.event(sent.id).await.unwrap().unwrap();
    let request = &record.requests[0];
    assert!(request.request.body.is_empty());
    assert!(request.summary.erased_ms.is_some());
    let states: Vec<DeliveryState> = request
        .summary
        .deliveries
        .iter()
        .map(|delivery| delivery.progress.state)
        .collect();
    assert_eq!(states, [DeliveryState::Done, DeliveryState::Cancelled]);
    assert!(request.deliveries.iter().all(|one| one.rendered.is_none()));
    // Its keys are kept.
    super::earlier(&accept(journal, sent).await[0]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    nothing_comes(journal, now_ms() + 60_000).await;
    let unknown = event("b", 0, &[]).id;
    let nothing = history.erase(unknown, true, now_ms()).await.unwrap();
    assert_eq!(nothing, Erasure::Unknown);
    end(opened.journal).await;
}

/// What was given up while it waited can wait again.
pub(super) async fn lets_what_was_given_up_wait_again(place: &dyn Place) {
    let opened = place.open_history().await;
    let (journal, history) = (&*opened.journal, &*opened.history);
    let event = waiting::deferral(1, true);
    assert!(waiting::defer(journal, event.clone()).await);
    let first = waiting::next(journal, 0).await.unwrap();
    journal.give_up(first.id, now_ms()).await.unwrap();
    let listed = |page| async { history.waiting(page).await.unwrap() };
    let given_up = all(listed).await;
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0].given_up_ms.is_some());
    assert_eq!(history.wait_again(event.event).await.unwrap(), 1);
    let again = waiting::next(journal, first.id).await.unwrap();
    assert_ne!(again.id, first.id);
    assert_eq!(again.waiting.unwrap().triggers, event.triggers);
    let waits = all(listed).await;
    assert_eq!(waits.len(), 1);
    assert_eq!(waits[0].given_up_ms, None);
    end(opened.journal).await;
}
