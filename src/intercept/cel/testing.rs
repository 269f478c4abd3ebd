//! One event for the tests of this module, and tables of what expressions make
//! of it.

use serde_json::{Map, Value as Json, json};

use super::{ErrorClass, EvalError, OverlayError, Scope, Stage, compile, compile_overlay};
use crate::model::headers::Headers;
use crate::model::secret::{SecretKeyRef, SecretLookup, SecretValue, Secrets};

/// An event with a value of each kind.
pub(crate) struct Event {
    body: Json,
    headers: Headers,
    extensions: Map<String, Json>,
}

impl Default for Event {
    fn default() -> Self {
        let mut headers = Headers::new();
        headers.append("X-GitHub-Event", "push");
        headers.append("X-Token", "hunter2");
        headers.append("X-Multi", "one");
        headers.append("X-Multi", "two");
        Self {
            body: json!({
                "ref": "refs/heads/main",
                "text": "héllo wörld 日本",
                "count": 3,
                "half": 2.5,
                "huge": 1e21,
                "yes": true,
                "no": false,
                "nothing": null,
                "list": [3, 1, 2],
                "texts": ["b", "a", "c", "a"],
                "mixed": [1, "a", true, null, {"k": 1}, [2]],
                "nested": [[1, 2], [3, [4, 5]]],
                "map": {"a": 1, "b": {"c": "deep"}, "with-dash": "d"},
                "commits": [
                    {"id": "c1", "modified": ["src/a.rs", "docs/b.md"]},
                    {"id": "c2", "modified": []},
                ],
                "json": "{\"a\":[1,2]}",
                "pattern": "^refs/",
                "at": "2024-02-29T12:34:56.789Z",
            }),
            headers,
            extensions: json!({"earlier": {"x": 1}})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        }
    }
}

impl Event {
    /// An event with another body.
    pub(crate) fn with_body(body: Json) -> Self {
        Self {
            body,
            ..Self::default()
        }
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            body: &self.body,
            headers: &self.headers,
            extensions: &self.extensions,
            request_url: "/hooks/a%20b?x=1&x=2",
            secrets: &TestSecrets,
            namespace: "default",
        }
    }
}

/// `default/hook` with the key `token`, and a store that is still empty for
/// the Secret `later`.
pub(crate) struct TestSecrets;

impl Secrets for TestSecrets {
    fn find(&self, at: &SecretKeyRef) -> SecretLookup {
        match (at.namespace.as_str(), at.name.as_str(), at.key.as_str()) {
            ("default", "hook", "token") => {
                SecretLookup::Found(SecretValue::new(b"hunter2".to_vec()))
            }
            ("default", "hook", _) => SecretLookup::NoKey,
            ("default", "later", _) => SecretLookup::NotSynced,
            _ => SecretLookup::NoSecret,
        }
    }
}

/// The value of an expression for the usual event.
pub(crate) fn value(expression: &str) -> Result<Json, EvalError> {
    let program = compile(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
    program.evaluate(&Event::default().scope())
}

/// Expressions with their values.
pub(crate) fn check_values(table: &[(&str, Json)]) {
    for (expression, expected) in table {
        let value = value(expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
        assert!(same(&value, expected), "{expression} gives {value}");
    }
}

/// Expressions that are true.
pub(crate) fn check_true(expressions: &[&str]) {
    for expression in expressions {
        assert_eq!(value(expression), Ok(json!(true)), "{expression}");
    }
}

/// Expressions that give no value, and why.
pub(crate) fn check_failures(table: &[(&str, ErrorClass)]) {
    for (expression, class) in table {
        match value(expression) {
            Ok(value) => panic!("{expression} gives {value}"),
            Err(error) => assert_eq!(error.class(), *class, "{expression}: {error}"),
        }
    }
}

/// Expressions that do not compile, the pass that refuses them, and a part of
/// the first problem.
pub(crate) fn check_refusals(table: &[(&str, Stage, &str)]) {
    for (expression, stage, part) in table {
        match compile(expression) {
            Ok(_) => panic!("{expression} compiles"),
            Err(error) => {
                assert_eq!(error.stage, *stage, "{expression}: {error}");
                assert!(error.summary.contains(part), "{expression}: {error}");
            }
        }
    }
}

/// The extensions that one overlay gives.
pub(crate) fn overlaid(key: &str, expression: &str) -> Result<Json, OverlayError> {
    let overlay = compile_overlay(key, expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
    let mut extensions = Map::new();
    overlay.apply(&Event::default().scope(), &mut extensions)?;
    Ok(Json::Object(extensions))
}

/// Equality with numbers as doubles.
fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}
