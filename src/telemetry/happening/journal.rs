//! What happens to the journal as a whole.

use tracing::{error, info};

use crate::journal::upkeep::Refusal;
use crate::telemetry::Metrics;

use super::Happening;

/// The journal takes no new events from now on.
pub struct JournalRefuses<'a>(pub &'a Refusal);

impl Happening for JournalRefuses<'_> {
    fn emit(&self, _: &Metrics) {
        let reason = self.0.code();
        error!(reason, "new events are answered 503: {}", self.0);
    }
}

/// The journal takes new events again.
pub struct JournalTakes;

impl Happening for JournalTakes {
    fn emit(&self, _: &Metrics) {
        info!("the journal takes new events again");
    }
}
