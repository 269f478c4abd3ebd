use serde_json::json;

use crate::intercept::cel::ErrorClass::{Exhausted, NoOverload, Regex};
use crate::intercept::cel::Stage::{Fold, Limit};
use crate::intercept::cel::compile;
use crate::intercept::cel::evaluate::Machine;
use crate::intercept::cel::meter::Meter;
use crate::intercept::cel::testing::{
    Event, check_failures, check_refusals, check_true, check_values,
};

#[test]
fn patterns_match_anywhere_and_by_re2() {
    check_true(&[
        "body.ref.matches('^refs/(heads|tags)/')",
        "matches(body.ref, 'main$') && body.ref.matches(body.pattern)",
        "!body.text.matches('^[a-z ]+$') && body.text.matches('(?i)HÉLLO')",
        r"!'३'.matches('\\d') && 'a1'.matches('\\d')",
    ]);
    check_failures(&[
        ("body.count.matches('3')", NoOverload),
        ("body.ref.matches(body.ref + '[')", Regex),
    ]);
}

#[test]
fn a_literal_pattern_that_does_not_compile_is_refused() {
    check_refusals(&[
        (
            "body.no && body.ref.matches('[')",
            Fold(Regex),
            "missing closing ]",
        ),
        (r"'aa'.matches('(a)\\1')", Fold(Regex), "invalid escape"),
        (r"'a'.matches('\\pL{1000}')", Fold(Regex), "too large"),
    ]);
    let many = vec!["body.ref.matches('x')"; 101].join("||");
    check_refusals(&[(&many, Limit, "more than 100 regular expressions")]);
}

#[test]
fn templates_fill_in_groups_by_the_rules_of_go() {
    check_values(&[
        (
            "body.ref.translate('^refs/(heads|tags)/', '')",
            json!("main"),
        ),
        ("'ab'.translate('(a)(b)', '$2$1')", json!("ba")),
        ("'ab'.translate('(a)(b)', '${1}x')", json!("ax")),
        ("'ab'.translate('(a)(b)', '$1x')", json!("")),
        ("'ab'.translate('(?P<n>a)b', '<$n>')", json!("<a>")),
        ("'b'.translate('(?P<n>a)|(?P<n>b)', '<$n>')", json!("<b>")),
        ("'a'.translate('a', '$$ $ ${ $9 $01')", json!("$ $ ${  ")),
        ("'abc'.translate('', '-')", json!("-a-b-c-")),
        ("'baaac'.translate('a*', '-')", json!("-b-c-")),
    ]);
    check_failures(&[
        ("body.ref.translate('(', '')", Regex),
        ("body.count.translate('a', 'b')", NoOverload),
    ]);
    check_true(&["body.yes || body.ref.translate('(', '') == ''"]);
}

#[test]
fn patterns_of_the_event_cannot_be_compiled_without_end() {
    check_failures(&[(
        "lists.range(1000).all(i, !body.ref.matches(string(i) + 'x'))",
        Exhausted,
    )]);
}

/// Whether `source` over a body with this text ends within `fuel`.
fn ends(source: &str, text: &str, fuel: u64) -> bool {
    let event = Event::with_body(json!({ "text": text }));
    let scope = event.scope();
    let program = compile(source).expect("compiles");
    let meter = Meter::with(fuel, 1 << 20);
    let mut machine = Machine::with_meter(&program.code, &scope, meter);
    let ended = machine.run(program.code.root);
    ended
        .map_err(|fault| assert_eq!(fault.class(), Exhausted, "{fault}"))
        .is_ok()
}

#[test]
fn heavy_patterns_and_long_looks_ahead_are_paid_for() {
    let text = "A".repeat(3000);
    for (source, enough, too_little) in [
        ("body.text.matches('[AB].B')", 1_000, 500),
        ("body.text.matches('[AB].{500}B')", 30_000, 20_000),
        ("body.text.translate('[A-Z]', '') == ''", 8_000, 4_500),
        (
            "body.text.translate('.*[^A-Z]|[A-Z]', '') == ''",
            8_000,
            4_500,
        ),
    ] {
        assert!(ends(source, &text, enough), "{source}");
        assert!(!ends(source, &text, too_little), "{source}");
    }
}

#[test]
fn a_template_is_paid_for_while_it_is_filled_in() {
    let text = "x".repeat(10_000);
    let template = "$0".repeat(1000);
    let source = format!("body.text.translate('.+', '{template}') == ''");
    assert!(!ends(&source, &text, 10_000_000));
}
