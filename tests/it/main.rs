//! What the gateway promises at its boundaries, in one process.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may panic, print and look at the clock"
)]

mod api;
mod as_tekton;
mod care;
mod cli;
mod conformance;
mod deferred;
mod docs;
mod duplicates;
mod elsewhere;
mod events;
mod fixtures;
mod flow;
mod forge;
mod http;
mod identity;
mod layering;
mod hosts;
mod journal;
mod lifecycle;
mod migrate;
mod outbound;
mod reload;
mod retries;
mod replay;
mod secrecy;
mod shipped;
mod support;
mod tls;
mod trouble;

/// What every journal promises.
#[path = "../contract/promises.rs"]
mod contract;

/// The code that compares recorded cases.
#[path = "../../examples/conformance"]
mod recorded {
    pub(crate) mod cases;
    pub(crate) mod compare;
}

use recorded::cases::Case;
use recorded::compare::Comparison;
