//! What is in force: an immutable set of listeners with their triggers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::intercept::calls::Endpoint;
use crate::model::event::BodyRule;
use crate::model::flow::Limits;
use crate::model::ids::{ListenerId, TriggerId};
use crate::verify;

use super::compile::{Broken, Trigger};

/// How a listener wants its requests read and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Whether it answers as Tekton Triggers does.
    pub answers_as_tekton: bool,
    /// What it takes for a body.
    pub rule: BodyRule,
}

/// What bounds the execution of a listener's events. It is no part of a
/// trigger's revision: what waits goes by what holds now.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// Of all its triggers together.
    pub listener: Limits,
    /// Of those triggers that have limits.
    pub triggers: HashMap<TriggerId, TriggerBounds>,
}

/// What bounds the execution of a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerBounds {
    /// What it is counted under: one for a Trigger object, whichever listeners
    /// have it.
    pub meter: Arc<str>,
    /// The limits.
    pub limits: Limits,
}

/// A listener and its triggers.
#[derive(Debug)]
pub struct Listener {
    /// Namespace and name.
    pub id: ListenerId,
    /// Identity that an API server gave; empty for one from a file.
    pub uid: String,
    /// Its triggers, in order.
    pub triggers: Vec<Entry>,
    /// Whether its selectors might take triggers that nobody could read.
    pub is_incomplete: bool,
    /// Headers that carry credentials: those of every sender, and what its
    /// triggers compare with secrets. They are never recorded and never shown.
    pub credential_headers: Vec<String>,
    /// Why it does not have all the triggers that it selects.
    pub problems: Vec<String>,
    /// How it wants its requests read and answered.
    pub manner: Manner,
    /// Who is told what becomes of its events.
    pub lifecycle: Option<Endpoint>,
    /// What bounds the execution of its events.
    pub bounds: Bounds,
    /// What upstream's admission would say of it.
    pub remarks: Vec<String>,
}

impl Listener {
    /// A listener with these triggers.
    pub fn new(id: ListenerId, uid: String, triggers: Vec<Entry>, is_incomplete: bool) -> Self {
        let mut credential_headers: Vec<String> = triggers
            .iter()
            .flat_map(|entry| match entry {
                Entry::Ready(trigger) => trigger.credential_headers(),
                Entry::Broken(broken) => broken.credential_headers.clone(),
            })
            .chain(verify::registry::credential_headers().map(str::to_owned))
            .collect();
        credential_headers.sort();
        credential_headers.dedup();
        Self {
            id,
            uid,
            triggers,
            is_incomplete,
            credential_headers,
            problems: Vec::new(),
            manner: Manner::default(),
            lifecycle: None,
            bounds: Bounds::default(),
            remarks: Vec::new(),
        }
    }

    /// The same listener with those of its triggers that `keep` takes.
    pub fn only(&self, keep: impl Fn(&TriggerId) -> bool) -> Self {
        let kept = self.triggers.iter().filter(|entry| keep(entry.id()));
        Self {
            id: self.id.clone(),
            uid: self.uid.clone(),
            triggers: kept.cloned().collect(),
            is_incomplete: self.is_incomplete,
            credential_headers: self.credential_headers.clone(),
            problems: self.problems.clone(),
            manner: self.manner,
            lifecycle: self.lifecycle.clone(),
            bounds: self.bounds.clone(),
            remarks: self.remarks.clone(),
        }
    }
}

/// A trigger of a listener, working or not.
#[derive(Clone, Debug)]
pub enum Entry {
    /// It looks at events.
    Ready(Arc<Trigger>),
    /// Its events wait until it is mended.
    Broken(Arc<Broken>),
}

impl Entry {
    /// Its path in the listener.
    pub fn id(&self) -> &TriggerId {
        match self {
            Self::Ready(trigger) => trigger.id(),
            Self::Broken(broken) => &broken.id,
        }
    }

    /// Its name; empty for an inline trigger without one.
    pub fn name(&self) -> &str {
        match self {
            Self::Ready(trigger) => &trigger.source.name,
            Self::Broken(broken) => &broken.name,
        }
    }
}

/// Every listener.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// By `namespace/name`.
    listeners: HashMap<String, Arc<Listener>>,
    is_incomplete: bool,
}

impl Snapshot {
    /// A snapshot of these listeners. Where it `is_incomplete`, there may be
    /// others that nobody could read.
    pub fn new(listeners: impl IntoIterator<Item = Listener>, is_incomplete: bool) -> Self {
        let listeners = listeners.into_iter();
        Self {
            listeners: listeners
                .map(|listener| (listener.id.to_string(), Arc::new(listener)))
                .collect(),
            is_incomplete,
        }
    }

    /// Whether there may be listeners that nobody could read.
    pub fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// The listener under `namespace/name`.
    pub fn listener(&self, path: &str) -> Option<&Arc<Listener>> {
        self.listeners.get(path)
    }

    /// The listener, where there is exactly one.
    pub fn only(&self) -> Option<&Arc<Listener>> {
        let mut all = self.listeners.values();
        all.next().filter(|_| all.next().is_none())
    }

    /// Every listener, in no order.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.listeners.values()
    }

    /// Every trigger, with its listener.
    pub(super) fn trigger_ids(&self) -> impl Iterator<Item = (ListenerId, TriggerId)> {
        self.listeners.values().flat_map(|listener| {
            let triggers = listener.triggers.iter();
            triggers.map(|entry| (listener.id.clone(), entry.id().clone()))
        })
    }

    /// The trigger under its path in a listener.
    pub fn trigger(&self, listener: &ListenerId, id: &TriggerId) -> Option<&Entry> {
        let listener = self.listeners.get(&listener.to_string())?;
        listener.triggers.iter().find(|entry| entry.id() == id)
    }
}
