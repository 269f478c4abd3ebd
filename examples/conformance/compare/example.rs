//! Whole examples: manifests and a request, and the objects that come of them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tripline::catalog::{SourceFile, files};
use tripline::model::event::RawEvent;
use tripline::model::headers::Headers;

use super::chain;
use super::world::Stubs;
use crate::{Case, Comparison};

/// What lets an EventListener behave and answer as Tekton's does.
const AS_TEKTON: &str = "\n    tripline.dev/compat: tekton\n    tripline.dev/responses: tekton";

/// Runs the example and compares the objects and the answer.
pub(super) fn compare(case: &Case) -> Comparison {
    let folder = PathBuf::from(case.input.as_str().unwrap_or_default());
    let read = files::read(&[folder.join("manifests")]);
    let manifests: Vec<SourceFile> = read.files.iter().map(claimed).collect();
    let request = request(&folder.join("request.http"));
    let input = json!({
        "event_id": case.expected["response"]["body"]["eventID"],
        "uid": case.expected["uid"],
        "http_stubs": case.expected["http_stubs"],
    });
    let stubs = Stubs::of(&input);
    if case.expected.get("skipped").is_some() {
        // It was recorded without the forge that it asks.
        return Comparison::NotCompared;
    }
    match chain::came(manifests, None, request, &input, &stubs) {
        Ok(came) => chain::verdict(&came, &case.expected),
        Err(message) => Comparison::Different(message),
    }
}

/// A file in which EventListeners are served in Tekton's ways.
fn claimed(file: &SourceFile) -> SourceFile {
    let documents =
        file.text
            .split("\n---")
            .map(|document| match document.contains("kind: EventListener") {
                true if document.contains("\n  annotations:") => {
                    let annotations = format!("\n  uid: el-uid-1\n  annotations:{AS_TEKTON}");
                    document.replacen("\n  annotations:", &annotations, 1)
                }
                true => {
                    let metadata = format!("metadata:\n  uid: el-uid-1\n  annotations:{AS_TEKTON}");
                    document.replacen("metadata:", &metadata, 1)
                }
                false => document.to_owned(),
            });
    SourceFile {
        name: file.name.clone(),
        text: documents.collect::<Vec<_>>().join("\n---"),
    }
}

/// An object without what Tripline adds: a derived name, and annotations of
/// its own.
pub(super) fn comparable(mut object: Value) -> Value {
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
        rule: Default::default(),
    }
}
