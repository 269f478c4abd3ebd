//! Services of claimed listeners: the names under which senders in the cluster
//! know them, and that Ingresses lead to, go on working.
//!
//! In: the claimed listeners, the addresses of the gateway's pods. Out: for
//! each a Service `el-NAME` without a selector, with EndpointSlices that lead
//! to one port of the gateway, which is that listener's alone. A Service that
//! Tekton has made is taken over, and restored when its listener is given
//! back; one that is somebody else's is never touched.

mod addresses;
mod change;
mod keeper;
mod name;
mod ports;
mod records;
mod slices;
mod wanted;
mod watch;

pub use addresses::{Addresses, Source};
pub use keeper::{Failed, Keeper, Setup};
pub(crate) use name::tekton_name;
pub use name::{listener_of_host, service_name};
pub use ports::{Ports, Range};
pub use records::{Records, watch as watch_ports};
pub(crate) use wanted::is_tls;
pub use wanted::{Shape, Wanted, wanted};

/// How it stands with the Service of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// Name of the Service.
    pub name: String,
    /// Where senders in the cluster reach the listener through it; nothing
    /// where it does not lead here.
    pub url: Option<String>,
    /// Why, in a word.
    pub reason: &'static str,
    /// Why, and what would mend it.
    pub message: String,
}
