//! Follows a path through an event.
//!
//! In: steps and the scope. Out: the nodes they lead to, in order, or why they
//! lead nowhere. What is an error and what is passed over in silence is
//! kubectl's: a field that none of the values has is an error, an index out of
//! bounds is one, `null` is passed over, and no values in means no values out.
//! Where upstream takes the members of an object in random order, ours come in
//! the order of their keys. Every node that is looked at costs fuel.

mod filter;
mod slice;

use std::borrow::Cow;

use serde_json::Value;

use crate::model::limits::JSONPATH_FUEL;

use super::Scope;
use super::error::PathError;
use super::node::Node;
use super::path::{Literal, Path, Step};
use super::search::Search;

/// What an expression found.
pub(super) enum Found<'a> {
    /// These values.
    Nodes(Vec<Node<'a>>),
    /// The expression opens a loop and has nothing to print in it: `range`
    /// wants a second pair of braces, which the relaxed syntax has no room for.
    Loop,
}

/// Follows `path` from the event, and takes what that costs off `fuel`.
pub(super) fn find<'a>(
    path: &Path,
    scope: &Scope<'a>,
    fuel: &mut u64,
) -> Result<Found<'a>, PathError> {
    let granted = JSONPATH_FUEL.min(*fuel);
    let mut walk = Walk {
        scope,
        fuel: granted,
        ranged: false,
    };
    let nodes = walk.follow(vec![Node::Event], path);
    *fuel -= granted - walk.fuel;
    let nodes = nodes.map_err(|failure| failure.error)?;
    Ok(if walk.ranged {
        Found::Loop
    } else {
        Found::Nodes(nodes)
    })
}

/// One walk.
struct Walk<'s, 'a> {
    scope: &'s Scope<'a>,
    fuel: u64,
    /// Whether `range` was met.
    ranged: bool,
}

/// Why a walk ended early.
struct Failure {
    error: PathError,
    /// Whether upstream still holds values when it fails. An existence filter
    /// looks at nothing else, so `[?(@.list[9])]` is true where `list` is short.
    holding: bool,
}

impl Failure {
    /// A failure that leaves the step's input in hand.
    fn holding(error: PathError) -> Self {
        Self {
            error,
            holding: true,
        }
    }

    /// A failure that leaves nothing.
    fn empty(error: PathError) -> Self {
        Self {
            error,
            holding: false,
        }
    }
}

type Walked<'a> = Result<Vec<Node<'a>>, Failure>;

