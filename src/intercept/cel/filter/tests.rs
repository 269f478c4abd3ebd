use serde_json::json;

use super::*;
use crate::intercept::cel::testing::Event;

fn decide(source: &str) -> FilterOutcome {
    let filter = compile_filter(source).unwrap_or_else(|e| panic!("{source}: {e}"));
    filter.decide(&Event::default().scope())
}

#[test]
fn a_filter_is_true_or_something_else() {
    for source in [
        "true",
        "body.ref == 'refs/heads/main' && header.match('X-GitHub-Event', 'push')",
        "body.missing == 1 || body.yes",
        "(body.yes && body.yes) && body.yes",
    ] {
        assert_eq!(decide(source), FilterOutcome::True, "{source}");
    }
    for source in [
        "false",
        "1",
        "'true'",
        "body.nothing",
        "body.missing == 1 && body.no",
        "body.no && body.missing == 1",
    ] {
        assert_eq!(decide(source), FilterOutcome::False, "{source}");
    }
    for (source, class) in [
        ("body.missing == 1", ErrorClass::MissingKey),
        (
            "body.yes && body.missing == 1 && body.yes",
            ErrorClass::MissingKey,
        ),
        ("body.yes && body.text", ErrorClass::NoOverload),
        ("body.text && body.missing", ErrorClass::NoOverload),
    ] {
        let outcome = decide(source);
        assert!(
            matches!(&outcome, FilterOutcome::Error(error) if error.class() == class),
            "{source}: {outcome:?}"
        );
    }
}

#[test]
fn a_comparison_with_a_secret_is_decided_first() {
    let token = "header.canonical('X-Token').compareSecret('token', 'hook')";
    for (rest, expected) in [
        ("body.yes", FilterOutcome::True),
        ("body.no", FilterOutcome::False),
    ] {
        assert_eq!(decide(&format!("{token} && {rest}")), expected);
        assert_eq!(decide(&format!("{rest} && {token}")), expected);
    }
    for wrong in [
        "body.ref.compareSecret('token', 'hook')",
        "body.count.compareSecret('token', 'hook')",
        "body.missing.compareSecret('token', 'hook')",
        "(body.no || body.ref.compareSecret('token', 'hook'))",
    ] {
        for rest in ["body.yes", "body.no", "body.missing"] {
            assert_eq!(
                decide(&format!("{rest} && {wrong}")),
                FilterOutcome::Refused
            );
        }
        assert_eq!(decide(wrong), FilterOutcome::Refused, "{wrong}");
    }
    assert_eq!(
        decide("body.yes || 'x'.compareSecret('token', 'absent')"),
        FilterOutcome::True
    );
}

#[test]
fn a_missing_secret_is_named_unless_another_comparison_is_wrong() {
    let missing = |name: &str, key: &str, gap| {
        let at = SecretKeyRef {
            namespace: "default".into(),
            name: name.into(),
            key: key.into(),
        };
        FilterOutcome::SecretMissing(at, gap)
    };
    assert_eq!(
        decide("body.no && 'x'.compareSecret('token', 'absent')"),
        missing("absent", "token", MissingSecret::NoSecret)
    );
    assert_eq!(
        decide("'x'.compareSecret('other', 'hook')"),
        missing("hook", "other", MissingSecret::NoKey)
    );
    assert_eq!(
        decide("'x'.compareSecret('token', 'later')"),
        missing("later", "token", MissingSecret::NotSynced)
    );
    assert_eq!(
        decide("'x'.compareSecret('token', 'later') && 'x'.compareSecret('token', 'hook')"),
        FilterOutcome::Refused
    );
}

#[test]
fn only_a_filter_that_compares_a_secret_authenticates() {
    for (source, expected) in [
        ("body.yes", false),
        ("header.match('X-Token', 'hunter2')", false),
        ("'x'.compareSecret('token', 'hook')", true),
        (
            "body.yes && ['x'].exists(t, t.compareSecret('token', 'hook'))",
            true,
        ),
    ] {
        let filter = compile_filter(source).expect("compiles");
        assert_eq!(filter.authenticates(), expected, "{source}");
    }
}

#[test]
fn filters_and_programs_go_from_thread_to_thread() {
    fn shared<T: Send + Sync>() {}
    shared::<Filter>();
    shared::<Program>();
    shared::<crate::intercept::cel::Overlay>();
}

