//! Finds `$(…)` in a binding value and reads what stands inside.
//!
//! In: the value as written. Out: expressions, each compiled or with the reason
//! why it cannot be. An expression runs from `$(` to the first `)` without a
//! partner; quotes mean nothing to it. Where another `$(` begins before that,
//! only the inner one is an expression; one that never ends is plain text.

use crate::model::headers::canonical;

use super::error::PathError;
use super::parse;
use super::path::{Literal, Path, Step};

/// One expression of a value.
#[derive(Debug)]
pub(super) struct Expression {
    /// What stands between `$(` and `)`.
    pub(super) source: String,
    /// How to find its value.
    pub(super) path: Result<Path, PathError>,
}

impl Expression {
    /// The text that its value replaces.
    pub(super) fn whole(&self) -> String {
        format!("$({})", self.source)
    }
}

/// The expressions of `value` in the order in which they stand, each once.
pub(super) fn find(value: &str) -> Vec<Expression> {
    let mut found: Vec<Expression> = Vec::new();
    for piece in value.split("$(").skip(1) {
        let Some(source) = until_unbalanced(piece) else {
            continue;
        };
        if found.iter().all(|known| known.source != source) {
            found.push(Expression {
                source: source.to_owned(),
                path: compile(source),
            });
        }
    }
    found
}

/// `piece` up to the first `)` that closes nothing.
fn until_unbalanced(piece: &str) -> Option<&str> {
    let mut open = 0_usize;
    for (at, letter) in piece.char_indices() {
        match letter {
            '(' => open += 1,
            ')' if open == 0 => return piece.get(..at),
            ')' => open -= 1,
            _ => {}
        }
    }
    None
}

fn compile(source: &str) -> Result<Path, PathError> {
    if source.is_empty() {
        return Ok(vec![Step::Literal(Literal::Text(String::new()))]);
    }
    let spec = match source.strip_prefix("header.") {
        Some(name) => relaxed(&format!("header.{}", canonical(name)))?,
        None => relaxed(source)?,
    };
    parse::path(&spec)
}

/// Braces and the first dot may be left out: `a.b`, `.a.b`, `{a.b}` and
/// `{.a.b}` are the same. More than one pair of braces is not understood.
fn relaxed(source: &str) -> Result<String, PathError> {
    let inner = source
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(source);
    if inner.is_empty() || inner.contains(['{', '}']) {
        return Err(PathError::syntax(
            "expected one path: name1.name2, .name1.name2, {name1.name2} or {.name1.name2}",
        ));
    }
    let spec = match inner.strip_prefix('.') {
        Some("") | None => inner,
        Some(rest) => rest,
    };
    Ok(format!(".{spec}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_ends_at_the_first_parenthesis_without_a_partner() {
        for (value, expected) in [
            ("plain", &[][..]),
            ("$(body.a)", &["body.a"]),
            ("$(a)-$(b)$(a)", &["a", "b"]),
            ("$(a.(b).c))", &["a.(b).c"]),
            ("$($(a))", &["a"]),
            ("$(x$(y)z)", &["y"]),
            ("$(a)-$(never", &["a"]),
            ("$(never-$(b)", &["b"]),
            ("asd)$(asd", &[]),
            ("$())))", &[""]),
            ("$$$(a)", &["a"]),
            ("$ (a) ${b}", &[]),
            ("$(a ')' b)", &["a '"]),
        ] {
            let found: Vec<_> = find(value).into_iter().map(|e| e.source).collect();
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn braces_and_the_first_dot_may_be_left_out() {
        for source in ["a.b", ".a.b", "{a.b}", "{.a.b}"] {
            assert_eq!(relaxed(source).as_deref(), Ok(".a.b"), "{source}");
        }
        for (source, expected) in [(".", ".."), ("...", "..."), (" a", ". a")] {
            assert_eq!(relaxed(source).as_deref(), Ok(expected), "{source}");
        }
        for source in ["{}", "{", "}", "{{a}}", "{a}{b}", "{a} {b}", "a{b", "{a}b"] {
            assert!(relaxed(source).is_err(), "{source}");
        }
    }

    #[test]
    fn only_a_name_right_after_header_takes_its_canonical_form() {
        let field = |name: &str| Step::Field(name.to_owned());
        for (source, expected) in [
            ("header.x-github-event", ["header", "X-Github-Event"]),
            (".header.x-a", ["header", "x-a"]),
            ("{header.x-a}", ["header", "x-a"]),
            ("body.x-a", ["body", "x-a"]),
        ] {
            let path = compile(source).expect("compiles");
            assert_eq!(path, expected.map(field), "{source}");
        }
    }
}
