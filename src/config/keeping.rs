//! What is kept in the journal, and how much of it.

use crate::journal::upkeep::{Bounds, Retention};
use crate::pipeline::Windows;

use super::Config;

impl Config {
    /// How large the journal may become.
    pub fn journal_bounds(&self) -> Bounds {
        let size = self.limits.journal_size.as_u64();
        Bounds {
            size: (size > 0).then_some(size),
            free: self.limits.journal_free.as_u64(),
        }
    }

    /// How long deliveries are known when they come again.
    pub fn windows(&self) -> Windows {
        Windows {
            id: self.dedupe.window,
            hash: self.dedupe.hash_window,
        }
    }

    /// How long what is over is kept.
    pub fn retention(&self) -> Retention {
        Retention {
            ended: self.retention,
            dead: self.dead_retention,
            given_up: self.given_up_retention,
            payload: self.payload_retention,
        }
    }
}
