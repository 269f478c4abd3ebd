//! What one replica does for all: it writes the statuses of listeners.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::catalog::lease::{HOLDS, Lease};
use crate::catalog::status::{Status, Writer};
use crate::clock::unix_ms;
use crate::model::ids::ListenerId;
use crate::telemetry::Metrics;
use crate::telemetry::happening::{ClusterFailed, Happening};

/// Name of the lease, in the gateway's own namespace.
const LEASE: &str = "tripline";

/// Does it for as long as this process holds the lease.
pub(super) struct Duty {
    lease: Lease,
    writer: Writer,
    said: watch::Receiver<BTreeMap<ListenerId, Status>>,
    /// When the lease was renewed last.
    held: Option<Instant>,
    metrics: Arc<Metrics>,
}

impl Duty {
    pub(super) fn new(
        client: Client,
        said: watch::Receiver<BTreeMap<ListenerId, Status>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let holder = Uuid::now_v7().to_string();
        Self {
            lease: Lease::new(client.clone(), LEASE, holder),
            writer: Writer::new(client),
            said,
            held: None,
            metrics,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut renew = tokio::time::interval(HOLDS / 3);
        let mut is_mine = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = renew.tick() => is_mine = self.hold(is_mine).await,
                changed = self.said.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
            }
            if is_mine {
                let wanted = self.said.borrow_and_update().clone();
                // What is not done then goes on after the lease is renewed.
                let write = timeout(HOLDS / 5, self.writer.write(&wanted, now()));
                tokio::select! {
                    () = stop.cancelled() => break,
                    failure = write => {
                        self.report("writing the status of listeners", failure.unwrap_or_default());
                    }
                }
            }
        }
        // The next one need not wait until the lease has run out.
        if is_mine {
            let _ = timeout(HOLDS / 10, self.lease.release()).await;
        }
    }

    async fn hold(&mut self, was_mine: bool) -> bool {
        let asked = timeout(HOLDS / 5, self.lease.hold(now())).await;
        let is_mine = match asked {
            Ok(Ok(is_mine)) => {
                self.held = is_mine.then(Instant::now);
                is_mine
            }
            // It holds as long as nobody else may take it.
            Ok(Err(error)) => {
                self.report("renewing the lease", Some(error));
                self.held.is_some_and(|at| at.elapsed() < HOLDS)
            }
            Err(_) => self.held.is_some_and(|at| at.elapsed() < HOLDS),
        };
        if is_mine && !was_mine {
            self.writer.forget();
        }
        is_mine
    }

    fn report(&self, what: &str, failure: Option<kube::Error>) {
        if let Some(error) = failure {
            let error = error.to_string();
            ClusterFailed {
                what,
                error: &error,
            }
            .emit(&self.metrics);
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(unix_ms()).unwrap_or_default()
}
