//! Compiling, and evaluating on its own.
//!
//! In: source text. Out: a `Program`, from which filters and overlays are
//! made too.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::Scope;
use super::check;
use super::convert;
use super::error::{CompileError, EvalError, Stage};
use super::evaluate::Machine;
use super::functions::COMPARE_SECRET;
use super::ir::{Code, OpId};
use super::lower;
use super::parse;
use super::reads::{Credential, Path, paths_below};
use super::report::{Problem, compile_error};
use super::syntax::{Kind, NodeId, Tree, children};

/// A compiled expression. Compile once, evaluate for each event.
#[derive(Debug)]
pub struct Program {
    source: Box<str>,
    pub(super) code: Code,
    credentials: Vec<Credential>,
}

/// A program together with what it was compiled from.
pub(super) struct Compiled {
    pub(super) program: Program,
    pub(super) tree: Tree,
    /// The code of each node of the tree.
    pub(super) places: HashMap<NodeId, OpId>,
}

/// Compiles one expression.
pub fn compile(source: &str) -> Result<Program, CompileError> {
    let mut programs = compile_all([source]);
    programs.pop().unwrap_or_else(|| Err(no_thread(source)))
}

/// Compiles many expressions on one parser thread: a catalogue of thousands
/// loads without starting thousands of them. Results keep the order.
pub fn compile_all<'s>(
    sources: impl IntoIterator<Item = &'s str>,
) -> Vec<Result<Program, CompileError>> {
    let sources: Vec<&str> = sources.into_iter().collect();
    compile_with(&sources, |compiled| compiled.program)
}

/// Compiles `sources`, and makes of each what `finish` makes of it.
pub(super) fn compile_with<T: Send>(
    sources: &[&str],
    finish: impl Fn(Compiled) -> T + Send + Sync,
) -> Vec<Result<T, CompileError>> {
    let compile_all = || {
        let compiled = sources.iter().map(|source| compile_here(source));
        compiled
            .map(|compiled| compiled.map(&finish))
            .collect::<Vec<_>>()
    };
    if sources.iter().all(|source| parse::is_shallow(source)) {
        return compile_all();
    }
    let compiled = parse::with_parser_stack(compile_all);
    compiled.unwrap_or_else(|_| {
        sources
            .iter()
            .map(|source| Err(no_thread(source)))
            .collect()
    })
}

fn compile_here(source: &str) -> Result<Compiled, CompileError> {
    let tree = parse::parse(source)?;
    let checked = check::check(source, tree)?;
    let (code, places) = lower::lower(source, &checked)?;
    Ok(Compiled {
        program: Program {
            source: source.into(),
            code,
            credentials: credentials(&checked.tree),
        },
        tree: checked.tree,
        places,
    })
}

/// What the calls of `compareSecret` read of the event.
fn credentials(tree: &Tree) -> Vec<Credential> {
    fn collect(tree: &Tree, id: NodeId, into: &mut Vec<Credential>) {
        let node = tree.kind(id);
        if matches!(node, Kind::Call { function, .. } if &**function == COMPARE_SECRET) {
            into.extend(paths_below(tree, id).iter().map(Path::credential));
            return;
        }
        children(node, |child| collect(tree, child, into));
    }
    let mut found = Vec::new();
    collect(tree, tree.root, &mut found);
    found
}

/// The machine has no room for another thread.
fn no_thread(source: &str) -> CompileError {
    let problem = Problem::at(source, 0, "the parser could not be started");
    compile_error(Stage::Limit, source, vec![problem])
}

impl Program {
    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it compares with secrets.
    pub fn credentials(&self) -> &[Credential] {
        &self.credentials
    }

    /// The value for one event, in a JSON that people can read: null, unsigned
    /// integers and times, which an overlay refuses, have a form here.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Json, EvalError> {
        let mut machine = Machine::new(&self.code, scope);
        machine
            .run(self.code.root)
            .and_then(|value| convert::lenient_json(&value, machine.meter()))
            .map_err(|fault| *fault)
    }
}
