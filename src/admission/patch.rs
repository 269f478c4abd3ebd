//! The difference between two values as a JSONPatch (RFC 6902).

use serde_json::{Map, Value, json};

use crate::model::problem::pointer_token;

/// What an object becomes: what was defaulted, except for its metadata and
/// status, which are somebody else's but for the labels.
pub(super) fn stored(given: &Value, mut defaulted: Value) -> Value {
    let mut stored = given.clone();
    let Value::Object(object) = &mut stored else {
        return stored;
    };
    let others = ["apiVersion", "kind", "metadata", "status"];
    let is_other = |key: &str| others.iter().any(|other| other.eq_ignore_ascii_case(key));
    object.retain(|key, _| is_other(key));
    let labels = defaulted["metadata"]["labels"].take();
    if let Value::Object(defaulted) = defaulted {
        object.extend(defaulted.into_iter().filter(|(key, _)| !is_other(key)));
    }
    if !labels.is_null() && object.contains_key("metadata") {
        stored["metadata"]["labels"] = labels;
    }
    stored
}

/// The changes that make `after` of `before`.
pub(super) fn between(before: &Value, after: &Value) -> Vec<Value> {
    let mut changes = Vec::new();
    walk(before, after, "", &mut changes);
    changes
}

fn walk(before: &Value, after: &Value, path: &str, changes: &mut Vec<Value>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(before), Value::Object(after)) => objects(before, after, path, changes),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                walk(before, after, &format!("{path}/{index}"), changes);
            }
        }
        _ => changes.push(json!({"op": "replace", "path": path, "value": after})),
    }
}

fn objects(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    path: &str,
    changes: &mut Vec<Value>,
) {
    let below = |key: &str| format!("{path}/{}", pointer_token(key));
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        changes.push(json!({"op": "remove", "path": below(key)}));
    }
    for (key, value) in after {
        match before.get(key) {
            Some(before) => walk(before, value, &below(key), changes),
            None => changes.push(json!({"op": "add", "path": below(key), "value": value})),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_what_is_different_and_no_more() {
        let before = json!({"a": 1, "b": [1, {"c/~": 2}], "d": [1], "e": null});
        let after = json!({"b": [1, {"c/~": 3}], "d": [1, 2], "e": null, "f": {}});
        assert_eq!(
            between(&before, &after),
            [
                json!({"op": "remove", "path": "/a"}),
                json!({"op": "replace", "path": "/b/1/c~1~0", "value": 3}),
                json!({"op": "replace", "path": "/d", "value": [1, 2]}),
                json!({"op": "add", "path": "/f", "value": {}}),
            ]
        );
        assert!(between(&before, &before).is_empty());
    }

    #[test]
    fn metadata_stays_as_it_is_but_for_the_labels() {
        let given =
            json!({"kind": "I", "metadata": {"name": "n", "x": 1}, "status": {"y": 1}, "Spec": {}});
        let defaulted =
            json!({"kind": "I", "metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"z": 1}});
        assert_eq!(
            stored(&given, defaulted),
            json!({
                "kind": "I",
                "metadata": {"name": "n", "x": 1, "labels": {"a": "b"}},
                "status": {"y": 1},
                "spec": {"z": 1},
            })
        );
    }
}
