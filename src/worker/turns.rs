//! Whose turn it is, for tasks: [`Flow`] with a clock and a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::flow::{Capacity, Entered, Flow, Hold, Lane, Pass, Room};

/// Gives turns.
pub(super) struct Turns {
    flow: Mutex<Flow<oneshot::Sender<Turn>>>,
    began: Instant,
    /// Told when the journal should be asked for more.
    wake: Notify,
}

/// What became of something that wants its turn.
pub(super) enum Asked {
    /// It has it.
    Now(Turn),
    /// It gets it later.
    Later(oneshot::Receiver<Turn>),
    /// There is no turn for it, and no room to wait.
    Back(Hold),
}

/// The right to work, for as long as it is held.
pub(super) struct Turn {
    turns: Arc<Turns>,
    pass: Pass,
}

impl Turns {
    pub(super) fn new(capacity: Capacity) -> Arc<Self> {
        Arc::new(Self {
            flow: Mutex::new(Flow::new(capacity)),
            began: Instant::now(),
            wake: Notify::new(),
        })
    }

    /// Asks for a turn; [`Flow::enter`] says what for.
    pub(super) fn ask(self: &Arc<Self>, lane: &Lane, is_new: bool, bytes: usize) -> Asked {
        let (ticket, turn) = oneshot::channel();
        let now = self.now();
        let entered = self.flow().enter(lane, ticket, (is_new, bytes), now);
        match entered {
            Entered::Begins(_, pass) => Asked::Now(self.turn(pass)),
            Entered::Waits => Asked::Later(turn),
            Entered::Back(_, hold) => Asked::Back(hold),
        }
    }

    /// Waits until the journal should be asked for more.
    pub(super) async fn is_woken(&self) {
        self.wake.notified().await;
    }

    /// Says that the journal should be asked for more.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// How many of a lane may be leased now.
    pub(super) fn room(&self, lane: &Lane) -> Room {
        let now = self.now();
        self.flow().room(lane, now)
    }

    /// The structure itself.
    pub(super) fn flow(&self) -> MutexGuard<'_, Flow<oneshot::Sender<Turn>>> {
        // Nobody panics in it; its counts would be right all the same.
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time that it goes by.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn turn(self: &Arc<Self>, pass: Pass) -> Turn {
        Turn {
            turns: Arc::clone(self),
            pass,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = self.turns.now();
        let mut begun = Vec::new();
        let mut flow = self.turns.flow();
        if flow.leave(&self.pass, now) {
            self.turns.wake();
        }
        while let Some((ticket, pass)) = flow.next(now) {
            if ticket.is_closed() {
                flow.leave(&pass, now);
            } else {
                begun.push((ticket, pass));
            }
        }
        // Where somebody stops waiting just now, the turn ends at once, and that
        // takes the lock again.
        drop(flow);
        for (ticket, pass) in begun {
            let _ = ticket.send(self.turns.turn(pass));
        }
    }
}
