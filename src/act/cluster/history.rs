//! What has become of an object that is not there: never made, or made and
//! deleted since.
//!
//! The API server counts its moments by resource versions, and tells whoever
//! watches from one of them what has happened since, for some minutes at
//! least. So a moment before a delivery's first request, written down before
//! it, is enough to find out later.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use http::Request;
use kube::Client;
use kube::api::WatchParams;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::act::{Actor, same_origin};
use crate::model::manifest::Manifest;

use super::exchange::impersonate;

/// How old a moment may be: as long as the API server is certain to remember
/// what has happened, and more than one question in between costs.
const FRESH: Duration = Duration::from_secs(10);

/// Longest time that a delivery's first attempt waits for one.
const WITHIN: Duration = Duration::from_secs(2);

/// A list that the gateway's own account may read, one object of it at most:
/// its version is that of the whole storage.
const LIST: &str = "/apis/triggers.tekton.dev/v1beta1/eventlisteners?limit=1";

/// For how long the API server tells what has happened, in seconds: all that
/// has happened already it tells at once.
const TOLD_FOR: u32 = 2;

/// Longest time that this may take in all.
const LOOK_FOR: Duration = Duration::from_secs(10);

/// Moments of one API server.
pub(super) struct History {
    client: Client,
    last: Mutex<Last>,
}

/// The moment that was heard of last.
#[derive(Default)]
struct Last {
    version: Option<String>,
    asked: Option<Instant>,
    /// Whether the gateway may ask for moments, as far as is known.
    is_told: bool,
}

impl History {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            last: Mutex::default(),
        }
    }

    /// A moment that has just been. Nobody is asked more often than every few
    /// seconds; where there is no answer, the last one that was known stands.
    pub(super) async fn moment(&self) -> Option<String> {
        let mut last = self.last.lock().await;
        if last.asked.is_none_or(|asked| asked.elapsed() >= FRESH) {
            let asked = timeout(WITHIN, self.ask()).await;
            last.asked = Some(Instant::now());
            if let Ok(Ok(version)) = asked {
                last.version = version;
                last.is_told = true;
            }
        }
        last.version.clone()
    }

    /// An object has been made, at `version`: where the gateway may not ask for
    /// moments, that is one.
    pub(super) fn note(&self, version: Option<&str>) {
        // While somebody asks there is a better one to come.
        if let Ok(mut last) = self.last.try_lock()
            && !last.is_told
        {
            last.version = version.map(str::to_owned);
        }
    }

    async fn ask(&self) -> kube::Result<Option<String>> {
        let request = Request::get(LIST).body(Vec::new());
        let request = request.map_err(kube::Error::HttpError)?;
        let list: Value = self.client.request(request).await?;
        let version = list["metadata"]["resourceVersion"].as_str();
        Ok(version.map(str::to_owned))
    }

    /// Whether the object of `manifest`, in the collection at `url`, was made
    /// since `since`, as `actor`'s account can see. Where it may not watch, or
    /// the API server does not remember, nobody knows, and the answer is no.
    pub(super) async fn was_made(
        &self,
        manifest: &Manifest,
        url: String,
        actor: Actor<'_>,
        since: &str,
    ) -> bool {
        let looking = self.look(manifest, url, actor, since);
        matches!(timeout(LOOK_FOR, looking).await, Ok(Ok(true)))
    }

    async fn look(
        &self,
        manifest: &Manifest,
        url: String,
        actor: Actor<'_>,
        since: &str,
    ) -> kube::Result<bool> {
        let name = manifest.name().unwrap_or_default();
        let params = WatchParams::default()
            .fields(&format!("metadata.name={name}"))
            .timeout(TOLD_FOR)
            .disable_bookmarks();
        let request = kube::core::Request::new(url).watch(&params, since);
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        impersonate(&mut request, actor)?;
        let told = self.client.request_events::<Value>(request).await?;
        let mut told = std::pin::pin!(told);
        while let Some(event) = told.next().await {
            let (WatchEvent::Added(object)
            | WatchEvent::Modified(object)
            | WatchEvent::Deleted(object)) = event?
            else {
                continue;
            };
            if same_origin(&Manifest(object), manifest) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
