//! Admission of one object: what is refused and why, and what defaults make of
//! the rest.

use crate::{Case, Comparison};

mod answer;

/// Compares who refuses the object, with which words, or what it becomes.
pub(crate) fn compare(case: &Case) -> Comparison {
    let actual = answer::of(case.input["yaml"].as_str().unwrap_or_default());
    if answer::is_as_recorded(&case.expected, &actual) {
        Comparison::Same
    } else {
        Comparison::Different(actual.to_string())
    }
}
