//! Word of what becomes of events, for listeners with a `cloudEventURI`.
//!
//! CloudEvents of Tekton's types, in binary mode. Best effort: an event is
//! never held up for them, and where they cannot be sent some are lost. They
//! carry names and ids, and nothing of the request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::Listener;
use crate::model::ids::{EventId, TriggerId};
use crate::outbound::{Http, Outgoing, callable};
use crate::telemetry::Metrics;
use crate::telemetry::happening::{Happening, LifecycleLost};

use super::caller::reach;

/// CloudEvents that wait to be sent.
const WAITING: usize = 1024;

/// CloudEvents that are sent at once.
const AT_ONCE: usize = 16;

/// How often one is sent, and how long to wait before the second time; the wait
/// doubles.
const ATTEMPTS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How long one exchange may take.
const WITHIN: Duration = Duration::from_secs(5);

/// What has become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has come in.
    Started,
    /// It could not be taken.
    Failed,
    /// A trigger has made its objects.
    Successful,
    /// Its sender has been answered.
    Done,
}

impl Stage {
    fn kind(self) -> &'static str {
        match self {
            Self::Started => "dev.tekton.event.triggers.started.v1",
            Self::Failed => "dev.tekton.event.triggers.failed.v1",
            Self::Successful => "dev.tekton.event.triggers.successful.v1",
            Self::Done => "dev.tekton.event.triggers.done.v1",
        }
    }
}

/// Tells whoever listens.
#[derive(Clone)]
pub struct Lifecycle(mpsc::Sender<Outgoing>);

impl Lifecycle {
    /// Sends what it is told of over `http` until `stop`.
    pub fn start(
        http: Arc<dyn Http>,
        metrics: Arc<Metrics>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let (sender, told) = mpsc::channel(WAITING);
        let (own_tasks, stop) = (tasks.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = send_all(http, metrics, told, &own_tasks, &stop) => {}
            }
        });
        Self(sender)
    }

    /// Nobody is told anything.
    pub fn silent() -> Self {
        Self(mpsc::channel(1).0)
    }

    /// Tells what has become of an event, where the listener asks for that.
    pub fn tell(
        &self,
        listener: &Listener,
        event: EventId,
        stage: Stage,
        trigger: Option<&TriggerId>,
    ) {
        let Some(endpoint) = &listener.lifecycle else {
            return;
        };
        let id = &listener.id;
        let data = json!({
            "eventID": event,
            "eventListener": id.name,
            "namespace": id.namespace,
            "trigger": trigger.map(|trigger| &trigger.0),
        });
        let source = format!(
            "/apis/triggers.tekton.dev/v1beta1/namespaces/{}/EventListener/{}",
            id.namespace, id.name
        );
        let request = Request::builder()
            .method(Method::POST)
            .uri(endpoint.url.as_str())
            .header("content-type", "application/json")
            .header("ce-specversion", "1.0")
            .header("ce-id", event.to_string())
            .header("ce-type", stage.kind())
            .header("ce-source", source)
            .header("ce-subject", format!("{} processing {event}", id.name))
            .body(Bytes::from(data.to_string()));
        let Ok(request) = request else {
            return;
        };
        if callable(&endpoint.url).is_err() {
            return;
        }
        // Where too much happens at once, some of it is not told.
        let _ = self.0.try_send(Outgoing {
            request,
            reach: reach(endpoint.reach),
            ca_bundle: String::new(),
            within: WITHIN,
        });
    }
}

async fn send_all(
    http: Arc<dyn Http>,
    metrics: Arc<Metrics>,
    mut told: mpsc::Receiver<Outgoing>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(outgoing) = told.recv().await {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (http, metrics, stop) = (Arc::clone(&http), Arc::clone(&metrics), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = send(&*http, &metrics, outgoing) => {}
            }
            drop(slot);
        });
    }
}

async fn send(http: &dyn Http, metrics: &Metrics, outgoing: Outgoing) {
    let mut wait = FIRST_WAIT;
    for attempt in 1..=ATTEMPTS {
        let again = Outgoing {
            request: outgoing.request.clone(),
            reach: outgoing.reach,
            ca_bundle: String::new(),
            within: outgoing.within,
        };
        let error = match http.send(again).await {
            Ok(response) if response.status().as_u16() < 500 => return,
            Ok(response) => format!("it answered with status {}", response.status().as_u16()),
            Err(error) if !error.may_pass() => return lost(metrics, &outgoing, &error.to_string()),
            Err(error) => error.to_string(),
        };
        if attempt == ATTEMPTS {
            return lost(metrics, &outgoing, &error);
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
}

fn lost(metrics: &Metrics, outgoing: &Outgoing, error: &str) {
    let uri = callable(&outgoing.request.uri().to_string()).unwrap_or_default();
    LifecycleLost { uri: &uri, error }.emit(metrics);
}
