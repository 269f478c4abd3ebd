//! Why a delivery could not be performed, and what that means for the next
//! attempt.

use std::time::Duration;

use crate::act::{ActError, Patience};
use crate::bind::BindError;
use crate::journal::JournalError;
use crate::model::verdict::{Reason, Verdict};
use crate::render::RenderError;

use super::walk::Halted;

/// Why a delivery could not be performed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Interceptors elsewhere did not let it pass.
    #[error(transparent)]
    Intercept(#[from] Halted),
    /// A parameter could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A resource could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// What was rendered could not be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An effect failed.
    #[error(transparent)]
    Act(#[from] ActError),
}

impl Failure {
    /// The reason to record.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Intercept(halted) => halted.reason(),
            Self::Bind(error) => error.reason(),
            Self::Render(error) => error.reason(),
            Self::Journal(_) => Reason::JournalUnavailable,
            Self::Act(error) => error.reason(),
        }
    }

    /// The stage that failed.
    pub fn stage(&self) -> &'static str {
        match self {
            Self::Intercept(_) => "intercept",
            Self::Bind(_) => "bind",
            Self::Render(_) => "render",
            Self::Journal(_) => "commit",
            Self::Act(_) => "act",
        }
    }

    /// How long the same delivery is worth trying.
    pub fn patience(&self) -> Patience {
        match self {
            Self::Intercept(Halted::Unanswered { may_pass: true, .. }) => Patience::Long,
            Self::Intercept(Halted::Stopped { stop, .. }) if stop.verdict == Verdict::Deferred => {
                Patience::Short
            }
            Self::Intercept(_) | Self::Bind(_) | Self::Render(_) => Patience::None,
            Self::Journal(_) => Patience::Long,
            Self::Act(error) => error.patience(),
        }
    }
}

impl Failure {
    /// How long whoever failed wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Intercept(Halted::Unanswered { retry_after, .. }) => *retry_after,
            Self::Act(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether nobody failed, and an interceptor does not want the event.
    pub fn is_unwanted(&self) -> bool {
        match self {
            Self::Intercept(Halted::Stopped { stop, .. }) => {
                matches!(stop.verdict, Verdict::Filtered | Verdict::Refused)
            }
            _ => false,
        }
    }
}
