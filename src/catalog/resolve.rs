//! From objects to the triggers of each listener: selection, references,
//! identities.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::api::event_listener::{EventListener, EventListenerSpec, EventListenerTrigger};
use crate::api::meta::ObjectMeta;
use crate::api::trigger::Trigger;
use crate::model::annotations::{REDELIVERY, for_inline_trigger};
use crate::model::ids::{ListenerId, TriggerId};

use super::diagnostic::Diagnostic;
use super::objects::{Kind, Object, ObjectKey, Objects, Origin, Unreadable};
use super::permits::{Crossing, Permit, Permits};
use super::source::TriggerSource;

mod parts;

use parts::Parts;
pub(super) use parts::{binding_params, template_source};

/// Where a listener says whose triggers it takes.
const SELECTOR: &str = "/spec/namespaceSelector";

/// Account that acts where nobody names one, as Kubernetes has it.
const DEFAULT_ACCOUNT: &str = "default";

/// A listener with its triggers, not compiled yet.
pub(super) struct ListenerPlan {
    pub id: ListenerId,
    pub uid: String,
    pub triggers: Vec<TriggerPlan>,
    /// Why it does not have all triggers that it selects.
    pub problems: Vec<Diagnostic>,
    /// Whether nobody can say yet what it may take.
    pub is_uncertain: bool,
    /// Whether it takes triggers by their namespace or labels.
    pub selects: bool,
}

/// A trigger, not compiled yet.
pub(super) struct TriggerPlan {
    pub source: TriggerSource,
    pub places: Places,
    /// What could not be resolved.
    pub problems: Vec<Diagnostic>,
    /// Headers that may carry what an expression compares with a secret that
    /// cannot be read.
    pub suspects: Vec<String>,
}

/// Where the pieces of a trigger were written.
pub(super) struct Places {
    /// The object that holds the trigger, and the pointer to it inside.
    pub trigger: (Arc<Origin>, String),
    /// One for each binding parameter.
    pub bindings: Vec<(Arc<Origin>, String)>,
    /// The template's `spec`.
    pub template: (Arc<Origin>, String),
}

/// The listener's triggers: those it lists, in its order, then those it
/// selects, by namespace and name.
///
/// Triggers of another namespace are taken where `permits` say that the
/// listener's account may read them and act as theirs.
pub(super) fn listener(
    object: &Object<EventListener>,
    objects: &Objects,
    permits: &Permits,
) -> ListenerPlan {
    let meta = &object.value.metadata;
    let id = ListenerId {
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
    };
    let mut resolver = Resolver {
        listener: &object.value,
        id: &id,
        objects,
        repeats: HashMap::new(),
    };
    let account = object.value.spec.account().unwrap_or(DEFAULT_ACCOUNT);
    let (mut triggers, mut problems, mut is_uncertain) = (Vec::new(), Vec::new(), false);
    let at = &object.origin;
    for (index, trigger) in object.value.spec.triggers.iter().enumerate() {
        let place = (
            Arc::clone(&object.origin),
            format!("/spec/triggers/{index}"),
        );
        triggers.push(resolver.listed(trigger, place));
    }
    for trigger in objects.triggers.values() {
        let meta = &trigger.value.metadata;
        if !selects(&object.value, &meta.namespace, &meta.labels) {
            continue;
        }
        let plan = resolver.trigger(trigger);
        let crossing = Crossing::of(&id, account, &plan.source);
        match permits.of(&crossing) {
            Permit::Granted => triggers.push(plan),
            Permit::Denied => problems.push(at.error(SELECTOR, crossing.denial())),
            Permit::Unknown => {
                is_uncertain = true;
                problems.push(at.error(SELECTOR, crossing.doubt()));
            }
        }
    }
    for (key, unreadable) in &objects.unreadable {
        let acting = (id.namespace.clone(), account.to_owned());
        if key.kind == Kind::Trigger
            && selects(&object.value, &key.namespace, &unreadable.labels)
            && permits.reach(&acting, &key.namespace)
        {
            let place = (Arc::clone(&object.origin), String::new());
            triggers.push(resolver.unreadable(key, unreadable, place));
        }
    }
    for index in 0..object.value.spec.trigger_groups.len() {
        let pointer = format!("/spec/triggerGroups/{index}");
        triggers.push(resolver.group((Arc::clone(&object.origin), pointer)));
    }
    let spec = &object.value.spec;
    ListenerPlan {
        uid: meta.uid.clone(),
        problems,
        is_uncertain,
        triggers,
        selects: spec.label_selector.is_some() || !spec.namespace_selector.match_names.is_empty(),
        id,
    }
}

