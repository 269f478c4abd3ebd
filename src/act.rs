//! Effects: every rendered manifest is handed to one action.
//!
//! In: a manifest that the journal has already. Out: what was done, or why
//! not, told apart by whether it may pass. An action may be asked twice for
//! the same manifest, and does it once.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::model::annotations::{EVENT_ID, INDEX, TRIGGER};
use crate::model::manifest::Manifest;
use crate::model::verdict::Reason;

pub mod cluster;
pub mod folder;
mod path;
pub mod stdout;

/// Something that manifests are given to.
pub trait Action: Send + Sync {
    /// Does what the manifest says, as `actor`.
    fn perform<'a>(&'a self, manifest: &'a Manifest, actor: Actor<'a>) -> Performing<'a>;

    /// The same, where an earlier attempt may have done it: what it made and
    /// somebody has deleted since is not made again, as far as that can be
    /// known. `since` is a [`Action::moment`] before the first attempt.
    fn perform_again<'a>(
        &'a self,
        manifest: &'a Manifest,
        actor: Actor<'a>,
        since: Option<&'a str>,
    ) -> Performing<'a> {
        let _ = since;
        self.perform(manifest, actor)
    }

    /// The present moment, or one shortly before it, as whoever takes manifests
    /// counts moments; nothing where he does not, or cannot be asked.
    fn moment(&self) -> Moment<'_> {
        Box::pin(std::future::ready(None))
    }

    /// What it is, for people.
    fn describe(&self) -> String;
}

/// As whom an effect is made: a service account. Files belong to nobody.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub account: &'a str,
}

/// The future of one effect.
pub type Performing<'a> = Pin<Box<dyn Future<Output = Result<Effect, ActError>> + Send + 'a>>;

/// The future of a moment.
pub type Moment<'a> = Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>>;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The object was made; where.
    Created(String),
    /// An earlier attempt had made it; where.
    AlreadyThere(String),
    /// An earlier attempt had made it, and somebody has deleted it since; where
    /// it was.
    Gone(String),
}

impl Effect {
    /// The kind of the object, where one was made: places are written
    /// `NAMESPACE/KIND/NAME`, after the folder where there is one.
    pub fn made(&self) -> Option<&str> {
        match self {
            Self::Created(place) => place.rsplit('/').nth(1),
            Self::AlreadyThere(_) | Self::Gone(_) => None,
        }
    }
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// An object of this name belongs to something else.
    #[error("{0} exists already and was made for another event")]
    NameTaken(String),
    /// The manifest cannot be an object.
    #[error("{0}")]
    Invalid(String),
    /// It may work another time.
    #[error("{what}: {source}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// What came of it.
        source: std::io::Error,
    },
    /// The cluster does not take it now.
    #[error("{message}")]
    Api {
        /// Why.
        reason: Reason,
        /// What the API server says.
        message: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// How long it is worth trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It will not work.
    None,
    /// Somebody may be about to mend it: a right, a quota or a kind that comes
    /// a little late.
    Short,
    /// It is out of order, and will be mended.
    Long,
}

impl ActError {
    /// The reason to record.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NameTaken(_) => Reason::NameTaken,
            Self::Invalid(_) => Reason::ManifestInvalid,
            Self::Unavailable { .. } => Reason::SinkUnavailable,
            Self::Api { reason, .. } => *reason,
        }
    }

    /// How long the same effect is worth trying.
    pub fn patience(&self) -> Patience {
        match self {
            Self::NameTaken(_) | Self::Invalid(_) => Patience::None,
            Self::Unavailable { .. } => Patience::Long,
            Self::Api { reason, .. } => match reason {
                Reason::ApiUnavailable | Reason::OutcomeUnknown => Patience::Long,
                _ => Patience::Short,
            },
        }
    }

    /// How long whoever refused wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Whether both were made for the same event by the same place of the same
/// template.
fn same_origin(there: &Manifest, wanted: &Manifest) -> bool {
    [EVENT_ID.key, TRIGGER.key, INDEX.key].iter().all(|key| {
        let value = wanted.annotation(key);
        value.is_some() && there.annotation(key) == value
    })
}
