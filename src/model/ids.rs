//! Identities: of an event, of a trigger, of a delivery.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Namespace of every UUIDv5 that Tripline derives. Never to be changed: names
/// of objects in clusters descend from it.
const TRIPLINE_NAMESPACE: Uuid = Uuid::from_u128(0x7472_6970_6c69_6e65_8000_6576_656e_7473);

/// Identity of one event. Stable over redeliveries where the sender numbers
/// its deliveries, so that names derived from it are stable too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub Uuid);

impl EventId {
    /// The id of the event that carries this delivery key.
    pub fn of_key(key: &DeliveryKey) -> Self {
        Self(Uuid::new_v5(&TRIPLINE_NAMESPACE, key.0.as_bytes()))
    }

    /// `$(uid)`: one value for everything that `trigger` renders for this event.
    pub fn uid_for(&self, trigger: &TriggerId) -> Uuid {
        Uuid::new_v5(&self.0, trigger.0.as_bytes())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What makes a delivery the same delivery when its sender sends it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryKey(String);

impl DeliveryKey {
    /// The key of (listener, provider, scope, id). Each part is written with
    /// its length, so that no two quadruples share a key.
    pub fn new(listener: &ListenerId, provider: &str, scope: &str, id: &str) -> Self {
        let listener = listener.to_string();
        let mut key = String::with_capacity(listener.len() + scope.len() + id.len() + 32);
        for part in [listener.as_str(), provider, scope, id] {
            key.push_str(&part.len().to_string());
            key.push(':');
            key.push_str(part);
        }
        Self(key)
    }

    /// The key as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The provider and the id that the key was made of.
    pub fn sender_and_id(&self) -> Option<(&str, &str)> {
        let (_, rest) = part(&self.0)?;
        let (provider, rest) = part(rest)?;
        let (_, rest) = part(rest)?;
        Some((provider, part(rest)?.0))
    }
}

/// The first part of a key, and the rest.
fn part(key: &str) -> Option<(&str, &str)> {
    let (length, rest) = key.split_once(':')?;
    rest.split_at_checked(length.parse().ok()?)
}

/// Namespace and name of an EventListener.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListenerId {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A trigger's path in its listener: `namespace/name` of a Trigger,
/// `namespace/listener#name` of an inline one, `~2` for a repeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TriggerId(pub String);

impl fmt::Display for TriggerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Number of one delivery in its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub i64);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Hash of everything a trigger was compiled from, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub String);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(namespace: &str, name: &str) -> ListenerId {
        ListenerId {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    #[test]
    fn the_same_delivery_has_the_same_event_id() {
        let key = DeliveryKey::new(&listener("ci", "gh"), "github", "1", "72d3162e");
        let again = DeliveryKey::new(&listener("ci", "gh"), "github", "1", "72d3162e");
        assert_eq!(EventId::of_key(&key), EventId::of_key(&again));
    }

    #[test]
    fn parts_of_a_key_cannot_be_shifted_into_one_another() {
        let one = DeliveryKey::new(&listener("ci", "gh"), "github", "ab", "c");
        let other = DeliveryKey::new(&listener("ci", "gh"), "github", "a", "bc");
        assert_ne!(one, other);
    }

    #[test]
    fn a_key_tells_whose_it_is_and_which() {
        let key = DeliveryKey::new(&listener("ci", "gh"), "some:one", "4:x", "a:1");
        assert_eq!(key.sender_and_id(), Some(("some:one", "a:1")));
        assert_eq!(DeliveryKey("9:short".into()).sender_and_id(), None);
    }

    #[test]
    fn uid_differs_between_triggers_of_one_event() {
        let event = EventId(Uuid::from_u128(7));
        let a = event.uid_for(&TriggerId("default/a".into()));
        let b = event.uid_for(&TriggerId("default/b".into()));
        assert_ne!(a, b);
        assert_eq!(a, event.uid_for(&TriggerId("default/a".into())));
    }
}
