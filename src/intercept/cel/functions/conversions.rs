//! `bool`, `bytes`, `double`, `duration`, `dyn`, `int`, `string`, `timestamp`,
//! `type` and `uint`.

use super::arguments::{bytes, string, text, timestamp};
use super::{numbers, time};
use crate::intercept::cel::error::{ErrorClass, Fault, fault, no_overload};
use crate::intercept::cel::registry::{Context, Row, open_row, row};
use crate::intercept::cel::value::{Kind, Text, Timestamp, Value, duration_text};

pub(super) const TABLE: &[Row] = &[
    open_row("type", "(A) -> type(A)", type_of),
    row("bool", "(bool) -> bool", same),
    row("bool", "(string) -> bool", bool_of_text),
    row("bytes", "(bytes) -> bytes", same),
    row("bytes", "(string) -> bytes", bytes_of_text),
    row("double", "(double) -> double", same),
    row("double", "(int) -> double", double_of_number),
    row("double", "(string) -> double", double_of_text),
    row("double", "(uint) -> double", double_of_number),
    row("duration", "(duration) -> duration", same),
    row("duration", "(string) -> duration", duration_of_text),
    open_row("dyn", "(A) -> dyn", same),
    row("int", "(int) -> int", same),
    row("int", "(double) -> int", int_of_double),
    row("int", "(duration) -> int", int_of_duration),
    row("int", "(string) -> int", int_of_text),
    row("int", "(timestamp) -> int", int_of_timestamp),
    row("int", "(uint) -> int", int_of_uint),
    row("string", "(string) -> string", same),
    row("string", "(bool) -> string", text_of_scalar),
    row("string", "(bytes) -> string", text_of_bytes),
    row("string", "(double) -> string", text_of_scalar),
    row("string", "(duration) -> string", text_of_scalar),
    row("string", "(int) -> string", text_of_scalar),
    row("string", "(timestamp) -> string", text_of_scalar),
    row("string", "(uint) -> string", text_of_scalar),
    row("timestamp", "(timestamp) -> timestamp", same),
    row("timestamp", "(int) -> timestamp", timestamp_of_int),
    row("timestamp", "(string) -> timestamp", timestamp_of_text),
    row("uint", "(uint) -> uint", same),
    row("uint", "(double) -> uint", uint_of_double),
    row("uint", "(int) -> uint", uint_of_int),
    row("uint", "(string) -> uint", uint_of_text),
];

fn failed(from: Kind, to: Kind) -> Fault {
    let message = format!("type conversion error from '{from}' to '{to}'");
    fault(ErrorClass::Conversion, message)
}

fn overflow() -> Fault {
    fault(ErrorClass::Arithmetic, "integer overflow")
}

fn unsigned_overflow() -> Fault {
    fault(ErrorClass::Arithmetic, "unsigned integer overflow")
}

fn same<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    args.first().cloned().ok_or_else(no_overload)
}

fn type_of<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let value = args.first().ok_or_else(no_overload)?;
    Ok(Value::Type(value.kind()))
}

fn bool_of_text<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match string(args, 0)?.as_ref() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
        _ => Err(failed(Kind::Text, Kind::Bool)),
    }
}

fn bytes_of_text<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let bytes = text(args, 0)?.as_bytes();
    context.meter.build(bytes.len())?;
    Ok(Value::bytes(bytes))
}

fn double_of_number<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(value)] => Ok(Value::Double(*value as f64)),
        [Value::Uint(value)] => Ok(Value::Double(*value as f64)),
        _ => Err(no_overload()),
    }
}

fn double_of_text<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let text = string(args, 0)?;
    context.meter.walk(text.len())?;
    let value = numbers::parse(&text).ok_or_else(|| failed(Kind::Text, Kind::Double))?;
    Ok(Value::Double(value))
}

fn duration_of_text<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    time::parse_duration(&string(args, 0)?)
        .map(Value::Duration)
        .ok_or_else(|| failed(Kind::Text, Kind::Duration))
}

fn int_of_double<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        // The bounds themselves are refused, as upstream does.
        [Value::Double(value)] if *value > i64::MIN as f64 && *value < i64::MAX as f64 => {
            Ok(Value::Int(*value as i64))
        }
        [Value::Double(_)] => Err(overflow()),
        _ => Err(no_overload()),
    }
}

fn int_of_duration<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Duration(nanoseconds)] => Ok(Value::Int(*nanoseconds)),
        _ => Err(no_overload()),
    }
}

fn int_of_text<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let value = string(args, 0)?.parse();
    value
        .map(Value::Int)
        .map_err(|_| failed(Kind::Text, Kind::Int))
}

fn int_of_timestamp<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(Value::Int(timestamp(args, 0)?.seconds()))
}

