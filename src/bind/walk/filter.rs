//! `[?(…)]`: which elements of a list pass a condition.
//!
//! kubectl compares only like with like: a text with a text, a boolean with a
//! boolean, and a number of the event, which is always a float, only with a
//! number that is written as one (`1.0`); `1` is an error, and so is a missing
//! field on either side.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::error::PathError;
use super::super::node::Node;
use super::super::path::{Filter, Path, Test};
use super::{Failure, Walk, Walked};

impl<'a> Walk<'_, 'a> {
    pub(super) fn filter(&mut self, nodes: &[Node<'a>], filter: &Filter) -> Walked<'a> {
        let mut found = Vec::new();
        for node in nodes {
            let (value, items) = node.list().ok_or_else(|| {
                let message = format!("{} is not a list and cannot be filtered", node.kind());
                Failure::holding(PathError::Type(message))
            })?;
            if let Test::Has(search) = &filter.test {
                self.pay(items.len().saturating_mul(1 + filter.left.len()))?;
                found.extend(search.select(value).into_iter().map(Node::Json));
                continue;
            }
            self.pay(items.len())?;
            for item in items.iter().map(Node::Json) {
                if self.passes(&item, filter, !found.is_empty())? {
                    found.push(item);
                }
            }
        }
        Ok(found)
    }

    /// Whether one element passes; `found` says whether another one has.
    fn passes(&mut self, item: &Node<'a>, filter: &Filter, found: bool) -> Result<bool, Failure> {
        let left = self.follow(vec![item.clone()], &filter.left);
        let Test::Compare(operator, right) = &filter.test else {
            return match left {
                Ok(nodes) => Ok(!nodes.is_empty()),
                Err(Failure {
                    error: PathError::Exhausted,
                    ..
                }) => left.map(|_| false),
                Err(failure) => Ok(failure.holding),
            };
        };
        let Some(left) = single(left)? else {
            return Ok(false);
        };
        let Some(right) = self.right(item, right)? else {
            return Ok(false);
        };
        compare(operator, &left, &right).map_err(|error| Failure {
            error,
            holding: found,
        })
    }

    fn right(&mut self, item: &Node<'a>, path: &Path) -> Result<Option<Node<'a>>, Failure> {
        let nodes = self.follow(vec![item.clone()], path);
        single(nodes)
    }
}

/// The only node there is, if any.
fn single(nodes: Walked<'_>) -> Result<Option<Node<'_>>, Failure> {
    let mut nodes = nodes.map_err(|failure| Failure::holding(failure.error))?;
    if nodes.len() > 1 {
        let error = PathError::syntax("can only compare one element at a time");
        return Err(Failure::holding(error));
    }
    Ok(nodes.pop())
}

/// What can be compared, by kind.
#[derive(PartialEq, PartialOrd)]
enum Scalar<'n> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'n str),
}

fn scalar<'n>(node: &'n Node<'_>) -> Option<Scalar<'n>> {
    match node {
        Node::Bool(truth) | Node::Json(Value::Bool(truth)) => Some(Scalar::Bool(*truth)),
        Node::Int(whole) => Some(Scalar::Int(*whole)),
        Node::Float(number) => Some(Scalar::Float(*number)),
        Node::Json(Value::Number(number)) => number.as_f64().map(Scalar::Float),
        _ => node.text().map(Scalar::Text),
    }
}

fn compare(operator: &str, left: &Node<'_>, right: &Node<'_>) -> Result<bool, PathError> {
    let incomparable = || {
        let message = format!("{} is not comparable with {}", left.kind(), right.kind());
        PathError::Type(message)
    };
    let passes: fn(Ordering) -> bool = match operator {
        "==" => Ordering::is_eq,
        "!=" => Ordering::is_ne,
        "<" => Ordering::is_lt,
        "<=" => Ordering::is_le,
        ">" => Ordering::is_gt,
        ">=" => Ordering::is_ge,
        _ => {
            let message = format!("unrecognized filter operator {operator}");
            return Err(PathError::Syntax(message));
        }
    };
    let (Some(one), Some(other)) = (scalar(left), scalar(right)) else {
        return Err(incomparable());
    };
    let ordered = !matches!(one, Scalar::Bool(_)) || matches!(operator, "==" | "!=");
    if std::mem::discriminant(&one) != std::mem::discriminant(&other) || !ordered {
        return Err(incomparable());
    }
    Ok(one.partial_cmp(&other).is_some_and(passes))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::found;
    use super::*;

    fn body() -> Value {
        json!([
            {"n": "x", "v": 1, "ok": true, "deep": {"q": null}},
            {"n": "y", "v": 2, "ok": false},
            {"n": "it's", "v": 3, "ok": false, "l": [1]},
        ])
    }

    #[test]
    fn elements_pass_that_compare() {
        for (condition, expected) in [
            ("@.n == 'x'", "1"),
            ("@.n==\"y\"", "2"),
            (r"@.n == 'it\'s'", "3"),
            ("'x' == @.n", "1"),
            ("@.n != 'x'", "[2,3]"),
            ("@.n > 'x'", "2"),
            ("@.v == 1.0", "1"),
            ("@.v >= 2.0", "[2,3]"),
            ("@.v < 2.0", "1"),
            ("@.v <= 2.0", "[1,2]"),
            ("@.ok == true", "1"),
            ("@.v == @.v", "[1,2,3]"),
            ("1 < 2", "[1,2,3]"),
            ("@", "[1,2,3]"),
            ("", "[1,2,3]"),
            ("@.deep.q", "1"),
            ("@.missing", "[]"),
            ("false", "[1,2,3]"),
            ("@.l[0]", "3"),
        ] {
            let source = format!("body[?({condition})].v");
            assert_eq!(found(&source, &body()).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn unlike_things_do_not_compare() {
        for condition in [
            "@.v == 1",
            "@.v == '1'",
            "@.n > 1.0",
            "@.ok == 'true'",
            "@.ok < true",
        ] {
            let error = found(&format!("body[?({condition})]"), &body());
            assert!(
                matches!(error, Err(PathError::Type(_))),
                "{condition}: {error:?}"
            );
        }
        let error = found("body[?(@.deep == @.deep)]", &json!([{"deep": {}}]));
        assert!(matches!(error, Err(PathError::Type(_))), "{error:?}");
    }

    #[test]
    fn a_missing_side_is_an_error_and_several_values_are_one_too_many() {
        let error = found("body[?(@.l == 'x')]", &body());
        assert_eq!(error, Err(PathError::Missing("l".to_owned())));
        let error = found("body[?(@['n','v'] == 'x')]", &body());
        assert!(matches!(error, Err(PathError::Syntax(_))), "{error:?}");
    }

    #[test]
    fn only_lists_can_be_filtered() {
        for value in [json!({"a": 1}), json!("text"), json!(null)] {
            let error = found("body[?(@)]", &value);
            assert!(
                matches!(error, Err(PathError::Type(_))),
                "{value}: {error:?}"
            );
        }
    }

    #[test]
    fn a_short_list_passes_for_one_that_has_the_index() {
        let body = json!([{"l": [1]}, {"l": [1, 2]}, {}]);
        let expected = r#"[{"l":[1]},{"l":[1,2]}]"#;
        assert_eq!(found("body[?(@.l[1])]", &body).as_deref(), Ok(expected));
    }
}
