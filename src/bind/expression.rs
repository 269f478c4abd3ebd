//! One `$(…)`: what stands inside, and what it asks for.
//!
//! In: the text of an expression. Out: its path, or the reason why it has none.
//! An expression runs from `$(` to the first `)` without a partner; quotes mean
//! nothing to it. Where another `$(` begins before that, only the inner one is
//! an expression; one that never ends is plain text.

use crate::model::headers::canonical;

use super::error::PathError;
use super::node::is_part_of_event;
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
    /// Compiles what stands between `$(` and `)`.
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            path: compile(source),
        }
    }

    /// Why it can never have a value, where that is known without an event.
    pub(super) fn problem(&self) -> Option<String> {
        match &self.path {
            Err(error) => Some(error.to_string()),
            Ok(path) => match path.first()? {
                Step::Field(name) if !is_part_of_event(name) => {
                    Some(PathError::Missing(name.clone()).to_string())
                }
                _ => None,
            },
        }
    }
}

/// What stands between a `$(` and its `)`, given what follows the `$(`.
pub(super) fn until_unbalanced(rest: &str) -> Option<&str> {
    let mut open = 0_usize;
    let mut before = '\0';
    for (at, letter) in rest.char_indices() {
        match letter {
            '(' if before == '$' => return None,
            '(' => open += 1,
            ')' if open == 0 => return rest.get(..at),
            ')' => open -= 1,
            _ => {}
        }
        before = letter;
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
