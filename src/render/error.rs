//! What can go wrong with an event.

use thiserror::Error;

use crate::model::verdict::Reason;

/// Why a template gives no resource for this event. `resource` is an index
/// into `resourcetemplates`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RenderError {
    /// Nothing says what it is.
    #[error(
        "resource {resource} has no kind, or more than a group and a version in its apiVersion"
    )]
    NoKind {
        /// Which one.
        resource: usize,
    },
    /// A parameter in a key spells a field that says what the resource is.
    #[error("a parameter in a key of resource {resource} spells {key}, which is already there")]
    KeyTaken {
        /// Which one.
        resource: usize,
        /// The field.
        key: String,
    },
    /// Labels or annotations that nobody can add to.
    #[error("{field} of resource {resource} is not a map of texts")]
    NotTexts {
        /// Which one.
        resource: usize,
        /// `metadata.labels` or `metadata.annotations`.
        field: &'static str,
    },
    /// It is larger than `MANIFEST_BYTES`.
    #[error("resource {resource} has more than {limit} bytes")]
    TooLarge {
        /// Which one.
        resource: usize,
        /// How many it may have.
        limit: usize,
    },
}

impl RenderError {
    /// The stable code of the failure.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoKind { .. } | Self::KeyTaken { .. } | Self::NotTexts { .. } => {
                Reason::RenderFailed
            }
            Self::TooLarge { .. } => Reason::ManifestTooLarge,
        }
    }
}
