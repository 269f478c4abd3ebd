//! Macros over lists and maps.

use std::sync::Arc;

use super::{Machine, Outcome};
use crate::intercept::cel::error::{ErrorClass, fault, no_overload};
use crate::intercept::cel::ir::{Fold, OpId, SlotId};
use crate::intercept::cel::value::{List, Value};

impl<'v> Machine<'v, '_> {
    /// Runs the step for each element, or each key of a map, until the
    /// condition is false. A condition that fails does not end the loop.
    #[inline(never)]
    pub(super) fn fold(&mut self, fold: &'v Fold) -> Outcome<'v> {
        let range = self.evaluate(fold.range)?;
        let range = match range {
            Value::List(list) => list,
            Value::Map(map) => {
                let keys = map.keys();
                self.meter.build_elements(keys.len())?;
                List::Shared(Arc::new(keys))
            }
            other => {
                let message = format!("got '{}', expected iterable type", other.kind());
                return Err(fault(ErrorClass::Type, message));
            }
        };
        let init = self.evaluate(fold.init);
        self.set(fold.accumulator, init);
        for item in range.iter() {
            self.meter.step(1)?;
            self.set(fold.variable, Ok(item));
            if let Ok(Value::Bool(false)) = self.evaluate(fold.condition) {
                break;
            }
            let next = self.evaluate(fold.step);
            self.set(fold.accumulator, next);
        }
        self.evaluate(fold.result)
    }

    fn set(&mut self, slot: SlotId, value: Outcome<'v>) {
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = value;
        }
    }

    /// The list in a slot with one more element. The list is taken out, so
    /// that it has one owner and grows in place; the step that this is part of
    /// puts it back.
    #[inline(never)]
    pub(super) fn append(&mut self, slot: SlotId, item: OpId) -> Outcome<'v> {
        let slot = usize::from(slot);
        if let Err(fault) = &self.slots[slot] {
            return Err(fault.clone());
        }
        let item = self.evaluate(item)?;
        self.meter.build_elements(1)?;
        let list = std::mem::replace(&mut self.slots[slot], Ok(Value::Null))?;
        let Value::List(list) = list else {
            return Err(no_overload());
        };
        let mut items = match list {
            List::Shared(items) => Arc::unwrap_or_clone(items),
            other => other.iter().collect(),
        };
        items.push(item);
        Ok(Value::list(items))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::{Arithmetic, Exhausted, MissingKey, Type};
    use crate::intercept::cel::testing::{check_failures, check_true, check_values};

    #[test]
    fn macros_walk_lists_and_the_sorted_keys_of_maps() {
        check_values(&[
            ("body.commits.map(c, c.id)", json!(["c1", "c2"])),
            ("body.list.map(x, x > 1.0, x * 2.0)", json!([6, 4])),
            ("body.texts.filter(t, t != 'a')", json!(["b", "c"])),
            ("body.map.map(k, k)", json!(["a", "b", "with-dash"])),
            ("header.filter(k, k.startsWith('X-M'))", json!(["X-Multi"])),
            ("[[1], [2]].map(x, x + [3]).map(x, x.size())", json!([2, 2])),
            (
                "[[1], [2]].map(x, [x + [3], x])",
                json!([[[1, 3], [1]], [[2, 3], [2]]]),
            ),
            ("[1, 2].map(x, [3].map(y, x + y))", json!([[4], [5]])),
            ("[1, 2].map(x, [3].map(x, x))", json!([[3], [3]])),
        ]);
        check_true(&[
            "body.commits.exists(c, c.modified.exists(m, m.startsWith('src/')))",
            "body.commits.all(c, c.id.startsWith('c'))",
            "body.texts.exists_one(t, t == 'b') && !body.texts.exists_one(t, t == 'a')",
            "[].all(x, false) && ![].exists(x, true)",
            "[1, 'a', null].exists(x, x == 'a')",
        ]);
    }

    #[test]
    fn a_later_element_may_outweigh_a_failure() {
        check_true(&[
            "body.mixed.exists(x, x > 0.5)",
            "!body.mixed.all(x, x > 2.0)",
        ]);
        check_failures(&[
            ("body.commits.map(c, c.missing)", MissingKey),
            ("[1, 0].exists_one(x, 1 / x == 1)", Arithmetic),
            ("body.text.map(x, x)", Type),
            ("body.nothing.exists(x, true)", Type),
        ]);
    }

    #[test]
    fn a_long_list_is_collected_in_place() {
        check_values(&[(
            "lists.range(50000).map(x, x % 7).filter(x, x == 3).size()",
            json!(7143),
        )]);
    }

    #[test]
    fn loops_within_loops_run_out_of_fuel() {
        check_failures(&[(
            "lists.range(1000).all(x, lists.range(1000).all(y, lists.range(1000).all(z, true)))",
            Exhausted,
        )]);
    }

    #[test]
    fn no_operator_swallows_exhaustion() {
        let endless = "lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))";
        for around in [
            "E || true",
            "true && (E || true)",
            "[1].exists(i, E || true)",
            "!(E && false)",
        ] {
            check_failures(&[(&around.replace('E', endless), Exhausted)]);
        }
    }
}
