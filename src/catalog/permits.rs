//! Which listener may take triggers of another namespace.

use std::collections::HashSet;

/// A trigger of one namespace in a listener of another one. Both are given as
/// the account that they act as: its namespace and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Crossing {
    /// The listener's account.
    pub listener: (String, String),
    /// The trigger's account.
    pub trigger: (String, String),
}

impl Crossing {
    /// What is missing where it is not permitted.
    pub(super) fn denial(&self) -> String {
        let (namespace, account) = &self.listener;
        let (other, theirs) = &self.trigger;
        format!(
            "triggers of namespace {other} are left out: service account {namespace}/{account} must be allowed \
             to get triggers.triggers.tekton.dev and to impersonate serviceaccounts/{theirs} there"
        )
    }
}

/// The crossings that are permitted.
#[derive(Clone, Debug)]
pub enum Permits {
    /// All of them: whoever writes the files of a gateway is its owner.
    Everything,
    /// These.
    Only(HashSet<Crossing>),
}

impl Permits {
    pub(super) fn allow(&self, crossing: &Crossing) -> bool {
        let is_at_home = crossing.listener.0 == crossing.trigger.0;
        match self {
            Self::Everything => true,
            Self::Only(permitted) => is_at_home || permitted.contains(crossing),
        }
    }
}
