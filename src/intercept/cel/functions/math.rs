//! cel-go's math extension. `math.greatest` and `math.least` are macros over
//! `math.@max` and `math.@min`.

use std::cmp::Ordering;

use super::arguments::{double, int};
use crate::intercept::cel::error::{ErrorClass, Fault, fault, no_overload};
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::Value;

/// The overloads of both extremes: a number, two numbers, a list of numbers.
macro_rules! extremes {
    ($($name:literal $run:ident,)+) => {
        &[$(
            row($name, "(double) -> double", same),
            row($name, "(int) -> int", same),
            row($name, "(uint) -> uint", same),
            row($name, "(double, double) -> double", $run),
            row($name, "(int, int) -> int", $run),
            row($name, "(uint, uint) -> uint", $run),
            row($name, "(int, uint) -> dyn", $run),
            row($name, "(int, double) -> dyn", $run),
            row($name, "(double, int) -> dyn", $run),
            row($name, "(double, uint) -> dyn", $run),
            row($name, "(uint, int) -> dyn", $run),
            row($name, "(uint, double) -> dyn", $run),
            row($name, "(list(double)) -> double", $run),
            row($name, "(list(int)) -> int", $run),
            row($name, "(list(uint)) -> uint", $run),
        )+]
    };
}

pub(super) const EXTREMES: &[Row] = extremes! {
    "math.@min" least,
    "math.@max" greatest,
};

pub(super) const TABLE: &[Row] = &[
    row("math.ceil", "(double) -> double", ceil),
    row("math.floor", "(double) -> double", floor),
    row("math.round", "(double) -> double", round),
    row("math.trunc", "(double) -> double", trunc),
    row("math.isInf", "(double) -> bool", is_inf),
    row("math.isNaN", "(double) -> bool", is_nan),
    row("math.isFinite", "(double) -> bool", is_finite),
    row("math.abs", "(double) -> double", abs),
    row("math.abs", "(int) -> int", abs),
    row("math.abs", "(uint) -> uint", abs),
    row("math.sign", "(double) -> double", sign),
    row("math.sign", "(int) -> int", sign),
    row("math.sign", "(uint) -> uint", sign),
    row("math.bitAnd", "(int, int) -> int", bit_and),
    row("math.bitAnd", "(uint, uint) -> uint", bit_and),
    row("math.bitOr", "(int, int) -> int", bit_or),
    row("math.bitOr", "(uint, uint) -> uint", bit_or),
    row("math.bitXor", "(int, int) -> int", bit_xor),
    row("math.bitXor", "(uint, uint) -> uint", bit_xor),
    row("math.bitNot", "(int) -> int", bit_not),
    row("math.bitNot", "(uint) -> uint", bit_not),
    row("math.bitShiftLeft", "(int, int) -> int", shift_left),
    row("math.bitShiftLeft", "(uint, int) -> uint", shift_left),
    row("math.bitShiftRight", "(int, int) -> int", shift_right),
    row("math.bitShiftRight", "(uint, int) -> uint", shift_right),
    row("math.sqrt", "(double) -> double", sqrt),
    row("math.sqrt", "(int) -> double", sqrt),
    row("math.sqrt", "(uint) -> double", sqrt),
];

fn same<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    args.first().cloned().ok_or_else(no_overload)
}

fn least<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    extreme(context.meter, args, "math.@min", Ordering::Greater)
}

fn greatest<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    extreme(context.meter, args, "math.@max", Ordering::Less)
}

/// Keeps the first value unless it stands in the order `loses` to the next.
fn extreme<'v>(
    meter: &mut Meter,
    args: &[Value<'v>],
    name: &'static str,
    loses: Ordering,
) -> Result<Value<'v>, Fault> {
    let mut pick = |kept: Value<'v>, next: Value<'v>| -> Result<Value<'v>, Fault> {
        meter.step(1)?;
        let order = kept.order(&next, meter)?;
        Ok(if order == loses { next } else { kept })
    };
    match args {
        [Value::List(list)] => {
            let mut items = list.iter();
            let first = items.next().ok_or_else(|| {
                let message = format!("{name}(list) argument must not be empty");
                fault(ErrorClass::Argument, message)
            })?;
            let best = items.try_fold(first, pick)?;
            if best.is_number() {
                Ok(best)
            } else {
                Err(no_overload())
            }
        }
        [one, other] => pick(one.clone(), other.clone()),
        _ => Err(no_overload()),
    }
}

fn ceil<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(Value::Double(double(args, 0)?.ceil()))
}

fn floor<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(Value::Double(double(args, 0)?.floor()))
}

fn round<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(Value::Double(double(args, 0)?.round()))
}

fn trunc<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(Value::Double(double(args, 0)?.trunc()))
}

fn is_inf<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(Value::Bool(double(args, 0)?.is_infinite()))
}

fn is_nan<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(Value::Bool(double(args, 0)?.is_nan()))
}

fn is_finite<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(Value::Bool(double(args, 0)?.is_finite()))
}

fn abs<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Double(value)] => Ok(Value::Double(value.abs())),
        [Value::Int(value)] => value
            .checked_abs()
            .map(Value::Int)
            .ok_or_else(|| fault(ErrorClass::Arithmetic, "integer overflow")),
        _ => args.first().cloned().ok_or_else(no_overload),
    }
}

