//! What the gateway promises at its boundaries, in one process.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may panic, print and look at the clock"
)]

mod cli;
mod conformance_validate;
mod deferred;
mod docs;
mod duplicates;
mod fixtures;
mod http;
mod layering;
mod lifecycle;
mod reload;
mod secrecy;
mod shipped;
mod support;
mod tls;
mod trouble;
