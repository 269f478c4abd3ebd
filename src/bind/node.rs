//! What an expression can stand on: the event, seen without copying it.
//!
//! In: the `Scope`. Out: nodes, which are references into it. The event itself
//! is never put together as one JSON value; its four parts keep the shapes that
//! they have upstream, where the event is a struct: its fields also answer to
//! their Go names (`$(Body.x)`, `$(context.EventID)`).

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{BodyView, Scope};

static NULL: Value = Value::Null;

/// One value inside an event, or a value that the expression states.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// The whole event: header, body, extensions, context.
    Event,
    /// All headers, each a single text.
    Headers,
    /// `context`.
    Context,
    /// `extensions`.
    Map(&'a Map<String, Value>),
    /// Anything in the body or below the extensions.
    Json(&'a Value),
    /// A header, the event id, or a quoted text.
    Text(Cow<'a, str>),
    /// A whole number that the expression states, or a byte of a text.
    Int(i64),
    /// A number that the expression states.
    Float(f64),
    /// `true` or `false` in the expression.
    Bool(bool),
}

impl<'a> Node<'a> {
    /// Whether it is JSON's `null`, which most steps pass over in silence.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Json(Value::Null))
    }

    /// The elements, where it is a list.
    pub(super) fn list(&self) -> Option<(&'a Value, &'a [Value])> {
        match *self {
            Self::Json(value @ Value::Array(items)) => Some((value, items)),
            _ => None,
        }
    }

    /// The text, where it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Json(Value::String(text)) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The member of this name.
    pub(super) fn field(&self, name: &str, scope: &Scope<'a>) -> Option<Self> {
        match *self {
            Self::Event => match Part::named(name)? {
                Part::Header => Some(Self::Headers),
                Part::Body => Some(body(scope)),
                Part::Extensions => Some(Self::Map(scope.extensions)),
                Part::Context => Some(Self::Context),
            },
            Self::Context => matches!(name, "eventID" | "EventID").then(|| event_id(scope)),
            Self::Headers => scope.headers.values_exact(name).map(header),
            Self::Map(map) | Self::Json(Value::Object(map)) => map.get(name).map(Self::Json),
            _ => None,
        }
    }

    /// Everything directly below it. A text has its bytes below it, as in Go.
    pub(super) fn children(&self, scope: &Scope<'a>) -> Vec<Self> {
        match *self {
            Self::Event => vec![
                Self::Headers,
                body(scope),
                Self::Map(scope.extensions),
                Self::Context,
            ],
            Self::Context => vec![event_id(scope)],
            Self::Headers => scope.headers.iter().map(|(_, all)| header(all)).collect(),
            Self::Map(map) | Self::Json(Value::Object(map)) => {
                map.values().map(Self::Json).collect()
            }
            Self::Json(Value::Array(items)) => items.iter().map(Self::Json).collect(),
            _ => {
                let bytes = self.text().unwrap_or_default().bytes();
                bytes.map(|byte| Self::Int(byte.into())).collect()
            }
        }
    }

    /// How many children it has.
    pub(super) fn width(&self, scope: &Scope<'a>) -> usize {
        match *self {
            Self::Event => 4,
            Self::Context => 1,
            Self::Headers => scope.headers.len(),
            Self::Map(map) | Self::Json(Value::Object(map)) => map.len(),
            Self::Json(Value::Array(items)) => items.len(),
            _ => self.text().map_or(0, str::len),
        }
    }

    /// What it is, for an error.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Event | Self::Context | Self::Headers | Self::Map(_) => "an object",
            Self::Text(_) => "a text",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::Json(value) => match value {
                Value::Null => "null",
                Value::Bool(_) => "a boolean",
                Value::Number(_) => "a number",
                Value::String(_) => "a text",
                Value::Array(_) => "a list",
                Value::Object(_) => "an object",
            },
        }
    }
}

/// What an event consists of.
enum Part {
    Header,
    Body,
    Extensions,
    Context,
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        match name {
            "header" | "Header" => Some(Self::Header),
            "body" | "Body" => Some(Self::Body),
            "extensions" | "Extensions" => Some(Self::Extensions),
            "context" | "Context" => Some(Self::Context),
            _ => None,
        }
    }
}

/// Whether an event can have a field of this name.
pub(super) fn is_part_of_event(name: &str) -> bool {
    Part::named(name).is_some()
}

/// The body; an empty one is `null`.
fn body<'a>(scope: &Scope<'a>) -> Node<'a> {
    match scope.body {
        BodyView::Json(value) => Node::Json(value),
        BodyView::Empty | BodyView::Invalid(_) => Node::Json(&NULL),
    }
}

fn event_id<'a>(scope: &Scope<'a>) -> Node<'a> {
    Node::Text(Cow::Borrowed(scope.event_id))
}

/// Several values of one header are one text, joined by commas.
fn header(values: &[String]) -> Node<'_> {
    Node::Text(match values {
        [one] => Cow::Borrowed(one),
        more => Cow::Owned(more.join(",")),
    })
}