/// Whether the listener's selectors take a Trigger. A label selector alone
/// looks in the listener's own namespace.
fn selects(listener: &EventListener, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
    let selector = listener.spec.label_selector.as_ref();
    let in_namespace = match listener.spec.namespace_selector.match_names.as_slice() {
        [all] if all == "*" => true,
        [] => selector.is_some() && namespace == listener.metadata.namespace,
        names => names.iter().any(|name| name == namespace),
    };
    in_namespace && selector.is_none_or(|selector| selector.selects(labels))
}

/// Every trigger of another namespace that a listener selects.
pub(super) fn crossings(objects: &Objects) -> HashSet<Crossing> {
    let mut crossings = HashSet::new();
    for object in objects.listeners.values() {
        // Without names it takes triggers of its own namespace alone.
        if object.value.spec.namespace_selector.match_names.is_empty() {
            continue;
        }
        let plan = listener(object, objects, &Permits::Everything);
        let account = object.value.spec.account().unwrap_or(DEFAULT_ACCOUNT);
        let triggers = plan.triggers.iter();
        crossings.extend(triggers.map(|trigger| Crossing::of(&plan.id, account, &trigger.source)));
    }
    crossings.retain(|crossing| crossing.listener.0 != crossing.namespace);
    crossings
}

/// Triggers that no listener has, planned all the same, so that their mistakes
/// can be told.
pub(super) fn unreached(objects: &Objects, reached: &HashSet<TriggerId>) -> Vec<TriggerPlan> {
    let nobody = EventListener {
        metadata: ObjectMeta::default(),
        spec: EventListenerSpec::default(),
    };
    let id = ListenerId {
        namespace: String::new(),
        name: String::new(),
    };
    let mut resolver = Resolver {
        listener: &nobody,
        id: &id,
        objects,
        repeats: HashMap::new(),
    };
    let plans = objects
        .triggers
        .values()
        .map(|trigger| resolver.trigger(trigger));
    plans
        .filter(|plan| !reached.contains(&plan.source.id))
        .collect()
}

struct Resolver<'a> {
    listener: &'a EventListener,
    id: &'a ListenerId,
    objects: &'a Objects,
    /// How often each path has been taken.
    repeats: HashMap<String, usize>,
}

