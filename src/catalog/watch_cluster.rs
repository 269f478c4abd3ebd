//! Word of changes in a cluster: one watch for each kind, for as long as
//! somebody listens.

use std::time::Duration;

use backon::ExponentialBuilder;
use futures_util::{Stream, StreamExt};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::{self, Event, ExponentialBackoff, watcher};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::TRIGGERS_GROUP;

use super::cluster::{Change, What};
use super::objects::Kind;

/// Changes that wait to be taken in.
const WAITING: usize = 1024;

/// How long to leave the API server alone after failures: what comes back must
/// be known soon.
pub(crate) fn after_failure() -> ResetTimerBackoff<ExponentialBackoff> {
    let waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times();
    // A list that fails is announced before it does.
    ResetTimerBackoff::new(waits.into(), Duration::from_secs(30))
}

/// Watches all kinds until `stop`.
pub fn watch(
    client: &Client,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    failed: impl Fn(Kind, &watcher::Error) + Clone + Send + 'static,
) -> mpsc::Receiver<Change> {
    let (sender, changes) = mpsc::channel(WAITING);
    for kind in Kind::OF_TRIGGERS {
        let events = watcher(api(client, kind), watcher::Config::default());
        let following = follow(kind, events, sender.clone(), failed.clone());
        let stop = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = following => {}
            }
        });
    }
    changes
}

fn api(client: &Client, kind: Kind) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(TRIGGERS_GROUP, kind.stored_version(), kind.name());
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

async fn follow(
    kind: Kind,
    events: impl Stream<Item = watcher::Result<Event<DynamicObject>>>,
    changes: mpsc::Sender<Change>,
    failed: impl Fn(Kind, &watcher::Error),
) {
    let mut events = std::pin::pin!(events.backoff(after_failure()));
    while let Some(event) = events.next().await {
        let what = match event {
            Ok(event) => what(event),
            Err(error) if is_not_served(&error) => Some(What::NotServed),
            Err(error) => {
                failed(kind, &error);
                None
            }
        };
        if let Some(what) = what
            && changes.send(Change { kind, what }).await.is_err()
        {
            return;
        }
    }
}

fn what(event: Event<DynamicObject>) -> Option<What> {
    Some(match event {
        Event::Init => What::Began,
        Event::InitApply(object) => What::Found(value(object)?),
        Event::InitDone => What::Complete,
        Event::Apply(object) => What::Applied(value(object)?),
        Event::Delete(object) => What::Deleted(value(object)?),
    })
}

fn value(mut object: DynamicObject) -> Option<Value> {
    // Who wrote which field is long, and nobody's business here.
    object.metadata.managed_fields = None;
    serde_json::to_value(object).ok()
}

/// The kind's definition is not there, or not yet.
fn is_not_served(error: &watcher::Error) -> bool {
    match error {
        // After this alone everything is told anew.
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}
