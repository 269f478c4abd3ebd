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
