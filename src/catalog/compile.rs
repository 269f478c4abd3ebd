//! A trigger, put together from the stages' own compiled parts.

use std::sync::Arc;

use crate::bind::{self, BindingParam, Bindings};
use crate::intercept;
use crate::model::ids::{ListenerId, Revision, TriggerId};
use crate::model::problem::{Problem, pointer_token};
use crate::render::{self, Template};
use crate::verify::Verifier;

use super::diagnostic::Diagnostic;
use super::resolve::TriggerPlan;
use super::source::{InterceptorSource, TriggerSource};

mod alone;
mod places;
mod way;

pub(in crate::catalog) use alone::check_alone;
pub(in crate::catalog) use way::Groups;
use way::{Astray, is_verifiable, params};
pub use way::{Group, Stretch, Way};

/// A trigger that is ready to look at events.
#[derive(Debug)]
pub struct Trigger {
    /// What it was compiled from.
    pub source: TriggerSource,
    /// That as the journal keeps it.
    pub source_json: Arc<str>,
    /// The hash of that.
    pub revision: Revision,
    /// Its group, whose interceptors come before its own.
    pub group: Option<Arc<Group>>,
    /// The way through its interceptors.
    pub way: Way,
    /// What it takes from an event.
    pub bindings: Bindings,
    /// What it makes of that.
    pub template: Template,
}

impl Trigger {
    /// Its path in its listener.
    pub fn id(&self) -> &TriggerId {
        &self.source.id
    }

    /// The listener that it belongs to.
    pub fn listener(&self) -> &ListenerId {
        &self.source.listener
    }

    /// The ways through its group's interceptors and its own.
    pub fn ways(&self) -> impl Iterator<Item = &Way> {
        let group = self.group.iter().map(|group| &group.way);
        group.chain(std::iter::once(&self.way))
    }

    /// Headers that expressions compare with secrets.
    pub fn credential_headers(&self) -> Vec<String> {
        self.ways().flat_map(Way::credential_headers).collect()
    }

    /// Whether nobody can say who sent an event but somebody elsewhere.
    pub fn is_authenticated_elsewhere(&self) -> bool {
        let elsewhere = self.ways().any(Way::is_authenticated_elsewhere);
        elsewhere && !self.ways().any(Way::authenticates)
    }

    /// Whether its events may have to wait until somebody elsewhere says
    /// whether they are wanted at all.
    pub fn may_await(&self) -> bool {
        let group = self.group.as_ref();
        self.is_authenticated_elsewhere() || group.is_some_and(|group| group.way.first.chain.asks())
    }

    /// The trigger as interceptors elsewhere know it.
    pub fn path(&self) -> String {
        let TriggerSource {
            namespace, name, ..
        } = &self.source;
        format!("namespaces/{namespace}/triggers/{name}")
    }

    /// Whether something is wrong with it although it works.
    pub(super) fn has_advice(&self) -> bool {
        !advice(self).is_empty()
    }
}

/// A trigger that cannot be used until somebody mends its configuration.
#[derive(Debug)]
pub struct Broken {
    /// Its path in its listener.
    pub id: TriggerId,
    /// Its name.
    pub name: String,
    /// Who may send to it, where that much could be compiled.
    pub verifiers: Option<Vec<Verifier>>,
    /// Headers that may carry what it would compare with a secret.
    pub credential_headers: Vec<String>,
    /// What is wrong.
    pub problems: Vec<Diagnostic>,
}

/// Which part of a trigger a problem is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Interceptor(usize),
    OfGroup(usize),
    Binding(usize),
    Template,
}

/// Why a trigger could not be compiled.
struct Failure {
    verifiers: Option<Vec<Verifier>>,
    problems: Vec<(Part, Problem)>,
}