fn int_of_uint<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Uint(value)] => i64::try_from(*value)
            .map(Value::Int)
            .map_err(|_| overflow()),
        _ => Err(no_overload()),
    }
}

fn text_of_scalar<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(match args {
        [Value::Bool(value)] => Value::text(if *value { "true" } else { "false" }),
        [Value::Int(value)] => Value::text(value.to_string()),
        [Value::Uint(value)] => Value::text(value.to_string()),
        [Value::Double(value)] => Value::text(numbers::general(*value)),
        [Value::Duration(value)] => Value::text(duration_text(*value)),
        [Value::Timestamp(value)] => Value::text(value.to_string()),
        _ => return Err(no_overload()),
    })
}

fn text_of_bytes<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let bytes = bytes(args, 0)?;
    context.meter.build(bytes.len())?;
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Value::Text(Text::Shared(text.into()))),
        Err(_) => Err(fault(
            ErrorClass::Conversion,
            "invalid UTF-8 in bytes, cannot convert to string",
        )),
    }
}

fn timestamp_of_int<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(seconds)] => Timestamp::new(*seconds, 0, 0).map(Value::Timestamp),
        _ => Err(no_overload()),
    }
}

fn timestamp_of_text<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Timestamp::parse(&string(args, 0)?).map(Value::Timestamp)
}

fn uint_of_double<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Double(value)] if *value >= 0.0 && *value < u64::MAX as f64 => {
            Ok(Value::Uint(*value as u64))
        }
        [Value::Double(_)] => Err(unsigned_overflow()),
        _ => Err(no_overload()),
    }
}

fn uint_of_int<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(value)] => u64::try_from(*value)
            .map(Value::Uint)
            .map_err(|_| unsigned_overflow()),
        _ => Err(no_overload()),
    }
}

fn uint_of_text<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let text = string(args, 0)?;
    // Unlike Rust, Go reads no sign here.
    let digits = text.strip_prefix('+').map_or(text.as_ref(), |_| "");
    let value = digits.parse();
    value
        .map(Value::Uint)
        .map_err(|_| failed(Kind::Text, Kind::Uint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::{Arithmetic, Conversion, NoOverload};
    use crate::intercept::cel::Stage::{Check, Fold};
    use crate::intercept::cel::testing::{
        check_failures, check_refusals, check_true, check_values,
    };

    #[test]
    fn values_convert_where_their_type_allows() {
        check_values(&[
            ("int('-42')", json!(-42)),
            ("int(body.half)", json!(2)),
            ("int(-2.9)", json!(-2)),
            ("int(duration('1ms'))", json!(1_000_000)),
            ("int(timestamp('1970-01-01T00:01:00Z'))", json!(60)),
            ("uint('7')", json!(7)),
            ("double('1e3')", json!(1000)),
            ("double('0x1p4')", json!(16)),
            ("bool('T')", json!(true)),
            ("string(body.huge)", json!("1e+21")),
            ("string(12345678.0)", json!("1.2345678e+07")),
            ("string(duration('1h30m'))", json!("5400s")),
            (
                "string(timestamp('2024-01-01T00:00:00+02:00'))",
                json!("2024-01-01T00:00:00+02:00"),
            ),
            ("string(b'hello')", json!("hello")),
            ("bytes('é')", json!("w6k=")),
        ]);
        check_true(&[
            "timestamp(60) == timestamp('1970-01-01T00:01:00Z')",
            "duration('90m') == duration('1h30m')",
            "type(dyn(1)) == int && type(null) == null_type && type([]) == list",
            "type(timestamp(0)) == google.protobuf.Timestamp",
        ]);
    }

    #[test]
    fn values_that_do_not_convert_fail() {
        check_failures(&[
            ("int(body.text)", Conversion),
            ("int(body.huge)", Arithmetic),
            ("uint(-body.count)", Arithmetic),
            ("int(body.list)", NoOverload),
            ("string(body.nothing)", NoOverload),
            ("timestamp(body.ref)", Conversion),
            ("duration(body.ref)", Conversion),
            ("string(bytes(body.text) + b'\\xff')", Conversion),
            ("uint('+' + string(1))", Conversion),
        ]);
    }

    #[test]
    fn a_literal_that_does_not_convert_is_refused_when_compiled() {
        check_refusals(&[
            (
                "body.no && int('abc') == 1",
                Fold(Conversion),
                "'string' to 'int'",
            ),
            (
                "true ? 1 : int('9223372036854775808')",
                Fold(Conversion),
                "int",
            ),
            ("int(1e19)", Fold(Arithmetic), "overflow"),
            ("string(timestamp('bad'))", Fold(Conversion), "RFC 3339"),
            ("int(dyn(null))", Fold(NoOverload), "int(null_type)"),
            ("string(b'\\xff')", Fold(Conversion), "UTF-8"),
            ("int(true)", Check, "applied to '(bool)'"),
        ]);
    }
}