fn explain(source: &str) -> Vec<(String, Json)> {
    let filter = compile_filter(source).unwrap_or_else(|e| panic!("{source}: {e}"));
    filter.explain(&Event::default().scope(), &[])
}

#[test]
fn an_explanation_has_the_terms_and_what_they_read() {
    let parts = explain(
        "body.ref == 'refs/heads/main' && (header.match('X-GitHub-Event', 'push') || \
         has(body.map.b)) && body.commits.exists(c, c.id == 'c1') && body.missing.x != 1",
    );
    let expected = [
        ("body.ref == 'refs/heads/main'", json!(true)),
        ("body.ref", json!("refs/heads/main")),
        (
            "header.match('X-GitHub-Event', 'push') || has(body.map.b)",
            json!(true),
        ),
        ("header.match('X-GitHub-Event', 'push')", json!(true)),
        ("has(body.map.b)", json!(true)),
        ("body.commits.exists(c, c.id == 'c1')", json!(true)),
        (
            "body.commits",
            json!([
                {"id": "c1", "modified": ["src/a.rs", "docs/b.md"]},
                {"id": "c2", "modified": []},
            ]),
        ),
        ("body.missing.x != 1", json!("error: no such key: missing")),
        ("body.missing.x", json!("error: no such key: missing")),
    ];
    assert_eq!(
        parts,
        expected.map(|(text, value)| (text.to_owned(), value))
    );
}

#[test]
fn an_explanation_shows_no_operand_of_a_comparison_with_a_secret() {
    for source in [
        "header.canonical('X-Token').compareSecret('token', 'hook') && header['X-Token'][0] != ''",
        "header['X-Token'][0].compareSecret('token', 'hook') && header.match('x-token', 'hunter2')",
        "header['X-Token'].exists(t, t.compareSecret('token', 'hook')) && header.exists(h, h == 'X')",
        "header.filter(h, h == 'X-Token').size() == 1 && header['X-' + 'Token'][0].compareSecret('token', 'hook')",
        "'hunter2'.compareSecret('token', 'hook') && header.size() > 0",
        "body.yes && (body.no || header.`X-Token`[0].compareSecret('token', 'hook')) && header.`X-Token`.size() == 1",
    ] {
        let parts = explain(source);
        assert!(parts.len() > 1, "{source}");
        for (text, value) in parts {
            assert!(
                !value.to_string().contains("hunter2"),
                "{source}: {text} is {value}"
            );
            if text.contains("compareSecret") {
                assert_eq!(value, json!("(secret)"), "{text}");
            }
        }
    }
}

#[test]
fn long_values_are_cut() {
    let event = Event::with_body(json!({"long": "x".repeat(1000), "many": vec!["y"; 500]}));
    let filter = compile_filter("body.long != '' && body.many.size() > 0").expect("compiles");
    for (text, value) in filter.explain(&event.scope(), &[]) {
        let length = value.as_str().map_or(0, |value| value.chars().count());
        assert!(length <= 257, "{text} is {length} long");
    }
}

#[test]
fn only_what_nobody_passes_without_a_secret_proves_anything() {
    let token = "header.canonical('X-Token').compareSecret('token', 'hook')";
    let other = "header.canonical('X-Other').compareSecret('token', 'hook')";
    for proving in [
        token.to_owned(),
        format!("body.a == 1 && {token}"),
        format!("{token} || {other}"),
        format!("({token} && body.a == 1) || {other}"),
        "body.token.lowerAscii().compareSecret('token', 'hook')".to_owned(),
    ] {
        assert!(compile_filter(&proving).unwrap().proves(), "{proving}");
    }
    for idle in [
        "true".to_owned(),
        format!("{token} || body.a == 1"),
        format!("!{token}"),
        format!("{token} == false"),
        format!("{token} ? true : true"),
        format!("body.list.exists(x, x == 1 || {token})"),
        "'known'.compareSecret('token', 'hook')".to_owned(),
        "'known'.compareSecret('token', body.name)".to_owned(),
        "body.token.compareSecret('token', body.name)".to_owned(),
        "(body.a == 1 ? 'known' : body.token).compareSecret('token', 'hook')".to_owned(),
        "extensions.token.compareSecret('token', 'hook')".to_owned(),
    ] {
        assert!(!compile_filter(&idle).unwrap().proves(), "{idle}");
    }
}