/// What came of a plan.
pub(super) struct Compiled {
    pub trigger: Result<Arc<Trigger>, Broken>,
    /// Everything that is wrong, also where the trigger works all the same.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a trigger that was resolved from objects; mistakes come with the
/// place where they stand.
pub(super) fn compile(plan: TriggerPlan, groups: &mut Groups) -> Compiled {
    let TriggerPlan {
        bounds: _,
        source,
        places,
        problems: mut diagnostics,
        suspects: mut credential_headers,
    } = plan;
    let (id, name) = (source.id.clone(), source.name.clone());
    let shown = source.clone();
    let error = |(part, problem): (Part, Problem)| {
        let (origin, pointer) = places.locate(&shown, part, &problem.pointer);
        origin.error(&pointer, problem.message)
    };
    let warning = |(part, problem): (Part, Problem)| {
        let (origin, pointer) = places.locate(&shown, part, &problem.pointer);
        origin.warning(&pointer, problem.message)
    };
    let params = shown.interceptors.iter().flat_map(|one| &one.params);
    credential_headers.extend(params.flat_map(|param| intercept::suspected_headers(&param.value)));
    let resolved = diagnostics.is_empty();
    let trigger = match assemble(source, groups) {
        Ok(trigger) if resolved => {
            diagnostics.extend(advice(&trigger).into_iter().map(warning));
            Ok(Arc::new(trigger))
        }
        Ok(trigger) => {
            let mut verifiers = Vec::new();
            let group = trigger.source.group.as_ref();
            let group = group.map_or(&[][..], |group| &group.interceptors);
            let mut sound = true;
            for (way, interceptors) in trigger.ways().zip(match trigger.group {
                Some(_) => [group, &trigger.source.interceptors],
                None => [&trigger.source.interceptors, group],
            }) {
                sound &= is_verifiable(interceptors, &way.first.verifiers);
                verifiers.extend(way.first.verifiers.iter().cloned());
                // What comes after it is not the event that has come.
                if way.replaces() {
                    break;
                }
            }
            Err(sound.then_some(verifiers))
        }
        Err(failure) => {
            diagnostics.extend(failure.problems.into_iter().map(error));
            Err(failure.verifiers)
        }
    };
    diagnostics.sort();
    let trigger = trigger.map_err(|verifiers| Broken {
        id,
        name,
        verifiers,
        credential_headers,
        problems: diagnostics.clone(),
    });
    Compiled {
        trigger,
        diagnostics,
    }
}

/// Compiles a trigger that the journal kept. It compiled once, so that a
/// problem means that this version reads it differently.
pub fn recompile(source: TriggerSource) -> Result<Arc<Trigger>, String> {
    assemble(source, &mut Groups::default())
        .map(Arc::new)
        .map_err(|failure| {
            let problems = failure
                .problems
                .iter()
                .map(|(_, problem)| problem.to_string());
            problems.collect::<Vec<_>>().join("; ")
        })
}

fn assemble(source: TriggerSource, groups: &mut Groups) -> Result<Trigger, Failure> {
    let mut problems = Vec::new();
    let mut astray = |astray: Astray, part: fn(usize) -> Part| {
        let found = astray.problems.into_iter();
        problems.extend(found.map(|(index, problem)| (part(index), problem)));
        astray.verifiers
    };
    let as_tekton = source.rule.as_tekton;
    let group = source.group.as_ref();
    let group = group.map(|group| groups.get(group, as_tekton)).transpose();
    let group = group.map_err(|found| astray(found, Part::OfGroup));
    let way = Way::compile(&source.interceptors, &source.namespace, as_tekton);
    let way = way.map_err(|found| astray(found, Part::Interceptor));
    // Who may send, where that much can be compiled.
    let of = |way: &Way| Some(way.first.verifiers.clone());
    let of_group = match &group {
        Ok(Some(group)) => of(&group.way),
        Ok(None) => Some(Vec::new()),
        Err(verifiers) => verifiers.clone(),
    };
    let of_trigger = match &way {
        Ok(way) => of(way),
        Err(verifiers) => verifiers.clone(),
    };
    let verifiers = match &group {
        // What comes after a webhook is not the event that has come.
        Ok(Some(group)) if group.way.replaces() => of_group,
        _ => of_group
            .zip(of_trigger)
            .map(|(group, own)| [group, own].concat()),
    };
    let bindings = bind::compile(&source.bindings).map_err(|error| {
        let part = Part::Binding(last_of(&source.bindings, error.param()));
        problems.push((part, Problem::at("", error.to_string())));
    });
    let template = render::compile(source.template.clone()).map_err(|found| {
        problems.extend(found.into_iter().map(|problem| (Part::Template, problem)))
    });
    if let Ok(template) = &template {
        problems.extend(unknown_control(template).map(|problem| (Part::Template, problem)));
    }
    let kept = kept(&source).map_err(|problem| problems.push((Part::Template, problem)));
    match (group, way, bindings, template, kept) {
        (Ok(group), Ok(way), Ok(bindings), Ok(template), Ok((source_json, revision)))
            if problems.is_empty() =>
        {
            Ok(Trigger {
                source,
                source_json,
                revision,
                group,
                way,
                bindings,
                template,
            })
        }
        _ => Err(Failure {
            verifiers,
            problems,
        }),
    }
}

/// Annotations of Tripline's own on resource templates. They say whether and
/// how a resource comes about, so that one that is not understood is no detail.
fn unknown_control(template: &Template) -> impl Iterator<Item = Problem> {
    (0..template.resources()).flat_map(|index| {
        template.control(index).keys().map(move |key| {
            let token = pointer_token(key);
            let at = format!("/resourcetemplates/{index}/metadata/annotations/{token}");
            let message = format!("this version does not know the annotation `{key}`");
            Problem::at(at, message)
        })
    })
}

/// The trigger as the journal keeps it. What cannot be read back must not be
/// accepted for.
fn kept(source: &TriggerSource) -> Result<(Arc<str>, Revision), Problem> {
    let kept = source.kept().and_then(|(json, revision)| {
        TriggerSource::from_json(&json)?;
        Ok((json, revision))
    });
    kept.map_err(|error| Problem::at("", format!("the journal cannot keep it: {error}")))
}

fn unbindable(problem: &bind::Problem) -> String {
    format!("`{}`: {}", problem.expression, problem.message)
}

/// What is wrong with a trigger that works: it would fail on every event, or
/// upstream's admission would refuse it, or it is less than its author thinks.
fn advice(trigger: &Trigger) -> Vec<(Part, Problem)> {
    let source = &trigger.source;
    let mut advice = Vec::new();
    if let (Some(source), Some(group)) = (&source.group, &trigger.group) {
        advise(&source.interceptors, &group.way, Part::OfGroup, &mut advice);
    }
    advise(
        &source.interceptors,
        &trigger.way,
        Part::Interceptor,
        &mut advice,
    );
    let has_default = |name: &str| {
        let declared = trigger.source.template.params.iter();
        declared
            .clone()
            .any(|param| param.name == name && param.default.is_some())
    };
    let bindings = trigger.bindings.problems().iter();
    let bindings = bindings.filter(|problem| !has_default(&problem.param));
    advice.extend(bindings.map(|problem| {
        let part = Part::Binding(problem.index);
        (part, Problem::at("", unbindable(problem)))
    }));
    let template = render::undeclared(&source.template);
    advice.extend(
        template
            .into_iter()
            .map(|problem| (Part::Template, problem)),
    );
    advice
}

fn advise(
    interceptors: &[InterceptorSource],
    way: &Way,
    part: fn(usize) -> Part,
    advice: &mut Vec<(Part, Problem)>,
) {
    for (index, interceptor) in interceptors.iter().enumerate() {
        if interceptor.away.is_some() {
            continue;
        }
        let params = params(interceptor);
        let unknown = intercept::unknown_params(&interceptor.kind, &params);
        advice.extend(unknown.map(|name| {
            let message = format!(
                "interceptor `{}` has no parameter `{name}`; it is passed over",
                interceptor.kind
            );
            (part(index), Problem::at(format!("/{name}"), message))
        }));
    }
    for (index, interceptor) in interceptors.iter().enumerate() {
        let odd = intercept::odd_values(&interceptor.kind, &params(interceptor));
        advice.extend(odd.into_iter().map(|problem| (part(index), problem)));
    }
    advice.extend(way.recorded_credentials().map(|(index, of)| {
        let message = format!(
            "an expression compares a secret with part of `{of}`, which the journal keeps; \
             take the secret from a header of its own"
        );
        (part(index), Problem::at("", message))
    }));
}

/// The binding parameter that a mistake is about: the last one of its name, as
/// it is the second that makes a duplicate.
fn last_of(params: &[BindingParam], name: &str) -> usize {
    let last = params.iter().rposition(|param| param.name == name);
    last.unwrap_or_default()
}
