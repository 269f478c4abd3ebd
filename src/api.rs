//! Wire types of the objects that users write, one file a kind.
//!
//! In: JSON values. Out: typed values. They are as lenient as the API server
//! that stores them; whether an object makes sense is decided where it is
//! compiled.
//!
//! Source of the formats: the `triggers.tekton.dev` API of Tekton Triggers,
//! `v1beta1` and `v1alpha1`, and `v1` Secrets of Kubernetes.

pub mod crds;
pub mod event_listener;
pub mod interceptor;
pub mod meta;
pub mod schema;
pub mod secret;
pub mod trigger;
pub mod trigger_binding;
pub mod trigger_template;

/// Group of Tekton Triggers' kinds.
pub const TRIGGERS_GROUP: &str = "triggers.tekton.dev";

/// The version that most of them are stored in.
pub const V1BETA1: &str = "v1beta1";

/// The version before: the same shape but for a few fields, and the only one
/// of interceptors.
pub const V1ALPHA1: &str = "v1alpha1";
