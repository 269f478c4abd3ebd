//! How the gateway stops.

use std::time::Duration;

use super::App;

/// How long the ports for people and probes may take to answer what they have
/// been asked.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long before the end of the grace period what has not begun is given
/// back, at most.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// How long the journal may take to close.
const CLOSING: Duration = Duration::from_secs(3);

impl App {
    /// Stops: not ready, then no more connections, then no more work, all
    /// within the grace period; towards its end what has not begun goes back to
    /// the journal. `hurry` skips the time in which a load balancer would
    /// notice. False where something had to be broken off; it is performed after
    /// the next start.
    pub async fn drain(self, hurry: bool) -> bool {
        self.shared.health.draining();
        self.door.leave();
        if !hurry {
            tokio::time::sleep(self.config.drain.delay).await;
        }
        let grace = self.config.drain.grace;
        let finish = async {
            self.stop.ingress.cancel();
            // Who takes his time to send was told nothing, and sends again.
            let _ = tokio::time::timeout(grace / 2, self.serving).await;
            self.admitting.close();
            self.admitting.wait().await;
            self.stop.worker.cancel();
            let _ = self.working.await;
        };
        let worker = &self.worker;
        let give_back = async {
            tokio::time::sleep(grace.saturating_sub(GIVING_BACK.min(grace / 4))).await;
            // What goes back is not to be leased again here.
            self.stop.worker.cancel();
            worker.hurry();
            std::future::pending().await
        };
        let finish = async {
            tokio::select! {
                () = finish => {}
                () = give_back => {}
            }
        };
        let finished = tokio::time::timeout(grace, finish).await;
        self.stop.worker.cancel();
        self.stop.rest.cancel();
        self.rest.close();
        // Who is still connected to the other ports has no say in this.
        let _ = tokio::time::timeout(LAST_WORDS, self.rest.wait()).await;
        let closed = tokio::time::timeout(CLOSING, self.shared.journal.close()).await;
        finished.is_ok() && matches!(closed, Ok(Ok(())))
    }
}
