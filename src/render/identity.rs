//! Writes on a rendered resource which event and trigger it comes from.
//!
//! In: the resource and its `Origin`. Out: the resource with Tekton's labels,
//! our annotations, a namespace and a name. A fixed `metadata.name` is never
//! touched, and `metadata.generateName` stays beside the name derived from it.

use serde_json::{Map, Value};

use crate::model::annotations::{EVENT_ID, INDEX, PREFIX, TRIGGER};

use super::Origin;
use super::error::RenderError;
use super::names;

/// Labels that Tekton Triggers puts on what it creates.
const LISTENER_LABEL: &str = "triggers.tekton.dev/eventlistener";
const TRIGGER_LABEL: &str = "triggers.tekton.dev/trigger";
const EVENT_LABEL: &str = "triggers.tekton.dev/triggers-eventid";

/// Stamps the resource with this index. Returns the annotations of ours that
/// parameters spelled: they are taken off, for only the author may give them.
///
/// A `metadata` that is there and no object is left as it is: no API server
/// takes such a resource, and it says why in its own words.
pub(super) fn stamp(
    resource: &mut Map<String, Value>,
    origin: &Origin<'_>,
    index: usize,
) -> Result<Vec<String>, RenderError> {
    let kind = resource.get("kind").and_then(Value::as_str);
    let kind = kind.unwrap_or_default().to_owned();
    let metadata = resource.entry("metadata");
    let Value::Object(metadata) = metadata.or_insert_with(|| Value::Object(Map::new())) else {
        return Ok(Vec::new());
    };
    label(metadata, origin, index)?;
    let ignored = annotate(metadata, origin, index)?;
    place(metadata, origin.namespace);
    name(metadata, &kind, origin, index);
    Ok(ignored)
}

fn label(
    metadata: &mut Map<String, Value>,
    origin: &Origin<'_>,
    index: usize,
) -> Result<(), RenderError> {
    let labels = texts(metadata, "labels").filter(|labels| labels.values().all(Value::is_string));
    let labels = labels.ok_or(RenderError::NotTexts {
        resource: index,
        field: "metadata.labels",
    })?;
    let mut set = |key: &str, value: &str| labels.insert(key.to_owned(), label_value(value).into());
    set(LISTENER_LABEL, &origin.listener.name);
    set(TRIGGER_LABEL, origin.trigger_name);
    set(EVENT_LABEL, &origin.event.to_string());
    Ok(())
}

fn annotate(
    metadata: &mut Map<String, Value>,
    origin: &Origin<'_>,
    index: usize,
) -> Result<Vec<String>, RenderError> {
    let annotations = texts(metadata, "annotations").ok_or(RenderError::NotTexts {
        resource: index,
        field: "metadata.annotations",
    })?;
    let is_ours = |key: &&String| key.starts_with(PREFIX);
    let ignored: Vec<String> = annotations.keys().filter(is_ours).cloned().collect();
    annotations.retain(|key, _| !is_ours(&key));
    let mut set = |key: &str, value: String| annotations.insert(key.to_owned(), value.into());
    set(EVENT_ID.key, origin.event.to_string());
    set(TRIGGER.key, origin.trigger.to_string());
    set(INDEX.key, index.to_string());
    Ok(ignored)
}

/// The map at `key`, made where there is none.
fn texts<'m>(
    metadata: &'m mut Map<String, Value>,
    key: &str,
) -> Option<&'m mut Map<String, Value>> {
    let value = metadata.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

/// Puts the resource where the trigger is, unless it says where. Kinds without
/// namespaces are the business of whoever knows the kinds.
fn place(metadata: &mut Map<String, Value>, namespace: &str) {
    if is_blank(metadata.get("namespace")) {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
}

fn name(metadata: &mut Map<String, Value>, kind: &str, origin: &Origin<'_>, index: usize) {
    if !is_blank(metadata.get("name")) {
        return;
    }
    let prefix = metadata.get("generateName").and_then(Value::as_str);
    if let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) {
        let name = names::derive(prefix, kind, origin.event, origin.trigger, index);
        metadata.insert("name".to_owned(), name.into());
    }
}

/// What the API server takes for absent.
fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(value) => value.as_str() == Some(""),
    }
}

