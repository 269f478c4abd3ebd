//! What a stage found, as a value: explanations are recorded where they
//! arise and never rebuilt from log text.

use serde::{Deserialize, Serialize};

use super::verdict::{Reason, Verdict};

/// One step of the way of an event through a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The step: `verify`, or the name of an interceptor.
    pub step: String,
    /// What it decided.
    pub verdict: Verdict,
    /// Why, where it did not simply let the event pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What was compared with what, for a person to read. Never a credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Finding {
    /// A step that let the event pass.
    pub fn passed(step: impl Into<String>) -> Self {
        Self {
            step: step.into(),
            verdict: Verdict::Matched,
            reason: None,
            detail: None,
        }
    }

    /// A step that stopped the event.
    pub fn stopped(step: impl Into<String>, stop: Stop) -> Self {
        Self {
            step: step.into(),
            verdict: stop.verdict,
            reason: Some(stop.reason),
            detail: stop.detail,
        }
    }
}

/// Why a step does not let an event pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The verdict that follows for the trigger.
    pub verdict: Verdict,
    /// The reason.
    pub reason: Reason,
    /// What was compared with what.
    pub detail: Option<String>,
}

impl Stop {
    /// The trigger does not want the event.
    pub fn filtered(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Filtered,
            reason,
            detail: Some(detail.into()),
        }
    }

    /// Nobody can say yet.
    pub fn deferred(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Deferred,
            reason,
            detail: Some(detail.into()),
        }
    }

    /// The trigger could not be evaluated.
    pub fn failed(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Failed,
            reason,
            detail: Some(detail.into()),
        }
    }
}