impl Resolver<'_> {
    /// A trigger that the listener lists.
    fn listed(
        &mut self,
        trigger: &EventListenerTrigger,
        place: (Arc<Origin>, String),
    ) -> TriggerPlan {
        let namespace = &self.id.namespace;
        if let Some(name) = &trigger.trigger_ref {
            let key = ObjectKey {
                kind: Kind::Trigger,
                namespace: namespace.clone(),
                name: name.clone(),
            };
            return match (
                self.objects.triggers.get(&key),
                self.objects.unreadable.get(&key),
            ) {
                (Some(object), _) => self.trigger(object),
                (None, Some(unreadable)) => self.unreadable(&key, unreadable, place),
                (None, None) => self.missing(&key, place),
            };
        }
        let annotations = &self.listener.metadata.annotations;
        let rerun = for_inline_trigger(annotations, &REDELIVERY, &trigger.name) == Some("rerun");
        let path = format!("{namespace}/{}#{}", self.id.name, trigger.name);
        self.plan(
            path,
            &Parts {
                name: &trigger.name,
                interceptors: &trigger.interceptors,
                bindings: &trigger.bindings,
                template: trigger.template.as_ref(),
                account: &trigger.service_account_name,
                place,
                namespace,
                rerun,
            },
        )
    }

    /// A Trigger object.
    fn trigger(&mut self, object: &Object<Trigger>) -> TriggerPlan {
        let (meta, spec) = (&object.value.metadata, &object.value.spec);
        let path = format!("{}/{}", meta.namespace, meta.name);
        let rerun = |annotations: &BTreeMap<String, String>| {
            annotations
                .get(REDELIVERY.key)
                .is_some_and(|value| value == "rerun")
        };
        self.plan(
            path,
            &Parts {
                name: &meta.name,
                interceptors: &spec.interceptors,
                bindings: &spec.bindings,
                template: spec.template.as_ref(),
                account: &spec.service_account_name,
                place: (Arc::clone(&object.origin), "/spec".into()),
                namespace: &meta.namespace,
                rerun: rerun(&meta.annotations) || rerun(&self.listener.metadata.annotations),
            },
        )
    }

    /// A reference to a Trigger that is not there.
    fn missing(&mut self, key: &ObjectKey, place: (Arc<Origin>, String)) -> TriggerPlan {
        let path = format!("{}/{}", key.namespace, key.name);
        let pointer = format!("{}/triggerRef", place.1);
        let problem = place.0.error(&pointer, format!("there is no {key}"));
        self.unusable(path, &key.name, place, problem)
    }

    /// A Trigger that is there and cannot be read. Its events wait.
    fn unreadable(
        &mut self,
        key: &ObjectKey,
        unreadable: &Unreadable,
        place: (Arc<Origin>, String),
    ) -> TriggerPlan {
        let path = format!("{}/{}", key.namespace, key.name);
        let mut plan = self.unusable(path, &key.name, place, unreadable.problem.clone());
        plan.suspects.clone_from(&unreadable.suspects);
        plan
    }

    /// A group of triggers. Its events wait, so that an upgrade finds them.
    fn group(&mut self, place: (Arc<Origin>, String)) -> TriggerPlan {
        let message = "trigger groups are not supported by this version";
        let problem = place.0.error(&place.1, message);
        let path = format!("{}/groups", self.id);
        self.unusable(path, "", place, problem)
    }

    fn unusable(
        &mut self,
        path: String,
        name: &str,
        place: (Arc<Origin>, String),
        problem: Diagnostic,
    ) -> TriggerPlan {
        let namespace = self.id.namespace.clone();
        let mut plan = self.plan(
            path,
            &Parts {
                name,
                interceptors: &[],
                bindings: &[],
                template: None,
                account: "",
                place,
                namespace: &namespace,
                rerun: false,
            },
        );
        plan.problems = vec![problem];
        plan
    }

    fn plan(&mut self, path: String, parts: &Parts<'_>) -> TriggerPlan {
        let mut problems = Vec::new();
        let (bindings, binding_places) = parts::bindings(self.objects, parts, &mut problems);
        let (template, template_place) = parts::template(self.objects, parts, &mut problems);
        let listeners = self.listener.spec.account().unwrap_or(DEFAULT_ACCOUNT);
        // The listener's account is one of the listener's namespace.
        let (account_namespace, account) = match parts.account {
            "" => (self.id.namespace.as_str(), listeners),
            own => (parts.namespace, own),
        };
        TriggerPlan {
            source: TriggerSource {
                listener: self.id.clone(),
                id: self.identity(path),
                name: parts.name.to_owned(),
                namespace: parts.namespace.to_owned(),
                service_account: account.to_owned(),
                account_namespace: account_namespace.to_owned(),
                interceptors: parts::interceptors(parts, &mut problems),
                bindings,
                template,
                rerun_redeliveries: parts.rerun,
            },
            places: Places {
                trigger: parts.place.clone(),
                bindings: binding_places,
                template: template_place,
            },
            problems,
            suspects: Vec::new(),
        }
    }

    fn identity(&mut self, path: String) -> TriggerId {
        let repeat = self.repeats.entry(path.clone()).or_default();
        *repeat += 1;
        TriggerId(match *repeat {
            1 => path,
            more => format!("{path}~{more}"),
        })
    }
}
