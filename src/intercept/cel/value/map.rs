//! Map values: of the event, its headers, the program, or built.
//!
//! Upstream walks maps in a random order; here the order is that of the keys,
//! so that the same event always gives the same result.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map as JsonMap, Value as Json};

use super::{Kind, List, Text, Timestamp, Value};
use crate::model::headers::Headers;

/// A map.
#[derive(Clone, Debug)]
pub(crate) enum Map<'v> {
    /// An object of the event.
    Json(&'v JsonMap<String, Json>),
    /// The request's headers, each with a list of texts.
    Headers(&'v Headers),
    /// A constant of the program, sorted by key.
    Constant(&'v [(Key<'v>, Value<'v>)]),
    /// Built during evaluation, sorted by key.
    Shared(Arc<Vec<(Key<'v>, Value<'v>)>>),
}

/// What can be the key of a map that an expression builds.
#[derive(Clone, Debug)]
pub(crate) enum Key<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Text<'v>),
    Timestamp(Timestamp),
    Duration(i64),
    Type(Kind),
    /// A list or a map, which no look-up finds. Counted, so that each is a key
    /// of its own.
    Opaque(usize, Value<'v>),
}

impl<'v> Map<'v> {
    /// A map of these entries; of those with one key the last stays.
    pub(crate) fn of_entries(mut entries: Vec<(Key<'v>, Value<'v>)>) -> Self {
        entries.sort_by(|one, other| one.0.order(&other.0));
        entries.dedup_by(|later, earlier| {
            let same = later.0.order(&earlier.0).is_eq();
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self::Shared(Arc::new(entries))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(fields) => fields.len(),
            Self::Headers(headers) => headers.len(),
            Self::Constant(entries) => entries.len(),
            Self::Shared(entries) => entries.len(),
        }
    }

    /// The value of a text key.
    pub(crate) fn field(&self, name: &str) -> Option<Value<'v>> {
        match self {
            Self::Json(fields) => fields.get(name).map(Value::of_json),
            Self::Headers(headers) => headers
                .values_exact(name)
                .map(|values| Value::List(List::Texts(values))),
            Self::Constant(_) | Self::Shared(_) => self.find(&Key::Text(Text::Borrowed(name))),
        }
    }

    /// The value of any key. A number finds an equal number of another type.
    pub(crate) fn get(&self, key: &Value<'v>) -> Option<Value<'v>> {
        if let Value::Text(text) = key
            && let Some(name) = text.as_str()
        {
            return self.field(name);
        }
        if let Self::Json(_) | Self::Headers(_) = self {
            return None;
        }
        // NaN equals nothing, a key of its kind included.
        let key = Key::of_value(key).filter(|_| !key.is_nan())?;
        self.find(&key).or_else(|| {
            let others = key.equal_numbers();
            others.iter().flatten().find_map(|other| self.find(other))
        })
    }

    fn find(&self, key: &Key<'_>) -> Option<Value<'v>> {
        match self {
            Self::Constant(entries) => {
                let at = entries.binary_search_by(|entry| entry.0.order(key)).ok()?;
                Some(entries[at].1.lend())
            }
            Self::Shared(entries) => {
                let at = entries.binary_search_by(|entry| entry.0.order(key)).ok()?;
                Some(entries[at].1.clone())
            }
            Self::Json(_) | Self::Headers(_) => None,
        }
    }

    /// The keys, in their order.
    pub(crate) fn keys(&self) -> Vec<Value<'v>> {
        match self {
            Self::Json(fields) => fields
                .keys()
                .map(|key| Value::Text(Text::Borrowed(key)))
                .collect(),
            Self::Headers(headers) => headers
                .iter()
                .map(|(name, _)| Value::Text(Text::Borrowed(name)))
                .collect(),
            Self::Constant(entries) => entries.iter().map(|(key, _)| key.to_value()).collect(),
            Self::Shared(entries) => entries.iter().map(|(key, _)| key.to_value()).collect(),
        }
    }

    /// Keys with their values, in the order of the keys.
    pub(crate) fn entries(&self) -> Vec<(Value<'v>, Value<'v>)> {
        match self {
            Self::Json(fields) => fields
                .iter()
                .map(|(key, value)| (Value::Text(Text::Borrowed(key)), Value::of_json(value)))
                .collect(),
            Self::Headers(headers) => headers
                .iter()
                .map(|(name, values)| {
                    let values = Value::List(List::Texts(values));
                    (Value::Text(Text::Borrowed(name)), values)
                })
                .collect(),
            Self::Constant(entries) => entries
                .iter()
                .map(|(key, value)| (key.to_value(), value.lend()))
                .collect(),
            Self::Shared(entries) => entries
                .iter()
                .map(|(key, value)| (key.to_value(), value.clone()))
                .collect(),
        }
    }

    /// The first key and its value.
    pub(crate) fn first(&self) -> Option<(Value<'v>, Value<'v>)> {
        match self {
            Self::Json(fields) => {
                let (key, value) = fields.iter().next()?;
                Some((Value::Text(Text::Borrowed(key)), Value::of_json(value)))
            }
            Self::Headers(headers) => {
                let (name, values) = headers.iter().next()?;
                let values = Value::List(List::Texts(values));
                Some((Value::Text(Text::Borrowed(name)), values))
            }
            Self::Constant(entries) => {
                let (key, value) = entries.first()?;
                Some((key.to_value(), value.lend()))
            }
            Self::Shared(entries) => {
                let (key, value) = entries.first()?;
                Some((key.to_value(), value.clone()))
            }
        }
    }

    pub(crate) fn lend(&'v self) -> Self {
        match self {
            Self::Shared(entries) => Self::Constant(entries),
            other => other.clone(),
        }
    }
}

impl<'v> Key<'v> {
    /// The key that a value is, if it can be one.
    pub(crate) fn of_value(value: &Value<'v>) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Uint(value) => Self::Uint(*value),
            Value::Double(value) => Self::Double(*value),
            Value::Text(text) => Self::Text(text.clone()),
            Value::Timestamp(value) => Self::Timestamp(*value),
            Value::Duration(value) => Self::Duration(*value),
            Value::Type(value) => Self::Type(*value),
            Value::Bytes(_) | Value::List(_) | Value::Map(_) => return None,
        })
    }

    /// The key that the `index`th entry of a map literal has.
    pub(crate) fn of_entry(value: &Value<'v>, index: usize) -> Option<Self> {
        match value {
            Value::List(_) | Value::Map(_) => Some(Self::Opaque(index, value.clone())),
            other => Self::of_value(other),
        }
    }

    pub(crate) fn to_value(&self) -> Value<'v> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Uint(value) => Value::Uint(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Timestamp(value) => Value::Timestamp(*value),
            Self::Duration(value) => Value::Duration(*value),
            Self::Type(value) => Value::Type(*value),
            Self::Opaque(_, value) => value.clone(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Uint(_) => 3,
            Self::Double(_) => 4,
            Self::Text(_) => 5,
            Self::Timestamp(_) => 6,
            Self::Duration(_) => 7,
            Self::Type(_) => 8,
            Self::Opaque(..) => 9,
        }
    }

    fn order(&self, other: &Key<'_>) -> Ordering {
        match (self, other) {
            (Self::Bool(one), Key::Bool(other)) => one.cmp(other),
            (Self::Int(one), Key::Int(other)) => one.cmp(other),
            (Self::Uint(one), Key::Uint(other)) => one.cmp(other),
            // `+ 0.0` makes one key of both zeros.
            (Self::Double(one), Key::Double(other)) => (one + 0.0).total_cmp(&(other + 0.0)),
            (Self::Text(one), Key::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
            (Self::Timestamp(one), Key::Timestamp(other)) => one.instant().cmp(&other.instant()),
            (Self::Duration(one), Key::Duration(other)) => one.cmp(other),
            (Self::Type(one), Key::Type(other)) => one.cmp(other),
            (Self::Opaque(one, _), Key::Opaque(other, _)) => one.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// The keys of other number types that equal this one.
    fn equal_numbers(&self) -> [Option<Key<'static>>; 2] {
        match *self {
            Self::Int(value) => [u64::try_from(value).ok().map(Key::Uint), None],
            Self::Uint(value) => [i64::try_from(value).ok().map(Key::Int), None],
            Self::Double(value) => [
                super::compare::exact_int(value).map(Key::Int),
                super::compare::exact_uint(value).map(Key::Uint),
            ],
            _ => [None, None],
        }
    }
}
