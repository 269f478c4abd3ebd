//! Indexes and slices, with kubectl's bounds.

use super::super::error::PathError;
use super::super::node::Node;
use super::super::path::{End, Slice};
use super::{Failure, Walk, Walked};

impl<'a> Walk<'_, 'a> {
    pub(super) fn slice(&mut self, nodes: &[Node<'a>], slice: &Slice) -> Walked<'a> {
        let mut found = Vec::new();
        for node in nodes.iter().filter(|node| !node.is_null()) {
            let (value, items) = node.list().ok_or_else(|| {
                let message = format!("{} is not a list", node.kind());
                Failure::holding(PathError::Type(message))
            })?;
            let range = bounds(slice, items.len()).map_err(Failure::holding)?;
            let Some((from, to)) = range else {
                // Upstream stops here with what the lists before this one gave.
                return Ok(found);
            };
            if slice.to == End::Next {
                found.extend(items.get(from).map(Node::Json));
                continue;
            }
            self.pay(to - from)?;
            found.extend(slice.search.select(value).into_iter().map(Node::Json));
        }
        Ok(found)
    }
}

/// The first index and the one behind the last; nothing where no element is
/// asked for, which is allowed even out of bounds.
fn bounds(slice: &Slice, length: usize) -> Result<Option<(usize, usize)>, PathError> {
    let len = i64::try_from(length).unwrap_or(i64::MAX);
    let from_end = |index: i64| {
        if index < 0 {
            index.wrapping_add(len)
        } else {
            index
        }
    };
    let from = from_end(slice.from);
    let to = match slice.to {
        End::Last => len,
        End::At(index) => from_end(index),
        // `[-1]` ends before index 0 of the next round, which is the end.
        End::Next => match slice.from.wrapping_add(1) {
            0 => len,
            next => from_end(next),
        },
    };
    if from == to {
        return Ok(None);
    }
    let last = to.wrapping_sub(1);
    for (index, fits) in [
        (from, (0..len).contains(&from)),
        (last, (0..=len).contains(&to)),
    ] {
        if !fits {
            return Err(PathError::Index { index, length });
        }
    }
    if from > to {
        let message = format!("starting index {from} is greater than ending index {to}");
        return Err(PathError::Syntax(message));
    }
    if slice.step <= 0 {
        return Err(PathError::syntax("step must be > 0"));
    }
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    Ok(range)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::found;
    use super::*;

    #[test]
    fn indexes_and_slices_count_from_either_end() {
        let body = json!([1, 2, 3]);
        for (source, expected) in [
            ("body[0]", "1"),
            ("body[-1]", "3"),
            ("body[]", "1"),
            ("body[00]", "1"),
            ("body[:]", "[1,2,3]"),
            ("body[1:]", "[2,3]"),
            ("body[:-1]", "[1,2]"),
            ("body[-1:]", "3"),
            ("body[0:3:2]", "[1,3]"),
            ("body[0::9223372036854775807]", "1"),
            ("body[1:1]", "[]"),
            ("body[9:9]", "[]"),
            ("body[0,-1]", "[1,3]"),
            ("body[*,0]", "[1,2,3,1]"),
        ] {
            assert_eq!(found(source, &body).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn bounds_outside_the_list_are_errors() {
        let body = json!([1, 2, 3]);
        for (source, index) in [
            ("body[3]", 3),
            ("body[-4]", -1),
            ("body[5:9]", 5),
            ("body[-9:2]", -6),
            ("body[0:4]", 3),
            ("body[9223372036854775807]", i64::MAX),
        ] {
            let error = PathError::Index { index, length: 3 };
            assert_eq!(found(source, &body), Err(error), "{source}");
        }
        for source in ["body[2:1]", "body[::0]", "body[::-1]"] {
            let error = found(source, &body);
            assert!(
                matches!(error, Err(PathError::Syntax(_))),
                "{source}: {error:?}"
            );
        }
    }

    #[test]
    fn only_lists_have_indexes_and_null_is_passed_over() {
        for body in [json!({}), json!("text"), json!(1)] {
            let error = found("body[0]", &body);
            assert!(
                matches!(error, Err(PathError::Type(_))),
                "{body}: {error:?}"
            );
        }
        assert_eq!(found("body[0]", &json!(null)).as_deref(), Ok("[]"));
        assert_eq!(found("body[*][0]", &json!([null, [7]])).as_deref(), Ok("7"));
    }
}
