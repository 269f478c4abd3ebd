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

#[cfg(test)]
mod tests {
    use crate::intercept::cel::ErrorClass::{Arithmetic, MissingKey, NoOverload};
    use crate::intercept::cel::testing::{check_failures, check_true};

    #[test]
    fn numbers_compare_across_their_types() {
        check_true(&[
            "body.count == 3",
            "body.count == 3u",
            "body.count > 2",
            "body.half < 3",
            "body.count >= 3u",
            "dyn(1) == 1.0 && dyn(1u) == 1",
            "dyn(-1) < 1u",
            "dyn(18446744073709551615u) > 9223372036854775807",
            "!(dyn(1) == 'a') && dyn(1) != 'a'",
            "body.nothing == null && body.count != null",
            "double('nan') != double('nan')",
            "!(double('nan') < 1.0) && !(dyn(double('nan')) < 'a')",
        ]);
    }

    #[test]
    fn values_compare_within_their_type() {
        check_true(&[
            "'a' < 'b' && b'a' < b'b' && false < true",
            "timestamp(0) < timestamp(1) && duration('1s') <= duration('1000ms')",
            "body.list == [3, 1, 2] && body.list != [3, 1]",
            "[1, [2.0]] == [1.0, [2]]",
            "body.map.b == {'c': 'deep'} && {'a': 1, 'b': 2} == {'b': 2, 'a': 1}",
            "{1: 'x'} == dyn({1u: 'x'})",
            "type(1) == int && type(body.count) == double && type(int) == type",
            "timestamp('2024-01-01T01:00:00+01:00') == timestamp('2024-01-01T00:00:00Z')",
        ]);
        check_failures(&[
            ("body.text < 1", NoOverload),
            ("body.list < body.list", NoOverload),
            ("null < body.nothing", NoOverload),
        ]);
    }

    #[test]
    fn logic_takes_failures_as_values() {
        check_true(&[
            "body.missing == 1 || true",
            "true || body.missing == 1",
            "!(body.missing == 1 && false)",
            "!(false && body.missing == 1)",
            "body.text || true",
            "true ? true : body.missing",
            "[1, 0, 2].exists(x, 2 / x == 2)",
            "![1, 0].all(x, 1 / x == 2)",
        ]);
        check_failures(&[
            ("body.missing == 1 || false", MissingKey),
            ("body.missing == 1 && body.text", MissingKey),
            ("body.text && body.missing", NoOverload),
            ("body.missing ? 1 : 2", MissingKey),
            ("body.text ? 1 : 2", NoOverload),
            ("!body.text", NoOverload),
            ("[1, 0].all(x, 1 / x == 1)", Arithmetic),
        ]);
    }
}
