//! Objects as their authors wrote them, by kind, namespace and name, each with
//! the place it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::event_listener::EventListener;
use crate::api::secret::Secret;
use crate::api::trigger::Trigger;
use crate::api::trigger_binding::TriggerBinding;
use crate::api::trigger_template::TriggerTemplate;
use crate::api::{TRIGGERS_GROUP, TRIGGERS_V1BETA1, meta::ObjectMeta};
use crate::intercept::suspected_headers;
use crate::model::annotations;
use crate::model::problem::{kind_of, pointer_token};

use super::decode::decode;
use super::diagnostic::{Diagnostic, Severity};
use super::yaml::{self, Document, DocumentText};

mod key;

use key::key_of;
pub use key::{Kind, ObjectKey};

/// Namespace of objects from files that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// One object and where it came from.
#[derive(Clone, Debug)]
pub struct Object<T> {
    /// The object.
    pub value: Arc<T>,
    /// Where it came from.
    pub origin: Arc<Origin>,
}

/// Where an object came from.
#[derive(Debug)]
pub struct Origin {
    file: String,
    /// Where places can be looked up; nothing for an object of a cluster.
    text: Option<Arc<DocumentText>>,
    /// Pointer to the object inside its document, where it is an item of a List.
    inside: String,
}

impl Origin {
    /// The file, or the object where there is none.
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
        let message = message.into();
        let place = self.text.as_ref().map(|text| text.locate(&pointer));
        Diagnostic {
            file: self.file.clone(),
            place,
            severity,
            message: match place {
                None if !pointer.is_empty() => format!("{pointer}: {message}"),
                _ => message,
            },
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
    /// Objects that are there and cannot be read. One that is kept from an
    /// earlier version stands above as well.
    pub unreadable: BTreeMap<ObjectKey, Unreadable>,
}

/// Objects of one type.
pub type Store<T> = BTreeMap<ObjectKey, Object<T>>;

/// An object that cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Its labels, as far as they can be read.
    pub labels: BTreeMap<String, String>,
    /// What is wrong with it.
    pub problem: Diagnostic,
    /// Headers that an expression of it may compare with a secret.
    pub suspects: Vec<String>,
}

/// What came of reading one file.
#[derive(Debug, Default)]
pub struct Read {
    /// Mistakes, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether nobody can say which objects a part of the file holds.
    pub is_torn: bool,
}

impl Objects {
    /// Adds what a file holds. Kinds that Tripline does not read are passed
    /// over: trigger folders hold accounts and roles too.
    pub fn read_file(&mut self, file: &str, text: &str) -> Read {
        let mut read = Read::default();
        for Document { text, value } in yaml::documents(text) {
            match value {
                Err(error) => {
                    read.is_torn = true;
                    read.diagnostics.push(Diagnostic {
                        file: file.to_owned(),
                        place: Some(text.in_file(error.place)),
                        severity: Severity::Error,
                        message: error.message,
                    });
                }
                Ok(value) => self.read_document(file, &Arc::new(text), value, &mut read),
            }
        }
        read
    }

    fn read_document(
        &mut self,
        file: &str,
        text: &Arc<DocumentText>,
        value: Value,
        read: &mut Read,
    ) {
        let origin = |inside: String| {
            Arc::new(Origin {
                file: file.to_owned(),
                text: Some(Arc::clone(text)),
                inside,
            })
        };
        let is_list = value["kind"] == "List" && value["items"].is_array();
        match value {
            Value::Object(mut list) if is_list => {
                if let Some(Value::Array(items)) = list.remove("items") {
                    for (index, item) in items.into_iter().enumerate() {
                        self.read_object(item, &origin(format!("/items/{index}")), read);
                    }
                }
            }
            object => self.read_object(object, &origin(String::new()), read),
        }
    }

