//! The journal that several gateways share: streams of NATS JetStream.
//!
//! Deliveries lie in a work queue until they have been performed; what steers
//! them, what became of them and which are known already is in streams beside
//! it. Works with servers from 2.9 on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::PullConsumer;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::model::finding::Finding;
use crate::model::ids::{DeliveryId, EventId, Revision};

use super::progress::Progress;
use super::seal::Seal;
use super::upkeep::KeptSince;
use super::{
    Admitted, Attempt, Counts, Deferral, DeliveryView, Done, HandBack, Journal, JournalError,
    Lease, NewDeferral, NewEvent, Quotas, Receipt, Rendered, Request, Settlement,
};

mod admit;
mod connect;
mod ending;
mod held;
mod history;
mod pull;
mod query;
mod record;
mod store;
mod streams;
mod waiting;

pub use connect::Access;
use ending::Ended;
use held::{HeldDeliveries, Taken};
use pull::{ACK_WAIT, Arrivals};
use store::{Store, remote};
use streams::Names;

/// Requests that may wait for the server at once. Beyond, the gateway answers
/// 503.
const ADMITTED_AT_ONCE: usize = 4096;

/// Deliveries that are looked at at once.
const OPENED_AT_ONCE: usize = 16;

/// How long the streams may take to be there, and how long to wait before they
/// are asked for again.
const PREPARED_WITHIN: Duration = Duration::from_secs(30);
const PREPARE_AGAIN: Duration = Duration::from_millis(500);

/// How long a revision counts as written down once it was.
const REVISION_HOLDS_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Revisions that are remembered as written down.
const REVISIONS_REMEMBERED: usize = 512;

/// How the streams are to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the names of all streams and subjects begin with.
    pub prefix: String,
    /// Servers that hold each stream: 1, 3 or 5.
    pub replicas: usize,
    /// Bytes of deliveries that may wait, -1 for no limit. Beyond, the gateway
    /// answers 503.
    pub max_bytes: i64,
    /// Bytes of history, -1 for no limit. Beyond, the oldest goes.
    pub history_max_bytes: i64,
    /// How long history is kept.
    pub retention: Duration,
    /// How long deliveries are known: at least as long as any window.
    pub dedupe_kept_for: Duration,
}

/// A journal on a NATS server.
pub struct JetStreamJournal {
    store: Store,
    names: Names,
    replicas: usize,
    seal: Seal,
    held: HeldDeliveries,
    ended: Ended,
    /// Up to where the history has no payload any more that is too old.
    forgotten: AtomicU64,
    arrivals: Arc<Arrivals>,
    admitting: Semaphore,
    revisions: Revisions,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Revisions that are known to be written down, and what they are the hashes of.
#[derive(Default)]
struct Revisions(Mutex<HashMap<Revision, (Instant, Arc<str>)>>);

impl Revisions {
    fn get(&self, revision: &Revision) -> Option<Arc<str>> {
        let known = self.0.lock().ok()?;
        let (written, source) = known.get(revision)?;
        (written.elapsed() < REVISION_HOLDS_FOR).then(|| Arc::clone(source))
    }

    fn note(&self, revision: &Revision, source: Arc<str>) {
        if let Ok(mut known) = self.0.lock() {
            if known.len() >= REVISIONS_REMEMBERED {
                known.clear();
            }
            known.insert(revision.clone(), (Instant::now(), source));
        }
    }
}

impl JetStreamJournal {
    /// Connects and makes the streams that are not there. `seal` is the file of
    /// the key that credentials are sealed with: all gateways need the same.
    pub async fn open(
        access: &Access,
        settings: &Settings,
        seal: &Path,
    ) -> Result<Arc<Self>, JournalError> {
        if let Some(folder) = seal.parent() {
            make_private(folder).map_err(|error| JournalError::Folder {
                path: folder.to_owned(),
                message: error.to_string(),
            })?;
        }
        let opened = Seal::open(seal).map_err(|error| JournalError::Folder {
            path: seal.to_owned(),
            message: error.to_string(),
        })?;
        let client = access.connect().await?;
        let names = Names::new(&settings.prefix);
        let store = Store::new(client, names.clone(), settings.replicas);
        let consumers = prepare(&store, settings).await?;
        let journal = Arc::new(Self {
            store,
            names,
            replicas: settings.replicas,
            seal: opened,
            held: HeldDeliveries::default(),
            ended: Ended::default(),
            forgotten: AtomicU64::new(0),
            arrivals: Arc::new(Arrivals::new()),
            admitting: Semaphore::new(ADMITTED_AT_ONCE),
            revisions: Revisions::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        for (partition, consumer) in consumers.into_iter().enumerate() {
            let arrivals = Arc::clone(&journal.arrivals);
            let (store, stop) = (journal.store.clone(), journal.stop.clone());
            let pulling = pull::pull((arrivals, store), consumer, partition, stop);
            journal.tasks.spawn(pulling);
        }
        let alive = Arc::clone(&journal);
        journal.tasks.spawn(async move { alive.stay_alive().await });
        let tidy = Arc::clone(&journal);
        journal.tasks.spawn(async move { tidy.stay_tidy().await });
        Ok(journal)
    }

    async fn stay_alive(&self) {
        let mut often = tokio::time::interval(ACK_WAIT / 4);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = often.tick() => {}
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.give_signs_of_life() => {}
            }
        }
    }

