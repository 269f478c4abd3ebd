//! Objects as their authors wrote them, by kind, namespace and name, each with
//! the place it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::event_listener::EventListener;
use crate::api::secret::Secret;
use crate::api::trigger::Trigger;
use crate::api::trigger_binding::TriggerBinding;
use crate::api::trigger_template::TriggerTemplate;
use crate::api::{TRIGGERS_GROUP, TRIGGERS_V1BETA1, meta::ObjectMeta};

use super::decode::decode;
use super::diagnostic::{Diagnostic, Severity};
use super::yaml::{self, Document};

/// Namespace of objects from files that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// The kinds that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `EventListener`.
    EventListener,
    /// `Trigger`.
    Trigger,
    /// `TriggerTemplate`.
    TriggerTemplate,
    /// `TriggerBinding`.
    TriggerBinding,
    /// `ClusterTriggerBinding`.
    ClusterTriggerBinding,
    /// `Secret`.
    Secret,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for a kind that has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            namespace,
            name,
        } = self;
        match namespace.as_str() {
            "" => write!(f, "{kind:?} {name}"),
            _ => write!(f, "{kind:?} {namespace}/{name}"),
        }
    }
}

/// One object and where it came from.
#[derive(Clone, Debug)]
pub struct Object<T> {
    /// The object.
    pub value: T,
    /// Where it came from.
    pub origin: Arc<Origin>,
}

/// Where an object came from.
#[derive(Debug)]
pub struct Origin {
    file: String,
    document: Document,
    /// Pointer to the object inside its document, where it is an item of a List.
    inside: String,
}

impl Origin {
    /// The file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// A mistake at a JSON pointer inside the object.
    pub fn error(&self, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Error, pointer, message)
    }

    /// Something at a JSON pointer that works, and hardly as it was meant.
    pub fn warning(&self, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Warning, pointer, message)
    }

    fn diagnostic(
        &self,
        severity: Severity,
        pointer: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let pointer = format!("{}{pointer}", self.inside);
        Diagnostic {
            file: self.file.clone(),
            place: Some(self.document.locate(&pointer)),
            severity,
            message: message.into(),
        }
    }
}

/// All objects of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// EventListeners.
    pub listeners: Store<EventListener>,
    /// Triggers.
    pub triggers: Store<Trigger>,
    /// TriggerTemplates.
    pub templates: Store<TriggerTemplate>,
    /// TriggerBindings and ClusterTriggerBindings.
    pub bindings: Store<TriggerBinding>,
    /// Secrets.
    pub secrets: Store<Secret>,
}

/// Objects of one type.
pub type Store<T> = BTreeMap<ObjectKey, Object<T>>;

/// What came of reading one file.
#[derive(Debug, Default)]
pub struct Read {
    /// Mistakes, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// Objects that are there and could not be read.
    pub unreadable: Vec<ObjectKey>,
    /// Whether a part of the file is no YAML, so that nobody can say which
    /// objects stand there.
    pub has_syntax_errors: bool,
}

impl Objects {
    /// Adds what a file holds. Kinds that Tripline does not read are passed
    /// over: trigger folders hold accounts and roles too.
    pub fn read_file(&mut self, file: &str, text: &str) -> Read {
        let mut read = Read::default();
        for document in yaml::documents(text) {
            match document.value.clone() {
                Err(error) => {
                    read.has_syntax_errors = true;
                    read.diagnostics.push(Diagnostic {
                        file: file.to_owned(),
                        place: Some(document.in_file(error.place)),
                        severity: Severity::Error,
                        message: error.message,
                    });
                }
                Ok(value) => self.read_document(file, document, value, &mut read),
            }
        }
        read
    }