    fn read_object(&mut self, value: Value, origin: &Arc<Origin>, read: &mut Read) {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let nameless = |read: &mut Read, pointer: &str, message: String| {
            read.is_torn = true;
            read.diagnostics.push(origin.error(pointer, message));
        };
        for (field, given) in [("kind", &kind), ("apiVersion", &api_version)] {
            if given.is_empty() {
                return nameless(read, "", format!("the object has no `{field}`"));
            }
        }
        let kind = match (api_version.as_str(), Kind::parse(&kind)) {
            ("v1", Some(Kind::Secret)) => Kind::Secret,
            (TRIGGERS_V1BETA1, Some(kind)) if kind != Kind::Secret => kind,
            _ if group != TRIGGERS_GROUP => return,
            (other, Some(_)) => {
                let message =
                    format!("`{other}` is not read by this version; write {TRIGGERS_V1BETA1}");
                return nameless(read, "/apiVersion", message);
            }
            (_, None) => {
                let message =
                    format!("kind `{kind}` of {TRIGGERS_GROUP} is not read by this version");
                read.diagnostics.push(origin.error("/kind", message));
                return;
            }
        };
        let key = key_of(kind, &value);
        let given = &value["metadata"]["name"];
        if !given.is_null() && !given.is_string() {
            let message = format!(
                "the {kind:?}'s name is {}, where text is needed; put it in quotes",
                kind_of(given)
            );
            return nameless(read, "/metadata/name", message);
        }
        if key.name.is_empty() {
            let message = format!("the {kind:?} has no name; give it a metadata.name");
            return nameless(read, "/metadata", message);
        }
        let entry = NewObject { key, value, origin };
        let unreadable = &mut self.unreadable;
        match kind {
            Kind::Secret => entry.add(&mut self.secrets, unreadable, read),
            Kind::EventListener => entry.add(&mut self.listeners, unreadable, read),
            Kind::Trigger => entry.add(&mut self.triggers, unreadable, read),
            Kind::TriggerTemplate => entry.add(&mut self.templates, unreadable, read),
            Kind::TriggerBinding | Kind::ClusterTriggerBinding => {
                entry.add(&mut self.bindings, unreadable, read);
            }
        }
    }
}

impl Objects {
    /// Puts an object of a cluster in the place of the one that had its name.
    pub fn apply(&mut self, value: Value) -> Read {
        let meta = |key: &str| value["metadata"][key].as_str().unwrap_or_default();
        let kind = value["kind"].as_str().unwrap_or_default();
        let names = [meta("namespace"), meta("name")];
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let origin = Arc::new(Origin {
            file: format!("{kind} {}", names.join("/")),
            text: None,
            inside: String::new(),
        });
        let mut read = Read::default();
        if let Some(kind) = Kind::parse(kind) {
            self.remove(&key_of(kind, &value));
        }
        self.read_object(value, &origin, &mut read);
        read
    }

