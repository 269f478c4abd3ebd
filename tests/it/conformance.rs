//! Interceptors, expressions, bindings, templates and all of them together give
//! what Tekton Triggers gives.
//!
//! The cases in `tests/golden/conformance` have the form of the recorded ones
//! that `examples/conformance` reads, and are compared by its code. What they
//! expect is what upstream's own code gave.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::recorded::cases::read_cases;
use crate::recorded::compare::{Comparison, compare};

/// Fewest cases of each kind, so that a file that is not found is noticed.
const FEWEST: [(&str, usize); 6] = [
    ("bind", 250),
    ("cel", 600),
    ("chain", 90),
    ("interceptor", 130),
    ("render", 100),
    ("validate", 80),
];

fn compare_all(kind: &str) {
    let folder = PathBuf::from("tests/golden/conformance");
    let cases = read_cases(&[folder.join(format!("{kind}.jsonl"))]).expect("cases");
    let fewest = BTreeMap::from(FEWEST)[kind];
    assert!(cases.len() >= fewest, "only {} cases", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        match compare(case) {
            Comparison::Same | Comparison::Better => {}
            Comparison::NotCompared => failures.push(format!("{}: not compared", case.id)),
            Comparison::OtherClass(actual) | Comparison::Different(actual) => {
                failures.push(format!(
                    "{} ({}): {}\n  expected {}\n  actual   {actual}",
                    case.id, case.category, case.input, case.expected
                ));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases differ\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

#[test]
fn expressions_give_what_cel_go_gives() {
    compare_all("cel");
}

#[test]
fn bindings_give_what_upstream_gives() {
    compare_all("bind");
}

#[test]
fn templates_give_what_upstream_gives() {
    compare_all("render");
}

#[test]
fn interceptors_answer_as_upstream_s_do() {
    compare_all("interceptor");
}

#[test]
fn requests_end_in_the_objects_that_upstream_makes() {
    compare_all("chain");
}

#[test]
fn admission_is_upstream_s() {
    compare_all("validate");
}
