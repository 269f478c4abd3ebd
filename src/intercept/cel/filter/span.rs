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
    let before = source.get(..first).unwrap_or("");
    let after = source.get(first..).unwrap_or("");
    match &node.kind {
        // The token is the bracket; the name stands before it.
        Node::Select { test: true, .. } | Node::Call { .. } if after.starts_with('(') => {
            let name = before.trim_end_matches(|letter: char| {
                letter == '.' || letter == '_' || letter.is_ascii_alphanumeric()
            });
            *start = (*start).min(name.len());
        }
        // The token is the dot; the field follows, perhaps after blanks.
        Node::Select { field, .. } => {
            if let Some(at) = after.find(&**field) {
                let after_field = first + at + field.len();
                let quoted = source[after_field..].starts_with('`');
                *end = (*end).max(after_field + usize::from(quoted));
            }
        }
        _ => {}
    }
    children(&node.kind, |child| cover(source, tree, child, start, end));
}

fn end_of_character(source: &str, at: usize) -> usize {
    let length = source.get(at..).and_then(|rest| rest.chars().next());
    at + length.map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intercept::cel::parse::parse;

    #[test]
    fn the_text_of_a_node_is_what_was_written() {
        for source in [
            "body.ref",
            "body . ref",
            "has(body.a.b)",
            "body.list[0].x",
            "(a || b) && (c)",
            "!(a || b)",
            "-x",
            "size([1, 2])",
            "math.ceil(1.5)",
            "{'a': [1, (2)]}",
            "body.commits.exists(c, c.id == ')')",
            "body.`with-dash`",
            "a ? b : (c)",
            "'żółć' + \"(\"",
            r"r'\' == '''a'b'''",
            "body.list.sortBy(x, x)",
            "math.greatest(1, 2, 3)",
        ] {
            let tree = parse(source).expect(source);
            let text = Brackets::of(source).text(source, &tree, tree.root);
            assert_eq!(text, source);
        }
    }
}
