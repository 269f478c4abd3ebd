//! `+ - * / %` and negation. Integers never wrap.

use super::arguments::bytes;
use crate::intercept::cel::error::{ErrorClass, Fault, fault, no_overload};
use crate::intercept::cel::registry::{Context, Row, open_row};
use crate::intercept::cel::value::{Text, Value};

pub(super) const TABLE: &[Row] = &[
    open_row("_+_", "(bytes, bytes) -> bytes", add),
    open_row("_+_", "(double, double) -> double", add),
    open_row("_+_", "(duration, duration) -> duration", add),
    open_row("_+_", "(duration, timestamp) -> timestamp", add),
    open_row("_+_", "(timestamp, duration) -> timestamp", add),
    open_row("_+_", "(int, int) -> int", add),
    open_row("_+_", "(list(A), list(A)) -> list(A)", add),
    open_row("_+_", "(string, string) -> string", add),
    open_row("_+_", "(uint, uint) -> uint", add),
    open_row("_/_", "(double, double) -> double", divide),
    open_row("_/_", "(int, int) -> int", divide),
    open_row("_/_", "(uint, uint) -> uint", divide),
    open_row("_%_", "(int, int) -> int", modulo),
    open_row("_%_", "(uint, uint) -> uint", modulo),
    open_row("_*_", "(double, double) -> double", multiply),
    open_row("_*_", "(int, int) -> int", multiply),
    open_row("_*_", "(uint, uint) -> uint", multiply),
    open_row("-_", "(double) -> double", negate),
    open_row("-_", "(int) -> int", negate),
    open_row("_-_", "(double, double) -> double", subtract),
    open_row("_-_", "(duration, duration) -> duration", subtract),
    open_row("_-_", "(int, int) -> int", subtract),
    open_row("_-_", "(timestamp, duration) -> timestamp", subtract),
    open_row("_-_", "(timestamp, timestamp) -> duration", subtract),
    open_row("_-_", "(uint, uint) -> uint", subtract),
];

fn overflow() -> Fault {
    fault(ErrorClass::Arithmetic, "integer overflow")
}

fn unsigned_overflow() -> Fault {
    fault(ErrorClass::Arithmetic, "unsigned integer overflow")
}

fn int<'v>(result: Option<i64>) -> Result<Value<'v>, Fault> {
    result.map(Value::Int).ok_or_else(overflow)
}

fn uint<'v>(result: Option<u64>) -> Result<Value<'v>, Fault> {
    result.map(Value::Uint).ok_or_else(unsigned_overflow)
}

fn duration<'v>(result: Option<i64>) -> Result<Value<'v>, Fault> {
    result.map(Value::Duration).ok_or_else(overflow)
}

fn add<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(one), Value::Int(other)] => int(one.checked_add(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_add(*other)),
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one + other)),
        [Value::Text(one), Value::Text(other)] => {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            context.meter.build(one.len() + other.len())?;
            Ok(Value::Text(Text::of_bytes([one, other].concat())))
        }
        [Value::Bytes(_), Value::Bytes(_)] => {
            let (one, other) = (bytes(args, 0)?, bytes(args, 1)?);
            context.meter.build(one.len() + other.len())?;
            Ok(Value::bytes([one, other].concat()))
        }
        [Value::List(one), Value::List(other)] => {
            context.meter.build_elements(one.len() + other.len())?;
            Ok(Value::list(one.iter().chain(other.iter()).collect()))
        }
        [Value::Duration(one), Value::Duration(other)] => duration(one.checked_add(*other)),
        [Value::Timestamp(at), Value::Duration(span)]
        | [Value::Duration(span), Value::Timestamp(at)] => at.plus(*span).map(Value::Timestamp),
        _ => Err(no_overload()),
    }
}

