//! Keys in the letter case that the API gives them. Go's decoder, which these
//! kinds have always been read with, takes any: `resourceTemplates` is in
//! upstream's own documentation.
//!
//! Only keys of the API's own structures are touched. Labels, parameters of
//! interceptors and resources are their author's.

use serde_json::{Map, Value};

use crate::api::schema::{self, Field, Shape};
use crate::api::{V1ALPHA1, V1BETA1};

use super::objects::Kind;

/// Gives the keys of an object their own spelling.
pub(super) fn normalise(kind: Kind, value: &mut Value) {
    // What either version has: fields are the same in both where both have
    // them, and whether one may stand there is asked elsewhere.
    for version in [V1BETA1, V1ALPHA1] {
        if let Some(of) = schema::root(version, kind.name()) {
            walk(value, of);
        }
    }
}

fn walk(value: &mut Value, of: &'static str) {
    match (schema::shape(of), value) {
        (Shape::Pointer(inner), value) => walk(value, inner),
        (Shape::List(inner), Value::Array(items)) => {
            items.iter_mut().for_each(|item| walk(item, inner));
        }
        (Shape::Map(inner), Value::Object(entries)) => {
            entries.values_mut().for_each(|entry| walk(entry, inner));
        }
        (Shape::Struct(fields), Value::Object(object)) => {
            for field in fields {
                rename(object, field);
                if let Some(value) = object.get_mut(field.name) {
                    walk(value, field.of);
                }
            }
        }
        _ => {}
    }
}

/// Gives a key its own spelling. One that is there in it already counts, and
/// the other one is nobody's then.
fn rename(object: &mut Map<String, Value>, field: &Field) {
    if object.contains_key(field.name) {
        return;
    }
    let mut keys = object.keys();
    let other = keys.find(|key| key.eq_ignore_ascii_case(field.name));
    if let Some(other) = other.cloned()
        && let Some(value) = object.remove(&other)
    {
        object.insert(field.name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_the_api_get_their_spelling_and_others_keep_theirs() {
        let mut trigger = json!({
            "Metadata": {"NAME": "t", "Labels": {"Team": "A"}},
            "SPEC": {
                "Bindings": [{"Name": "p", "VALUE": "Name"}],
                "interceptors": [
                    {"REF": {"Name": "cel"}, "params": [{"name": "x", "value": {"Name": 1}}]},
                    {"GitHub": {"SecretRef": {"secretname": "s"}}},
                ],
                "Template": {"Spec": {"resourceTemplates": [{"Kind": "X"}]}},
                "Other": {"Name": 1},
            },
        });
        normalise(Kind::Trigger, &mut trigger);
        assert_eq!(
            trigger,
            json!({
                "metadata": {"name": "t", "labels": {"Team": "A"}},
                "spec": {
                    "bindings": [{"name": "p", "value": "Name"}],
                    "interceptors": [
                        {"ref": {"name": "cel"}, "params": [{"name": "x", "value": {"Name": 1}}]},
                        {"github": {"secretRef": {"secretName": "s"}}},
                    ],
                    "template": {"spec": {"resourcetemplates": [{"Kind": "X"}]}},
                    "Other": {"Name": 1},
                },
            })
        );
    }

    #[test]
    fn one_that_is_spelt_right_is_not_replaced() {
        let mut binding = json!({"spec": {"Params": [], "params": [{"name": "a", "value": "b"}]}});
        let before = binding.clone();
        normalise(Kind::TriggerBinding, &mut binding);
        assert_eq!(binding, before);
    }
}
