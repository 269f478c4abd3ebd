//! One call of the CEL interceptor.

use serde_json::{Map, Value, json};
use tripline::intercept::cel::{
    self, CompileError, ErrorClass, FilterOutcome, OverlayError, Params, Scope, Stage,
};
use tripline::model::headers::Headers;
use tripline::model::json;
use tripline::model::secret::{SecretKeyRef, SecretLookup, SecretValue, Secrets};

use crate::{Case, Comparison};

const INVALID_ARGUMENT: i64 = 3;
const FAILED_PRECONDITION: i64 = 9;
const INTERNAL: i64 = 13;

/// Compares the response: continue, extensions, code and class of error.
pub(super) fn compare(case: &Case) -> Comparison {
    let answer = match call(case) {
        Ok(extensions) => Answer::going_on(extensions),
        Err(refusal) => refusal,
    };
    if case.expected.get("panic").is_some() {
        return match answer.go_on {
            false => Comparison::Same,
            true => Comparison::Different("went on".into()),
        };
    }
    let expected = &case.expected;
    let empty = json!({});
    let extensions = Value::Object(answer.extensions);
    let same = answer.go_on == (expected["continue"] == true)
        && super::same(&extensions, expected.get("extensions").unwrap_or(&empty))
        && answer.code == expected["status"]["code"].as_i64().unwrap_or(0);
    let same_class = answer.class == expected["error_class"].as_str().unwrap_or("");
    let actual = format!(
        "continue={} code={} class={} extensions={extensions} message={}",
        answer.go_on, answer.code, answer.class, answer.message,
    );
    match (same, same_class) {
        (true, true) => Comparison::Same,
        (true, false) => Comparison::OtherClass(actual),
        (false, _) => Comparison::Different(actual),
    }
}

struct Answer {
    go_on: bool,
    extensions: Map<String, Value>,
    code: i64,
    class: String,
    message: String,
}

impl Answer {
    fn going_on(extensions: Map<String, Value>) -> Self {
        Self {
            go_on: true,
            extensions,
            code: 0,
            class: String::new(),
            message: String::new(),
        }
    }

    fn refusal(code: i64, class: &str, message: impl ToString) -> Self {
        Self {
            go_on: false,
            extensions: Map::new(),
            code,
            class: class.to_owned(),
            message: message.to_string(),
        }
    }

    fn of_compile_error(error: &CompileError) -> Self {
        let class = match error.stage {
            Stage::Parse | Stage::Limit => "parse",
            Stage::Check => "check",
            Stage::Fold(class) => class.as_str(),
        };
        Self::refusal(INVALID_ARGUMENT, class, error)
    }
}

fn call(case: &Case) -> Result<Map<String, Value>, Answer> {
    let none = Map::new();
    let params = case.input["params"].as_object().unwrap_or(&none);
    let params =
        Params::read(params).map_err(|e| Answer::refusal(INVALID_ARGUMENT, "params", e))?;
    if case.input["no_context"] == true {
        let message = "no request context passed";
        return Err(Answer::refusal(INVALID_ARGUMENT, "context", message));
    }
    let body = read_body(case)?;
    let headers: Headers = super::headers(case);
    let secrets = TestSecrets::of(case);
    let scope = Scope {
        body: &body,
        headers: &headers,
        extensions: case.input["extensions"].as_object().unwrap_or(&none),
        request_url: case.input["request"]["url"].as_str().unwrap_or(""),
        secrets: &secrets,
        namespace: &namespace(case),
    };
    if let Some(filter) = &params.filter {
        apply_filter(filter, &scope)?;
    }
    let mut extensions = Map::new();
    for (key, expression) in &params.overlays {
        let overlay =
            cel::compile_overlay(key, expression).map_err(|e| Answer::of_compile_error(&e))?;
        overlay
            .apply(&scope, &mut extensions)
            .map_err(|error| match error {
                OverlayError::Eval(error) => {
                    Answer::refusal(INVALID_ARGUMENT, error.class().as_str(), error)
                }
                OverlayError::Type(_) => {
                    Answer::refusal(INTERNAL, ErrorClass::Type.as_str(), error)
                }
                OverlayError::Key(_) => Answer::refusal(INTERNAL, "overlay_key", error),
            })?;
    }
    Ok(extensions)
}

/// An empty body is an empty object; null is one too, as Go reads it.
fn read_body(case: &Case) -> Result<Value, Answer> {
    let bytes = super::body(case);
    if bytes.is_empty() {
        return Ok(json!({}));
    }
    match json::read(&bytes, usize::MAX).map(|read| read.value) {
        Ok(Value::Null) => Ok(json!({})),
        Ok(body) if body.is_object() => Ok(body),
        Ok(_) => Err(Answer::refusal(INVALID_ARGUMENT, "body", "not an object")),
        Err(error) => Err(Answer::refusal(INVALID_ARGUMENT, "body", error)),
    }
}

/// The value decides, as upstream has it; the product's decision must go on
/// in exactly the same cases.
fn apply_filter(filter: &str, scope: &Scope<'_>) -> Result<(), Answer> {
    let program = cel::compile(filter).map_err(|e| Answer::of_compile_error(&e))?;
    let value = program.evaluate(scope);
    let decision = cel::compile_filter(filter)
        .map_err(|e| Answer::of_compile_error(&e))?
        .decide(scope);
    let wanted = matches!(value, Ok(Value::Bool(true)));
    if wanted != (decision == FilterOutcome::True) {
        let message = format!("value {value:?}, decision {decision:?}");
        return Err(Answer::refusal(-1, "decision", message));
    }
    match value {
        Ok(Value::Bool(true)) => Ok(()),
        Ok(value) => Err(Answer::refusal(
            FAILED_PRECONDITION,
            "filter_false",
            format!("filter is {value}"),
        )),
        Err(error) => Err(Answer::refusal(
            INVALID_ARGUMENT,
            error.class().as_str(),
            error,
        )),
    }
}

/// The namespace inside `namespaces/NS/triggers/NAME`.
fn namespace(case: &Case) -> String {
    let id = case.input["trigger_id"].as_str().unwrap_or("");
    let parts: Vec<&str> = id.split('/').collect();
    match parts[..] {
        [_, namespace, _, _] => namespace.to_owned(),
        _ => String::new(),
    }
}

struct TestSecrets(Vec<Value>);

impl TestSecrets {
    fn of(case: &Case) -> Self {
        Self(
            case.input["secrets"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        )
    }
}

impl Secrets for TestSecrets {
    fn find(&self, at: &SecretKeyRef) -> SecretLookup {
        let secret = self.0.iter().find(|secret| {
            secret["namespace"].as_str().unwrap_or("default") == at.namespace
                && secret["name"] == at.name.as_str()
        });
        match secret.map(|secret| &secret["data"][&at.key]) {
            None => SecretLookup::NoSecret,
            Some(Value::String(value)) => {
                SecretLookup::Found(SecretValue::new(value.clone().into_bytes()))
            }
            Some(_) => SecretLookup::NoKey,
        }
    }
}
