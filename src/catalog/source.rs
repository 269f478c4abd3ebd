//! Everything that one trigger consists of, references resolved: what is
//! hashed into its revision, and what the journal keeps so that a delivery is
//! performed by the trigger that matched it, whatever was edited since.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::api::trigger::InterceptorParam;
use crate::bind::BindingParam;
use crate::intercept::Away;
use crate::intercept::calls::Reach;
use crate::model::event::BodyRule;
use crate::model::ids::{ListenerId, Revision, TriggerId};
use crate::model::retry::RetryOverrides;
use crate::render::TemplateSource;

/// Bytes of a SHA-256 that make a revision: enough that no two triggers of a
/// configuration ever share one.
const REVISION_BYTES: usize = 16;

/// One trigger, self-contained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerSource {
    /// The listener that it belongs to.
    pub listener: ListenerId,
    /// Its path in the listener.
    pub id: TriggerId,
    /// Its name, as labels show it; empty for an inline trigger without one.
    pub name: String,
    /// Namespace that its secrets, bindings and template are of.
    pub namespace: String,
    /// Account that its effects are performed as: its own, or its listener's.
    pub service_account: String,
    /// Namespace of that account.
    pub account_namespace: String,
    /// Interceptors, in order.
    pub interceptors: Vec<InterceptorSource>,
    /// Parameters of all its bindings, in order.
    pub bindings: Vec<BindingParam>,
    /// Its template.
    pub template: TemplateSource,
    /// Whether a delivery that comes again is performed again.
    pub rerun_redeliveries: bool,
    /// What it says of how often and how long its deliveries are tried.
    #[serde(default, skip_serializing_if = "RetryOverrides::is_empty")]
    pub retry: RetryOverrides,
    /// The group that it is in, where it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupSource>,
    /// What its listener takes for a body.
    #[serde(default)]
    pub rule: BodyRule,
}

/// Interceptors that an event passes once for all triggers of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupSource {
    /// Which of the listener's groups it is.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The listener's namespace; secrets are of it.
    pub namespace: String,
    /// Interceptors, in order.
    pub interceptors: Vec<InterceptorSource>,
}

/// One interceptor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InterceptorSource {
    /// What its author calls it; may be empty.
    pub name: String,
    /// Which interceptor it is.
    pub kind: String,
    /// Its parameters.
    pub params: Vec<InterceptorParam>,
    /// Where it is, where that is outside of the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<Away>,
}

impl TriggerSource {
    /// The trigger as the journal keeps it, and the hash of that.
    pub fn kept(&self) -> Result<(Arc<str>, Revision), serde_json::Error> {
        let json = serde_json::to_string(self)?;
        let digest = Sha256::digest(&json);
        let revision = Revision(HEXLOWER.encode(&digest[..REVISION_BYTES]));
        Ok((json.into(), revision))
    }

    /// Whether it is the same trigger but for where the interceptors are that it
    /// refers to: objects of their own, whose addresses and certificates change
    /// under whoever waits for them.
    pub fn is_readdressed(&self, other: &Self) -> bool {
        self.unaddressed() == other.unaddressed()
    }

    fn unaddressed(&self) -> Self {
        let mut source = self.clone();
        let group = source.group.iter_mut();
        let of_group = group.flat_map(|group| &mut group.interceptors);
        for interceptor in source.interceptors.iter_mut().chain(of_group) {
            if let Some(Away::Remote(endpoint)) = &mut interceptor.away {
                endpoint.url.clear();
                endpoint.ca_bundle.clear();
                endpoint.reach = Reach::Guarded;
            }
        }
        source
    }

    /// A trigger that the journal kept.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}
