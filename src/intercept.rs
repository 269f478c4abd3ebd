//! Interceptors: what filters an event and adds to it.
//!
//! In: a verified event and what a trigger configures. Out: go on or stop,
//! and extensions. No socket, no clock; secrets come through
//! `model::secret::Secrets`.

pub mod cel;
