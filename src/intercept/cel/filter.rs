//! Filters: does a trigger want an event, and is it from whom it claims?
//!
//! In: the text of a filter, then scopes. Out: a decision. Conjuncts that
//! compare a secret authenticate the sender, so they are decided first and
//! their failures are kept apart from those of the rest: what a stranger sends
//! is refused before anything else is looked at.

mod explain;
mod span;

use serde_json::Value as Json;

use super::Scope;
use super::error::{CompileError, ErrorClass, EvalError, Fault, MissingSecret, Stage, fault};
use super::evaluate::Machine;
use super::functions::COMPARE_SECRET;
use super::ir::OpId;
use super::program::{Compiled, Program, compile_with};
use super::report::{Problem, compile_error};
use super::syntax::{Kind as Node, NodeId, Tree, children};
use super::value::Value;
use crate::model::secret::SecretKeyRef;
use explain::Shown;

/// A compiled filter.
#[derive(Debug)]
pub struct Filter {
    program: Program,
    conjuncts: Vec<Conjunct>,
    shown: Vec<Shown>,
}

/// One of the terms between the outermost `&&`.
#[derive(Debug)]
struct Conjunct {
    op: OpId,
    compares_secret: bool,
}

/// What a filter makes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterOutcome {
    /// Wanted.
    True,
    /// Not wanted. No authentication failed.
    False,
    /// A comparison with a secret failed.
    Refused,
    /// A comparison with a secret cannot be made yet.
    SecretMissing(SecretKeyRef, MissingSecret),
    /// The filter gave no value.
    Error(EvalError),
}

/// Compiles a filter.
pub fn compile_filter(source: &str) -> Result<Filter, CompileError> {
    let mut filters = compile_filters([source]);
    filters.pop().unwrap_or_else(|| {
        let problem = Problem::at(source, 0, "the parser could not be started");
        Err(compile_error(Stage::Limit, source, vec![problem]))
    })
}

/// Compiles many filters on one parser thread. Results keep the order.
pub fn compile_filters<'s>(
    sources: impl IntoIterator<Item = &'s str>,
) -> Vec<Result<Filter, CompileError>> {
    let sources: Vec<&str> = sources.into_iter().collect();
    compile_with(&sources, Filter::new)
}

impl Filter {
    fn new(compiled: Compiled) -> Self {
        let shown = explain::shown(&compiled);
        let Compiled {
            program,
            tree,
            places,
        } = compiled;
        let mut terms = Vec::new();
        conjuncts(&tree, tree.root, &mut terms);
        let conjuncts = terms
            .into_iter()
            .filter_map(|term| {
                Some(Conjunct {
                    op: *places.get(&term)?,
                    compares_secret: compares_secret(&tree, term),
                })
            })
            .collect();
        Self {
            program,
            conjuncts,
            shown,
        }
    }

    /// The text of the filter.
    pub fn source(&self) -> &str {
        self.program.source()
    }

    /// Whether the filter compares a secret, and so says who sent an event.
    pub fn authenticates(&self) -> bool {
        self.conjuncts.iter().any(|term| term.compares_secret)
    }

    /// Decides about one event.
    pub fn decide(&self, scope: &Scope<'_>) -> FilterOutcome {
        let mut machine = Machine::new(&self.program.code, scope);
        if let Some(outcome) = self.authenticate(&mut machine) {
            return outcome;
        }
        let mut failed: Option<Fault> = None;
        for term in self.conjuncts.iter().filter(|term| !term.compares_secret) {
            match machine.run(term.op) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return FilterOutcome::False,
                // A whole filter that is no boolean is just not true; a term
                // of a conjunction has to be one.
                Ok(_) if self.conjuncts.len() == 1 => return FilterOutcome::False,
                Ok(_) => drop(
                    failed.get_or_insert_with(|| fault(ErrorClass::NoOverload, "no such overload")),
                ),
                Err(fault) => drop(failed.get_or_insert(fault)),
            }
        }
        match failed {
            Some(fault) => FilterOutcome::Error(*fault),
            None => FilterOutcome::True,
        }
    }

    /// Decides the terms that compare a secret. A term that is false outweighs
    /// a Secret that is missing: no Secret could make it true.
    fn authenticate(&self, machine: &mut Machine<'_, '_>) -> Option<FilterOutcome> {
        let mut missing = None;
        for term in self.conjuncts.iter().filter(|term| term.compares_secret) {
            match machine.run(term.op) {
                Ok(Value::Bool(true)) => {}
                Err(fault) => match fault.missing_secret() {
                    Some((at, gap)) => {
                        missing.get_or_insert(FilterOutcome::SecretMissing(at.clone(), gap));
                    }
                    None if fault.class() == ErrorClass::Exhausted => {
                        return Some(FilterOutcome::Error(*fault));
                    }
                    None => return Some(FilterOutcome::Refused),
                },
                Ok(_) => return Some(FilterOutcome::Refused),
            }
        }
        missing
    }

    /// The parts of the filter with their values for one event, to show why it
    /// decided as it did. What a secret is compared with is not shown.
    pub fn explain(&self, scope: &Scope<'_>) -> Vec<(String, Json)> {
        self.shown
            .iter()
            .map(|part| (part.text.clone(), part.value(&self.program, scope)))
            .collect()
    }
}

/// The terms between the outermost `&&`.
fn conjuncts(tree: &Tree, id: NodeId, into: &mut Vec<NodeId>) {
    match tree.kind(id) {
        Node::Call { function, args, .. } if &**function == "_&&_" => {
            for &arg in args {
                conjuncts(tree, arg, into);
            }
        }
        _ => into.push(id),
    }
}

/// Whether a part of an expression compares a secret.
fn compares_secret(tree: &Tree, id: NodeId) -> bool {
    let node = tree.kind(id);
    if matches!(node, Node::Call { function, .. } if &**function == COMPARE_SECRET) {
        return true;
    }
    let mut found = false;
    children(node, |child| found = found || compares_secret(tree, child));
    found
}
