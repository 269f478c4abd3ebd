//! Which delivery this is, so that the same one is not performed twice.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::model::event::{SharedEvent, VerifiedEvent};
use crate::model::ids::{DeliveryKey, ListenerId};
use crate::model::sender::{DeliveryMark, Mark, Sender};

/// What identifies a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key.
    pub key: DeliveryKey,
    /// Whether the key is only a hash of the bytes, good for a short time.
    pub by_hash: bool,
}

/// The identity of an event, or nothing where its sender is unknown or does
/// not number its deliveries. Only verified events have one, so that a
/// stranger cannot use up somebody's ids.
pub fn identify(listener: &ListenerId, event: &VerifiedEvent) -> Option<Identity> {
    let sender = event.sender()?;
    // A body that nobody has asked for yet is only parsed where its sender
    // needs it for this.
    let mark = (sender.delivery)(event.headers(), None)
        .or_else(|| (sender.delivery)(event.headers(), event.body().ok()))?;
    let identity = identity(listener, sender, mark, event.url(), event.raw_body());
    Some(identity)
}

/// The identity that an event will have if it is what its headers claim. Good
/// for telling somebody, and for nothing else.
pub(super) fn claimed(listener: &ListenerId, event: &SharedEvent) -> Option<Identity> {
    let (sender, raw) = (event.claimed_sender()?, event.raw());
    let mark = (sender.delivery)(&raw.headers, None)?;
    Some(identity(listener, sender, mark, &raw.url, &raw.body))
}

fn identity(
    listener: &ListenerId,
    sender: &Sender,
    mark: DeliveryMark,
    url: &str,
    body: &[u8],
) -> Identity {
    match mark.id {
        Mark::Id(id) => Identity {
            key: DeliveryKey::new(listener, sender.name, &mark.scope, &id),
            by_hash: false,
        },
        // The path tells one policy's route from another's.
        Mark::BodyHash => {
            let digest = HEXLOWER.encode(&Sha256::digest(body));
            Identity {
                key: DeliveryKey::new(listener, sender.name, url, &digest),
                by_hash: true,
            }
        }
    }
}
