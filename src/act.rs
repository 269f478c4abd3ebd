//! Effects: every rendered manifest is handed to one action.
//!
//! In: a manifest that the journal has already. Out: what was done, or why
//! not, told apart by whether it may pass. An action may be asked twice for
//! the same manifest, and does it once.

use std::future::Future;
use std::pin::Pin;

use crate::model::manifest::Manifest;
use crate::model::verdict::Reason;

pub mod folder;
mod path;
pub mod stdout;

/// Something that manifests are given to.
pub trait Action: Send + Sync {
    /// Does what the manifest says.
    fn perform<'a>(&'a self, manifest: &'a Manifest) -> Performing<'a>;

    /// What it is, for people.
    fn describe(&self) -> String;
}

/// The future of one effect.
pub type Performing<'a> = Pin<Box<dyn Future<Output = Result<Effect, ActError>> + Send + 'a>>;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The object was made; where.
    Created(String),
    /// An earlier attempt had made it; where.
    AlreadyThere(String),
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
}

impl ActError {
    /// The reason to record.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NameTaken(_) => Reason::NameTaken,
            Self::Invalid(_) => Reason::ManifestInvalid,
            Self::Unavailable { .. } => Reason::SinkUnavailable,
        }
    }

    /// Whether it may work another time.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
