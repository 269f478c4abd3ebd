//! Which limits a delivery is under, as the configuration has it now.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::journal::{Portion, Portions};
use crate::model::flow::Limits;
use crate::model::ids::{ListenerId, TriggerId};

use super::flow::Lane;
use super::turns::Turns;

/// How much is performed at once, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Deliveries at once.
    pub deliveries: usize,
    /// Waiting events that somebody is asked about at once.
    pub questions: usize,
    /// Limits of each listener that has none of its own.
    pub listener: Limits,
    /// Limits of each trigger that has none of its own.
    pub trigger: Limits,
}

impl Flow {
    /// What holds where nobody says otherwise.
    pub const DEFAULT: Self = Self {
        deliveries: 64,
        questions: 16,
        listener: NO_LIMITS,
        trigger: NO_LIMITS,
    };
}

const NO_LIMITS: Limits = Limits {
    concurrent: None,
    rate: None,
};

/// Looks limits up.
pub(super) struct Lanes {
    pub(super) catalog: Arc<Catalog>,
    pub(super) flow: Flow,
    pub(super) turns: Arc<Turns>,
}

impl Lanes {
    /// What a trigger's deliveries are under.
    pub(super) fn lane(&self, listener: &ListenerId, trigger: &TriggerId) -> Lane {
        let snapshot = self.catalog.snapshot();
        let found = snapshot.listener(&listener.to_string());
        let bounds = found.map(|listener| &listener.bounds);
        let own = bounds.and_then(|bounds| bounds.triggers.get(trigger));
        let limits = own.map_or(NO_LIMITS, |own| own.limits);
        let whole = bounds.map_or(NO_LIMITS, |bounds| bounds.listener);
        Lane {
            listener: listener.clone(),
            trigger: trigger.clone(),
            of_listener: whole.or(self.flow.listener),
            of_trigger: limits.or(self.flow.trigger),
            meter: match own {
                Some(own) => Arc::clone(&own.meter),
                None => format!("{listener} {trigger}").into(),
            },
        }
    }
}

impl Portions for Lanes {
    fn of(&self, listener: &ListenerId, trigger: &TriggerId) -> Portion {
        let room = self.turns.room(&self.lane(listener, trigger));
        Portion {
            listener: room.listener,
            trigger: room.trigger,
        }
    }
}
