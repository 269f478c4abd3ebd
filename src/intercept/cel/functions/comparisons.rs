//! Equality, order and the logical operators.
//!
//! The logical operators, the ternary, equality and indexing decide what is
//! evaluated at all, so the evaluator has its own code for them; their rows
//! are for the checker.

use std::cmp::Ordering;

use crate::intercept::cel::error::{Fault, no_overload};
use crate::intercept::cel::registry::{Context, Row, open_row};
use crate::intercept::cel::value::Value;

pub(super) const LOGIC: &[Row] = &[
    open_row("_?_:_", "(bool, A, A) -> A", in_evaluator),
    open_row("_&&_", "(bool, bool) -> bool", in_evaluator),
    open_row("_||_", "(bool, bool) -> bool", in_evaluator),
    open_row("!_", "(bool) -> bool", in_evaluator),
    open_row("@not_strictly_false", "(bool) -> bool", in_evaluator),
    open_row("_==_", "(A, A) -> bool", in_evaluator),
    open_row("_!=_", "(A, A) -> bool", in_evaluator),
    open_row("_[_]", "(list(A), int) -> A", in_evaluator),
    open_row("_[_]", "(map(A, B), A) -> B", in_evaluator),
];

/// The overloads of the four orderings.
macro_rules! orderings {
    ($($name:literal $run:ident,)+) => {
        &[$(
            open_row($name, "(bool, bool) -> bool", $run),
            open_row($name, "(int, int) -> bool", $run),
            open_row($name, "(int, double) -> bool", $run),
            open_row($name, "(int, uint) -> bool", $run),
            open_row($name, "(uint, uint) -> bool", $run),
            open_row($name, "(uint, double) -> bool", $run),
            open_row($name, "(uint, int) -> bool", $run),
            open_row($name, "(double, double) -> bool", $run),
            open_row($name, "(double, int) -> bool", $run),
            open_row($name, "(double, uint) -> bool", $run),
            open_row($name, "(string, string) -> bool", $run),
            open_row($name, "(bytes, bytes) -> bool", $run),
            open_row($name, "(timestamp, timestamp) -> bool", $run),
            open_row($name, "(duration, duration) -> bool", $run),
        )+]
    };
}

pub(super) const ORDERINGS: &[Row] = orderings! {
    "_<_" less,
    "_<=_" less_or_equal,
    "_>_" greater,
    "_>=_" greater_or_equal,
};

fn in_evaluator<'v>(_: &mut Context<'_>, _: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Err(no_overload())
}

/// Every comparison with NaN is false, of whatever type the other value is.
fn compare<'v>(
    context: &mut Context<'_>,
    args: &[Value<'v>],
    holds: fn(Ordering) -> bool,
) -> Result<Value<'v>, Fault> {
    let [one, other] = args else {
        return Err(no_overload());
    };
    if !one.is_ordered() {
        return Err(no_overload());
    }
    if one.is_nan() || other.is_nan() {
        return Ok(Value::Bool(false));
    }
    let order = one.order(other, context.meter)?;
    Ok(Value::Bool(holds(order)))
}

fn less<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    compare(context, args, Ordering::is_lt)
}

fn less_or_equal<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    compare(context, args, Ordering::is_le)
}

fn greater<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    compare(context, args, Ordering::is_gt)
}

fn greater_or_equal<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    compare(context, args, Ordering::is_ge)
}
