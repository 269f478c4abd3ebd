//! The ports for people and for probes.
//!
//! In: questions. Out: what is in force, what is waiting, whether the gateway
//! is ready. Nothing here changes anything.

mod admin;
mod guard;
mod probe;

pub use admin::{Admin, admin_router};
pub use guard::Guard;
pub use probe::{Health, probe_router};
