//! Objects as their authors wrote them, by kind, namespace and name, each with
//! the place it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::api::event_listener::EventListener;
use crate::api::interceptor::RegisteredInterceptor;
use crate::api::secret::Secret;
use crate::api::trigger::Trigger;
use crate::api::trigger_binding::TriggerBinding;
use crate::api::trigger_template::TriggerTemplate;
use crate::api::{TRIGGERS_GROUP, V1ALPHA1};
use crate::model::problem::kind_of;

use super::diagnostic::{Diagnostic, Severity};
use super::refused::Refused;
use super::spelling;
use super::yaml::{self, Document, DocumentText};

mod authored;
mod key;

use authored::{InPlace, NewObject};
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
    /// Hash of what was written.
    digest: u64,
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
    /// A place in a file.
    pub(super) fn of_file(file: &str, text: Arc<DocumentText>, inside: String) -> Arc<Self> {
        Arc::new(Self {
            file: file.to_owned(),
            text: Some(text),
            inside,
        })
    }

    /// An object of a cluster, by the name that people know.
    pub(super) fn of_cluster(shown: String) -> Arc<Self> {
        Arc::new(Self {
            file: shown,
            text: None,
            inside: String::new(),
        })
    }

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
            pointer,
        }
    }

    /// Whether it is in a file.
    pub(super) fn is_file(&self) -> bool {
        self.text.is_some()
    }

    /// The pointer of a diagnostic inside the object, where it is about it.
    pub(super) fn pointer_of(&self, diagnostic: &Diagnostic) -> Option<String> {
        let is_here = match (&self.text, diagnostic.place) {
            (Some(text), Some(place)) => text.holds(place),
            (text, place) => text.is_none() && place.is_none(),
        };
        let inside = diagnostic.pointer.strip_prefix(&self.inside)?;
        (is_here && diagnostic.file == self.file).then(|| inside.to_owned())
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
    /// ClusterInterceptors and Interceptors.
    pub interceptors: Store<RegisteredInterceptor>,
    /// Secrets.
    pub secrets: Store<Secret>,
    /// Objects that upstream's admission would refuse.
    pub(super) refused: BTreeMap<ObjectKey, Refused>,
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
                        pointer: String::new(),
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
        let origin = |inside: String| Origin::of_file(file, Arc::clone(text), inside);
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

    fn read_object(&mut self, mut value: Value, origin: &Arc<Origin>, read: &mut Read) {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let nameless = |read: &mut Read, pointer: &str, message: String| {
            read.is_torn = true;
            read.diagnostics.push(origin.error(pointer, message));
        };
        if kind.is_empty() && api_version.is_empty() && origin.file().ends_with(".json") {
            // The body of an event lies beside the triggers that it is for.
            let message = "this is no object, and is passed over";
            read.diagnostics.push(origin.warning("", message));
            return;
        }
        for (field, given) in [("kind", &kind), ("apiVersion", &api_version)] {
            if given.is_empty() {
                return nameless(read, "", format!("the object has no `{field}`"));
            }
        }
        let kind = match (group, Kind::parse(&kind)) {
            ("", Some(Kind::Secret)) if version == "v1" => Kind::Secret,
            (TRIGGERS_GROUP, Some(kind)) if kind.is_read_in(version) => kind,
            (TRIGGERS_GROUP, Some(kind)) if kind != Kind::Secret => {
                let message = format!(
                    "`{api_version}` is not read by this version; write {TRIGGERS_GROUP}/{}",
                    kind.stored_version()
                );
                return nameless(read, "/apiVersion", message);
            }
            (TRIGGERS_GROUP, _) => {
                let message =
                    format!("kind `{kind}` of {TRIGGERS_GROUP} is not read by this version");
                read.diagnostics.push(origin.error("/kind", message));
                return;
            }
            _ => return,
        };
        let in_place = match origin.text {
            None => InPlace::Served,
            Some(_) if version == V1ALPHA1 => InPlace::Allowed,
            Some(_) => InPlace::Unknown,
        };
        spelling::normalise(kind, &mut value);
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
        let refused = Refused::find(&value, origin);
        let is_new = !self.has(&key);
        let entry = NewObject {
            key,
            value,
            origin,
            in_place,
        };
        let key = entry.key.clone();
        let unreadable = &mut self.unreadable;
        match kind {
            Kind::Secret => entry.add(&mut self.secrets, unreadable, read),
            Kind::EventListener => entry.add(&mut self.listeners, unreadable, read),
            Kind::Trigger => entry.add(&mut self.triggers, unreadable, read),
            Kind::TriggerTemplate => entry.add(&mut self.templates, unreadable, read),
            Kind::TriggerBinding | Kind::ClusterTriggerBinding => {
                entry.add(&mut self.bindings, unreadable, read);
            }
            Kind::ClusterInterceptor | Kind::Interceptor => {
                entry.add(&mut self.interceptors, unreadable, read);
            }
        }
        if is_new && self.has(&key) {
            self.refused.extend(refused.map(|refused| (key, refused)));
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
        let origin = Origin::of_cluster(format!("{kind} {}", names.join("/")));
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
        self.refused.remove(key);
        self.listeners.remove(key);
        self.triggers.remove(key);
        self.templates.remove(key);
        self.bindings.remove(key);
        self.interceptors.remove(key);
        self.secrets.remove(key);
    }

    /// The keys of all objects of a kind, readable or not.
    pub fn keys(&self, kind: Kind) -> Vec<ObjectKey> {
        let readable = self
            .listeners
            .keys()
            .chain(self.triggers.keys())
            .chain(self.templates.keys())
            .chain(self.bindings.keys())
            .chain(self.interceptors.keys());
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
            Kind::ClusterInterceptor | Kind::Interceptor => self.interceptors.contains_key(key),
            Kind::Secret => self.secrets.contains_key(key),
        }
    }
}

#[cfg(test)]
mod tests;