/// `text` where it can stand on a label, else the empty value: a label that is
/// cut short or rewritten would select the wrong objects, and the annotations
/// have the whole identity.
fn label_value(text: &str) -> &str {
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_valid = text.len() <= 63
        && text.starts_with(is_end)
        && text.ends_with(is_end)
        && text
            .chars()
            .all(|c| is_end(c) || matches!(c, '-' | '_' | '.'));
    if is_valid { text } else { "" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::model::ids::{EventId, ListenerId, TriggerId};

    fn stamped(mut resource: Value) -> Result<(Value, Vec<String>), RenderError> {
        let origin = Origin {
            event: EventId(Uuid::from_u128(7)),
            trigger: &TriggerId("ci/el#push".into()),
            listener: &ListenerId {
                namespace: "ci".into(),
                name: "el".into(),
            },
            trigger_name: "push",
            namespace: "builds",
            uid: Uuid::nil(),
        };
        let object = resource.as_object_mut().expect("is an object");
        let ignored = stamp(object, &origin, 2)?;
        Ok((resource, ignored))
    }

    #[test]
    fn a_resource_says_where_it_comes_from() {
        let (resource, _) = stamped(json!({"kind": "Job"})).expect("stamps");
        let event = "00000000-0000-0000-0000-000000000007";
        let expected = json!({"kind": "Job", "metadata": {
            "namespace": "builds",
            "labels": {
                "triggers.tekton.dev/eventlistener": "el",
                "triggers.tekton.dev/trigger": "push",
                "triggers.tekton.dev/triggers-eventid": event,
            },
            "annotations": {
                "tripline.dev/event-id": event,
                "tripline.dev/trigger": "ci/el#push",
                "tripline.dev/index": "2",
            },
        }});
        assert_eq!(resource, expected);
    }

    #[test]
    fn what_the_author_wrote_stays_but_for_what_is_ours() {
        let (resource, ignored) = stamped(json!({"kind": "Job", "metadata": {
            "name": "fixed", "generateName": "run-", "namespace": "other",
            "labels": {"a": "b", "triggers.tekton.dev/trigger": "mine"},
            "annotations": {"c": "d", "tripline.dev/index": "9", "tripline.dev/x": "y"},
        }}))
        .expect("stamps");
        let metadata = &resource["metadata"];
        assert_eq!(metadata["name"], "fixed");
        assert_eq!(metadata["namespace"], "other");
        assert_eq!(metadata["labels"]["a"], "b");
        assert_eq!(metadata["labels"]["triggers.tekton.dev/trigger"], "push");
        assert_eq!(metadata["annotations"]["c"], "d");
        assert_eq!(metadata["annotations"]["tripline.dev/index"], "2");
        assert_eq!(metadata["annotations"].get("tripline.dev/x"), None);
        assert_eq!(ignored, ["tripline.dev/index", "tripline.dev/x"]);
    }

    #[test]
    fn a_generated_name_is_derived_and_its_prefix_kept() {
        for name in [json!(null), json!("")] {
            let metadata = json!({"generateName": "run-", "name": name});
            let (resource, _) =
                stamped(json!({"kind": "Job", "metadata": metadata})).expect("stamps");
            let name = resource["metadata"]["name"].as_str().expect("has a name");
            assert_eq!((name.len(), name.starts_with("run-")), (16, true), "{name}");
            assert_eq!(resource["metadata"]["generateName"], "run-");
        }
    }

    #[test]
    fn metadata_that_is_no_object_is_left_to_the_server() {
        for metadata in [json!(null), json!("text")] {
            let resource = json!({"kind": "Job", "metadata": metadata});
            let (stamped, _) = stamped(resource.clone()).expect("passes");
            assert_eq!(stamped, resource);
        }
    }

    #[test]
    fn labels_and_annotations_must_be_maps() {
        for (metadata, field) in [
            (json!({"labels": "x"}), "metadata.labels"),
            (json!({"labels": {"a": 1}}), "metadata.labels"),
            (json!({"annotations": []}), "metadata.annotations"),
        ] {
            let error = stamped(json!({"kind": "Job", "metadata": metadata}));
            assert_eq!(error, Err(RenderError::NotTexts { resource: 2, field }));
        }
        let blank = json!({"labels": null, "annotations": null});
        assert!(stamped(json!({"kind": "Job", "metadata": blank})).is_ok());
    }

    #[test]
    fn a_text_that_no_label_takes_gives_an_empty_label() {
        let long = "x".repeat(64);
        for (text, expected) in [
            ("a-b_c.D9", "a-b_c.D9"),
            ("", ""),
            ("a b", ""),
            ("-a", ""),
            ("a.", ""),
            ("é", ""),
            (&long, ""),
        ] {
            assert_eq!(label_value(text), expected, "{text}");
        }
    }
}
