//! One listener's triggers, one after another.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::api::event_listener::{EventListener, EventListenerTrigger};
use crate::api::trigger::Trigger;
use crate::catalog::diagnostic::Diagnostic;
use crate::catalog::objects::{Kind, Object, ObjectKey, Objects, Origin, Unreadable};
use crate::catalog::permits::{Crossing, Permit, Permits};
use crate::catalog::snapshot::TriggerBounds;
use crate::catalog::source::{GroupSource, TriggerSource};
use crate::intercept::calls::{OnFailure, Reach};
use crate::model::annotations::{INTERCEPTOR_FAILURE, REDELIVERY, for_inline_trigger};
use crate::model::event::BodyRule;
use crate::model::ids::{ListenerId, TriggerId};

use super::parts::{self, Parts};
use super::select::Selection;
use super::{DEFAULT_ACCOUNT, ListenerPlan, Places, TriggerPlan, flow, interceptors, retry};

pub(super) struct Resolver<'a> {
    pub listener: &'a EventListener,
    /// Where it was written, where there is one.
    pub origin: Option<&'a Origin>,
    pub id: &'a ListenerId,
    pub objects: &'a Objects,
    /// Where addresses that tenants write may lead.
    pub tenants: Reach,
    /// What the listener takes for a body.
    pub rule: BodyRule,
    /// What is wrong with the listener, and so with each of its triggers.
    pub refusal: Option<Diagnostic>,
    /// How often each path has been taken.
    pub repeats: HashMap<String, usize>,
}

/// A group of the listener's triggers, and where it stands.
pub(super) struct Group {
    source: GroupSource,
    place: (Arc<Origin>, String),
    problems: Vec<Diagnostic>,
}