    fn read_document(&mut self, file: &str, document: Document, value: Value, read: &mut Read) {
        let is_list = value["kind"] == "List" && value["items"].is_array();
        let items: Vec<(String, Value)> = match value {
            Value::Object(mut list) if is_list => match list.remove("items") {
                Some(Value::Array(items)) => items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| (format!("/items/{index}"), item))
                    .collect(),
                _ => Vec::new(),
            },
            object => vec![(String::new(), object)],
        };
        for (inside, item) in items {
            let origin = Arc::new(Origin {
                file: file.to_owned(),
                document: document.clone(),
                inside,
            });
            self.read_object(item, &origin, read);
        }
    }

    fn read_object(&mut self, value: Value, origin: &Arc<Origin>, read: &mut Read) {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if kind.is_empty() || api_version.is_empty() {
            let missing = if kind.is_empty() {
                "kind"
            } else {
                "apiVersion"
            };
            read.diagnostics
                .push(origin.error("", format!("the object has no `{missing}`")));
            return;
        }
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        if group == TRIGGERS_GROUP && api_version != TRIGGERS_V1BETA1 {
            read.diagnostics.push(origin.error(
                "/apiVersion",
                format!("`{api_version}` is not read by this version; write {TRIGGERS_V1BETA1}"),
            ));
            return;
        }
        match (api_version.as_str(), kind.as_str()) {
            (TRIGGERS_V1BETA1, "EventListener") => {
                add(
                    &mut self.listeners,
                    Kind::EventListener,
                    value,
                    origin,
                    read,
                );
            }
            (TRIGGERS_V1BETA1, "Trigger") => {
                add(&mut self.triggers, Kind::Trigger, value, origin, read);
            }
            (TRIGGERS_V1BETA1, "TriggerTemplate") => {
                add(
                    &mut self.templates,
                    Kind::TriggerTemplate,
                    value,
                    origin,
                    read,
                );
            }
            (TRIGGERS_V1BETA1, "TriggerBinding") => {
                add(
                    &mut self.bindings,
                    Kind::TriggerBinding,
                    value,
                    origin,
                    read,
                );
            }
            (TRIGGERS_V1BETA1, "ClusterTriggerBinding") => {
                add(
                    &mut self.bindings,
                    Kind::ClusterTriggerBinding,
                    value,
                    origin,
                    read,
                );
            }
            ("v1", "Secret") => add(&mut self.secrets, Kind::Secret, value, origin, read),
            (_, other) if group == TRIGGERS_GROUP => read.diagnostics.push(origin.error(
                "/kind",
                format!("kind `{other}` of {TRIGGERS_GROUP} is not read by this version"),
            )),
            _ => {}
        }
    }
}

/// Objects that have the metadata of every object.
trait HasMeta {
    fn meta(&mut self) -> &mut ObjectMeta;
}

