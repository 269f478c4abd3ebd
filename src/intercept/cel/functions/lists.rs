//! cel-go's lists extension, and `first` and `last`.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::arguments::{int, list};
use crate::intercept::cel::error::{ErrorClass, Fault, fault};
use crate::intercept::cel::expand::SORT_BY_KEYS;
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, open_row, row};
use crate::intercept::cel::value::{List, Value};

/// Longest list that upstream's `lists.range` makes. Fuel ends ours before.
const LONGEST_RANGE: usize = 1_000_000;

pub(super) const TABLE: &[Row] = &[
    row("slice", "list(A).(int, int) -> list(A)", slice),
    open_row("flatten", "list(list(A)).() -> list(A)", flatten),
    open_row("flatten", "list(dyn).(int) -> list(dyn)", flatten),
    row("lists.range", "(int) -> list(int)", range),
    row("reverse", "list(A).() -> list(A)", reverse),
    row("distinct", "list(A).() -> list(A)", distinct),
    row("first", "list(dyn).() -> dyn", first),
    row("last", "list(dyn).() -> dyn", last),
];

/// Sorting, for each type that has an order.
macro_rules! sorts {
    ($($item:literal)+) => {
        &[
            $(open_row("sort", concat!("list(", $item, ").() -> list(", $item, ")"), sort),)+
            $(open_row(
                SORT_BY_KEYS,
                concat!("list(A).(list(", $item, ")) -> list(A)"),
                sort_by,
            ),)+
        ]
    };
}

pub(super) const SORTS: &[Row] = sorts! {
    "int" "uint" "double" "bool" "duration" "timestamp" "string" "bytes"
};

fn argument(message: impl Into<Cow<'static, str>>) -> Fault {
    fault(ErrorClass::Argument, message)
}

fn slice<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let (list, start, end) = (list(args, 0)?, int(args, 1)?, int(args, 2)?);
    let why = if start < 0 || end < 0 {
        "negative indexes not supported".to_owned()
    } else if start > end {
        "start index must be less than or equal to end index".to_owned()
    } else if end as u64 > list.len() as u64 {
        format!("list is length {}", list.len())
    } else {
        let (start, end) = (start as usize, end as usize);
        context.meter.build_elements(end - start)?;
        let items = (start..end).filter_map(|index| list.get(index)).collect();
        return Ok(Value::list(items));
    };
    Err(argument(format!("cannot slice({start}, {end}), {why}")))
}

fn flatten<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let list = list(args, 0)?;
    let depth = match args.len() {
        1 => 1,
        _ => int(args, 1)?,
    };
    if depth < 0 {
        return Err(argument("level must be non-negative"));
    }
    let mut flat = Vec::new();
    flatten_into(list, depth, &mut flat, context.meter)?;
    Ok(Value::list(flat))
}

fn flatten_into<'v>(
    list: &List<'v>,
    depth: i64,
    into: &mut Vec<Value<'v>>,
    meter: &mut Meter,
) -> Result<(), Fault> {
    for item in list.iter() {
        match item {
            Value::List(inner) if depth > 0 => flatten_into(&inner, depth - 1, into, meter)?,
            item => {
                meter.build_elements(1)?;
                into.push(item);
            }
        }
    }
    Ok(())
}

fn sort<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let list = list(args, 0)?;
    sort_by_keys(list, list, context.meter)
}

fn sort_by<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    sort_by_keys(list(args, 0)?, list(args, 1)?, context.meter)
}

/// Sorts by keys of one type, each the key of the element in its place.
fn sort_by_keys<'v>(
    list: &List<'v>,
    keys: &List<'v>,
    meter: &mut Meter,
) -> Result<Value<'v>, Fault> {
    let length = list.len();
    if length != keys.len() {
        return Err(argument("the keys are not as many as the elements"));
    }
    meter.build_elements(length)?;
    let mut pairs: Vec<(Value<'v>, Value<'v>)> = keys.iter().zip(list.iter()).collect();
    if let Some((first, _)) = pairs.first() {
        if !first.is_ordered() {
            return Err(argument("list elements must be comparable"));
        }
        let kind = first.kind();
        if pairs.iter().any(|(key, _)| key.kind() != kind) {
            return Err(argument("list elements must have the same type"));
        }
    }
    // Each element meets about log2(n) others.
    let comparisons = u64::from(usize::BITS - length.leading_zeros()) * length as u64;
    meter.step(comparisons)?;
    let mut failed = None;
    pairs.sort_by(|(one, _), (other, _)| {
        if one.is_nan() || other.is_nan() {
            return Ordering::Equal;
        }
        one.order(other, meter).unwrap_or_else(|fault| {
            failed.get_or_insert(fault);
            Ordering::Equal
        })
    });
    match failed {
        Some(fault) => Err(fault),
        None => Ok(Value::list(
            pairs.into_iter().map(|(_, item)| item).collect(),
        )),
    }
}

