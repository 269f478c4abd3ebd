//! List values: of the event, of a header, of the program, or built.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{Text, Value};

/// A list.
#[derive(Clone, Debug)]
pub(crate) enum List<'v> {
    /// An array of the event.
    Json(&'v [Json]),
    /// The values of a header.
    Texts(&'v [String]),
    /// A constant of the program.
    Constant(&'v [Value<'v>]),
    /// Built during evaluation.
    Shared(Arc<Vec<Value<'v>>>),
}

impl<'v> List<'v> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Texts(items) => items.len(),
            Self::Constant(items) => items.len(),
            Self::Shared(items) => items.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Value<'v>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::of_json),
            Self::Texts(items) => items
                .get(index)
                .map(|text| Value::Text(Text::Borrowed(text))),
            Self::Constant(items) => items.get(index).map(Value::lend),
            Self::Shared(items) => items.get(index).cloned(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Value<'v>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    pub(crate) fn lend(&'v self) -> Self {
        match self {
            Self::Shared(items) => Self::Constant(items),
            other => other.clone(),
        }
    }
}
