//! `in` and `size`.

use super::arguments::list;
use crate::intercept::cel::error::{ErrorClass, Fault, fault, no_overload};
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::registry::{Context, Row, open_row};
use crate::intercept::cel::value::{List, Value, exact_int, exact_uint};

pub(super) const TABLE: &[Row] = &[
    open_row("@in", "(A, list(A)) -> bool", contains),
    open_row("@in", "(A, map(A, B)) -> bool", contains),
    open_row("size", "(bytes) -> int", size),
    open_row("size", "bytes.() -> int", size),
    open_row("size", "(list(A)) -> int", size),
    open_row("size", "list(A).() -> int", size),
    open_row("size", "(map(A, B)) -> int", size),
    open_row("size", "map(A, B).() -> int", size),
    open_row("size", "(string) -> int", size),
    open_row("size", "string.() -> int", size),
];

fn contains<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    match args {
        [item, Value::List(_)] => {
            let found = list_contains(list(args, 1)?, item, context.meter)?;
            Ok(Value::Bool(found))
        }
        [key, Value::Map(map)] => Ok(Value::Bool(map.get(key).is_some())),
        _ => Err(no_overload()),
    }
}

/// Whether an element of the list equals `item`.
pub(super) fn list_contains<'v>(
    list: &List<'v>,
    item: &Value<'v>,
    meter: &mut Meter,
) -> Result<bool, Fault> {
    for element in list.iter() {
        if item.equals(&element, meter)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an element of a list of constants is the same as `item`. Upstream
/// looks it up by its hash, which bytes do not have, and which finds a double
/// for an integer only where none of its digits are lost.
pub(crate) fn member(item: &Value<'_>, list: &Value<'_>, meter: &mut Meter) -> Result<bool, Fault> {
    let (Value::List(list), false) = (list, matches!(item, Value::Bytes(_))) else {
        let message = "internal error: runtime error: hash of unhashable type types.Bytes";
        return Err(fault(ErrorClass::Internal, message));
    };
    for element in list.iter() {
        let same = match (item, &element) {
            (Value::Int(item), Value::Double(double)) => exact_int(*double) == Some(*item),
            (Value::Uint(item), Value::Double(double)) => exact_uint(*double) == Some(*item),
            _ => item.equals(&element, meter)?,
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn size<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let size = match args {
        [Value::Text(text)] => {
            context.meter.walk(text.as_bytes().len())?;
            text.characters()
        }
        [Value::Bytes(bytes)] => bytes.as_slice().len(),
        [Value::List(list)] => list.len(),
        [Value::Map(map)] => map.len(),
        _ => return Err(fault(ErrorClass::NoOverload, "no such overload: size")),
    };
    Ok(Value::Int(size as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::{Arithmetic, Internal, NoOverload};
    use crate::intercept::cel::testing::{check_failures, check_true, check_values};

    #[test]
    fn membership_looks_at_elements_and_keys() {
        check_true(&[
            "'a' in body.texts && !('z' in body.texts)",
            "2 in body.list && 2u in body.list && !('2' in body.list)",
            "null in body.mixed",
            "'a' in body.map && !('z' in body.map)",
            "1 in {1: 'x'} && dyn(1.0) in {1: 'x'} && !(dyn('1') in {1: 'x'})",
            "'X-Multi' in header && !('x-multi' in header)",
            "body.ref in ['refs/heads/main', 'refs/heads/dev']",
            "!(body.missing in [])",
            "dyn(3) in [1.5, 3.0] && dyn(3u) in [3.0] && dyn(3.0) in [3u, 1]",
            "!(dyn(9007199254740993) in [9007199254740992.0])",
            "dyn(9007199254740993) == 9007199254740992.0",
            "dyn([1]) != 1 && !(dyn([1]) in [1])",
        ]);
        check_failures(&[
            ("'a' in body.text", NoOverload),
            ("'a' in ['a', string(1 / 0)]", Arithmetic),
            ("dyn(b'a') in ['a']", Internal),
        ]);
    }

    #[test]
    fn size_counts_characters_elements_and_entries() {
        check_values(&[
            ("body.text.size()", json!(14)),
            ("size(b'\\xff\\x00')", json!(2)),
            ("size(body.list)", json!(3)),
            ("body.map.size()", json!(3)),
            ("header['X-Multi'].size()", json!(2)),
            ("size('日本'.truncate(4))", json!(2)),
        ]);
        check_failures(&[("size(body.count)", NoOverload)]);
    }
}
