//! Which text of the source a node covers.
//!
//! The parser keeps one token for each node: an operator, or an opening
//! bracket. The text of a node spans its tokens and those below it, and every
//! pair of brackets that it would cut in two.

use super::super::scan::{Mark, Marks};
use super::super::syntax::{Kind as Node, NodeId, Tree, children};

/// Pairs of brackets of a source, by the offsets of both.
pub(super) struct Brackets(Vec<(usize, usize)>);

impl Brackets {
    pub(super) fn of(source: &str) -> Self {
        let mut pairs = Vec::new();
        let mut open = Vec::new();
        for (at, mark) in Marks::of(source) {
            match mark {
                Mark::Open => open.push(at),
                Mark::Close => pairs.extend(open.pop().map(|start| (start, at))),
                _ => {}
            }
        }
        Self(pairs)
    }

    /// The text of a node.
    pub(super) fn text<'s>(&self, source: &'s str, tree: &Tree, id: NodeId) -> &'s str {
        let (mut start, mut end) = (source.len(), 0);
        cover(source, tree, id, &mut start, &mut end);
        while let Some(&(open, close)) = self.0.iter().find(|&&(open, close)| {
            let inside = |at: usize| (start..end).contains(&at);
            inside(open) != inside(close)
        }) {
            start = start.min(open);
            end = end.max(close + 1);
        }
        source.get(start..end).unwrap_or("").trim()
    }
}

/// Widens a span by the tokens of a node and of all below it.
fn cover(source: &str, tree: &Tree, id: NodeId, start: &mut usize, end: &mut usize) {
    let node = tree.node(id);
    let (first, last) = (node.token.0 as usize, node.token.1 as usize);
    *start = (*start).min(first);
    *end = (*end).max(end_of_character(source, last));
    if let Node::Select { field, .. } = &node.kind {
        // The token is the dot; the field follows, perhaps after blanks.
        let after = source.get(first..).unwrap_or("");
        if let Some(at) = after.find(&**field) {
            *end = (*end).max(first + at + field.len());
        }
    }
    if let Node::Call { function, .. } = &node.kind {
        // The token is the bracket; the name stands before it.
        let before = source.get(..first).unwrap_or("");
        if source[first..].starts_with('(')
            && let Some(at) = before.rfind(&**function)
        {
            *start = (*start).min(at);
        }
    }
    children(&node.kind, |child| cover(source, tree, child, start, end));
}

fn end_of_character(source: &str, at: usize) -> usize {
    let length = source.get(at..).and_then(|rest| rest.chars().next());
    at + length.map_or(0, char::len_utf8)
}
