//! What the gateway promises at its boundaries, in one process.

mod cli;
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
