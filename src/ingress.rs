//! Bytes from strangers, and what they are told.
//!
//! In: connections. Out: a `RawEvent` for the spine, and honest answers. All
//! bounds of what a stranger may cause stand in `limits`, the only reader of
//! bodies in `body`, the only table from outcomes to statuses in `respond`.
//! Beside the port for senders, `webhook` answers an API server.

mod body;
mod budget;
mod flood;
mod handler;
pub mod limits;
mod respond;
mod route;
pub mod server;
pub mod tls;
mod webhook;

pub use budget::Budget;
pub use handler::{Ingress, Parts, listener_router, router};
pub use respond::{Told, preview, told};
pub use route::{Target, request_url, target};
pub use webhook::webhook_router;
