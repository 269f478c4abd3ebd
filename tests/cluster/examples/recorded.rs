//! A recorded example: manifests, a request, and what Tekton made of it.

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use serde_json::{Value, json};

/// The label that says which event an object was made for.
pub(super) const EVENT_LABEL: &str = "triggers.tekton.dev/triggers-eventid";

/// The label that says which trigger made it.
const TRIGGER_LABEL: &str = "triggers.tekton.dev/trigger";

/// What an API server writes into the metadata of an object.
const OF_THE_SERVER: [&str; 5] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

/// The folder of recorded cases, where there is one. One that somebody names is
/// taken at his word: a name with a mistake in it must not pass for none.
pub(in super::super) fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("CONFORMANCE_CASES") {
        return Some(folder.into());
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance");
    beside.join("examples").is_dir().then_some(beside)
}

/// One of them.
pub(super) struct Example {
    pub(super) name: String,
    folder: PathBuf,
    expected: Value,
}

impl Example {
    /// All of them, but for those that could not be recorded.
    pub(super) fn read_all() -> Result<Vec<Self>, Failed> {
        let all = folder().ok_or("the cases are gone")?.join("examples");
        let entries = std::fs::read_dir(&all).map_err(|e| format!("{}: {e}", all.display()))?;
        let mut examples = Vec::new();
        for entry in entries {
            let folder = entry?.path();
            let expected = std::fs::read(folder.join("expected.json"))?;
            let example = Self {
                name: folder.file_name().unwrap().to_string_lossy().into_owned(),
                folder,
                expected: serde_json::from_slice(&expected)?,
            };
            match example.expected["skipped"].as_str() {
                Some(why) => println!("{}: not recorded: {why}", example.name),
                None => examples.push(example),
            }
        }
        ensure!(!examples.is_empty(), "{} has no example", all.display());
        examples.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(examples)
    }

    pub(super) fn manifests(&self) -> String {
        self.folder.join("manifests").display().to_string()
    }

    pub(super) fn request(&self) -> Result<Vec<u8>, Failed> {
        Ok(std::fs::read(self.folder.join("request.http"))?)
    }

    /// What Tekton created, and in whose name.
    pub(super) fn created(&self) -> &[Value] {
        let created = self.expected["created"].as_array();
        created.map(Vec::as_slice).unwrap_or_default()
    }

    /// What was recorded of an object that was made: that of the same kind and
    /// trigger.
    pub(super) fn recorded_of(&self, made: &Value) -> Option<&Value> {
        let trigger = |object: &Value| object["metadata"]["labels"][TRIGGER_LABEL].clone();
        self.created().iter().find(|created| {
            let object = &created["object"];
            object["kind"] == made["kind"] && trigger(object) == trigger(made)
        })
    }

    /// Compares the answer, but for the ids that are each cluster's own.
    pub(super) fn compare_answer(
        &self,
        status: u16,
        body: &Value,
        listener_uid: &str,
    ) -> Result<(), Failed> {
        let recorded = &self.expected["response"];
        let mut expected = recorded["body"].clone();
        if expected["eventListenerUID"].is_string() {
            expected["eventListenerUID"] = listener_uid.into();
        }
        let event = body["eventID"].as_str().unwrap_or_default();
        if expected["eventID"].is_string() && uuid::Uuid::parse_str(event).is_ok() {
            expected["eventID"] = event.into();
        }
        ensure!(
            recorded["status"] == status && *body == expected,
            "answered {status} {body}, not {recorded}"
        );
        Ok(())
    }

    /// Compares all that was made of the event. Order between triggers is
    /// nobody's promise.
    pub(super) fn compare_created(&self, made: &[Value], event: &str) -> Result<(), Failed> {
        let recorded = self.created().iter().map(|created| {
            let mut object = created["object"].clone();
            object["metadata"]["namespace"] = created["namespace"].clone();
            object["metadata"]["labels"][EVENT_LABEL] = event.into();
            object
        });
        let (mut missing, mut others) = (recorded.collect::<Vec<_>>(), Vec::new());
        let lenient = self.has_open_end()?;
        for object in made.iter().map(comparable) {
            let is_it = |recorded: &Value| is_same(recorded, &object, lenient);
            match missing.iter().position(is_it) {
                Some(place) => drop(missing.swap_remove(place)),
                None => others.push(object),
            }
        }
        ensure!(
            missing.is_empty() && others.is_empty(),
            "not made: {}\n  made in place of it: {}",
            json!(missing),
            json!(others)
        );
        Ok(())
    }

    /// Whether a manifest ends without a line break. kubectl adds one, and so
    /// to a block of text at its end; nobody did when it was recorded.
    fn has_open_end(&self) -> Result<bool, Failed> {
        let mut open = false;
        for file in std::fs::read_dir(self.folder.join("manifests"))? {
            open |= !std::fs::read(file?.path())?.ends_with(b"\n");
        }
        Ok(open)
    }
}

/// Whether two values are equal, where `lenient` but for a line break that a
/// text has at its end and the recorded one has not.
fn is_same(recorded: &Value, came: &Value, lenient: bool) -> bool {
    match (recorded, came) {
        (Value::String(recorded), Value::String(came)) if lenient => {
            came == recorded || came.strip_suffix('\n') == Some(recorded)
        }
        (Value::Array(recorded), Value::Array(came)) => {
            let mut pairs = recorded.iter().zip(came);
            recorded.len() == came.len() && pairs.all(|(one, other)| is_same(one, other, lenient))
        }
        (Value::Object(recorded), Value::Object(came)) => {
            let mut fields = recorded.iter();
            let is_there = |(name, one): (&String, &Value)| {
                let other = came.get(name);
                other.is_some_and(|other| is_same(one, other, lenient))
            };
            recorded.len() == came.len() && fields.all(is_there)
        }
        _ => recorded == came,
    }
}

/// An object as it was sent to the API server, without what Tripline adds: the
/// rest of a generated name, and annotations of its own.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    // A server prints an object in the version that it prefers.
    let sent_as = object["metadata"]["managedFields"][0]["apiVersion"].clone();
    object["apiVersion"] = sent_as;
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return object;
    };
    for field in OF_THE_SERVER {
        metadata.remove(field);
    }
    if metadata.contains_key("generateName") {
        metadata.remove("name");
    }
    if let Some(annotations) = metadata.get_mut("annotations") {
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.retain(|key, _| !key.starts_with("tripline.dev/"));
        }
        if *annotations == json!({}) {
            metadata.remove("annotations");
        }
    }
    object
}
