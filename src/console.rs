//! The ports for people and for probes.
//!
//! In: questions. Out: what is in force, what is waiting, whether the gateway
//! is ready; and, where somebody asks for it, events that are performed once
//! more or erased. Nothing here changes the configuration.

mod admin;
mod api;
mod guard;
mod probe;

pub use admin::{Admin, admin_router};
pub use guard::Guard;
pub use probe::{Health, probe_router};
