//! Objects in a Kubernetes cluster.
//!
//! Every object is created by the account of its trigger, which the gateway
//! impersonates; the gateway's own account creates nothing. What exists already
//! is a success where it was made for the same event by the same place of the
//! same template.

use std::time::Duration;

use kube::Client;
use kube::api::{DynamicObject, PostParams};
use kube::core::{Request, Resource};
use kube::discovery::Scope;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::model::manifest::Manifest;
use crate::model::verdict::Reason;

use super::path::ObjectPath;
use super::{ActError, Action, Actor, Effect, Moment, Performing, same_origin};

mod discovery;
mod error;
pub mod events;
mod exchange;
mod history;

use discovery::{Discovery, Place};
use error::{classify, classify_create, unclear};
use exchange::{Refusal, exchange};
use history::History;

/// Requests to the API server at once. Each has a connection of its own.
const AT_ONCE: usize = 32;

/// Longest time that one request may take.
const LONGEST: Duration = Duration::from_secs(30);

/// Whom the API server's records name as the writer of fields.
const FIELD_MANAGER: &str = "tripline";

/// Creates objects through an API server.
pub struct Cluster {
    client: Client,
    discovery: Discovery,
    history: History,
    slots: Semaphore,
}

impl Cluster {
    /// Creates through `client`, whose account must be allowed to impersonate
    /// the accounts of triggers.
    pub fn new(client: Client) -> Self {
        Self {
            discovery: Discovery::new(client.clone()),
            history: History::new(client.clone()),
            slots: Semaphore::new(AT_ONCE),
            client,
        }
    }

    async fn create(&self, manifest: &Manifest, actor: Actor<'_>) -> Result<Effect, ActError> {
        let path = ObjectPath::of(manifest)?;
        let _slot = self.slots.acquire().await;
        let place = self.discovery.find(manifest).await?;
        self.create_at(manifest, &path, &place, actor).await
    }

    /// Looks first whether it is there, or was.
    async fn create_again(
        &self,
        manifest: &Manifest,
        actor: Actor<'_>,
        since: Option<&str>,
    ) -> Result<Effect, ActError> {
        let path = ObjectPath::of(manifest)?;
        let shown = path.to_string();
        let _slot = self.slots.acquire().await;
        // Until somebody has looked, nobody knows.
        let place = self.discovery.find(manifest).await.map_err(unclear)?;
        match self.get(&path, &place, actor).await {
            Ok(there) => return whose(&shown, manifest, Ok(there), actor),
            Err(refusal) => match refusal.code() {
                // Whether it was there is told by who may watch and not get,
                // or by nobody.
                Some(403 | 404) => {}
                _ => return Err(unclear(classify(&shown, actor, refusal))),
            },
        }
        if let Some(since) = since {
            let url = url(&place, path.namespace);
            let made = self.history.was_made(manifest, url, actor, since);
            if made.await {
                return Ok(Effect::Gone(shown));
            }
        }
        self.create_at(manifest, &path, &place, actor).await
    }

    async fn create_at(
        &self,
        manifest: &Manifest,
        path: &ObjectPath<'_>,
        place: &Place,
        actor: Actor<'_>,
    ) -> Result<Effect, ActError> {
        let shown = path.to_string();
        match self.post(manifest, path.namespace, place, actor).await {
            Ok(made) => {
                let version = made["metadata"]["resourceVersion"].as_str();
                self.history.note(version);
                Ok(Effect::Created(shown))
            }
            Err(Refusal {
                error: kube::Error::Api(status),
                ..
            }) if status.reason == "AlreadyExists" => {
                let there = self.get(path, place, actor).await;
                whose(&shown, manifest, there, actor)
            }
            Err(refusal) => {
                if refusal.code() == Some(404) {
                    // The kind may have gone, or have come back under another path.
                    self.discovery.forget(manifest);
                }
                Err(classify_create(&shown, actor, refusal))
            }
        }
    }

    async fn post(
        &self,
        manifest: &Manifest,
        namespace: &str,
        place: &Place,
        actor: Actor<'_>,
    ) -> Result<Value, Refusal> {
        let mut object = manifest.0.clone();
        if place.scope == Scope::Cluster
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("namespace");
        }
        let body = serde_json::to_vec(&object).map_err(kube::Error::SerdeError)?;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let request = Request::new(url(place, namespace))
            .create(&params, body)
            .map_err(kube::Error::BuildRequest)?;
        exchange(&self.client, request, actor).await
    }

    async fn get(
        &self,
        path: &ObjectPath<'_>,
        place: &Place,
        actor: Actor<'_>,
    ) -> Result<Manifest, Refusal> {
        let request = Request::new(url(place, path.namespace))
            .get(path.name, &kube::api::GetParams::default())
            .map_err(kube::Error::BuildRequest)?;
        exchange(&self.client, request, actor).await.map(Manifest)
    }
}

impl Action for Cluster {
    fn perform<'a>(&'a self, manifest: &'a Manifest, actor: Actor<'a>) -> Performing<'a> {
        Box::pin(self.create(manifest, actor))
    }

    fn perform_again<'a>(
        &'a self,
        manifest: &'a Manifest,
        actor: Actor<'a>,
        since: Option<&'a str>,
    ) -> Performing<'a> {
        Box::pin(self.create_again(manifest, actor, since))
    }

    fn moment(&self) -> Moment<'_> {
        Box::pin(self.history.moment())
    }

    fn describe(&self) -> String {
        "objects in the cluster".into()
    }
}

/// What it means that there is an object of this name.
fn whose(
    shown: &str,
    manifest: &Manifest,
    there: Result<Manifest, Refusal>,
    actor: Actor<'_>,
) -> Result<Effect, ActError> {
    match there {
        Ok(there) if same_origin(&there, manifest) => Ok(Effect::AlreadyThere(shown.to_owned())),
        Ok(_) => Err(ActError::NameTaken(shown.to_owned())),
        // An account that may create need not be allowed to read. A derived
        // name has the event in it.
        Err(refusal) if refusal.code() == Some(403) => match is_derived(manifest) {
            true => Ok(Effect::AlreadyThere(shown.to_owned())),
            false => Err(ActError::NameTaken(shown.to_owned())),
        },
        // It may have been this delivery's own.
        Err(refusal) if refusal.code() == Some(404) => Err(ActError::Api {
            reason: Reason::OutcomeUnknown,
            message: format!("{shown}: was there and is gone"),
            retry_after: None,
        }),
        Err(refusal) => Err(unclear(classify(shown, actor, refusal))),
    }
}

fn url(place: &Place, namespace: &str) -> String {
    let namespace = (place.scope == Scope::Namespaced).then_some(namespace);
    DynamicObject::url_path(&place.resource, namespace)
}

/// Whether Tripline has given the object its name: what was to be generated,
/// cut where it was long, and twelve characters of a hash.
fn is_derived(manifest: &Manifest) -> bool {
    let Some(prefix) = manifest.0["metadata"]["generateName"].as_str() else {
        return false;
    };
    let name = manifest.name().unwrap_or_default();
    let (start, hash) = name
        .split_at_checked(name.len().wrapping_sub(12))
        .unwrap_or_default();
    let is_base32 = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
    prefix.starts_with(start) && hash.len() == 12 && hash.bytes().all(is_base32)
}

#[cfg(test)]
mod tests;
