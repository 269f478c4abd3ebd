//! `render` cases: a template and params to resources.

use serde_json::{Map, Value, json};
use tripline::model::ids::{EventId, ListenerId, TriggerId};
use tripline::model::params::{Param, ParamSpec};
use tripline::render::{self, Origin, RenderError, TemplateSource};
use uuid::Uuid;

use crate::{Case, Comparison};

/// Stands for a recorded `$(uid)` that is no UUID.
const PLACEHOLDER: Uuid = Uuid::from_u128(0x7065_7263_6820_4a1b_8c2d_0123_4567_89ab);

/// Renders and compares resources without what Tripline stamps on them.
pub(crate) fn compare(case: &Case) -> Comparison {
    let recorded = case.expected["resources"].as_array();
    let recorded = recorded.expect("a render case has resources");
    let class = recorded.iter().find_map(|row| row["error_class"].as_str());
    let has = |class: &str| recorded.iter().any(|row| row["error_class"] == class);
    match (render(case), class) {
        // Upstream makes the resources before the one that fails.
        (Err(actual), Some(_)) if has(actual) => Comparison::Same,
        (Err(actual), Some(_)) => Comparison::OtherClass(actual.to_owned()),
        (Err(actual), None) => Comparison::Different(actual.to_owned()),
        (Ok(actual), _) if !same_objects(recorded, &actual) => {
            Comparison::Different(Value::Array(actual).to_string())
        }
        (Ok(_), Some("invalid_json")) => Comparison::Better,
        (Ok(actual), Some(_)) => Comparison::Different(Value::Array(actual).to_string()),
        (Ok(_), None) => Comparison::Same,
    }
}

/// Whether ours are those that upstream could decode.
fn same_objects(recorded: &[Value], actual: &[Value]) -> bool {
    recorded.len() == actual.len()
        && recorded.iter().zip(actual).all(|(row, actual)| {
            let object = row.get("object");
            object.is_none_or(|object| super::same(object, actual))
        })
}

fn render(case: &Case) -> Result<Vec<Value>, &'static str> {
    let templates = case.input["resourcetemplates"].as_array();
    let templates = templates.cloned().unwrap_or_default();
    let source = TemplateSource {
        params: declared(case),
        resourcetemplates: templates.clone(),
        old_escape_quotes: case.input["annotations"]
            .get("triggers.tekton.dev/old-escape-quotes")
            .is_some(),
    };
    let params: Vec<Param> = match &case.input["params"] {
        Value::Null => Vec::new(),
        params => serde_json::from_value(params.clone()).expect("params are Params"),
    };
    let uid = case.input["uid"].as_str().unwrap_or_default();
    let origin = Origin {
        event: EventId(Uuid::nil()),
        trigger: &TriggerId("default/t".into()),
        listener: &ListenerId {
            namespace: "default".into(),
            name: "el".into(),
        },
        trigger_name: "t",
        namespace: "default",
        uid: uid.parse().unwrap_or(PLACEHOLDER),
    };
    let template = render::compile(source).map_err(|problems| match problems.first() {
        Some(problem) if problem.pointer.ends_with("/kind") => "missing_kind",
        _ if templates.contains(&Value::Null) => "missing_kind",
        _ => "invalid_json",
    })?;
    let rendered = render::render(&template, &params, &origin).map_err(|error| class(&error))?;
    let objects = rendered.manifests.into_iter().map(|manifest| manifest.0);
    Ok(templates
        .iter()
        .zip(objects)
        .map(|(template, object)| without_stamps(object, template, uid))
        .collect())
}

/// The recorded params are resolved: defaults have had their say.
fn declared(case: &Case) -> Vec<ParamSpec> {
    let specs = case.input["templateParams"].as_array();
    let names = specs.into_iter().flatten().map(|spec| ParamSpec {
        name: spec["name"].as_str().unwrap_or_default().to_owned(),
        description: None,
        default: None,
    });
    names.collect()
}

fn class(error: &RenderError) -> &'static str {
    match error {
        // Upstream lets the key that a param spells win, and then has no kind.
        RenderError::NoKind { .. } | RenderError::KeyTaken { .. } => "missing_kind",
        RenderError::NotTexts { .. } => "labels",
        RenderError::TooLarge { .. } => "too_large",
    }
}

/// Takes off what `render` put on, and puts in a uid that is no UUID.
fn without_stamps(mut object: Value, template: &Value, uid: &str) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for (key, prefix) in [
            ("labels", "triggers.tekton.dev/"),
            ("annotations", "tripline.dev/"),
        ] {
            if let Some(map) = metadata.get_mut(key).and_then(Value::as_object_mut) {
                map.retain(|key, _| !key.starts_with(prefix));
                if map.is_empty() && template["metadata"].get(key).is_none() {
                    metadata.remove(key);
                }
            }
        }
        for key in ["name", "namespace"] {
            if template["metadata"].get(key).is_none() {
                metadata.remove(key);
            }
        }
    }
    if object["metadata"] == json!(Map::new()) && template.get("metadata").is_none() {
        object
            .as_object_mut()
            .map(|object| object.remove("metadata"));
    }
    let text = object
        .to_string()
        .replace(&PLACEHOLDER.to_string(), &escaped(uid));
    serde_json::from_str(&text).expect("still JSON")
}

fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
