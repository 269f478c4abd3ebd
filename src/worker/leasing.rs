//! Takes work out of the journal as far as it may begin, and gives back what
//! may not.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::unix_ms;
use crate::failpoint::{self, Point};
use crate::journal::{Cursor, HandBack, Leased, Request};
use crate::model::ids::{DeliveryId, ListenerId, TriggerId};
use crate::model::verdict::Reason;
use crate::pipeline::Held;
use crate::telemetry::happening::{DeliveryHeldBack, Happening};

use super::flow::{Hold, Lane};
use super::turns::{Asked, Turn};
use super::{AFTER_FAILURE, Kept, LOOK_AGAIN, Worker};

/// Deliveries of one lease.
const LEASED: usize = 64;

/// How long what arrives by itself is left alone where some of it could not
/// begin.
const PAUSE: Duration = Duration::from_millis(100);

/// A delivery that somebody in this process has.
pub(super) enum Task {
    /// Handed over by the accept lane.
    Held(Held, Arc<dyn Kept>),
    /// Leased from the journal.
    Leased(Box<Leased>),
}

impl Task {
    fn id(&self) -> DeliveryId {
        match self {
            Self::Held(held, _) => held.id,
            Self::Leased(leased) => leased.id,
        }
    }

    fn of(&self) -> (&ListenerId, &TriggerId) {
        match self {
            Self::Held(held, _) => (held.trigger.listener(), held.trigger.id()),
            Self::Leased(leased) => (&leased.listener, &leased.trigger),
        }
    }

    /// Whether it was never in the journal's hands, and the memory that nobody
    /// else counts.
    fn weight(&self) -> (bool, usize) {
        match self {
            Self::Held(..) => (true, 0),
            Self::Leased(leased) => (false, leased.request.body.len()),
        }
    }
}

/// A round over everything in the journal that is due.
struct Round {
    after: Option<Cursor>,
    since: u64,
    left: Vec<(ListenerId, TriggerId)>,
    next_due_ms: Option<i64>,
    /// From when on what arrives by itself is taken: it is not chosen, so that
    /// what may not begin goes back, and would come again at once.
    arrivals_from: Instant,
}

