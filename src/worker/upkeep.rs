//! Keeps the journal to its bounds, and tells when it takes no new events.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::unix_ms;
use crate::journal::upkeep::Refusal;
use crate::telemetry::happening::{Happening, JournalRefuses, JournalTakes};

use super::Worker;

/// How often it is looked whether something is kept for too long.
const TIDY: Duration = Duration::from_secs(60);

/// How often it is looked whether new events are taken.
const LOOK: Duration = Duration::from_secs(1);

impl Worker {
    /// Forgets what is old and tells what happens to the journal.
    pub(super) async fn keep_up(self: &Arc<Self>, stop: &CancellationToken) {
        let (mut tidy, mut look) = (tokio::time::interval(TIDY), tokio::time::interval(LOOK));
        let mut refused = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => refused = self.tell_refusal(refused),
                _ = tidy.tick() => self.tidy(stop).await,
            }
        }
    }

    /// Tells where new events are taken no more, or again. Gives why not.
    fn tell_refusal(&self, before: Option<Refusal>) -> Option<Refusal> {
        let now = self.journal().room().refusal;
        let code = |refusal: &Option<Refusal>| refusal.as_ref().map(Refusal::code);
        if code(&now) != code(&before) {
            match &now {
                Some(refusal) => JournalRefuses(refusal).emit(&self.parts.metrics),
                None => JournalTakes.emit(&self.parts.metrics),
            }
        }
        now
    }

    /// Forgets what is old, a little at once.
    async fn tidy(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let now_ms = unix_ms();
            let kept = self.parts.retention.at(now_ms);
            match self.journal().tidy(now_ms, kept).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return self.report("what is no longer kept", &error),
            }
        }
    }
}
