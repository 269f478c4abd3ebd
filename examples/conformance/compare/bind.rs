//! `bind` cases: bindings and a request to params.

use serde_json::{Map, Value, json};
use tripline::bind::{self, BindError, BindingParam, BodyView, PathError, Scope};
use tripline::model::json;
use tripline::model::params::ParamSpec;

use crate::{Case, Comparison};

/// Binds and compares params, or the class of the error.
pub(crate) fn compare(case: &Case) -> Comparison {
    let actual = match outcome(case) {
        Ok(params) => json!({"params": params}),
        Err(class) => json!({"error_class": class}),
    };
    let same = |key: &str| super::same(&actual[key], &case.expected[key]);
    match (same("params"), same("error_class")) {
        (true, true) => Comparison::Same,
        (true, false) => Comparison::OtherClass(actual.to_string()),
        (false, _) => Comparison::Different(actual.to_string()),
    }
}

fn outcome(case: &Case) -> Result<Map<String, Value>, &'static str> {
    let bindings = bind::compile(&resolve(case)?).map_err(|error| class(&error))?;
    let declared: Vec<ParamSpec> = match &case.input["templateParams"] {
        Value::Null => Vec::new(),
        specs => serde_json::from_value(specs.clone()).expect("templateParams are ParamSpecs"),
    };
    let bytes = super::body(case);
    let parsed = json::read(&bytes, usize::MAX).map_err(|error| error.to_string());
    let mut headers = super::headers(case);
    // A name without values, which no request has, joins to the empty text.
    for (name, values) in case.input["request"]["headers"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if values.as_array().is_some_and(Vec::is_empty) {
            headers.append_exact(name.clone(), "");
        }
    }
    let none = Map::new();
    let extensions = case.input["extensions"].as_object();
    let scope = Scope {
        body: match &parsed {
            _ if bytes.is_empty() => BodyView::Empty,
            Ok(read) => BodyView::Json(&read.value),
            Err(message) => BodyView::Invalid(message),
        },
        headers: &headers,
        extensions: extensions.unwrap_or(&none),
        event_id: case.input["event_id"].as_str().unwrap_or_default(),
    };
    let params = bind::bind(&bindings, &scope, &declared).map_err(|error| class(&error))?;
    Ok(params
        .into_iter()
        .map(|param| (param.name, Value::String(param.value)))
        .collect())
}

/// Follows references to (Cluster)TriggerBindings.
fn resolve(case: &Case) -> Result<Vec<BindingParam>, &'static str> {
    let mut params = Vec::new();
    for binding in case.input["bindings"].as_array().into_iter().flatten() {
        let text = |key: &str| binding[key].as_str().unwrap_or_default();
        if !text("name").is_empty() && binding["value"].is_string() {
            params.push(param(binding));
            continue;
        }
        let store = match (text("ref"), text("kind")) {
            ("", _) => return Err("invalid_binding"),
            (_, "ClusterTriggerBinding") => "clusterTriggerBindings",
            _ => "triggerBindings",
        };
        let found = case.input[store][text("ref")].as_array();
        params.extend(found.ok_or("missing_binding")?.iter().map(param));
    }
    Ok(params)
}

fn param(value: &Value) -> BindingParam {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    BindingParam {
        name: text("name"),
        value: text("value"),
    }
}

fn class(error: &BindError) -> &'static str {
    match error {
        BindError::DuplicateParam { .. } => "duplicate_param",
        BindError::Body { .. } => "body",
        BindError::Expression { cause, .. } => match cause {
            PathError::Syntax(_) => "syntax",
            PathError::Missing(_) => "missing_key",
            PathError::Type(_) => "type",
            PathError::Index { .. } => "index",
            PathError::Exhausted => "exhausted",
        },
        BindError::TooLong { .. } | BindError::Exhausted { .. } | BindError::TooLarge { .. } => {
            "exhausted"
        }
    }
}
