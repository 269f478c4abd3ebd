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
use super::reads::{Credential, paths_below};
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
    /// Whether it is false for whoever does not know a secret.
    proves: bool,
    /// Whether it reads something of the event besides its head.
    reads_body: bool,
    reads_extensions: bool,
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
                let reads = paths_below(&tree, term);
                let within = |root: &str| {
                    let root = Credential::Within(root.to_owned());
                    reads.iter().any(|path| path.credential() == root)
                };
                Some(Conjunct {
                    op: *places.get(&term)?,
                    compares_secret: compares_secret(&tree, term),
                    proves: proves(&tree, term),
                    reads_body: within("body"),
                    reads_extensions: within("extensions"),
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

    /// Whether nobody passes it who does not know a secret, before any other
    /// interceptor has run. One that compares a secret or looks at something
    /// else is passed without.
    pub fn proves(&self) -> bool {
        !self.authenticates_by_extensions() && self.conjuncts.iter().any(|term| term.proves)
    }

    /// What the filter compares with secrets.
    pub fn credentials(&self) -> &[Credential] {
        self.program.credentials()
    }

    /// Whether it takes the body to say who sent an event.
    pub fn authenticates_by_body(&self) -> bool {
        let mut terms = self.conjuncts.iter();
        terms.any(|term| term.compares_secret && term.reads_body)
    }

    /// Whether it takes extensions to say who sent an event, which only
    /// interceptors before it can have added.
    pub fn authenticates_by_extensions(&self) -> bool {
        let mut terms = self.conjuncts.iter();
        terms.any(|term| term.compares_secret && term.reads_extensions)
    }

    /// Decides about one event: whether it is genuine, then whether it is
    /// wanted.
    pub fn decide(&self, scope: &Scope<'_>) -> FilterOutcome {
        match self.authenticate(scope) {
            FilterOutcome::True => self.decide_wanted(scope),
            outcome => outcome,
        }
    }

    /// Decides the terms that do not compare a secret.
    pub fn decide_wanted(&self, scope: &Scope<'_>) -> FilterOutcome {
        let mut machine = Machine::new(&self.program.code, scope);
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

    /// Decides the terms that compare a secret: `True`, `Refused` or
    /// `SecretMissing`. A term that is false outweighs a Secret that is
    /// missing, because no Secret could make it true; one that fails, in
    /// whatever way, proves nothing.
    pub fn authenticate(&self, scope: &Scope<'_>) -> FilterOutcome {
        let mut machine = Machine::new(&self.program.code, scope);
        let mut missing = None;
        for term in self.conjuncts.iter().filter(|term| term.compares_secret) {
            match machine.run(term.op) {
                Ok(Value::Bool(true)) => {}
                Ok(_) => return FilterOutcome::Refused,
                Err(fault) => match fault.missing_secret() {
                    Some((at, gap)) => {
                        missing.get_or_insert(FilterOutcome::SecretMissing(at.clone(), gap));
                    }
                    None => return FilterOutcome::Refused,
                },
            }
        }
        missing.unwrap_or(FilterOutcome::True)
    }

    /// The parts of the filter with their values for one event, to show why it
    /// decided as it did. What a secret is compared with is not shown, and
    /// neither is a header among `withheld`.
    pub fn explain(&self, scope: &Scope<'_>, withheld: &[String]) -> Vec<(String, Json)> {
        // One machine, so that all parts together stay within the limits.
        let mut machine = Machine::new(&self.program.code, scope);
        self.shown
            .iter()
            .map(|part| (part.text.clone(), part.value(&mut machine, withheld)))
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

/// Whether a part of an expression has alternatives.
fn chooses(tree: &Tree, id: NodeId) -> bool {
    let node = tree.kind(id);
    if matches!(node, Node::Call { function, .. } if &**function == "_?_:_")
        || matches!(node, Node::Comprehension(_))
    {
        return true;
    }
    let mut found = false;
    children(node, |child| found = found || chooses(tree, child));
    found
}

/// Whether a part of an expression is false for whoever does not know a
/// secret: a comparison of something of the event, or several of which one
/// must hold.
fn proves(tree: &Tree, id: NodeId) -> bool {
    match tree.kind(id) {
        Node::Call {
            function,
            args,
            target,
        } => match &**function {
            COMPARE_SECRET => {
                let literal = |arg: &NodeId| matches!(tree.kind(*arg), Node::Literal(_));
                let is_of_event =
                    |of: NodeId| !paths_below(tree, of).is_empty() && !chooses(tree, of);
                target.is_some_and(is_of_event) && args.iter().all(literal)
            }
            "_&&_" => args.iter().any(|&arg| proves(tree, arg)),
            "_||_" => args.iter().all(|&arg| proves(tree, arg)),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests;
