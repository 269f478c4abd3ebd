//! Which parts of a filter are shown, and how.
//!
//! In: a compiled filter. Out: its terms, and below them what they read of the
//! event. A term that compares a secret is named and its value withheld, and so
//! is every other part that reads what such a term reads: the operands of a
//! comparison with a secret are credentials wherever they stand.

use serde_json::Value as Json;

use super::super::convert;
use super::super::evaluate::Machine;
use super::super::ir::OpId;
use super::super::program::Compiled;
use super::super::reads::{Path, is_path, paths_below};
use super::super::syntax::{Kind as Node, NodeId, Tree, children};
use super::span::Brackets;
use super::{compares_secret, conjuncts};

/// Most parts that an explanation has.
const MOST_PARTS: usize = 64;

/// Most characters of a value, or of the text of a part.
const MOST_CHARACTERS: usize = 256;

/// What stands in place of a value that is compared with a secret.
const SECRET: &str = "(secret)";

/// A part of a filter that an explanation shows.
#[derive(Debug)]
pub(super) struct Shown {
    /// Its text.
    pub(super) text: String,
    /// Its code; none for what must not be shown.
    op: Option<OpId>,
    /// What it reads of the event.
    reads: Vec<Path>,
}

impl Shown {
    /// Its value for one event, or why there is none.
    pub(super) fn value(&self, machine: &mut Machine<'_, '_>, withheld: &[String]) -> Json {
        let hidden = self.reads.iter().any(|path| path.reads_header(withheld));
        let Some(op) = self.op.filter(|_| !hidden) else {
            return Json::String(SECRET.to_owned());
        };
        let value = machine
            .run(op)
            .and_then(|value| convert::lenient_json(&value, machine.meter()));
        match value {
            Ok(json) => shorten(json),
            Err(fault) => Json::String(truncated(&format!("error: {fault}"))),
        }
    }
}

/// The parts of a filter worth showing.
pub(super) fn shown(compiled: &Compiled) -> Vec<Shown> {
    let Compiled {
        program,
        tree,
        places,
    } = compiled;
    let mut terms = Vec::new();
    conjuncts(tree, tree.root, &mut terms);
    let credentials: Vec<Path> = terms
        .iter()
        .filter(|&&term| compares_secret(tree, term))
        .flat_map(|&term| paths_below(tree, term))
        .collect();
    let mut parts = Vec::new();
    for term in terms {
        parts.push(term);
        if !compares_secret(tree, term) {
            leaves(tree, term, &mut parts);
        }
    }
    let source = program.source();
    let brackets = Brackets::of(source);
    let mut shown: Vec<Shown> = Vec::new();
    for part in parts {
        let text = truncated(brackets.text(source, tree, part));
        if shown.len() == MOST_PARTS || shown.iter().any(|known| known.text == text) {
            continue;
        }
        let reads = paths_below(tree, part);
        let is_credential = |path: &Path| credentials.iter().any(|known| path.meets(known));
        let withheld = compares_secret(tree, part) || reads.iter().any(is_credential);
        let op = places.get(&part).copied().filter(|_| !withheld);
        shown.push(Shown { text, op, reads });
    }
    shown
}

/// Paths into the event and calls on them. Macros have variables of their own,
/// so only what they range over is looked at. The whole of the headers is
/// never a part: it has everything that a sender may keep secret.
fn leaves(tree: &Tree, id: NodeId, into: &mut Vec<NodeId>) {
    let node = tree.kind(id);
    match node {
        Node::Ident(name) if &**name == "header" => {}
        Node::Call {
            target: Some(target),
            ..
        } if is_path(tree, *target) => {
            into.push(id);
            if !matches!(tree.kind(*target), Node::Ident(_)) {
                into.push(*target);
            }
        }
        Node::Comprehension(fold) => leaves(tree, fold.range, into),
        Node::Select { test: true, .. } => into.push(id),
        _ if is_path(tree, id) => into.push(id),
        _ => children(node, |child| leaves(tree, child, into)),
    }
}

/// A value that is long is shown as the beginning of its text.
fn shorten(json: Json) -> Json {
    match json {
        Json::String(text) => Json::String(truncated(&text)),
        Json::Array(_) | Json::Object(_) => {
            let text = json.to_string();
            if text.chars().count() > MOST_CHARACTERS {
                Json::String(truncated(&text))
            } else {
                json
            }
        }
        other => other,
    }
}

fn truncated(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
