//! Equality and order of values.
//!
//! Numbers compare across their types. Values of other types are unequal, and
//! have no order.

use std::cmp::Ordering;

use super::{List, Map, Value};
use crate::intercept::cel::error::{ErrorClass, Fault, fault, no_overload};
use crate::intercept::cel::meter::Meter;

const TWO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_64: f64 = 18_446_744_073_709_551_616.0;

/// The integer that a double is, without loss. The bounds themselves are
/// refused, as upstream does.
pub(crate) fn exact_int(value: f64) -> Option<i64> {
    let inside = value > -TWO_63 && value < TWO_63;
    (inside && value.trunc() == value).then_some(value as i64)
}

/// The unsigned integer that a double is, without loss.
pub(crate) fn exact_uint(value: f64) -> Option<u64> {
    let inside = (0.0..TWO_64).contains(&value);
    (inside && value.trunc() == value).then_some(value as u64)
}

impl<'v> Value<'v> {
    /// Whether the values are equal. Pays for what it looks at.
    pub(crate) fn equals(&self, other: &Self, meter: &mut Meter) -> Result<bool, Fault> {
        meter.step(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => {
                meter.walk(one.as_bytes().len())?;
                one.as_bytes() == other.as_bytes()
            }
            (Self::Bytes(one), Self::Bytes(other)) => {
                meter.walk(one.as_slice().len())?;
                one.as_slice() == other.as_slice()
            }
            (Self::Timestamp(one), Self::Timestamp(other)) => one.instant() == other.instant(),
            (Self::Duration(one), Self::Duration(other)) => one == other,
            (Self::Type(one), Self::Type(other)) => one == other,
            (Self::List(one), Self::List(other)) => lists_equal(one, other, meter)?,
            (Self::Map(one), Self::Map(other)) => maps_equal(one, other, meter)?,
            _ => order_numbers(self, other).is_some_and(Ordering::is_eq),
        })
    }

    /// The order of two values, where they have one. NaN orders with nothing.
    pub(crate) fn order(&self, other: &Self, meter: &mut Meter) -> Result<Ordering, Fault> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => Ok(one.cmp(other)),
            (Self::Text(one), Self::Text(other)) => {
                meter.walk(one.as_bytes().len())?;
                Ok(one.as_bytes().cmp(other.as_bytes()))
            }
            (Self::Bytes(one), Self::Bytes(other)) => {
                meter.walk(one.as_slice().len())?;
                Ok(one.as_slice().cmp(other.as_slice()))
            }
            (Self::Timestamp(one), Self::Timestamp(other)) => {
                Ok(one.instant().cmp(&other.instant()))
            }
            (Self::Duration(one), Self::Duration(other)) => Ok(one.cmp(other)),
            _ if self.is_number() && other.is_number() => order_numbers(self, other)
                .ok_or_else(|| fault(ErrorClass::Argument, "NaN values cannot be ordered")),
            _ => Err(no_overload()),
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Uint(_) | Self::Double(_))
    }

    pub(crate) fn is_nan(&self) -> bool {
        matches!(self, Self::Double(value) if value.is_nan())
    }

    /// Whether the value has an order among its own kind.
    pub(crate) fn is_ordered(&self) -> bool {
        !matches!(
            self,
            Self::Null | Self::List(_) | Self::Map(_) | Self::Type(_)
        )
    }
}

fn order_numbers(one: &Value<'_>, other: &Value<'_>) -> Option<Ordering> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Uint(one), Value::Uint(other)) => Some(one.cmp(other)),
        (Value::Double(one), Value::Double(other)) => one.partial_cmp(other),
        (Value::Int(one), Value::Uint(other)) => Some(i128::from(*one).cmp(&i128::from(*other))),
        (Value::Uint(one), Value::Int(other)) => Some(i128::from(*one).cmp(&i128::from(*other))),
        // Upstream rounds the integer to a double before it compares.
        (Value::Int(one), Value::Double(other)) => (*one as f64).partial_cmp(other),
        (Value::Double(one), Value::Int(other)) => one.partial_cmp(&(*other as f64)),
        (Value::Uint(one), Value::Double(other)) => (*one as f64).partial_cmp(other),
        (Value::Double(one), Value::Uint(other)) => one.partial_cmp(&(*other as f64)),
        _ => None,
    }
}

fn lists_equal<'v>(one: &List<'v>, other: &List<'v>, meter: &mut Meter) -> Result<bool, Fault> {
    if one.len() != other.len() {
        return Ok(false);
    }
    for (one, other) in one.iter().zip(other.iter()) {
        if !one.equals(&other, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps_equal<'v>(one: &Map<'v>, other: &Map<'v>, meter: &mut Meter) -> Result<bool, Fault> {
    if one.len() != other.len() {
        return Ok(false);
    }
    for (key, value) in one.entries() {
        match other.get(&key) {
            Some(theirs) if value.equals(&theirs, meter)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}
