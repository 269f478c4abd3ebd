//! An object as Go's decoder reads it: which keys it knows, which values it
//! takes, and what it says of others.
//!
//! In: JSON. Out: the same with the API's own keys and without what Go drops,
//! and the first mistake. A mistake of type does not stop the decoder, as it
//! does not stop Go's; what it could not use is left out.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use crate::api::schema::{self, Field, Shape};
use crate::model::base64;
use crate::model::problem::pointer_token;
use crate::model::quote::quote;

use super::custom::{self, Misfit};

/// Something that Go's decoder does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// What it says.
    pub message: String,
    /// Where.
    pub pointer: String,
}

/// What came of decoding.
#[derive(Debug)]
pub(super) struct Decoded {
    /// As much as was taken.
    pub value: Value,
    /// What was wrong.
    pub mistake: Option<Mistake>,
}

/// Which fields that a type does not have are mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// All.
    Refused,
    /// Those outside of the metadata: what is new there is the API server's.
    RefusedInSpec,
    /// None.
    PassedOver,
}

/// Decodes a value as Go does.
pub(super) fn decode(of: &'static str, given: &Value, unknown: Unknown) -> Decoded {
    let mut decoder = Decoder {
        unknown,
        holder: None,
        fields: Vec::new(),
        place: String::new(),
        first: None,
    };
    let mut value = None;
    let end = decoder.value(of, given, &mut value);
    Decoded {
        value: value.unwrap_or_else(|| zero(of)),
        // What ends the decoding is told before what it went on from.
        mistake: end.err().or(decoder.first),
    }
}

struct Decoder {
    unknown: Unknown,
    /// The structure whose fields are being read.
    holder: Option<&'static str>,
    /// The fields on the way.
    fields: Vec<&'static str>,
    /// The same as a JSON pointer, with the keys that were given.
    place: String,
    first: Option<Mistake>,
}

impl Decoder {
    /// Reads a value into what is there already; an error ends everything.
    fn value(
        &mut self,
        of: &'static str,
        given: &Value,
        into: &mut Option<Value>,
    ) -> Result<(), Mistake> {
        match (schema::shape(of), given) {
            (Shape::Pointer(_) | Shape::List(_) | Shape::Map(_), Value::Null) => *into = None,
            (Shape::Pointer(inner), _) => {
                if into.is_none() {
                    *into = Some(zero(inner));
                }
                return self.value(inner, given, into);
            }
            (Shape::Custom, _) => match custom::read(schema::shown(of), given) {
                Ok(value) => *into = value,
                Err(Misfit::Type { found, wanted }) => return Err(self.misfit(&found, wanted)),
                Err(Misfit::Other(message)) => return Err(self.mistake(message)),
            },
            (_, Value::Null) => {}
            (Shape::Struct(fields), Value::Object(object)) => {
                return self.structure(of, fields, object, into);
            }
            (Shape::List(items), Value::Array(given)) => return self.list(items, given, into),
            (Shape::List(items), Value::String(text)) if schema::shown(items) == "uint8" => {
                match base64::decode(text) {
                    Ok(bytes) => *into = Some(BASE64.encode(&bytes).into()),
                    Err(at) => self.note(format!("illegal base64 data at input byte {at}")),
                }
            }
            (Shape::Map(values), Value::Object(entries)) => {
                return self.map(values, entries, into);
            }
            (Shape::Text, Value::String(_)) | (Shape::Bool, Value::Bool(_)) => {
                *into = Some(given.clone());
            }
            (Shape::Int(bits), Value::Number(number)) => match whole(number, bits) {
                Some(number) => *into = Some(number.into()),
                None => self.save(&format!("number {}", custom::number(number)), of),
            },
            (_, other) => self.save(kind(other), of),
        }
        Ok(())
    }

    fn structure(
        &mut self,
        of: &'static str,
        fields: &'static [Field],
        given: &Map<String, Value>,
        into: &mut Option<Value>,
    ) -> Result<(), Mistake> {
        let mut object = match into.take() {
            Some(Value::Object(object)) => object,
            _ => Map::new(),
        };
        let (holder, depth, length) = (self.holder, self.fields.len(), self.place.len());
        for (key, value) in given {
            let Some(field) = schema::field(fields, key) else {
                if self.refuses_unknown() {
                    self.enter(key);
                    self.note(format!("json: unknown field {}", quote(key)));
                    self.place.truncate(length);
                }
                continue;
            };
            self.enter(key);
            let from = field.from.split('/').filter(|name| !name.is_empty());
            self.fields.extend(from);
            self.fields.push(field.name);
            self.holder = Some(of);
            let mut slot = object.remove(field.name);
            let end = self.value(field.of, value, &mut slot);
            object.extend(slot.map(|slot| (field.name.to_owned(), slot)));
            *into = None;
            if end.is_err() {
                *into = Some(Value::Object(object));
                return end;
            }
            self.fields.truncate(depth);
            self.holder = holder;
            self.place.truncate(length);
        }
        for field in fields.iter().filter(|field| field.is_always_written) {
            object.entry(field.name).or_insert_with(|| 0.into());
        }
        *into = Some(Value::Object(object));
        Ok(())
    }

