//! Deliveries on their way from the server to whoever performs them.
//!
//! Each partition is pulled from by itself, a few deliveries ahead and no more,
//! and they are taken from one partition after the other: a listener whose
//! deliveries fill one does not keep those of another waiting.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::message::{Acker, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::journal::JournalError;

use super::store::{Parts, Store, remote};
use super::streams::{Kind, PARTITIONS};

/// How long the server waits for a sign of life before it gives a delivery to
/// somebody else.
pub(super) const ACK_WAIT: Duration = Duration::from_secs(30);

/// Deliveries of one partition that are held ahead.
const AHEAD: usize = 4;

/// How long the server holds a question open where there is nothing.
const ASK_AGAIN: Duration = Duration::from_secs(20);

/// How long to leave the server alone after it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Deliveries that may be under way at once, and wait for a retry, in one
/// partition.
const MOST_UNDER_WAY: i64 = 100_000;

/// How long a delivery is kept that no gateway can open, in milliseconds.
const HOPELESS_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

/// A delivery that the server has handed over.
pub(super) struct Arrival {
    /// Its number in the stream.
    pub sequence: u64,
    /// How often it has been handed over, this time included.
    pub delivered: i64,
    /// When it was published, in milliseconds of Unix time.
    pub published_ms: i64,
    pub payload: Bytes,
    pub parts: Option<Parts>,
    pub acker: Arc<Acker>,
    _room: OwnedSemaphorePermit,
}

impl Arrival {
    /// Whether nobody need hope any more that it can be opened.
    pub(super) fn is_old(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.published_ms) > HOPELESS_AFTER_MS
    }
}

/// What has been handed over and not been taken yet.
pub(super) struct Arrivals {
    partitions: Vec<Partition>,
    next: AtomicUsize,
    pub(super) here: Notify,
}

struct Partition {
    queue: Mutex<VecDeque<Arrival>>,
    room: Arc<Semaphore>,
}

impl Arrivals {
    pub(super) fn new() -> Self {
        let partition = || Partition {
            queue: Mutex::default(),
            room: Arc::new(Semaphore::new(AHEAD)),
        };
        Self {
            partitions: (0..PARTITIONS).map(|_| partition()).collect(),
            next: AtomicUsize::new(0),
            here: Notify::new(),
        }
    }

    /// Takes up to `limit`, one of each partition in turn.
    pub(super) fn take(&self, limit: usize) -> Vec<Arrival> {
        let mut taken = Vec::new();
        let mut empty = 0;
        while taken.len() < limit && empty < self.partitions.len() {
            let index = self.next.fetch_add(1, Ordering::Relaxed) % self.partitions.len();
            let arrival = self.partitions[index].queue.lock();
            match arrival.ok().and_then(|mut queue| queue.pop_front()) {
                Some(arrival) => {
                    taken.push(arrival);
                    empty = 0;
                }
                None => empty += 1,
            }
        }
        taken
    }

    /// Whether there is something to take.
    pub(super) fn has_some(&self) -> bool {
        let mut partitions = self.partitions.iter();
        partitions.any(|partition| partition.queue.lock().is_ok_and(|queue| !queue.is_empty()))
    }

    /// Tells the server that those that nobody has taken are not forgotten.
    pub(super) fn ackers(&self) -> Vec<Arc<Acker>> {
        let partitions = self.partitions.iter();
        let queues = partitions.filter_map(|partition| partition.queue.lock().ok());
        queues
            .flat_map(|queue| {
                let ackers = queue.iter().map(|arrival| Arc::clone(&arrival.acker));
                ackers.collect::<Vec<_>>()
            })
            .collect()
    }

    fn push(&self, partition: usize, arrival: Arrival) {
        if let Ok(mut queue) = self.partitions[partition].queue.lock() {
            queue.push_back(arrival);
        }
        self.here.notify_one();
    }
}

fn consumer_name(partition: u64) -> String {
    format!("gateways-{partition}")
}

/// The consumer of a partition, one for all gateways.
async fn consumer(store: &Store, partition: u64) -> Result<PullConsumer, JournalError> {
    let name = consumer_name(partition);
    let config = pull::Config {
        durable_name: Some(name.clone()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: MOST_UNDER_WAY,
        filter_subject: store
            .names
            .subject(Kind::Deliveries, &format!("{partition}.>")),
        ..pull::Config::default()
    };
    let stream = store.stream(Kind::Deliveries).await?;
    let made = stream.create_consumer(config).await;
    made.map_err(|error| remote(format!("consumer {name}: {error}")))
}

/// Makes the consumers. Those that are there stay as they are.
pub(super) async fn make_consumers(store: &Store) -> Result<Vec<PullConsumer>, JournalError> {
    let mut consumers = Vec::new();
    for partition in 0..PARTITIONS {
        consumers.push(consumer(store, partition).await?);
    }
    Ok(consumers)
}

/// Pulls from a partition until `stop`.
pub(super) async fn pull(
    (arrivals, store): (Arc<Arrivals>, Store),
    mut consumer: PullConsumer,
    partition: usize,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let pulled = tokio::select! {
            () = stop.cancelled() => return,
            pulled = pull_some(&arrivals, &consumer, partition) => pulled,
        };
        if !pulled {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AFTER_FAILURE) => {}
            }
            // Somebody may have removed it.
            if let Ok(again) = self::consumer(&store, partition as u64).await {
                consumer = again;
            }
        }
    }
}

/// Asks for as many as there is room for. False where the server failed.
async fn pull_some(arrivals: &Arrivals, consumer: &PullConsumer, partition: usize) -> bool {
    let room = &arrivals.partitions[partition].room;
    let Ok(first) = Arc::clone(room).acquire_owned().await else {
        return false;
    };
    let mut places = vec![first];
    while let Ok(more) = Arc::clone(room).try_acquire_owned() {
        places.push(more);
    }
    let asked = consumer
        .batch()
        .max_messages(places.len())
        .expires(ASK_AGAIN);
    let Ok(mut batch) = asked.messages().await else {
        return false;
    };
    while let Some(message) = batch.next().await {
        let Ok(message) = message else {
            return false;
        };
        let Some(place) = places.pop() else {
            break;
        };
        if let Some(arrival) = arrival(message, place) {
            arrivals.push(partition, arrival);
        }
    }
    true
}

fn arrival(message: Message, room: OwnedSemaphorePermit) -> Option<Arrival> {
    let (sequence, delivered, published_ms) = {
        let info = message.info().ok()?;
        let published_ms = info.published.unix_timestamp().saturating_mul(1000);
        (info.stream_sequence, info.delivered, published_ms)
    };
    let headers = message.headers.clone().unwrap_or_default();
    let (message, acker) = message.split();
    Some(Arrival {
        sequence,
        delivered,
        published_ms,
        parts: Parts::of(Kind::Deliveries, &headers),
        payload: message.payload,
        acker: Arc::new(acker),
        _room: room,
    })
}