impl Resolver<'_> {
    /// Takes the triggers of a selection.
    pub(super) fn select(
        &mut self,
        selection: Selection<'_>,
        group: Option<&Group>,
        (object, place): (&Object<EventListener>, &str),
        permits: &Permits,
        plan: &mut ListenerPlan,
    ) {
        plan.selects |= selection.is_any();
        let account = object.value.spec.account().unwrap_or(DEFAULT_ACCOUNT);
        let at = &object.origin;
        for trigger in self.objects.triggers.values() {
            let meta = &trigger.value.metadata;
            if !selection.takes(&meta.namespace, &meta.labels) {
                continue;
            }
            let taken = self.trigger(trigger, group);
            let crossing = Crossing::of(self.id, account, &taken.source);
            match permits.of(&crossing) {
                Permit::Granted => plan.triggers.push(taken),
                Permit::Denied => plan.problems.push(at.error(place, crossing.denial())),
                Permit::Unknown => {
                    plan.is_uncertain = true;
                    plan.problems.push(at.error(place, crossing.doubt()));
                }
            }
        }
        for (key, unreadable) in &self.objects.unreadable {
            let acting = (self.id.namespace.clone(), account.to_owned());
            if key.kind == Kind::Trigger
                && selection.takes(&key.namespace, &unreadable.labels)
                && permits.reach(&acting, &key.namespace)
            {
                let place = (Arc::clone(&object.origin), String::new());
                let unreadable = self.unreadable(key, unreadable, place, group);
                plan.triggers.push(unreadable);
            }
        }
    }

    /// A group of triggers. What is wrong with it is wrong with each of them,
    /// and told where there are none as well.
    pub(super) fn group(
        &self,
        index: usize,
        origin: &Arc<Origin>,
        problems: &mut Vec<Diagnostic>,
    ) -> Group {
        let spec = &self.listener.spec.trigger_groups[index];
        let base = format!("/spec/triggerGroups/{index}");
        let namespace = &self.id.namespace;
        let mut own = Vec::new();
        let on_failure = self.on_failure(None, "", origin, &mut own);
        let around = interceptors::Surroundings {
            objects: self.objects,
            listener: namespace,
            namespace,
            tenants: self.tenants,
            on_failure,
        };
        let at = (origin, base.as_str());
        let resolved = interceptors::resolve(&spec.interceptors, at, &around, &mut own);
        problems.extend(own.iter().cloned());
        Group {
            source: GroupSource {
                index,
                name: spec.name.clone(),
                namespace: namespace.clone(),
                interceptors: resolved,
            },
            place: (Arc::clone(origin), base),
            problems: own,
        }
    }

    /// What becomes of events of a trigger where an interceptor gives no
    /// answer, by the trigger's own annotations and its listener's.
    fn on_failure(
        &self,
        own: Option<&BTreeMap<String, String>>,
        name: &str,
        origin: &Origin,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<OnFailure> {
        let listeners = &self.listener.metadata.annotations;
        let word = match own.and_then(|own| own.get(INTERCEPTOR_FAILURE.key)) {
            Some(word) => Some(word.as_str()),
            None => for_inline_trigger(listeners, &INTERCEPTOR_FAILURE, name),
        };
        let policy = word.map(interceptors::parse_policy).transpose();
        policy.unwrap_or_else(|message| {
            problems.push(origin.error("/metadata/annotations", message));
            None
        })
    }

    /// A trigger that the listener lists.
    pub(super) fn listed(
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
                (Some(object), _) => self.trigger(object, None),
                (None, Some(unreadable)) => self.unreadable(&key, unreadable, place, None),
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
                annotations: None,
                group: None,
            },
        )
    }

    /// A Trigger object.
    pub(super) fn trigger(
        &mut self,
        object: &Object<Trigger>,
        group: Option<&Group>,
    ) -> TriggerPlan {
        let (meta, spec) = (&object.value.metadata, &object.value.spec);
        let path = path(group, &meta.namespace, &meta.name);
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
                annotations: Some(&meta.annotations),
                group,
            },
        )
    }

    /// A reference to a Trigger that is not there.
    fn missing(&mut self, key: &ObjectKey, place: (Arc<Origin>, String)) -> TriggerPlan {
        let path = format!("{}/{}", key.namespace, key.name);
        let pointer = format!("{}/triggerRef", place.1);
        let problem = place.0.error(&pointer, format!("there is no {key}"));
        self.unusable(path, &key.name, place, None, problem)
    }

    /// A Trigger that is there and cannot be read. Its events wait.
    pub(super) fn unreadable(
        &mut self,
        key: &ObjectKey,
        unreadable: &Unreadable,
        place: (Arc<Origin>, String),
        group: Option<&Group>,
    ) -> TriggerPlan {
        // The same as when it could be read: its deliveries are still its own.
        let path = path(group, &key.namespace, &key.name);
        let problem = unreadable.problem.clone();
        let mut plan = self.unusable(path, &key.name, place, group, problem);
        plan.suspects.clone_from(&unreadable.suspects);
        plan
    }

    fn unusable(
        &mut self,
        path: String,
        name: &str,
        place: (Arc<Origin>, String),
        group: Option<&Group>,
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
                annotations: None,
                group,
            },
        );
        plan.problems = vec![problem];
        plan
    }

    fn plan(&mut self, path: String, parts: &Parts<'_>) -> TriggerPlan {
        let mut problems = Vec::new();
        if let Some(group) = parts.group {
            problems.extend(group.problems.iter().cloned());
        }
        let origin = &parts.place.0;
        let on_failure = self.on_failure(parts.annotations, parts.name, origin, &mut problems);
        let own = parts.annotations.map(|own| (own, &**origin));
        let annotations = &self.listener.metadata.annotations;
        let listeners = self.origin.map(|origin| (annotations, origin));
        let retry = retry::overrides((own, listeners), parts.name, &mut problems);
        problems.extend(self.refusal.clone());
        let bounds = self.bounds(&path, parts).unwrap_or_else(|message| {
            problems.push(origin.error("/metadata/annotations", message));
            None
        });
        let around = interceptors::Surroundings {
            objects: self.objects,
            listener: &self.id.namespace,
            namespace: parts.namespace,
            tenants: self.tenants,
            on_failure,
        };
        let at = (origin, parts.place.1.as_str());
        let resolved = interceptors::resolve(parts.interceptors, at, &around, &mut problems);
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
                interceptors: resolved,
                bindings,
                template,
                rerun_redeliveries: parts.rerun,
                retry,
                group: parts.group.map(|group| group.source.clone()),
                rule: self.rule,
            },
            places: Places {
                trigger: parts.place.clone(),
                group: parts.group.map(|group| group.place.clone()),
                bindings: binding_places,
                template: template_place,
            },
            problems,
            suspects: Vec::new(),
            bounds,
        }
    }

    fn bounds(&self, path: &str, parts: &Parts<'_>) -> Result<Option<TriggerBounds>, String> {
        match parts.annotations {
            Some(own) => flow::of_object(own, parts.namespace, parts.name),
            None => flow::of_inline(&self.listener.metadata.annotations, parts.name, path),
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

/// What a Trigger object is called in its listener: by the group that takes it,
/// too.
fn path(group: Option<&Group>, namespace: &str, name: &str) -> String {
    match group {
        Some(group) => format!("{}/{namespace}/{name}", group.source.name),
        None => format!("{namespace}/{name}"),
    }
}
