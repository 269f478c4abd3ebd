//! The spine: one event through the stages.
//!
//! In the accept lane a request is verified and matched, and what matched is
//! journaled, before the sender hears 202. In the worker's lane parameters are
//! bound, resources rendered and committed, and only then handed to an action.
//! No parsing, no HTTP and no database in here: those are the stages' own.

mod accept;
mod answer;
mod perform;

pub use accept::{Accepted, DEDUPE_WINDOW_MS, Gate, Held, Judgement, Settled, judge};
pub use answer::{Answer, answer};
pub use perform::{Failure, Work, perform, prepare};