fn sign<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Double(value)] if value.is_nan() => Ok(Value::Double(*value)),
        // Not even negative zero has a sign.
        [Value::Double(0.0)] => Ok(Value::Double(0.0)),
        [Value::Double(value)] => Ok(Value::Double(value.signum())),
        [Value::Int(value)] => Ok(Value::Int(value.signum())),
        [Value::Uint(value)] => Ok(Value::Uint((*value).min(1))),
        _ => Err(no_overload()),
    }
}

fn bits<'v>(
    args: &[Value<'v>],
    signed: fn(i64, i64) -> i64,
    unsigned: fn(u64, u64) -> u64,
) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(one), Value::Int(other)] => Ok(Value::Int(signed(*one, *other))),
        [Value::Uint(one), Value::Uint(other)] => Ok(Value::Uint(unsigned(*one, *other))),
        _ => Err(no_overload()),
    }
}

fn bit_and<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    bits(args, |one, other| one & other, |one, other| one & other)
}

fn bit_or<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    bits(args, |one, other| one | other, |one, other| one | other)
}

fn bit_xor<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    bits(args, |one, other| one ^ other, |one, other| one ^ other)
}

fn bit_not<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Int(value)] => Ok(Value::Int(!value)),
        [Value::Uint(value)] => Ok(Value::Uint(!value)),
        _ => Err(no_overload()),
    }
}

/// How far to shift. Shifting by 64 or more leaves nothing, as in Go.
fn distance(args: &[Value<'_>], name: &'static str) -> Result<u32, Fault> {
    let bits = int(args, 1)?;
    if bits < 0 {
        let message = format!("{name}() negative offset: {bits}");
        return Err(fault(ErrorClass::Argument, message));
    }
    Ok(u32::try_from(bits).unwrap_or(u32::MAX))
}

fn shift_left<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let distance = distance(args, "math.bitShiftLeft")?;
    match args.first() {
        Some(Value::Int(value)) => Ok(Value::Int(value.checked_shl(distance).unwrap_or(0))),
        Some(Value::Uint(value)) => Ok(Value::Uint(value.checked_shl(distance).unwrap_or(0))),
        _ => Err(no_overload()),
    }
}

/// Shifts in zeros, for signed numbers too.
fn shift_right<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let distance = distance(args, "math.bitShiftRight")?;
    match args.first() {
        Some(Value::Int(value)) => {
            let shifted = (*value as u64).checked_shr(distance).unwrap_or(0);
            Ok(Value::Int(shifted as i64))
        }
        Some(Value::Uint(value)) => Ok(Value::Uint(value.checked_shr(distance).unwrap_or(0))),
        _ => Err(no_overload()),
    }
}

fn sqrt<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [Value::Double(value)] => Ok(Value::Double(value.sqrt())),
        [Value::Int(value)] => Ok(Value::Double((*value as f64).sqrt())),
        [Value::Uint(value)] => Ok(Value::Double((*value as f64).sqrt())),
        _ => Err(no_overload()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::{Argument, Arithmetic, NoOverload};
    use crate::intercept::cel::Stage::Parse;
    use crate::intercept::cel::testing::{check_failures, check_refusals, check_values};

    #[test]
    fn extremes_compare_numbers_of_any_type() {
        check_values(&[
            ("math.greatest(1, 2u, 2.5)", json!(2.5)),
            ("math.least(3, 1.0)", json!(1)),
            ("math.greatest(body.list)", json!(3)),
            ("math.least(body.half)", json!(2.5)),
            ("math.greatest([1, 2])", json!(2)),
        ]);
        check_failures(&[
            (
                "math.greatest(body.commits.map(c, 1).filter(x, x > 1))",
                Argument,
            ),
            ("math.least(body.texts)", NoOverload),
        ]);
        check_refusals(&[
            ("math.greatest()", Parse, "requires at least one argument"),
            ("math.least('a')", Parse, "invalid single argument"),
            ("math.greatest(1, 'a')", Parse, "must be numeric"),
            ("math.greatest([])", Parse, "invalid single argument"),
        ]);
    }

    #[test]
    fn numbers_are_rounded_and_signed() {
        check_values(&[
            ("math.ceil(body.half)", json!(3)),
            ("math.floor(-1.5)", json!(-2)),
            ("math.round(-0.5)", json!(-1)),
            ("math.trunc(-1.9)", json!(-1)),
            ("math.abs(-3)", json!(3)),
            ("math.sign(-2.5)", json!(-1)),
            ("math.sign(3u)", json!(1)),
            ("string(math.sign(-0.0))", json!("0")),
            ("math.sqrt(9)", json!(3)),
            (
                "math.isNaN(0.0 / 0.0) && math.isInf(1.0 / 0.0) && math.isFinite(1.0)",
                json!(true),
            ),
        ]);
        check_failures(&[("math.abs(-9223372036854775808)", Arithmetic)]);
    }

    #[test]
    fn bits_are_combined_and_shifted_as_in_go() {
        check_values(&[
            ("math.bitAnd(6, 3)", json!(2)),
            ("math.bitOr(6u, 1u)", json!(7)),
            ("math.bitXor(5, 1)", json!(4)),
            ("math.bitNot(0)", json!(-1)),
            ("math.bitShiftLeft(1, 4)", json!(16)),
            ("math.bitShiftLeft(1, 64)", json!(0)),
            ("math.bitShiftRight(-1, 60)", json!(15)),
            ("math.bitShiftRight(8u, 200)", json!(0)),
        ]);
        check_failures(&[
            ("math.bitShiftLeft(1, -1)", Argument),
            ("math.bitAnd(body.count, 1)", NoOverload),
        ]);
    }
}
