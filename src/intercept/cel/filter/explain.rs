//! Which parts of a filter are shown, and how.

use serde_json::Value as Json;

use super::super::Scope;
use super::super::convert;
use super::super::evaluate::Machine;
use super::super::functions::COMPARE_SECRET;
use super::super::ir::OpId;
use super::super::program::{Compiled, Program};
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
}

impl Shown {
    /// Its value for one event, or why there is none.
    pub(super) fn value(&self, program: &Program, scope: &Scope<'_>) -> Json {
        let Some(op) = self.op else {
            return Json::String(SECRET.to_owned());
        };
        let mut machine = Machine::new(&program.code, scope);
        let value = machine
            .run(op)
            .and_then(|value| convert::lenient_json(&value, machine.meter()));
        match value {
            Ok(json) => shorten(json),
            Err(fault) => Json::String(truncated(&format!("error: {fault}"))),
        }
    }
}

/// The parts of a filter worth showing: its terms, and below them what is
/// read of the event.
pub(super) fn shown(compiled: &Compiled) -> Vec<Shown> {
    let Compiled {
        program,
        tree,
        places,
    } = compiled;
    let source = program.source();
    let mut parts = Vec::new();
    let mut terms = Vec::new();
    conjuncts(tree, tree.root, &mut terms);
    for term in terms {
        parts.push(term);
        leaves(tree, term, &mut parts);
    }
    let brackets = Brackets::of(source);
    let mut shown: Vec<Shown> = Vec::new();
    for part in parts {
        let text = truncated(brackets.text(source, tree, part));
        if shown.len() < MOST_PARTS && shown.iter().all(|known| known.text != text) {
            let op = places.get(&part).copied();
            shown.push(Shown {
                text,
                op: op.filter(|_| !compares_secret(tree, part)),
            });
        }
    }
    shown
}

/// Paths into the event and calls on them, outside of what a secret is
/// compared with. Macros have variables of their own, so only what they range
/// over is looked at.
fn leaves(tree: &Tree, id: NodeId, into: &mut Vec<NodeId>) {
    let node = tree.kind(id);
    match node {
        Node::Call { function, .. } if &**function == COMPARE_SECRET => {}
        Node::Call {
            target: Some(target),
            ..
        } if is_path(tree, *target) && !compares_secret(tree, id) => {
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

/// `body.a`, `body.a[0]`, `header['X']`.
fn is_path(tree: &Tree, id: NodeId) -> bool {
    match tree.kind(id) {
        Node::Ident(name) => {
            matches!(&**name, "body" | "header" | "extensions" | "requestURL")
        }
        Node::Select { operand, test, .. } => !test && is_path(tree, *operand),
        Node::Call {
            function,
            target: None,
            args,
        } if &**function == "_[_]" => {
            let literal = args
                .get(1)
                .is_some_and(|key| matches!(tree.kind(*key), Node::Literal(_)));
            literal && args.first().is_some_and(|operand| is_path(tree, *operand))
        }
        _ => false,
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
