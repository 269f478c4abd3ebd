//! Reading arguments of the type that a signature promises.
//!
//! A guarded overload is only called with values of its types, so a mismatch
//! here means that its row declares another type than its code reads; it is
//! answered as a call that has no overload.

use std::borrow::Cow;

use crate::intercept::cel::error::{Fault, no_overload};
use crate::intercept::cel::value::{List, Map, Text, Timestamp, Value};

pub(super) fn text<'a, 'v>(args: &'a [Value<'v>], at: usize) -> Result<&'a Text<'v>, Fault> {
    match args.get(at) {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(no_overload()),
    }
}

/// A text argument as characters.
pub(super) fn string<'a>(args: &'a [Value<'_>], at: usize) -> Result<Cow<'a, str>, Fault> {
    text(args, at).map(Text::lossy)
}

pub(super) fn bytes<'a>(args: &'a [Value<'_>], at: usize) -> Result<&'a [u8], Fault> {
    match args.get(at) {
        Some(Value::Bytes(bytes)) => Ok(bytes.as_slice()),
        _ => Err(no_overload()),
    }
}

pub(super) fn int(args: &[Value<'_>], at: usize) -> Result<i64, Fault> {
    match args.get(at) {
        Some(Value::Int(value)) => Ok(*value),
        _ => Err(no_overload()),
    }
}

pub(super) fn double(args: &[Value<'_>], at: usize) -> Result<f64, Fault> {
    match args.get(at) {
        Some(Value::Double(value)) => Ok(*value),
        _ => Err(no_overload()),
    }
}

pub(super) fn list<'a, 'v>(args: &'a [Value<'v>], at: usize) -> Result<&'a List<'v>, Fault> {
    match args.get(at) {
        Some(Value::List(list)) => Ok(list),
        _ => Err(no_overload()),
    }
}

pub(super) fn map<'a, 'v>(args: &'a [Value<'v>], at: usize) -> Result<&'a Map<'v>, Fault> {
    match args.get(at) {
        Some(Value::Map(map)) => Ok(map),
        _ => Err(no_overload()),
    }
}

pub(super) fn timestamp(args: &[Value<'_>], at: usize) -> Result<Timestamp, Fault> {
    match args.get(at) {
        Some(Value::Timestamp(value)) => Ok(*value),
        _ => Err(no_overload()),
    }
}
