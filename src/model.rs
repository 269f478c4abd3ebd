//! Pure data that every stage shares: events, verdicts, names, manifests.
//!
//! In: nothing. Out: types. No IO, no clock, no async, and no import of any
//! other module of this crate.

pub mod annotations;
pub mod base64;
pub mod event;
pub mod finding;
pub mod flow;
pub mod headers;
pub mod ids;
pub mod json;
pub mod limits;
pub mod manifest;
pub mod params;
pub mod problem;
pub mod quote;
pub mod retry;
pub mod secret;
pub mod sender;
pub mod url;
pub mod verdict;
