//! Wire types of the objects that users write, one file a kind.
//!
//! In: JSON values. Out: typed values. They are as lenient as the API server
//! that stores them; whether an object makes sense is decided where it is
//! compiled.
//!
//! Source of the formats: the `triggers.tekton.dev/v1beta1` API of Tekton
//! Triggers, and `v1` Secrets of Kubernetes.

pub mod crds;
pub mod event_listener;
pub mod meta;
pub mod secret;
pub mod trigger;
pub mod trigger_binding;
pub mod trigger_template;

/// Group and version of Tekton Triggers' kinds.
pub const TRIGGERS_V1BETA1: &str = "triggers.tekton.dev/v1beta1";

/// Group of Tekton Triggers' kinds.
pub const TRIGGERS_GROUP: &str = "triggers.tekton.dev";

/// Their version that is read.
pub const TRIGGERS_VERSION: &str = "v1beta1";
