//! Which listener may take triggers of another namespace.

use std::collections::HashSet;

use crate::model::ids::ListenerId;

use super::source::TriggerSource;

/// A trigger of one namespace in a listener of another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Crossing {
    /// The listener's account: its namespace and its name.
    pub listener: (String, String),
    /// The trigger's namespace.
    pub namespace: String,
    /// The account there that the trigger acts as; nothing where it acts as
    /// the listener's.
    pub account: Option<String>,
}

impl Crossing {
    pub(super) fn of(listener: &ListenerId, account: &str, trigger: &TriggerSource) -> Self {
        let is_own = trigger.account_namespace == trigger.namespace;
        Self {
            listener: (listener.namespace.clone(), account.to_owned()),
            namespace: trigger.namespace.clone(),
            account: is_own.then(|| trigger.service_account.clone()),
        }
    }

    /// What is to be said where nobody could ask.
    pub(super) fn doubt(&self) -> String {
        format!(
            "whether triggers of namespace {} may be taken could not be asked yet",
            self.namespace
        )
    }

    /// What is missing where it is not permitted.
    pub(super) fn denial(&self) -> String {
        let (namespace, account) = &self.listener;
        let other = &self.namespace;
        let act = match &self.account {
            Some(theirs) => format!(" and to impersonate serviceaccounts/{theirs}"),
            None => String::new(),
        };
        format!(
            "triggers of namespace {other} are left out: service account {namespace}/{account} must be allowed \
             to get triggers.triggers.tekton.dev{act} there"
        )
    }
}

/// The crossings that are permitted.
#[derive(Clone, Debug)]
pub enum Permits {
    /// All of them: whoever writes the files of a gateway is its owner.
    Everything,
    /// These.
    Only {
        /// Permitted, by the API server's word.
        permitted: HashSet<Crossing>,
        /// Those that nobody could ask about.
        unknown: HashSet<Crossing>,
    },
}

/// Whether a crossing is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permit {
    Granted,
    Denied,
    Unknown,
}

impl Permits {
    pub(super) fn of(&self, crossing: &Crossing) -> Permit {
        let is_at_home = crossing.listener.0 == crossing.namespace;
        match self {
            Self::Everything => Permit::Granted,
            Self::Only { permitted, .. } if is_at_home || permitted.contains(crossing) => {
                Permit::Granted
            }
            Self::Only { unknown, .. } if unknown.contains(crossing) => Permit::Unknown,
            Self::Only { .. } => Permit::Denied,
        }
    }

    /// Whether the account takes some trigger of the namespace.
    pub(super) fn reach(&self, listener: &(String, String), namespace: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Only { permitted, .. } => {
                let mut permitted = permitted.iter().filter(|one| one.listener == *listener);
                listener.0 == namespace || permitted.any(|one| one.namespace == namespace)
            }
        }
    }
}

#[cfg(test)]
mod tests;
