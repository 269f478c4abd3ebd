//! Whole examples: manifests and a request, and the objects that come of them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tripline::catalog::{Loader, files};
use tripline::ingress;
use tripline::model::event::RawEvent;
use tripline::model::headers::Headers;
use tripline::model::ids::{DeliveryId, EventId};
use tripline::model::verdict::Verdict;
use tripline::pipeline::{Accepted, Circumstances, Work, judge, prepare};
use tripline::secrets::{SecretSet, SecretStore};
use uuid::Uuid;

use crate::{Case, Comparison};

/// Runs the example and compares the objects, in order, and the answer.
pub(crate) fn compare(case: &Case) -> Comparison {
    let folder = PathBuf::from(case.input.as_str().unwrap_or_default());
    let loaded = Loader::default().load(&files::read(&[folder.join("manifests")]));
    if !loaded.diagnostics.is_empty() {
        // It needs an interceptor that this version does not have.
        return Comparison::NotCompared;
    }
    let Some(listener) = loaded.snapshot.only() else {
        return Comparison::Different("there is no listener".into());
    };
    let mut secrets = SecretSet::default();
    secrets.add_objects(&loaded.objects, &SecretSet::default());
    let store = SecretStore::new();
    store.replace(secrets);
    let request = request(&folder.join("request.http"));
    let circumstances = Circumstances {
        secrets: &*store,
        fresh: Uuid::nil(),
        explain: false,
        recalled: false,
    };
    let mut accepted = judge(listener, request, &circumstances);
    let id = case.expected["response"]["body"]["eventID"].as_str();
    accepted.event = EventId(id.and_then(|id| id.parse().ok()).unwrap_or_default());
    let (status, body) = ingress::preview(listener, &accepted);
    let answer = json!({
        "created": created(&accepted),
        "status": status.as_u16(),
        "eventID": body["eventID"],
        "eventListener": body["eventListener"],
        "namespace": body["namespace"],
    });
    let response = &case.expected["response"];
    let recorded = case.expected["created"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let expected = json!({
        "created": recorded.into_iter().map(expected_object).collect::<Vec<_>>(),
        "status": response["status"],
        "eventID": response["body"]["eventID"],
        "eventListener": response["body"]["eventListener"],
        "namespace": response["body"]["namespace"],
    });
    if super::same(&answer, &expected) {
        Comparison::Same
    } else {
        Comparison::Different(answer.to_string())
    }
}

fn created(accepted: &Accepted) -> Vec<Value> {
    let (Some(event), Some(headers)) = (&accepted.verified, &accepted.headers) else {
        return Vec::new();
    };
    let matched = accepted
        .judgements
        .iter()
        .filter(|j| j.verdict == Verdict::Matched);
    let works = matched.filter_map(|judgement| {
        let work = Work {
            id: DeliveryId(0),
            event_id: accepted.event,
            event,
            headers,
            trigger: judgement.compiled.as_ref()?,
            extensions: &judgement.extensions,
            rendered: None,
        };
        prepare(&work).ok().map(|prepared| prepared.rendered)
    });
    works
        .flat_map(|rendered| rendered.manifests)
        .map(|manifest| comparable(manifest.0))
        .collect()
}

/// A recorded object with the namespace that it went to.
fn expected_object(mut created: Value) -> Value {
    let mut object = created["object"].take();
    object["metadata"]["namespace"] = created["namespace"].take();
    comparable(object)
}

/// An object without what Tripline adds: a derived name, and annotations of
/// its own.
fn comparable(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        if metadata.contains_key("generateName") {
            metadata.remove("name");
        }
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.retain(|key, _| !key.starts_with("tripline.dev/"));
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    object
}

fn request(path: &Path) -> RawEvent {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let head = request.parse(&bytes).expect("the request is HTTP").unwrap();
    let mut headers = Headers::new();
    for field in request.headers.iter() {
        headers.append(field.name, String::from_utf8_lossy(field.value));
    }
    headers.remove("Host");
    RawEvent {
        method: request.method.unwrap_or_default().to_owned(),
        url: request.path.unwrap_or_default().to_owned(),
        headers,
        body: bytes[head..].to_vec().into(),
    }
}
