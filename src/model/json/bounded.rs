//! A parser of JSON that counts what its result takes up, and stops where that
//! is too much: a few bytes of text can become a hundred times as many in
//! memory.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Bytes of an item of a list, with the room that lists keep for more.
const ITEM_BYTES: usize = 3 * size_of::<Value>() / 2;

/// Bytes of one node of the tree that an object is.
const NODE_BYTES: usize = 640;

/// Fields of an object that a node holds where they come in order, which is
/// the worst case.
const FIELDS_PER_NODE: usize = 6;

/// Bytes that the allocator takes for the shortest text.
const TEXT_BYTES: usize = 16;

/// Counts the bytes that values take up.
#[derive(Debug)]
pub(super) struct Bound {
    left: Cell<usize>,
    exceeded: Cell<bool>,
}

impl Bound {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            left: Cell::new(bytes),
            exceeded: Cell::new(false),
        }
    }

    /// What is left.
    pub(super) fn left(&self) -> usize {
        self.left.get()
    }

    /// Whether more was asked for than there was.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.get()
    }

    fn charge<E: Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.exceeded.set(true);
                Err(E::custom("it takes up too much memory"))
            }
        }
    }

    fn text<E: Error>(&self, text: &str) -> Result<(), E> {
        self.charge(text.len().max(TEXT_BYTES))
    }
}

impl<'de> DeserializeSeed<'de> for &Bound {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Keys of objects.
struct Key<'b>(&'b Bound);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        self.0.text(text)?;
        Ok(text.to_owned())
    }
}

impl<'de> Visitor<'de> for &Bound {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.text(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            self.charge(ITEM_BYTES)?;
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let (mut fields, mut read) = (Map::new(), 0usize);
        while let Some(name) = access.next_key_seed(Key(self))? {
            if read.is_multiple_of(FIELDS_PER_NODE) {
                self.charge(NODE_BYTES)?;
            }
            read += 1;
            fields.insert(name, access.next_value_seed(self)?);
        }
        Ok(Value::Object(fields))
    }
}
