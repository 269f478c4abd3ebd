//! Objects as they are decoded, and put among the others.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::event_listener::EventListener;
use crate::api::interceptor::RegisteredInterceptor;
use crate::api::meta::ObjectMeta;
use crate::api::secret::Secret;
use crate::api::trigger::{Interceptor, Trigger};
use crate::api::trigger_binding::TriggerBinding;
use crate::api::trigger_template::TriggerTemplate;
use crate::catalog::decode::decode;
use crate::catalog::diagnostic::Diagnostic;
use crate::intercept::suspected_headers;
use crate::model::annotations;
use crate::model::problem::pointer_token;

use super::{Kind, Object, ObjectKey, Origin, Read, Store, Unreadable};

/// Interceptors of one trigger, and the pointer to them.
type Interceptors<'a> = (String, &'a mut [Interceptor]);

/// What is done to every object that somebody wrote.
pub(super) trait Authored {
    /// The metadata of every object.
    fn meta(&mut self) -> &mut ObjectMeta;

    /// The interceptors that it lists.
    fn interceptors(&mut self) -> Vec<Interceptors<'_>> {
        Vec::new()
    }
}

macro_rules! only_meta {
    ($($object:ty),+) => {
        $(impl Authored for $object {
            fn meta(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        })+
    };
}

only_meta!(
    TriggerTemplate,
    TriggerBinding,
    RegisteredInterceptor,
    Secret
);

impl Authored for Trigger {
    fn meta(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn interceptors(&mut self) -> Vec<Interceptors<'_>> {
        vec![("/spec/interceptors".into(), &mut self.spec.interceptors)]
    }
}

impl Authored for EventListener {
    fn meta(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn interceptors(&mut self) -> Vec<Interceptors<'_>> {
        let triggers = self.spec.triggers.iter_mut().enumerate();
        let triggers = triggers.map(|(index, trigger)| {
            let pointer = format!("/spec/triggers/{index}/interceptors");
            (pointer, &mut *trigger.interceptors)
        });
        let groups = self.spec.trigger_groups.iter_mut().enumerate();
        let groups = groups.map(|(index, group)| {
            let pointer = format!("/spec/triggerGroups/{index}/interceptors");
            (pointer, &mut *group.interceptors)
        });
        triggers.chain(groups).collect()
    }
}

/// Whether interceptors may be written in place, as `v1alpha1` had them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InPlace {
    /// They may.
    Allowed,
    /// They may not, and the fields are nobody's.
    Unknown,
    /// They are there from of old: what upstream does not look at is nobody's
    /// mistake.
    Served,
}

/// An object that has a name and is not decoded yet.
pub(super) struct NewObject<'a> {
    pub key: ObjectKey,
    pub value: Value,
    pub origin: &'a Arc<Origin>,
    pub in_place: InPlace,
}

impl NewObject<'_> {
    /// Decodes the object; also gives pointers to the fields that nobody asked
    /// for. Interceptors that were written in place are references after this.
    fn decode<T: DeserializeOwned + Authored>(
        &self,
        read: &mut Read,
    ) -> Result<(T, Vec<String>), (String, String)> {
        let (mut object, mut unknown) = decode::<T>(&self.value)?;
        for (pointer, interceptors) in object.interceptors() {
            for (index, interceptor) in interceptors.iter_mut().enumerate() {
                let here = |field: &str| format!("{pointer}/{index}/{field}");
                if self.in_place == InPlace::Unknown {
                    let given = interceptor.deprecated();
                    unknown.extend(given.into_iter().map(here));
                }
                let ignored = interceptor.upgrade();
                if self.in_place == InPlace::Allowed {
                    let name = &interceptor.reference.name;
                    read.diagnostics.extend(ignored.into_iter().map(|field| {
                        let message = format!(
                            "{}: this interceptor is `{name}`, so that `{field}` is passed over; \
                             make it an interceptor of its own",
                            self.key
                        );
                        self.origin.warning(&here(field), message)
                    }));
                }
            }
        }
        Ok((object, unknown))
    }

    pub(super) fn add<T: DeserializeOwned + Authored>(
        self,
        store: &mut Store<T>,
        unreadable: &mut BTreeMap<ObjectKey, Unreadable>,
        read: &mut Read,
    ) {
        let Self {
            key, value, origin, ..
        } = &self;
        let problem = match self.decode::<T>(read) {
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
                let digest = digest(value);
                if let Some(first) = store.get(key) {
                    let at = "/metadata/name";
                    let message = format!("{key} is defined in {} already", first.origin.file());
                    read.diagnostics.push(match first.digest == digest {
                        true => origin.warning(at, format!("{message}, and is the same there")),
                        false => origin.error(at, message),
                    });
                    return;
                }
                object.meta().namespace.clone_from(&key.namespace);
                let given = object.meta().annotations.iter();
                let ignored = given.filter(|(name, _)| !annotations::is_honoured(name));
                read.diagnostics.extend(ignored.map(|(name, value)| {
                    let pointer = format!("/metadata/annotations/{}", pointer_token(name));
                    let message = format!(
                        "{key}: this version does not know `{name}: {value}`, and passes it over"
                    );
                    origin.warning(&pointer, message)
                }));
                let given = object.meta().annotations.iter();
                read.diagnostics.extend(given.filter_map(|(name, value)| {
                    let values = annotations::wrong_value(name, value)?;
                    let pointer = format!("/metadata/annotations/{}", pointer_token(name));
                    let values = values.join(", ");
                    let message = format!("{key}: `{name}` is one of {values}, not `{value}`");
                    Some(origin.warning(&pointer, message))
                }));
                let origin = Arc::clone(origin);
                let object = Object {
                    value: Arc::new(object),
                    origin,
                    digest,
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

fn digest(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}