fn range<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let length = int(args, 0)?;
    let count = usize::try_from(length).map_err(|_| {
        argument(format!(
            "lists.range: size must be non-negative, got {length}"
        ))
    })?;
    if count > LONGEST_RANGE {
        return Err(argument(format!(
            "lists.range: size {length} exceeds maximum allowed ({LONGEST_RANGE})"
        )));
    }
    context.meter.build_elements(count)?;
    Ok(Value::list((0..length).map(Value::Int).collect()))
}

fn reverse<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let list = list(args, 0)?;
    context.meter.build_elements(list.len())?;
    let mut items: Vec<Value<'v>> = list.iter().collect();
    items.reverse();
    Ok(Value::list(items))
}

fn distinct<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let list = list(args, 0)?;
    context.meter.build_elements(list.len())?;
    let mut kept: Vec<Value<'v>> = Vec::new();
    for item in list.iter() {
        let mut seen = false;
        for known in &kept {
            seen = item.equals(known, context.meter)?;
            if seen {
                break;
            }
        }
        if !seen {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn first<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    Ok(list(args, 0)?.get(0).unwrap_or_default())
}

fn last<'v>(_: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let list = list(args, 0)?;
    let last = list.len().checked_sub(1).and_then(|index| list.get(index));
    Ok(last.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::{Argument, Exhausted, NoOverload};
    use crate::intercept::cel::testing::{check_failures, check_values};

    #[test]
    fn lists_are_cut_flattened_and_ordered() {
        check_values(&[
            ("body.list.slice(1, 3)", json!([1, 2])),
            ("body.list.slice(3, 3)", json!([])),
            ("body.nested.flatten()", json!([1, 2, 3, [4, 5]])),
            ("body.nested.flatten(2)", json!([1, 2, 3, 4, 5])),
            ("body.nested.flatten(0)", json!([[1, 2], [3, [4, 5]]])),
            ("body.list.sort()", json!([1, 2, 3])),
            ("body.texts.sort()", json!(["a", "a", "b", "c"])),
            ("body.texts.distinct()", json!(["b", "a", "c"])),
            ("[1, dyn(1.0), 1u].distinct()", json!([1])),
            ("body.list.reverse()", json!([2, 1, 3])),
            ("lists.range(3)", json!([0, 1, 2])),
            (
                "body.commits.sortBy(c, -size(c.modified)).map(c, c.id)",
                json!(["c1", "c2"]),
            ),
            (
                "body.texts.sortBy(t, t == 'a')",
                json!(["b", "c", "a", "a"]),
            ),
            ("[].sortBy(x, x)", json!([])),
        ]);
        check_failures(&[
            ("body.list.slice(0, 4)", Argument),
            ("body.list.slice(2, 1)", Argument),
            ("body.list.slice(-1, 1)", Argument),
            ("body.nested.flatten(-1)", Argument),
            ("body.mixed.sort()", Argument),
            ("body.commits.sortBy(c, c)", Argument),
            ("lists.range(-1)", Argument),
            ("lists.range(body.count)", NoOverload),
            ("lists.range(1000000)", Exhausted),
            ("lists.range(1000001)", Argument),
        ]);
    }

    #[test]
    fn first_and_last_of_nothing_are_null() {
        check_values(&[
            ("body.list.first()", json!(3)),
            ("body.list.last()", json!(2)),
            ("[].first()", json!(null)),
            ("body.texts.filter(t, t == 'z').last()", json!(null)),
        ]);
        check_failures(&[("body.nothing.first()", NoOverload)]);
    }
}
