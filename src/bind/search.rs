//! The selections that jsonpath-rust makes for us.
//!
//! In: a JSON value. Out: references into it. The dialect of `TriggerBinding`s
//! is kubectl's, and RFC 9535, which the engine follows, differs from it where
//! a selection fails: a missing field, an index out of bounds, a number beside
//! a text are errors that a binding must report, and the engine finds nothing
//! instead. So it selects where nothing can fail, or where `walk` has already
//! checked what can:
//!
//! - the members of a list or an object (`.*`);
//! - slices, after their bounds were checked;
//! - `[?(@.a.b)]`, a test for existence along fields.
//!
//! Not here: fields and indexes (their errors are kubectl's), comparisons
//! (kubectl compares only like with like and says so), unions (each branch has
//! errors of its own), and `..`: kubectl's finds texts as well as lists and
//! objects, and the engine writes a path string for every node it passes, which
//! over a hostile body costs memory quadratic in its size.

use jsonpath_rust::parser::model::{
    Filter, FilterAtom, JpQuery, Segment, Selector, Test, slice_from,
};
use jsonpath_rust::query::js_path_process;
use serde_json::Value;

/// The engine adds a step to an index without looking, so a huge one would
/// overflow. No list is longer than this.
const LONGEST_STEP: i64 = u32::MAX as i64;

/// One prepared selection.
#[derive(Debug, PartialEq)]
pub(super) struct Search(JpQuery);

impl Search {
    /// All members.
    pub(super) fn members() -> Self {
        Self::of(Selector::Wildcard)
    }

    /// Elements `from..to`, each `step`-th; the step is positive.
    pub(super) fn slice(from: i64, to: Option<i64>, step: i64) -> Self {
        let step = step.clamp(1, LONGEST_STEP);
        Self::of(slice_from((Some(from), to, Some(step))))
    }

    /// Elements that have something at the end of these fields.
    pub(super) fn having<'f>(fields: impl Iterator<Item = &'f str>) -> Self {
        let path = fields.map(Segment::name).collect();
        let exists = FilterAtom::test(Test::RelQuery(path), false);
        Self::of(Selector::Filter(Filter::Atom(exists)))
    }

    fn of(selector: Selector) -> Self {
        Self(JpQuery::new(vec![Segment::Selector(selector)]))
    }

    /// What the selection finds directly below `value`, in order.
    pub(super) fn select<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        // The engine only fails on queries that yield a computed value.
        let found = js_path_process(&self.0, value).unwrap_or_default();
        found.into_iter().map(|hit| hit.val()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_come_in_the_order_of_their_keys() {
        let value = json!({"b": 2, "a": 1});
        assert_eq!(Search::members().select(&value), [&json!(1), &json!(2)]);
        assert_eq!(Search::members().select(&json!(["x"])), [&json!("x")]);
        assert!(Search::members().select(&json!("text")).is_empty());
    }

    #[test]
    fn a_slice_counts_from_the_end_where_it_is_negative() {
        let list = json!([0, 1, 2, 3]);
        for (from, to, step, expected) in [
            (1, Some(3), 1, json!([1, 2])),
            (-2, None, 1, json!([2, 3])),
            (0, Some(-1), 2, json!([0, 2])),
            (1, None, i64::MAX, json!([1])),
        ] {
            let found = Search::slice(from, to, step).select(&list);
            let found: Vec<_> = found.into_iter().cloned().collect();
            assert_eq!(json!(found), expected, "[{from}:{to:?}:{step}]");
        }
    }

    #[test]
    fn having_asks_for_presence_and_not_for_a_value() {
        let list = json!([{"a": {"b": null}}, {"a": {}}, {"a": 1}, "a", null]);
        let search = Search::having(["a", "b"].into_iter());
        assert_eq!(search.select(&list), [&json!({"a": {"b": null}})]);
    }
}