    fn list(
        &mut self,
        of: &'static str,
        given: &[Value],
        into: &mut Option<Value>,
    ) -> Result<(), Mistake> {
        // Go decodes into the elements that are there.
        let mut before = match into.take() {
            Some(Value::Array(items)) => items.into_iter(),
            _ => Vec::new().into_iter(),
        };
        let mut items = Vec::with_capacity(given.len());
        let length = self.place.len();
        for (index, value) in given.iter().enumerate() {
            self.enter(&index.to_string());
            let mut slot = before.next().filter(|value| !value.is_null());
            let end = self.value(of, value, &mut slot);
            items.push(slot.unwrap_or_else(|| zero(of)));
            if end.is_err() {
                *into = Some(Value::Array(items));
                return end;
            }
            self.place.truncate(length);
        }
        *into = Some(Value::Array(items));
        Ok(())
    }

    fn map(
        &mut self,
        of: &'static str,
        given: &Map<String, Value>,
        into: &mut Option<Value>,
    ) -> Result<(), Mistake> {
        let mut entries = match into.take() {
            Some(Value::Object(entries)) => entries,
            _ => Map::new(),
        };
        let length = self.place.len();
        for (key, value) in given {
            self.enter(key);
            let mut slot = None;
            let end = self.value(of, value, &mut slot);
            entries.insert(key.clone(), slot.unwrap_or_else(|| zero(of)));
            if end.is_err() {
                *into = Some(Value::Object(entries));
                return end;
            }
            self.place.truncate(length);
        }
        *into = Some(Value::Object(entries));
        Ok(())
    }

    fn refuses_unknown(&self) -> bool {
        match self.unknown {
            Unknown::Refused => true,
            Unknown::RefusedInSpec => self.fields.first() != Some(&"metadata"),
            Unknown::PassedOver => false,
        }
    }

    fn enter(&mut self, token: &str) {
        self.place.push('/');
        self.place.push_str(&pointer_token(token));
    }

    fn mistake(&self, message: String) -> Mistake {
        Mistake {
            message,
            pointer: self.place.clone(),
        }
    }

    /// A value of a type that is not taken.
    fn misfit(&self, found: &str, wanted: &str) -> Mistake {
        let wanted = schema::shown(wanted);
        let message = match self.holder {
            None => format!("json: cannot unmarshal {found} into Go value of type {wanted}"),
            Some(holder) => {
                let holder = schema::shown(holder);
                let name = holder.rsplit('.').next().unwrap_or(holder);
                let path = self.fields.join(".");
                format!(
                    "json: cannot unmarshal {found} into Go struct field {name}.{path} of type {wanted}"
                )
            }
        };
        self.mistake(message)
    }

    /// Keeps the first mistake, and goes on.
    fn save(&mut self, found: &str, wanted: &str) {
        let mistake = self.misfit(found, wanted);
        self.first.get_or_insert(mistake);
    }

    fn note(&mut self, message: String) {
        let mistake = self.mistake(message);
        self.first.get_or_insert(mistake);
    }
}

/// What Go calls a value that it cannot use.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The value of a type that nobody has given one.
pub(super) fn zero(of: &'static str) -> Value {
    match schema::shape(of) {
        Shape::Struct(_) => Value::Object(Map::new()),
        Shape::Text => "".into(),
        Shape::Bool => false.into(),
        Shape::Int(_) => 0.into(),
        Shape::Pointer(_) | Shape::List(_) | Shape::Map(_) | Shape::Custom => Value::Null,
    }
}

/// A whole number of so many bits; `1.0` is one, as a YAML file may have it.
fn whole(number: &serde_json::Number, bits: u32) -> Option<i64> {
    let whole = number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        // Beyond this Go's printer changes to an exponent.
        (float.fract() == 0.0 && float.abs() < 1e15).then(|| {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
            let whole = float as i64;
            whole
        })
    })?;
    let fits = match bits {
        8 => u8::try_from(whole).is_ok(),
        32 => i32::try_from(whole).is_ok(),
        _ => true,
    };
    fits.then_some(whole)
}

#[cfg(test)]
mod tests;
