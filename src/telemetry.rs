//! What is told to whoever runs the gateway: each happening is one value,
//! written as a log line and counted as a metric in one place.
//!
//! In: happenings. Out: lines, and the text of `/metrics`. Labels come from
//! closed sets; what a payload says is never one, and credentials are neither.

pub mod happening;
mod journal;
mod lines;
mod log;
mod metrics;
mod tekton;

pub use log::{Format, init, parse_level};
pub use metrics::Metrics;
