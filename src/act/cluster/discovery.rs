//! Which path of the API a kind has.

use std::collections::HashMap;
use std::sync::Mutex;

use kube::Client;
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{self, Scope};
use tokio::time::timeout;

use crate::act::ActError;
use crate::model::manifest::Manifest;
use crate::model::verdict::Reason;

use super::LONGEST;
use super::error::{unavailable, unreachable_api};

/// Where objects of a kind are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub resource: ApiResource,
    pub scope: Scope,
}

/// What the API server serves, as far as somebody has asked for it.
pub(super) struct Discovery {
    client: Client,
    /// Kinds that are served: no more than the cluster has.
    known: Mutex<HashMap<GroupVersionKind, Place>>,
}

impl Discovery {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::default(),
        }
    }

    /// Where objects of this kind are; an error that may pass where the API
    /// server does not serve it.
    pub(super) async fn find(&self, manifest: &Manifest) -> Result<Place, ActError> {
        let kind = kind_of(manifest);
        let known = self.known.lock().ok();
        if let Some(place) = known.and_then(|known| known.get(&kind).cloned()) {
            return Ok(place);
        }
        let asked = timeout(LONGEST, discovery::pinned_kind(&self.client, &kind)).await;
        let found = asked.unwrap_or_else(|_| Err(unreachable_api()));
        let (resource, capabilities) = found.map_err(|error| not_served(&kind, error))?;
        let place = Place {
            resource,
            scope: capabilities.scope,
        };
        if let Ok(mut known) = self.known.lock() {
            known.insert(kind, place.clone());
        }
        Ok(place)
    }

    /// Asks again the next time.
    pub(super) fn forget(&self, manifest: &Manifest) {
        if let Ok(mut known) = self.known.lock() {
            known.remove(&kind_of(manifest));
        }
    }
}

fn kind_of(manifest: &Manifest) -> GroupVersionKind {
    let api_version = manifest.api_version().unwrap_or_default();
    let kind = manifest.kind().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    GroupVersionKind::gvk(group, version, kind)
}

fn not_served(kind: &GroupVersionKind, error: kube::Error) -> ActError {
    let is_missing = match &error {
        kube::Error::Discovery(_) => true,
        kube::Error::Api(status) => status.code == 404,
        _ => false,
    };
    let shown = format!("{} {}", kind.api_version(), kind.kind);
    match is_missing {
        true => ActError::Api {
            reason: Reason::KindNotServed,
            message: format!("the API server does not serve {shown}"),
            retry_after: None,
        },
        false => unavailable(&shown, &error),
    }
}
