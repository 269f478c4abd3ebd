//! The spine: one event through the stages.
//!
//! In the accept lane a request is verified and matched, and what matched is
//! journaled, before the sender hears 202. In the worker's lane parameters are
//! bound, resources rendered and committed, and only then handed to an action.
//! No parsing, no HTTP and no database in here: those are the stages' own.

mod accepted;
mod answer;
mod consult;
mod failure;
mod gate;
mod judge;
mod pass;
mod perform;
mod replay;
mod walk;

pub use accepted::{Accepted, Earlier, Held};
pub use answer::{Answer, answer};
pub use consult::consult;
pub use failure::Failure;
pub use gate::{Acceptance, Gate, Settled, Windows};
pub use judge::{Circumstances, Judgement, judge};
pub use perform::{
    Arrived, Committed, Performed, Prepared, Work, Workshop, arrive, perform, prepare,
};
pub use replay::Replay;
pub use walk::Halted;
