//! cel-go's sets extension: lists compared as sets.

use super::arguments::list;
use super::collections::list_contains;
use crate::intercept::cel::error::Fault;
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::{List, Value};

pub(super) const TABLE: &[Row] = &[
    row("sets.contains", "(list(A), list(A)) -> bool", contains),
    row("sets.equivalent", "(list(A), list(A)) -> bool", equivalent),
    row("sets.intersects", "(list(A), list(A)) -> bool", intersects),
];

fn contains_all<'v>(set: &List<'v>, items: &List<'v>, meter: &mut Meter) -> Result<bool, Fault> {
    for item in items.iter() {
        if !list_contains(set, &item, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn contains<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    contains_all(list(args, 0)?, list(args, 1)?, context.meter).map(Value::Bool)
}

fn equivalent<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let (one, other) = (list(args, 0)?, list(args, 1)?);
    let both = contains_all(one, other, context.meter)? && contains_all(other, one, context.meter)?;
    Ok(Value::Bool(both))
}

fn intersects<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    for item in list(args, 0)?.iter() {
        if list_contains(list(args, 1)?, &item, context.meter)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use crate::intercept::cel::ErrorClass::NoOverload;
    use crate::intercept::cel::testing::{check_failures, check_true};

    #[test]
    fn lists_compare_as_sets() {
        check_true(&[
            "sets.contains(body.texts, ['a', 'b']) && !sets.contains(['a'], body.texts)",
            "sets.contains([1], []) && sets.equivalent([], [])",
            "sets.equivalent(body.texts, ['c', 'b', 'a'])",
            "sets.equivalent(body.list, [1, 2, 3])",
            "sets.intersects(body.list, [3, 9]) && !sets.intersects(body.list, [9])",
        ]);
        check_failures(&[("sets.contains(body.text, ['a'])", NoOverload)]);
    }
}
