//! Values at evaluation.
//!
//! In: the parsed event, read by reference, and what functions build. Out:
//! what `convert` turns into JSON. Numbers of JSON are doubles, as upstream
//! has it. Nothing here copies the event.

mod compare;
mod list;
mod map;
mod text;
mod time;

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

pub(crate) use compare::{exact_int, exact_uint};
pub(crate) use list::List;
pub(crate) use map::{Key, Map};
pub(crate) use text::Text;
pub(crate) use time::{Civil, Timestamp, duration_text};

/// A value that lives no longer than the event and the program.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value<'v> {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Text<'v>),
    Bytes(Bytes<'v>),
    List(List<'v>),
    Map(Map<'v>),
    Timestamp(Timestamp),
    /// Nanoseconds.
    Duration(i64),
    Type(Kind),
}

/// A sequence of bytes.
#[derive(Clone, Debug)]
pub(crate) enum Bytes<'v> {
    Borrowed(&'v [u8]),
    Shared(Arc<[u8]>),
}

impl Bytes<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// The type of a value, as `type(x)` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    List,
    Map,
    Timestamp,
    Duration,
    Type,
}

impl Kind {
    /// The name under which an expression can spell the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::List => "list",
            Self::Map => "map",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Duration => "google.protobuf.Duration",
            Self::Type => "type",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'v> Value<'v> {
    /// The value that stands for a part of the event.
    pub(crate) fn of_json(json: &'v Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::Text(Text::Borrowed(text)),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(fields) => Self::Map(Map::Json(fields)),
        }
    }

    pub(crate) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(Text::Shared(text.into()))
    }

    pub(crate) fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Bytes(Bytes::Shared(bytes.into()))
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(List::Shared(Arc::new(items)))
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Uint(_) => Kind::Uint,
            Self::Double(_) => Kind::Double,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
            Self::List(_) => Kind::List,
            Self::Map(_) => Kind::Map,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::Duration(_) => Kind::Duration,
            Self::Type(_) => Kind::Type,
        }
    }

    /// The same value by reference, so that a constant is never counted by
    /// several threads at once.
    pub(crate) fn lend(&'v self) -> Self {
        match self {
            Self::Text(text) => Self::Text(text.lend()),
            Self::Bytes(bytes) => Self::Bytes(Bytes::Borrowed(bytes.as_slice())),
            Self::List(list) => Self::List(list.lend()),
            Self::Map(map) => Self::Map(map.lend()),
            other => other.clone(),
        }
    }
}