    /// Takes an object away.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.unreadable.remove(key);
        self.listeners.remove(key);
        self.triggers.remove(key);
        self.templates.remove(key);
        self.bindings.remove(key);
        self.secrets.remove(key);
    }

    /// The keys of all objects of a kind, readable or not.
    pub fn keys(&self, kind: Kind) -> Vec<ObjectKey> {
        let readable = self
            .listeners
            .keys()
            .chain(self.triggers.keys())
            .chain(self.templates.keys())
            .chain(self.bindings.keys());
        let all = readable.chain(self.unreadable.keys());
        all.filter(|key| key.kind == kind).cloned().collect()
    }

    /// Whether there is such an object.
    pub(super) fn has(&self, key: &ObjectKey) -> bool {
        match key.kind {
            Kind::EventListener => self.listeners.contains_key(key),
            Kind::Trigger => self.triggers.contains_key(key),
            Kind::TriggerTemplate => self.templates.contains_key(key),
            Kind::TriggerBinding | Kind::ClusterTriggerBinding => self.bindings.contains_key(key),
            Kind::Secret => self.secrets.contains_key(key),
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

/// An object that has a name and is not decoded yet.
struct NewObject<'a> {
    key: ObjectKey,
    value: Value,
    origin: &'a Arc<Origin>,
}

impl NewObject<'_> {
    fn add<T: DeserializeOwned + HasMeta>(
        self,
        store: &mut Store<T>,
        unreadable: &mut BTreeMap<ObjectKey, Unreadable>,
        read: &mut Read,
    ) {
        let Self { key, value, origin } = &self;
        let problem = match decode::<T>(value) {
            Err((pointer, message)) => {
                // The message may quote the value.
                let message = match key.kind {
                    Kind::Secret => "data and stringData map names to texts".to_owned(),
                    _ => message,
                };
                origin.error(&pointer, format!("{key}: {message}"))
            }
            // Secrets have fields that are nobody's business here.
            Ok((_, unknown)) if !unknown.is_empty() && key.kind != Kind::Secret => {
                let problems = unknown.iter().map(|pointer| {
                    let name = pointer.rsplit('/').next().unwrap_or_default();
                    origin.error(pointer, format!("{key}: unknown field `{name}`"))
                });
                let mut problems: Vec<Diagnostic> = problems.collect();
                // A misspelt filter must not leave a looser trigger behind.
                let first = problems.remove(0);
                read.diagnostics.append(&mut problems);
                first
            }
            Ok((mut object, _)) => {
                if let Some(first) = store.get(key) {
                    let message = format!("{key} is defined in {} already", first.origin.file());
                    read.diagnostics
                        .push(origin.error("/metadata/name", message));
                    return;
                }
                object.meta().namespace.clone_from(&key.namespace);
                let given = object.meta().annotations.iter();
                let ignored = given.filter(|(name, value)| !annotations::is_honoured(name, value));
                read.diagnostics.extend(ignored.map(|(name, value)| {
                    let pointer = format!("/metadata/annotations/{}", pointer_token(name));
                    let message = format!(
                        "{key}: this version does not know `{name}: {value}`, and passes it over"
                    );
                    origin.warning(&pointer, message)
                }));
                let origin = Arc::clone(origin);
                let object = Object {
                    value: Arc::new(object),
                    origin,
                };
                store.insert(self.key, object);
                return;
            }
        };
        read.diagnostics.push(problem.clone());
        let labels = value["metadata"]["labels"].as_object();
        let labels = labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let object = Unreadable {
            labels: labels.collect(),
            problem,
            suspects: suspected_headers(value),
        };
        unreadable.insert(self.key, object);
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
    fn what_cannot_be_read_says_why_and_whether_triggers_may_be_missing() {
        let head = "apiVersion: triggers.tekton.dev/v1beta1\nkind: Trigger\n";
        let old = "apiVersion: triggers.tekton.dev/v1alpha1\nkind: ";
        for (text, expected, torn) in [
            (format!("{head}metadata: {{name: 7}}"), "is a number", true),
            (format!("{head}metadata: {{}}"), "has no name", true),
            (
                format!("{old}Trigger\nmetadata: {{name: a}}"),
                "write triggers.tekton.dev/v1beta1",
                true,
            ),
            (
                format!("{old}ClusterInterceptor\nmetadata: {{name: a}}"),
                "kind `ClusterInterceptor`",
                false,
            ),
        ] {
            let read = Objects::default().read_file("f.yaml", &text);
            let message = &read.diagnostics[0].message;
            assert!(message.contains(expected), "{message}");
            assert_eq!(read.is_torn, torn, "{message}");
        }
        let (objects, diagnostics) = read(&format!(
            "{head}metadata: {{name: a, annotations: {{tripline.dev/redeliver: rerun}}}}"
        ));
        assert_eq!(objects.triggers.len(), 1);
        assert!(diagnostics[0].contains(":3:"), "{diagnostics:?}");
        assert!(diagnostics[0].contains("warning"), "{diagnostics:?}");
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
