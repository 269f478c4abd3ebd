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
                _ = tidy.tick() => {
                    self.tidy(stop).await;
                    self.forget_payloads(stop).await;
                }
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

    /// Forgets what events have brought that are older than that is kept.
    async fn forget_payloads(&self, stop: &CancellationToken) {
        let Some(kept) = self.parts.retention.payload else {
            return;
        };
        let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        while !stop.is_cancelled() {
            let now_ms = unix_ms();
            let before_ms = now_ms.saturating_sub(kept_ms);
            match self.parts.history.forget_payloads(before_ms, now_ms).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return self.report("payloads that are no longer kept", &error),
            }
        }
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
