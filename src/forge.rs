//! Forges and their APIs.

pub mod github;