fn subtract<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(one), Value::Int(other)] => int(one.checked_sub(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_sub(*other)),
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one - other)),
        [Value::Duration(one), Value::Duration(other)] => duration(one.checked_sub(*other)),
        [Value::Timestamp(at), Value::Duration(span)] => {
            let back = span.checked_neg().ok_or_else(overflow)?;
            at.plus(back).map(Value::Timestamp)
        }
        [Value::Timestamp(one), Value::Timestamp(other)] => one.since(other).map(Value::Duration),
        _ => Err(no_overload()),
    }
}

fn multiply<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(one), Value::Int(other)] => int(one.checked_mul(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_mul(*other)),
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one * other)),
        _ => Err(no_overload()),
    }
}

fn divide<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
            Err(fault(ErrorClass::Arithmetic, "division by zero"))
        }
        [Value::Int(one), Value::Int(other)] => int(one.checked_div(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_div(*other)),
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one / other)),
        _ => Err(no_overload()),
    }
}

fn modulo<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
            Err(fault(ErrorClass::Arithmetic, "modulus by zero"))
        }
        [Value::Int(one), Value::Int(other)] => int(one.checked_rem(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_rem(*other)),
        _ => Err(no_overload()),
    }
}

fn negate<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(value)] => int(value.checked_neg()),
        [Value::Double(value)] => Ok(Value::Double(-value)),
        [Value::Duration(value)] => duration(value.checked_neg()),
        _ => Err(no_overload()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::{Arithmetic, NoOverload};
    use crate::intercept::cel::testing::{check_failures, check_true, check_values};

    #[test]
    fn operators_work_within_one_type() {
        check_values(&[
            ("1 + 2 * 3 - 4", json!(3)),
            ("7 / 2", json!(3)),
            ("-7 % 3", json!(-1)),
            ("7.0 / 2.0", json!(3.5)),
            ("1u + 2u", json!(3)),
            ("body.half * 2.0", json!(5)),
            ("'a' + 'b'", json!("ab")),
            ("b'a' + b'b'", json!("YWI=")),
            ("[1] + [dyn('a')]", json!([1, "a"])),
            ("body.texts + [1]", json!(["b", "a", "c", "a", 1])),
            ("-body.half", json!(-2.5)),
        ]);
        check_true(&[
            "duration('1h') + duration('30m') == duration('90m')",
            "timestamp(0) + duration('1s') == timestamp(1)",
            "duration('1s') + timestamp(0) == timestamp(1)",
            "timestamp(1) - timestamp(0) == duration('1s')",
            "timestamp(1) - duration('1s') == timestamp(0)",
            "-dyn(duration('1s')) == duration('-1s')",
        ]);
    }

    #[test]
    fn integers_never_wrap() {
        check_failures(&[
            ("9223372036854775807 + 1", Arithmetic),
            ("-9223372036854775808 - 1", Arithmetic),
            ("9223372036854775807 * 2", Arithmetic),
            ("-9223372036854775808 / -1", Arithmetic),
            ("-9223372036854775808 % -1", Arithmetic),
            ("-(-9223372036854775808)", Arithmetic),
            ("0u - 1u", Arithmetic),
            ("18446744073709551615u * 2u", Arithmetic),
            ("1 / 0", Arithmetic),
            ("1u % 0u", Arithmetic),
            (
                "timestamp('9999-12-31T23:59:59Z') + duration('1s')",
                Arithmetic,
            ),
            (
                "timestamp('0001-01-01T00:00:00Z') - duration('1s')",
                Arithmetic,
            ),
            (
                "timestamp('9999-12-31T23:59:59Z') - timestamp(0)",
                Arithmetic,
            ),
        ]);
    }

    #[test]
    fn numbers_of_the_body_are_doubles_and_do_not_mix() {
        check_failures(&[
            ("body.count + 1", NoOverload),
            ("body.text + 1", NoOverload),
            ("body.nothing - body.count", NoOverload),
            ("body.map * 2", NoOverload),
            ("-body.text", NoOverload),
            ("-dyn(true)", NoOverload),
        ]);
    }
}
