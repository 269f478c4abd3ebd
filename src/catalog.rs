//! The configuration: from files to an immutable snapshot of compiled
//! triggers, swapped whole.
//!
//! In: texts of files. Out: a snapshot, and what is wrong with the texts. This
//! is the only module that knows how the stages' compiled parts make a
//! trigger.

pub mod diagnostic;
pub mod objects;
mod yaml;
