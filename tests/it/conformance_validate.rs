//! Admission, as recorded from the program that Tekton runs.

#[path = "../../examples/conformance/compare/validate/answer.rs"]
mod answer;

use serde_json::Value;

#[test]
fn admission_is_as_recorded() {
    let text = include_str!("../golden/conformance/validate.jsonl");
    let mut different = Vec::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let actual = answer::of(case["input"]["yaml"].as_str().unwrap());
        if !answer::is_as_recorded(&case["expected"], &actual) {
            different.push(format!("{}: {actual}", case["id"]));
        }
    }
    assert_eq!(different, Vec::<String>::new());
    assert!(text.lines().count() >= 80);
}