macro_rules! has_meta {
    ($($object:ty),+) => {
        $(impl HasMeta for $object {
            fn meta(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        })+
    };
}

has_meta!(
    EventListener,
    Trigger,
    TriggerTemplate,
    TriggerBinding,
    Secret
);

fn add<T: DeserializeOwned + HasMeta>(
    store: &mut Store<T>,
    kind: Kind,
    value: Value,
    origin: &Arc<Origin>,
    read: &mut Read,
) {
    let meta = |key: &str| {
        value["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let key = ObjectKey {
        kind,
        namespace: match kind {
            Kind::ClusterTriggerBinding => String::new(),
            _ => Some(meta("namespace"))
                .filter(|namespace| !namespace.is_empty())
                .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        },
        name: meta("name"),
    };
    if key.name.is_empty() {
        let message = format!("the {kind:?} has no name; give it a metadata.name");
        read.diagnostics.push(origin.error("/metadata", message));
        return;
    }
    match decode::<T>(&value) {
        Err((pointer, message)) => {
            read.diagnostics
                .push(origin.error(&pointer, format!("{key}: {message}")));
            read.unreadable.push(key);
        }
        Ok((mut object, unknown)) => {
            let unknown: Vec<String> = match kind {
                // Secrets have fields that are nobody's business here.
                Kind::Secret => Vec::new(),
                _ => unknown,
            };
            for pointer in &unknown {
                let name = pointer.rsplit('/').next().unwrap_or_default();
                let message = format!("{key}: unknown field `{name}`");
                read.diagnostics.push(origin.error(pointer, message));
            }
            if !unknown.is_empty() {
                // A misspelt filter must not leave a looser trigger behind.
                read.unreadable.push(key);
                return;
            }
            if let Some(first) = store.get(&key) {
                let message = format!("{key} is defined in {} already", first.origin.file());
                read.diagnostics
                    .push(origin.error("/metadata/name", message));
                return;
            }
            object.meta().namespace.clone_from(&key.namespace);
            let origin = Arc::clone(origin);
            store.insert(
                key,
                Object {
                    value: object,
                    origin,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Objects, Vec<String>) {
        let mut objects = Objects::default();
        let read = objects.read_file("f.yaml", text);
        let shown = read.diagnostics.iter().map(ToString::to_string).collect();
        (objects, shown)
    }

    #[test]
    fn objects_are_found_under_their_namespace_and_default() {
        let (objects, diagnostics) = read(
            "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: a}\n---\n\
             apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: a, namespace: b}\n",
        );
        assert_eq!(diagnostics, Vec::<String>::new());
        let keys: Vec<String> = objects.triggers.keys().map(ToString::to_string).collect();
        assert_eq!(keys, ["Trigger b/a", "Trigger default/a"]);
    }

    #[test]
    fn other_kinds_are_passed_over_and_lists_are_opened() {
        let (objects, diagnostics) = read(
            "apiVersion: v1\nkind: List\nitems:\n\
             - {apiVersion: v1, kind: ServiceAccount, metadata: {name: x}}\n\
             - {apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: s}}\n",
        );
        assert_eq!(diagnostics, Vec::<String>::new());
        assert_eq!(objects.secrets.len(), 1);
    }

    #[test]
    fn a_misspelt_field_is_an_error_and_leaves_no_looser_trigger() {
        let (objects, diagnostics) = read(
            "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {name: a}\n\
             spec:\n  interceptor:\n  - ref: {name: github}\n",
        );
        assert_eq!(
            diagnostics,
            ["f.yaml:5:3: Trigger default/a: unknown field `interceptor`"]
        );
        assert!(objects.triggers.is_empty());
    }

    #[test]
    fn a_value_of_the_wrong_type_is_reported_where_it_stands() {
        let (_, diagnostics) = read(
            "apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerBinding\nmetadata: {name: a}\n\
             spec:\n  params:\n  - name: p\n    value: 1\n",
        );
        assert_eq!(
            diagnostics,
            ["f.yaml:7:12: TriggerBinding default/a: invalid type: integer `1`, expected a string"]
        );
    }

    #[test]
    fn what_cannot_be_an_object_is_an_error() {
        for (text, expected) in [
            ("a: 1\n", "f.yaml:1:1: the object has no `kind`"),
            (
                "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\nmetadata: {}\n",
                "f.yaml:3:1: the Trigger has no name; give it a metadata.name",
            ),
            (
                "apiVersion: triggers.tekton.dev/v1\nkind: Trigger\nmetadata: {name: a}\n",
                "f.yaml:1:13: `triggers.tekton.dev/v1` is not read by this version; write triggers.tekton.dev/v1beta1",
            ),
        ] {
            assert_eq!(read(text).1, [expected]);
        }
    }

    #[test]
    fn the_second_object_of_a_name_is_an_error() {
        let one = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
        let (objects, diagnostics) = read(&format!("{one}---\n{one}"));
        assert_eq!(
            diagnostics,
            ["f.yaml:7:18: Secret default/s is defined in f.yaml already"]
        );
        assert_eq!(objects.secrets.len(), 1);
    }
}
