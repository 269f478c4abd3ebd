//! Tripline: one ingress endpoint verifies webhook signatures, runs interceptor
//! chains that filter by repository and event, and renders trigger templates
//! into PipelineRun-style resources.
//!
//! The modules stand in the order in which an event meets them. `ARCHITECTURE.md`
//! has the map and the rules of who may import whom.

pub mod model;
pub mod api;
pub mod ingress;
pub mod pipeline;
pub mod verify;
pub mod intercept;
pub mod bind;
pub mod render;
pub mod act;
pub mod journal;
pub mod worker;
pub mod admission;
pub mod catalog;
pub mod secrets;
pub mod forge;
pub mod outbound;
pub mod shipped;
pub mod console;
pub mod telemetry;
pub mod clock;
pub mod failpoint;
pub mod config;
pub mod app;
pub mod cli;
