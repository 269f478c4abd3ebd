use serde_json::json;

use super::*;

fn document(text: &str) -> Option<Json> {
    read(text, Scalars::Resolved, &mut Meter::default()).ok()
}

#[test]
fn documents_read_as_in_go() {
    for (text, expected) in [
        ("", json!(null)),
        (
            "a: 1\nb: [x, {y: 2}]",
            json!({"a": 1, "b": ["x", {"true": 2}]}),
        ),
        ("a: &x {b: 1}\nc: *x", json!({"a": {"b": 1}, "c": {"b": 1}})),
        (
            "a: &x {b: 1}\nc: {<<: *x, d: 2}",
            json!({"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ),
        ("a: 1\na: 2", json!({"a": 2})),
        ("a: .nan\na: 2", json!({"a": 2})),
        ("a: 1\n---\nb: 2", json!({"a": 1})),
        (
            "1.5: x\n017: w\ntrue: z",
            json!({"1.5": "x", "15": "w", "true": "z"}),
        ),
        ("? a\n: b", json!({"a": "b"})),
        ("a: # comment\n  b: 1", json!({"a": {"b": 1}})),
        ("a: |\n  x\n  y\n", json!({"a": "x\ny\n"})),
        ("a: |\n  x\n  y", json!({"a": "x\ny"})),
        ("a: >\n  x\n  y", json!({"a": "x y"})),
        ("a: |+\n  x\n\nb: 1", json!({"a": "x\n\n", "b": 1})),
        ("a: 1\n  \t\nb: 2", json!({"a": 1, "b": 2})),
        (
            "a: [1,\n\t2]\nb: 'x\n \ty'",
            json!({"a": [1, 2], "b": "x y"}),
        ),
        ("a: \"x/y\"\t\nb: x\ty", json!({"a": "x/y", "b": "x\ty"})),
    ] {
        assert_eq!(document(text), Some(expected), "{text}");
    }
}

#[test]
fn what_go_refuses_is_refused() {
    for text in [
        "\ta: 1",
        "a: 1\n\t",
        "a:\n  \t\nb: 1",
        "a: 'x'\n\t\nb: 1",
        "a: {b: 1}\n \t# comment",
        "a: \"\\/\"",
        "%YAML 1.2\n---\na: 1",
        "a: .inf",
        "a: .inf\nb: 1\na: .nan",
        "a: [.inf]",
        "a: *x",
        "a: [1",
        "a: !!int x",
        "{a: 1}: 2",
        "~: 1",
    ] {
        assert_eq!(document(text), None, "{text}");
    }
}

#[test]
fn a_bomb_of_aliases_runs_out_of_memory() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let items = [before.as_str(); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let error = read(&text, Scalars::Resolved, &mut Meter::default()).expect_err("too large");
    assert_eq!(error.class(), ErrorClass::Exhausted);
}

#[test]
fn deep_nesting_is_refused() {
    assert_eq!(document(&"[".repeat(10_000)), None);
    assert_eq!(document(&"{a: ".repeat(10_000)), None);
    assert_eq!(document(&"- ".repeat(10_000)), None);
}

#[test]
fn scalars_can_stay_as_they_are_written() {
    let read = |text| read(text, Scalars::AsWritten, &mut Meter::default()).ok();
    let text = "names: [0123, yes, 1e3, .inf, 2020-01-01, 'x', ~]\nbytes: !!binary Ym9i\n";
    let expected = json!({
        "names": ["0123", "yes", "1e3", ".inf", "2020-01-01", "x", null],
        "bytes": "bob",
    });
    assert_eq!(read(text), Some(expected));
}
