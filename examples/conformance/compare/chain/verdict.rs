//! What came of a request beside what was recorded.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Came;
use crate::Comparison;

/// Compares what came with what was recorded.
pub(in super::super) fn verdict(came: &Came, expected: &Value) -> Comparison {
    let recorded = expected["created"].as_array().into_iter().flatten();
    let recorded: Vec<(String, Value)> = recorded
        .map(|created| {
            let mut object = created["object"].clone();
            if object["metadata"].is_null() && object.get("metadata").is_some() {
                return (String::new(), object);
            }
            object["metadata"]["namespace"] = created["namespace"].clone();
            let object = super::super::example::comparable(object);
            (
                created["impersonate"].as_str().unwrap_or("").to_owned(),
                object,
            )
        })
        .collect();
    let failed = expected["not_completed"].as_array().into_iter().flatten();
    let mut classes: Vec<String> = failed
        .filter_map(|failed| failed["error_class"].as_str())
        .map(str::to_owned)
        .collect();
    classes.sort();
    classes.dedup();
    let mut different = Vec::new();
    if classes == ["resource_json"] && came.classes.is_empty() && !came.created.is_empty() {
        // The value alone broke the text of the manifest.
        return Comparison::Better;
    }
    if !same_created(&came.created, &recorded) {
        different.push(format!("created {}", json!(came.created)));
    }
    if !super::super::same(&came.response, &response(&expected["response"])) {
        different.push(format!("response {}", came.response));
    }
    let requests = expected["http_requests"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !same_requests(&came.requests, &requests) {
        different.push(format!("requests {}", json!(came.requests)));
    }
    let other = came.classes != classes;
    let came_classes = format!("classes {:?}", came.classes);
    if different.is_empty() && other {
        return Comparison::OtherClass(came_classes);
    }
    match different.is_empty() {
        true => Comparison::Same,
        false => {
            different.push(came_classes);
            Comparison::Different(different.join("\n          "))
        }
    }
}

/// Order within one trigger counts, between triggers it does not. An account
/// counts where a trigger names one; ours always acts as some account.
fn same_created(came: &[(String, Value)], recorded: &[(String, Value)]) -> bool {
    let names_none = recorded.iter().all(|(account, _)| account.is_empty());
    let came: Vec<(String, Value)> = came
        .iter()
        .map(|(account, object)| match names_none {
            true => (String::new(), object.clone()),
            false => (account.clone(), object.clone()),
        })
        .collect();
    let came = &came[..];
    let by_trigger = |objects: &[(String, Value)]| {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (account, object) in objects {
            let trigger = &object["metadata"]["labels"]["triggers.tekton.dev/trigger"];
            let shown = format!("{account} {}", canonical(object));
            groups.entry(trigger.to_string()).or_default().push(shown);
        }
        groups
    };
    let (mut came, mut recorded) = (by_trigger(came), by_trigger(recorded));
    if came == recorded {
        return true;
    }
    // Several triggers of one name.
    came.values_mut()
        .chain(recorded.values_mut())
        .for_each(|all| all.sort());
    came == recorded
}

/// Text of a value with numbers as doubles.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| (name.clone(), canonical(value)))
                .collect()
        }
        other => other.clone(),
    }
}

fn same_requests(came: &[Value], recorded: &[Value]) -> bool {
    came.len() == recorded.len()
        && came.iter().zip(recorded).all(|(came, recorded)| {
            let plain = |url: &Value| {
                let url = url
                    .as_str()
                    .unwrap_or_default()
                    .trim_end_matches('/')
                    .to_owned();
                url.strip_suffix(":80").map(str::to_owned).unwrap_or(url)
            };
            let headers = recorded["headers"].as_object().into_iter().flatten();
            // What the client writes itself is another matter.
            let mut headers = headers.filter(|(name, _)| *name != "Content-Length");
            let has = |(name, values): (&String, &Value)| {
                came["headers"].get(name.to_ascii_lowercase()) == Some(values)
            };
            let body = || {
                let came: Value = serde_json::from_str(came["body"].as_str()?).ok()?;
                Some(super::super::same(&came, &recorded["body_json"]))
            };
            came["method"] == recorded["method"]
                && plain(&came["url"]) == plain(&recorded["url"])
                && headers.all(has)
                && match recorded.get("body_json") {
                    Some(_) => body() == Some(true),
                    None => recorded
                        .get("body")
                        .is_none_or(|body| came["body"] == *body),
                }
        })
}

fn response(recorded: &Value) -> Value {
    json!({
        "status": recorded["status"],
        "body": recorded.get("body").cloned().unwrap_or(Value::Null),
        "ce": recorded.get("ce_headers").cloned().unwrap_or_else(|| json!({})),
    })
}