    async fn stay_tidy(&self) {
        let mut often = tokio::time::interval(ACK_WAIT / 4);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = often.tick() => {}
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.remove_ended() => {}
            }
        }
    }

    async fn admit_all(
        &self,
        event: Option<NewEvent>,
        waiting: Vec<NewDeferral>,
        may_retry: bool,
        quotas: Quotas,
    ) -> Result<Admitted, JournalError> {
        self.store.connected()?;
        let Ok(_slot) = self.admitting.try_acquire() else {
            return Err(JournalError::Busy);
        };
        let mut admitted = Admitted::default();
        if let Some(event) = &event {
            admitted.receipts = self.insert(event).await?;
        }
        let (fitting, turned_away) = self.split(waiting, quotas).await?;
        // Who is told to come again must not find half of it kept.
        if !may_retry || turned_away.is_empty() {
            for deferral in &fitting {
                self.wait_for(deferral).await?;
            }
        }
        let triggers = turned_away.into_iter().map(|deferral| deferral.triggers);
        admitted.turned_away.extend(triggers);
        Ok(admitted)
    }

    async fn lease_some(&self, now_ms: i64, limit: usize) -> Lease {
        let arrivals = self.arrivals.take(limit);
        let taken = futures_util::stream::iter(arrivals)
            .map(|arrival| self.take(arrival, now_ms))
            .buffered(OPENED_AT_ONCE);
        let mut lease = Lease::default();
        let mut taken = std::pin::pin!(taken);
        while let Some(taken) = taken.next().await {
            match taken {
                Taken::Leased(leased) => lease.leased.push(*leased),
                Taken::Buried(buried) => lease.buried.push(buried),
                Taken::Nothing => {}
            }
        }
        lease
    }

    async fn shut_down(&self) -> Result<(), JournalError> {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        // Another gateway need not wait until nobody hears of this one.
        self.give_back_held(&self.held.ids()).await?;
        for arrival in self.arrivals.take(usize::MAX) {
            let back = async_nats::jetstream::AckKind::Nak(None);
            let _ = arrival.acker.ack_with(back).await;
        }
        let flushed = self.store.client().flush().await;
        flushed.map_err(|error| remote(error.to_string()))
    }
}

/// Makes streams and consumers. Servers that have just been started choose
/// their leaders first.
async fn prepare(store: &Store, settings: &Settings) -> Result<Vec<PullConsumer>, JournalError> {
    let began = Instant::now();
    loop {
        let prepared = async {
            store.names.ensure(&store.context, settings).await?;
            pull::make_consumers(store).await
        };
        match prepared.await {
            Err(error) if began.elapsed() < PREPARED_WITHIN => {
                tracing::debug!(%error, "the streams are not there yet");
                tokio::time::sleep(PREPARE_AGAIN).await;
            }
            done => return done,
        }
    }
}

/// Makes the folder where it is not there, its owner's alone.
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)
}

impl Journal for JetStreamJournal {
    fn is_shared(&self) -> bool {
        true
    }

    fn guarantee(&self) -> &'static str {
        match self.replicas {
            1 => {
                "an accepted event is with one NATS server: it survives the end of any process, and not a power failure there"
            }
            _ => {
                "an accepted event is with most of its NATS servers: it survives the loss of the others, power failures included"
            }
        }
    }

    fn arrived(&self) -> Done<'_, ()> {
        Box::pin(async move {
            while !self.arrivals.has_some() {
                self.arrivals.here.notified().await;
            }
            Ok(())
        })
    }

    fn admit(
        &self,
        event: Option<NewEvent>,
        waiting: Vec<NewDeferral>,
        may_retry: bool,
        quotas: Quotas,
    ) -> Done<'_, Admitted> {
        Box::pin(self.admit_all(event, waiting, may_retry, quotas))
    }

    fn commit(
        &self,
        id: DeliveryId,
        rendered: Arc<Rendered>,
        findings: Vec<Finding>,
    ) -> Done<'_, ()> {
        Box::pin(async move { self.write_making(id, &rendered, findings).await })
    }

    fn record(&self, id: DeliveryId, attempt: Attempt, progress: Progress) -> Done<'_, ()> {
        Box::pin(async move { self.write_attempt(id, &attempt, progress).await })
    }

    fn lease(&self, request: Request) -> Done<'_, Lease> {
        // What arrives is not chosen, and what is due later comes by itself.
        Box::pin(async move { Ok(self.lease_some(request.now_ms, request.limit).await) })
    }

    fn hand_back(&self, back: Vec<HandBack>) -> Done<'_, ()> {
        Box::pin(async move { self.give_back_until(&back).await })
    }

    fn next_deferred(&self, after: i64) -> Done<'_, Option<Deferral>> {
        Box::pin(self.next_waiting(after))
    }

    fn settle(&self, id: i64, settlement: Settlement) -> Done<'_, Option<Vec<Receipt>>> {
        Box::pin(self.settle_waiting(id, settlement))
    }

    fn give_up(&self, id: i64, now_ms: i64) -> Done<'_, ()> {
        Box::pin(self.give_up_waiting(id, now_ms))
    }

    fn deliveries_of(&self, event: EventId) -> Done<'_, Vec<DeliveryView>> {
        Box::pin(self.views_of(event))
    }

    fn counts(&self) -> Done<'_, Counts> {
        Box::pin(self.count())
    }

    fn tidy(&self, _now_ms: i64, _kept: KeptSince) -> Done<'_, usize> {
        // The streams forget by age.
        Box::pin(async { Ok(0) })
    }

    fn check(&self) -> Done<'_, ()> {
        Box::pin(self.probe())
    }

    fn close(&self) -> Done<'_, ()> {
        Box::pin(self.shut_down())
    }
}
