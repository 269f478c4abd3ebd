//! Control annotations: `tripline.dev/*` on a resource template.
//!
//! In: the author's template. Out: the annotations as written, and the template
//! without them. They are read before anything is substituted, so that no event
//! can steer what becomes of a resource.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::annotations::PREFIX;
use crate::model::problem::{Problem, pointer_token};

/// Takes the control annotations off the template at `pointer`. A key with an
/// expression in it stays: what it renders to is ignored later.
pub(super) fn take(
    template: &mut Map<String, Value>,
    pointer: &str,
) -> Result<BTreeMap<String, String>, Problem> {
    let metadata = template.get_mut("metadata").and_then(Value::as_object_mut);
    let annotations = metadata.and_then(|metadata| metadata.get_mut("annotations"));
    let Some(annotations) = annotations.and_then(Value::as_object_mut) else {
        return Ok(BTreeMap::new());
    };
    let is_control = |key: &&String| key.starts_with(PREFIX) && !key.contains("$(");
    let keys: Vec<String> = annotations.keys().filter(is_control).cloned().collect();
    let mut taken = BTreeMap::new();
    for key in keys {
        match annotations.remove(&key) {
            Some(Value::String(value)) => taken.insert(key, value),
            _ => {
                let key = pointer_token(&key);
                return Err(Problem {
                    pointer: format!("{pointer}/metadata/annotations/{key}"),
                    message: "an annotation is text: put it in quotes".to_owned(),
                });
            }
        };
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken(mut template: Value) -> (Value, Result<BTreeMap<String, String>, Problem>) {
        let object = template.as_object_mut().expect("is an object");
        let control = take(object, "/resourcetemplates/0");
        (template, control)
    }

    #[test]
    fn annotations_of_ours_are_taken_off_as_they_are_written() {
        let (template, control) = taken(json!({"metadata": {"annotations": {
            "tripline.dev/if": "$(tt.params.x)",
            "tripline.dev/$(tt.params.key)": "rendered",
            "other": "stays",
        }}}));
        let expected = [("tripline.dev/if".to_owned(), "$(tt.params.x)".to_owned())];
        assert_eq!(control, Ok(BTreeMap::from(expected)));
        let left = json!({"tripline.dev/$(tt.params.key)": "rendered", "other": "stays"});
        assert_eq!(template["metadata"]["annotations"], left);
    }

    #[test]
    fn a_control_annotation_that_is_no_text_is_a_problem() {
        let (_, control) = taken(json!({"metadata": {"annotations": {"tripline.dev/if": true}}}));
        let pointer = "/resourcetemplates/0/metadata/annotations/tripline.dev~1if";
        assert_eq!(control.expect_err("is a problem").pointer, pointer);
    }

    #[test]
    fn a_template_without_annotations_has_no_control() {
        for template in [
            json!({}),
            json!({"metadata": "x"}),
            json!({"metadata": {"annotations": null}}),
        ] {
            assert_eq!(taken(template).1, Ok(BTreeMap::new()));
        }
    }
}
