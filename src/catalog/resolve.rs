//! From objects to the triggers of each listener: selection, references,
//! identities.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::api::event_listener::{EventListener, EventListenerSpec};
use crate::api::meta::ObjectMeta;
use crate::intercept::calls::{Endpoint, OnFailure, Reach};
use crate::model::annotations::{Annotation, COMPAT, PAYLOAD_VALIDATION, RESPONSES};
use crate::model::event::BodyRule;
use crate::model::flow::Limits;
use crate::model::ids::{ListenerId, TriggerId};

use super::diagnostic::Diagnostic;
use super::objects::{Object, Objects, Origin};
use super::permits::{Crossing, Permits};
use super::snapshot::{Manner, TriggerBounds};
use super::source::TriggerSource;

mod flow;
mod interceptors;
mod parts;
mod retry;
mod select;
mod trigger;

pub(super) use parts::{binding_params, template_source};
use select::Selection;
use trigger::Resolver;

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
    /// How it wants its requests read and answered.
    pub manner: Manner,
    /// Who is told what becomes of its events.
    pub lifecycle: Option<Endpoint>,
    /// What bounds the execution of its events; nothing where that cannot be
    /// read.
    pub limits: Option<Limits>,
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
    /// What bounds its execution.
    pub bounds: Option<TriggerBounds>,
}

/// Where the pieces of a trigger were written.
pub(super) struct Places {
    /// The object that holds the trigger, and the pointer to it inside.
    pub trigger: (Arc<Origin>, String),
    /// The object that holds its group, and the pointer to that.
    pub group: Option<(Arc<Origin>, String)>,
    /// One for each binding parameter.
    pub bindings: Vec<(Arc<Origin>, String)>,
    /// The template's `spec`.
    pub template: (Arc<Origin>, String),
}

/// The listener's triggers: those it lists, in its order, then those it
/// selects, by namespace and name, then those of its groups.
///
/// Triggers of another namespace are taken where `permits` say that the
/// listener's account may read them and act as theirs. `tenants` says where
/// addresses that are written in triggers may lead.
pub(super) fn listener(
    object: &Object<EventListener>,
    objects: &Objects,
    permits: &Permits,
    tenants: Reach,
) -> ListenerPlan {
    let meta = &object.value.metadata;
    let id = ListenerId {
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
    };
    let mut plan = ListenerPlan {
        id: id.clone(),
        uid: meta.uid.clone(),
        triggers: Vec::new(),
        problems: Vec::new(),
        is_uncertain: false,
        selects: false,
        manner: manner(&meta.annotations),
        lifecycle: lifecycle(&object.value, tenants),
        limits: None,
    };
    let limits = flow::of_listener(&meta.annotations);
    let refusal = limits.map(|limits| plan.limits = Some(limits)).err();
    let refusal = refusal.map(|message| object.origin.error("/metadata/annotations", message));
    plan.problems.extend(refusal.clone());
    let mut resolver = Resolver {
        listener: &object.value,
        origin: Some(&*object.origin),
        id: &id,
        objects,
        tenants,
        rule: plan.manner.rule,
        refusal,
        repeats: HashMap::new(),
    };
    for (index, trigger) in object.value.spec.triggers.iter().enumerate() {
        let place = (
            Arc::clone(&object.origin),
            format!("/spec/triggers/{index}"),
        );
        plan.triggers.push(resolver.listed(trigger, place));
    }
    let (selection, place) = Selection::of_listener(&object.value);
    resolver.select(selection, None, (object, place), permits, &mut plan);
    let groups = Selection::of_groups(&object.value).enumerate();
    for (index, (selection, place)) in groups {
        let group = resolver.group(index, &object.origin, &mut plan.problems);
        let group = Some(&group);
        resolver.select(selection, group, (object, &place), permits, &mut plan);
    }
    plan
}

/// Who is told what becomes of a listener's events.
fn lifecycle(listener: &EventListener, tenants: Reach) -> Option<Endpoint> {
    let uri = &listener.spec.cloud_event_uri;
    (!uri.is_empty()).then(|| Endpoint {
        url: uri.clone(),
        ca_bundle: String::new(),
        reach: interceptors::reach(uri, &listener.metadata.namespace, tenants),
        on_failure: OnFailure::Continue,
    })
}

/// How a listener wants its requests read and answered.
fn manner(annotations: &BTreeMap<String, String>) -> Manner {
    let is = |annotation: &Annotation, value: &str| {
        let given = annotations.get(annotation.key);
        given.is_some_and(|given| given == value)
    };
    Manner {
        answers_as_tekton: is(&RESPONSES, "tekton"),
        rule: BodyRule {
            validated: !is(&PAYLOAD_VALIDATION, "false"),
            as_tekton: is(&COMPAT, "tekton"),
        },
    }
}

/// Every trigger of another namespace that a listener selects.
pub(super) fn crossings(objects: &Objects) -> HashSet<Crossing> {
    let mut crossings = HashSet::new();
    for object in objects.listeners.values() {
        // Without names it takes triggers of its own namespace alone.
        let own = Selection::of_listener(&object.value).0;
        let mut groups = Selection::of_groups(&object.value);
        if !own.may_cross() && !groups.any(|(group, _)| group.may_cross()) {
            continue;
        }
        let plan = listener(object, objects, &Permits::Everything, Reach::Guarded);
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
        origin: None,
        id: &id,
        objects,
        tenants: Reach::Guarded,
        rule: BodyRule::default(),
        refusal: None,
        repeats: HashMap::new(),
    };
    let plans = objects
        .triggers
        .values()
        .map(|trigger| resolver.trigger(trigger, None));
    plans
        .filter(|plan| !reached.contains(&plan.source.id))
        .collect()
}