impl Worker {
    /// Performs what is due, until `stop`.
    pub(super) async fn perform(self: &Arc<Self>, stop: &CancellationToken) {
        let mut changed = self.parts.catalog.changed();
        let mut round = Round {
            after: None,
            since: 0,
            left: Vec::new(),
            next_due_ms: None,
            arrivals_from: Instant::now(),
        };
        let journal = self.journal();
        let mut next_lease = Some(Instant::now());
        loop {
            let arrived = async {
                tokio::time::sleep_until(round.arrivals_from).await;
                journal.arrived().await
            };
            let due = async {
                match next_lease {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = due => {}
                () = self.lanes.turns.is_woken() => {}
                Ok(()) = arrived => {}
                // Limits may have changed.
                _ = changed.changed() => self.lanes.turns.flow().forget_survey(),
            }
            next_lease = self.lease_due(&mut round).await;
        }
    }

    /// Leases some of what is due. Gives the time of the next look.
    async fn lease_due(self: &Arc<Self>, round: &mut Round) -> Option<Instant> {
        let turns = &self.lanes.turns;
        let (bytes, places) = {
            let flow = turns.flow();
            (flow.bytes_left(), flow.places_left())
        };
        if bytes == 0 || places == 0 {
            round.arrivals_from = Instant::now() + PAUSE;
            // Whoever gives memory back is asked to tell. What was looked at
            // is looked at again then.
            turns.flow().starve();
            (round.after, round.next_due_ms) = (None, None);
            round.left.clear();
            return Some(Instant::now() + LOOK_AGAIN);
        }
        if round.after.is_none() {
            round.since = turns.flow().survey_begins();
        }
        let request = Request {
            now_ms: unix_ms(),
            limit: LEASED.min(places),
            bytes,
            portions: Arc::clone(&self.lanes) as _,
            after: round.after.clone(),
        };
        let lease = match self.journal().lease(request).await {
            Ok(lease) => lease,
            Err(error) => {
                self.report("what is due", &error);
                return Some(Instant::now() + AFTER_FAILURE);
            }
        };
        for buried in &lease.buried {
            self.emit_buried(buried);
        }
        let mut back = Vec::new();
        for leased in lease.leased {
            back.extend(self.give_turn(Task::Leased(Box::new(leased))));
        }
        if !back.is_empty() {
            round.arrivals_from = Instant::now() + PAUSE;
        }
        self.give_back(back);
        round.left.extend(lease.left);
        round.next_due_ms = earlier(round.next_due_ms, lease.next_due_ms);
        round.after = lease.resume;
        if round.after.is_some() {
            return Some(Instant::now());
        }
        let left = std::mem::take(&mut round.left);
        let again = self.end_round(round, left);
        let due = round.next_due_ms.take().map(|due_ms| {
            let wait = u64::try_from(due_ms.saturating_sub(unix_ms())).unwrap_or_default();
            // The clock may be set in the meantime.
            Instant::now() + Duration::from_millis(wait).min(LOOK_AGAIN)
        });
        let now = turns.now();
        let token = turns.flow().next_token(now);
        let token = token.map(|at| Instant::now() + at.saturating_sub(now));
        let again = again.then(Instant::now);
        // Whatever has changed without anybody having told.
        let at_last = Some(Instant::now() + LOOK_AGAIN);
        [due, token, again, at_last].into_iter().flatten().min()
    }

    /// Notes what a round has left. Whether some of that may begin by now.
    fn end_round(&self, round: &mut Round, left: Vec<(ListenerId, TriggerId)>) -> bool {
        round.after = None;
        let left: Vec<Lane> = left
            .iter()
            .map(|(listener, trigger)| self.lanes.lane(listener, trigger))
            .collect();
        let turns = &self.lanes.turns;
        let now = turns.now();
        turns.flow().survey_ends(round.since, left, now)
    }

    /// Begins a delivery now or when its turn comes. Where there is no turn for
    /// it, it is to go back.
    pub(super) fn give_turn(self: &Arc<Self>, task: Task) -> Option<(Lane, HandBack)> {
        let (listener, trigger) = task.of();
        let lane = self.lanes.lane(listener, trigger);
        let (is_new, bytes) = task.weight();
        let worker = Arc::clone(self);
        match self.lanes.turns.ask(&lane, is_new, bytes) {
            Asked::Now(turn) => {
                self.tasks
                    .spawn(async move { worker.begin(task, turn).await });
                None
            }
            Asked::Later(turn) => {
                self.tasks.spawn(async move {
                    tokio::select! {
                        biased;
                        // Nobody ends the giving of turns before this has one.
                        Ok(turn) = turn => worker.begin(task, turn).await,
                        () = worker.hurry.cancelled() => {
                            worker.put_back(vec![(lane, hand_back(&task, None))]).await;
                        }
                    }
                });
                None
            }
            Asked::Back(hold) => Some((lane, hand_back(&task, Some((hold, self))))),
        }
    }

    /// A delivery for which there is no memory goes back.
    pub(super) fn turn_away(&self, task: &Task) -> (Lane, HandBack) {
        let (listener, trigger) = task.of();
        let lane = self.lanes.lane(listener, trigger);
        self.lanes.turns.flow().goes_back(&lane);
        (lane, hand_back(task, None))
    }

    async fn begin(&self, task: Task, turn: Turn) {
        match task {
            Task::Held(held, _kept) => self.attempt_held(held).await,
            Task::Leased(leased) => self.attempt_leased(*leased).await,
        }
        drop(turn);
    }

    /// Gives deliveries back to the journal, and does not wait for it.
    pub(super) fn give_back(self: &Arc<Self>, back: Vec<(Lane, HandBack)>) {
        if back.is_empty() {
            return;
        }
        let worker = Arc::clone(self);
        self.tasks.spawn(async move { worker.put_back(back).await });
    }

    async fn put_back(&self, back: Vec<(Lane, HandBack)>) {
        let (lanes, back): (Vec<Lane>, Vec<HandBack>) = back.into_iter().unzip();
        for back in &back {
            let reason = back.reason;
            DeliveryHeldBack { reason }.emit(&self.parts.metrics);
        }
        let journal = self.journal();
        failpoint::reach(Point::HandBack);
        self.write_down("a delivery that is given back", || {
            journal.hand_back(back.clone())
        })
        .await;
        let turns = &self.lanes.turns;
        lanes.iter().for_each(|lane| turns.flow().is_back(lane));
        turns.wake();
    }
}

/// A delivery that goes back, and why.
fn hand_back(task: &Task, hold: Option<(Hold, &Worker)>) -> HandBack {
    let wait = hold.and_then(|(hold, worker)| {
        let now = worker.lanes.turns.now();
        Some(hold.until?.saturating_sub(now))
    });
    HandBack {
        id: task.id(),
        reason: hold.map_or(Reason::AwaitsSlot, |(hold, _)| hold.reason),
        wait,
    }
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}