impl<'a> Walk<'_, 'a> {
    fn follow(&mut self, input: Vec<Node<'a>>, path: &[Step]) -> Walked<'a> {
        path.iter()
            .try_fold(input, |nodes, step| self.step(nodes, step))
    }

    fn step(&mut self, nodes: Vec<Node<'a>>, step: &Step) -> Walked<'a> {
        self.pay(nodes.len())?;
        match step {
            Step::Field(name) => self.field(&nodes, name),
            Step::Slice(slice) => self.slice(&nodes, slice),
            Step::Wildcard(search) => self.wildcard(&nodes, search),
            Step::Descend => self.descend(nodes),
            Step::Union(branches) => self.union(&nodes, branches),
            Step::Filter(filter) => self.filter(&nodes, filter),
            Step::Literal(literal) => Ok(stated(literal, nodes.len())),
            Step::Word(word) => self.word(nodes, word),
        }
    }

    fn field(&mut self, nodes: &[Node<'a>], name: &str) -> Walked<'a> {
        let found: Vec<_> = nodes
            .iter()
            .filter_map(|node| node.field(name, self.scope))
            .collect();
        if found.is_empty() && !nodes.is_empty() {
            return Err(Failure::empty(PathError::Missing(name.to_owned())));
        }
        Ok(found)
    }

    fn wildcard(&mut self, nodes: &[Node<'a>], search: &Search) -> Walked<'a> {
        let mut found = Vec::new();
        for node in nodes {
            self.pay(node.width(self.scope))?;
            match node {
                Node::Json(value @ (Value::Array(_) | Value::Object(_))) => {
                    found.extend(search.select(value).into_iter().map(Node::Json));
                }
                _ => found.extend(node.children(self.scope)),
            }
        }
        Ok(found)
    }

    /// Every value that has something below it, parents before children.
    fn descend(&mut self, mut open: Vec<Node<'a>>) -> Walked<'a> {
        let mut found = Vec::new();
        open.reverse();
        while let Some(node) = open.pop() {
            self.pay(1)?;
            // The bytes of a text have nothing below them.
            let children = match node.text() {
                Some(_) => Vec::new(),
                None => node.children(self.scope),
            };
            if node.width(self.scope) > 0 {
                found.push(node);
            }
            open.extend(children.into_iter().rev());
        }
        Ok(found)
    }

    fn union(&mut self, nodes: &[Node<'a>], branches: &[Path]) -> Walked<'a> {
        let mut found = Vec::new();
        for branch in branches {
            let part = self.follow(nodes.to_vec(), branch);
            found.extend(part.map_err(|failure| Failure {
                holding: !nodes.is_empty(),
                ..failure
            })?);
        }
        Ok(found)
    }

    fn word(&mut self, nodes: Vec<Node<'a>>, word: &str) -> Walked<'a> {
        match word {
            "range" => {
                self.ranged = true;
                Ok(nodes)
            }
            "end" => Err(Failure::empty(PathError::syntax(
                "not in range, nothing to end",
            ))),
            _ => Err(Failure {
                error: PathError::Syntax(format!("unrecognized identifier {word}")),
                holding: !nodes.is_empty(),
            }),
        }
    }

    /// Takes fuel for looking at this many nodes.
    fn pay(&mut self, nodes: usize) -> Result<(), Failure> {
        let left = self.fuel.checked_sub(nodes as u64);
        self.fuel = left.ok_or_else(|| Failure::empty(PathError::Exhausted))?;
        Ok(())
    }
}

/// A text stands once, whatever comes in; other literals once for each value.
fn stated<'a>(literal: &Literal, times: usize) -> Vec<Node<'a>> {
    match literal {
        Literal::Text(text) => vec![Node::Text(Cow::Owned(text.clone()))],
        Literal::Int(whole) => vec![Node::Int(*whole); times],
        Literal::Float(number) => vec![Node::Float(*number); times],
        Literal::Bool(truth) => vec![Node::Bool(*truth); times],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::BodyView;
    use super::super::expression::Expression;
    use super::super::print::print;
    use super::*;
    use crate::model::headers::Headers;

    /// What `$(source)` gives for this body.
    pub(super) fn found(source: &str, body: &Value) -> Result<String, PathError> {
        let mut headers = Headers::new();
        headers.append("X-Multi", "one");
        headers.append("X-Multi", "two");
        let extensions = Map::from_iter([("n".to_owned(), json!(4))]);
        let scope = Scope {
            body: BodyView::Json(body),
            headers: &headers,
            extensions: &extensions,
            event_id: "e-1",
        };
        let path = Expression::new(source).path?;
        print(
            &find(&path, &scope, &mut { JSONPATH_FUEL })?,
            &scope,
            1 << 20,
        )
    }

    #[test]
    fn a_path_leads_to_what_it_names() {
        let body = json!({
            "s": "a\"b", "e": "", "nul": null, "a.b": "dotted", "*": "star", "sp ace": "x",
            "map": {"a": 1, "b": {"c": "deep"}}, "objs": [{"n": "x", "v": 1}, {"n": "y"}, null],
        });
        for (source, expected) in [
            ("body.s", r#"a\"b"#),
            ("body.e", ""),
            ("body.nul", "null"),
            ("body.map", r#"{"a":1,"b":{"c":"deep"}}"#),
            (r"body.a\.b", "dotted"),
            (r"body['a\.b']", "dotted"),
            (r"body.\*", "star"),
            (r"body.sp\ ace", "x"),
            ("body['map']['a']", "1"),
            ("body['map','e']", r#"[{"a":1,"b":{"c":"deep"}},""]"#),
            ("body.map.*", r#"[1,{"c":"deep"}]"#),
            ("body.objs[*].n", r#"["x","y"]"#),
            ("body.objs[*].v", "1"),
            ("body..c", "deep"),
            (
                "body.map..",
                r#"[{"a":1,"b":{"c":"deep"}},{"c":"deep"},"deep"]"#,
            ),
            ("body.map.b.*.*", "[100,101,101,112]"),
            ("header.x-multi", "one,two"),
            ("extensions", r#"{"n":4}"#),
            ("context.eventID", "e-1"),
            ("Context", r#"{"eventID":"e-1"}"#),
            ("body.s 'lit'", "lit"),
            ("body.s -5", "-5"),
            ("body.s 1.50", "1.5"),
            ("body.s true", "true"),
            ("body.s range", ""),
            ("", ""),
        ] {
            assert_eq!(found(source, &body).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn an_event_has_four_parts_in_upstreams_order() {
        let (header, context) = (r#"{"X-Multi":"one,two"}"#, r#"{"eventID":"e-1"}"#);
        let parts = format!(r#"{header},true,{{"n":4}},{context}"#);
        assert_eq!(found("*", &json!(true)), Ok(format!("[{parts}]")));
        let event = format!(
            r#"{{"header":{header},"body":true,"extensions":{{"n":4}},"context":{context}}}"#
        );
        let below = format!(r#"{header},"one,two",{{"n":4}},{context},"e-1""#);
        assert_eq!(found("..", &json!(true)), Ok(format!("[{event},{below}]")));
    }

    #[test]
    fn a_field_that_no_value_has_is_an_error_unless_there_is_no_value() {
        let body = json!({"s": "text", "nul": null, "empty": [], "objs": [{"a": 1}]});
        for (source, name) in [
            ("body.missing", "missing"),
            ("body.s.x", "x"),
            ("body.nul.x", "x"),
            ("body.objs[*].b", "b"),
            ("body.", ""),
            ("missing", "missing"),
        ] {
            let missing = PathError::Missing(name.to_owned());
            assert_eq!(found(source, &body), Err(missing), "{source}");
        }
        assert_eq!(found("body.empty[*].x", &body).as_deref(), Ok("[]"));
        assert_eq!(found("body.empty[*]", &body).as_deref(), Ok("[]"));
    }

    #[test]
    fn what_cannot_be_read_is_a_syntax_error() {
        let body = json!({"list": [1]});
        for source in [
            "body[",
            "body.list[0",
            "body[\"a\"]",
            "body.list[0:1:0]",
            "body......",
            "body.list[?(!@.a)]",
            "body.list[?(@.a && @.b)]",
            "body.list end",
            "body.list word",
            "body.list\\",
            "body.list 'open",
            "body.list 1.2.3",
            "\tbody",
        ] {
            let error = found(source, &body);
            assert!(
                matches!(error, Err(PathError::Syntax(_))),
                "{source}: {error:?}"
            );
        }
    }

    #[test]
    fn work_without_end_is_cut_short() {
        let long = json!(vec![vec!["a".repeat(3_000); 30]; 30]);
        assert_eq!(found("body.*.*.*", &long), Err(PathError::Exhausted));
    }
}
