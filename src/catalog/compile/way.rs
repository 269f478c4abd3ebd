//! The way of an event through the interceptors of a trigger or a group: one
//! stretch up to the first webhook that replaces it, and another one after
//! each of those.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::catalog::source::{GroupSource, InterceptorSource};
use crate::intercept::{self, Away, Chain, Described};
use crate::model::problem::Problem;
use crate::model::secret::SecretKeyRef;
use crate::verify::{self, Verifier};

/// A piece of the way on which the event stays what it is.
#[derive(Debug)]
pub struct Stretch {
    /// Who may send to it; nobody in the list means everybody.
    pub verifiers: Vec<Verifier>,
    /// What it wants.
    pub chain: Chain,
}

/// The way of an event through interceptors.
#[derive(Debug)]
pub struct Way {
    /// The stretch that every event begins with.
    pub first: Stretch,
    /// The stretches after each webhook that replaces the event.
    pub later: Vec<Stretch>,
}

/// A group of triggers.
#[derive(Debug)]
pub struct Group {
    /// What it was compiled from.
    pub source: GroupSource,
    /// The way to its triggers.
    pub way: Way,
}

/// What is wrong with interceptors, by their number, and who may send to them
/// all the same, where that much could be compiled.
pub(super) struct Astray {
    pub verifiers: Option<Vec<Verifier>>,
    pub problems: Vec<(usize, Problem)>,
}

impl Way {
    pub(super) fn compile(
        interceptors: &[InterceptorSource],
        namespace: &str,
        as_tekton: bool,
    ) -> Result<Self, Astray> {
        let mut problems = Vec::new();
        let mut stretches = Vec::new();
        let mut rest = interceptors;
        let mut sound = true;
        while stretches.is_empty() || !rest.is_empty() {
            let webhook = rest.iter().position(is_webhook);
            let (own, later) = rest.split_at(webhook.map_or(rest.len(), |at| at + 1));
            let base = interceptors.len() - rest.len();
            rest = later;
            let mut verifiers = Vec::new();
            // What is called like one of ours and is elsewhere verifies itself.
            let here = own.iter().enumerate().filter(|(_, one)| one.away.is_none());
            for (index, interceptor) in here {
                let params = params(interceptor);
                match verify::compile(&interceptor.kind, &params, namespace, as_tekton) {
                    Ok(verifier) => verifiers.extend(verifier),
                    Err(found) => {
                        sound &= !stretches.is_empty();
                        problems.extend(found.into_iter().map(|problem| (base + index, problem)));
                    }
                }
            }
            let mut chain = Chain::starting_at(base);
            for (index, interceptor) in own.iter().enumerate() {
                let params = params(interceptor);
                let added = chain.add(&Described {
                    kind: &interceptor.kind,
                    name: &interceptor.name,
                    params: &params,
                    sender: verify::registry::sender(&interceptor.kind),
                    away: interceptor.away.as_ref(),
                    namespace,
                    as_tekton,
                    is_first: base + index == 0,
                });
                if let Err(found) = added {
                    problems.extend(found.into_iter().map(|problem| (base + index, problem)));
                }
            }
            stretches.push(Stretch { verifiers, chain });
        }
        let first = stretches.remove(0);
        if problems.is_empty() {
            return Ok(Self {
                first,
                later: stretches,
            });
        }
        // Whoever cannot be verified as its author meant it is not verified at all.
        let verifiable = sound && is_verifiable(interceptors, &first.verifiers);
        Err(Astray {
            verifiers: verifiable.then_some(first.verifiers),
            problems,
        })
    }

    fn stretches(&self) -> impl Iterator<Item = &Stretch> {
        std::iter::once(&self.first).chain(&self.later)
    }

    fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.stretches().map(|stretch| &stretch.chain)
    }

    /// The secrets that it reads.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretKeyRef> {
        let verifiers = self.stretches().flat_map(|stretch| &stretch.verifiers);
        let verifying = verifiers.flat_map(|verifier| verifier.secrets());
        verifying.chain(self.chains().flat_map(Chain::secrets))
    }

    /// Headers that expressions compare with secrets.
    pub fn credential_headers(&self) -> impl Iterator<Item = String> {
        self.chains().flat_map(Chain::credential_headers)
    }

    /// What else expressions compare with secrets, with the number of the
    /// interceptor.
    pub(super) fn recorded_credentials(&self) -> impl Iterator<Item = (usize, &str)> {
        self.chains().flat_map(Chain::recorded_credentials)
    }

    /// Whether something of it is in the gateway's own hands that says who sent
    /// an event.
    pub fn authenticates(&self) -> bool {
        self.first.verifiers.iter().any(Verifier::proves) || self.first.chain.authenticates()
    }

    /// Whether its events may be others from somewhere on.
    pub fn replaces(&self) -> bool {
        self.chains().any(Chain::replaces)
    }

    /// Whether nobody can say who sent an event but somebody elsewhere.
    pub fn is_authenticated_elsewhere(&self) -> bool {
        !self.authenticates() && self.first.chain.is_asked_elsewhere()
    }
}

impl Group {
    /// The group as interceptors elsewhere know it.
    pub fn path(&self) -> String {
        let GroupSource {
            namespace, name, ..
        } = &self.source;
        format!("namespaces/{namespace}/triggerGroups/{name}")
    }
}

/// Groups that were compiled: their triggers share them.
#[derive(Debug, Default)]
pub(in crate::catalog) struct Groups(HashMap<(GroupSource, bool), Arc<Group>>);

impl Groups {
    pub(super) fn get(
        &mut self,
        source: &GroupSource,
        as_tekton: bool,
    ) -> Result<Arc<Group>, Astray> {
        let key = (source.clone(), as_tekton);
        if let Some(known) = self.0.get(&key) {
            return Ok(Arc::clone(known));
        }
        let way = Way::compile(&source.interceptors, &source.namespace, as_tekton)?;
        let group = Arc::new(Group {
            source: source.clone(),
            way,
        });
        self.0.insert(key, Arc::clone(&group));
        Ok(group)
    }
}

/// Whether somebody can say who sent an event, though the trigger does not
/// work. Where nobody verifies, an interceptor that there is not may be the
/// one that was meant to.
pub(super) fn is_verifiable(interceptors: &[InterceptorSource], verifiers: &[Verifier]) -> bool {
    let mut all = interceptors.iter();
    !verifiers.is_empty()
        || all.all(|one| one.away.is_none() && intercept::BUILT_IN.contains(&one.kind.as_str()))
}

fn is_webhook(interceptor: &InterceptorSource) -> bool {
    matches!(interceptor.away, Some(Away::Webhook { .. }))
}

/// An interceptor's parameters by their names.
pub(super) fn params(interceptor: &InterceptorSource) -> Map<String, Value> {
    let params = interceptor.params.iter();
    params
        .map(|param| (param.name.clone(), param.value.clone()))
        .collect()
}
