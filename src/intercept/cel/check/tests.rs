use crate::intercept::cel::Stage::{Check, Parse};
use crate::intercept::cel::compile;
use crate::intercept::cel::testing::{check_refusals, check_true};

#[test]
fn names_that_nothing_declares_are_reported() {
    check_refusals(&[
        (
            "undeclared",
            Check,
            "undeclared reference to 'undeclared' (in container '')",
        ),
        ("body.x == hello", Check, "'hello'"),
        ("nope(1)", Check, "'nope'"),
        ("body.x.nope()", Check, "'nope'"),
        ("math.pow(2, 3)", Check, "'math'"),
        ("dyn", Check, "'dyn'"),
        ("[1].exists(x, true) && x == 1", Check, "'x'"),
        ("[1].all(i, j, i < j)", Check, "'all'"),
        ("[1] . existsOne (x, true)", Check, "'existsOne'"),
        ("google.protobuf", Check, "'google'"),
        ("[1].filter(.x, true)", Check, "'.x'"),
    ]);
}

#[test]
fn calls_that_no_overload_takes_are_reported_with_their_types() {
    check_refusals(&[
        ("1 + 1.0", Check, "'_+_' applied to '(int, double)'"),
        ("1 == 'a'", Check, "'_==_' applied to '(int, string)'"),
        (
            "body + 1",
            Check,
            "'_+_' applied to '(map(string, dyn), int)'",
        ),
        (
            "header.match('x')",
            Check,
            "'match' applied to 'map(string, dyn).(string)'",
        ),
        ("body.s.translate('a')", Check, "applied to 'dyn.(string)'"),
        ("size()", Check, "'size' applied to '()'"),
        ("{'a': 1}['a'] + 'x'", Check, "'(int, string)'"),
        ("[1, 2].map(x, x + 'a')", Check, "'(int, string)'"),
        (
            "true ? 1 : 'a'",
            Check,
            "'_?_:_' applied to '(bool, int, string)'",
        ),
        ("[1].join(',')", Check, "'list(int).(string)'"),
        ("body.map > {}", Check, "'(dyn, map(dyn, dyn))'"),
        ("string(int)", Check, "'(type(int))'"),
    ]);
}

#[test]
fn other_mismatches_are_reported() {
    check_refusals(&[
        ("true && 1", Check, "expected type 'bool' but found 'int'"),
        (
            "[1].all(x, 1)",
            Check,
            "expected type 'bool' but found 'int'",
        ),
        (
            "'abc'.all(c, true)",
            Check,
            "cannot be range of a comprehension",
        ),
        (
            "1.0.foo",
            Check,
            "type 'double' does not support field selection",
        ),
        ("has(body)", Parse, "invalid argument to has() macro"),
        ("[1].all(__result__, true)", Parse, "overwrites accumulator"),
    ]);
}

#[test]
fn dynamic_values_and_mixed_literals_pass() {
    check_true(&[
        "body.count == 3 && body.count == 3u",
        "[1, 'a', null].size() == 3 && {'a': 1, 'b': 'x'}.b == 'x'",
        "[].size() == 0 && {}.size() == 0 && [[]] == [[]]",
        "dyn(1) == 1.0 && type(body) == map && type(dyn(1)) == int",
        "timestamp(0) != null && .body.count == .size([1, 2, 3])",
        "[1].map(body, body + 1) == [2] && [1].map(x, .body.count)[0] == 3",
    ]);
}

#[test]
fn numbers_of_two_types_compare_only_after_a_macro() {
    check_refusals(&[("1 < 2.0", Check, "'_<_' applied to '(int, double)'")]);
    check_true(&["[1].all(x, x < 2.0)", "[1].all(x, true) && 1 < 2.0"]);
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let error = compile("body.x &&\n  hello + 1 == world").expect_err("two names");
    assert_eq!((error.line, error.column), (2, 3));
    assert!(
        error
            .message
            .starts_with("ERROR: <input>:2:3: undeclared reference to 'hello'")
    );
    assert!(error.message.contains("\n | ..^"));
    let unknown = compile("boyd.ref == 'x'").expect_err("misspelt");
    assert_eq!(unknown.suggestion.as_deref(), Some("body"));
    let unknown = compile("body.list.existsOne(x, x == 1)").expect_err("no macro");
    assert_eq!(unknown.suggestion.as_deref(), Some("exists_one"));
    for (source, expected) in [
        ("body.ref.startswith('x')", ", did you mean 'startsWith'?\n"),
        ("header.cannonical('x')", ", did you mean 'canonical'?\n"),
        (
            "match('X-A', 'b')",
            "; it is called as map(string, dyn).match(string, string)\n",
        ),
        (
            "body.ref.split()",
            "; it is called as string.split(string) or string.split(string, int)\n",
        ),
    ] {
        let message = compile(source).expect_err("misspelt").message;
        assert!(message.contains(expected), "{message}");
    }
    let unknown = compile("body.ref.startWith('x')").expect_err("misspelt");
    assert_eq!(unknown.suggestion.as_deref(), Some("startsWith"));
}

#[test]
fn types_that_double_with_each_macro_are_not_followed_forever() {
    for step in [
        ".map(x, {x: x})",
        ".map(x, [x, x])",
        ".map(x, {x: [x, x], 1: x})",
    ] {
        let source = format!("[1]{}", step.repeat(100));
        assert!(compile(&source).is_ok(), "{step}");
    }
}
