//! What is wrong with the fields of an object, in the words that Knative's
//! webhooks have for it.

use std::collections::BTreeMap;

/// Mistakes in fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldErrors(Vec<FieldError>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldError {
    message: String,
    details: String,
    paths: Vec<String>,
}

impl FieldErrors {
    fn one(message: impl Into<String>, paths: &[&str]) -> Self {
        Self(vec![FieldError {
            message: message.into(),
            details: String::new(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }])
    }

    /// Something that has words of its own.
    pub(super) fn generic(message: impl Into<String>, paths: &[&str]) -> Self {
        Self::one(message, paths)
    }

    /// A field that must be there.
    pub(super) fn missing(path: &str) -> Self {
        Self::one("missing field(s)", &[path])
    }

    /// None of several, where one must be there.
    pub(super) fn neither(paths: &[&str]) -> Self {
        Self::one("expected exactly one, got neither", paths)
    }

    /// More than one, where only one may be there.
    pub(super) fn both(paths: &[&str]) -> Self {
        Self::one("expected exactly one, got both", paths)
    }

    /// A value that is not taken.
    pub(super) fn invalid(value: impl std::fmt::Display, path: &str) -> Self {
        Self::one(format!("invalid value: {value}"), &[path])
    }

    /// Fields that may not be there.
    pub(super) fn disallowed(paths: &[&str]) -> Self {
        match paths {
            [] => Self::default(),
            _ => Self::one("must not set the field(s)", paths),
        }
    }

    /// The same with more to be said.
    #[must_use]
    pub(super) fn with_details(mut self, details: &str) -> Self {
        for error in &mut self.0 {
            details.clone_into(&mut error.details);
        }
        self
    }

    /// The same, seen from `prefix` above.
    #[must_use]
    pub(super) fn via(mut self, prefix: &str) -> Self {
        for path in self.0.iter_mut().flat_map(|error| &mut error.paths) {
            *path = join(prefix, path);
        }
        self
    }

    /// Adds others.
    pub(super) fn also(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each thing that is wrong with the paths that it concerns, in the order
    /// of their text.
    pub(super) fn merged(&self) -> Vec<(String, Vec<String>)> {
        let mut merged: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for error in &self.0 {
            let paths = merged.entry((&error.message, &error.details)).or_default();
            for path in &error.paths {
                if !paths.contains(path) {
                    paths.push(path.clone());
                }
            }
        }
        merged
            .into_iter()
            .map(|((message, details), mut paths)| {
                paths.sort();
                let joined = paths.join(", ");
                let text = match details {
                    "" => format!("{message}: {joined}"),
                    _ => format!("{message}: {joined}\n{details}"),
                };
                (text, paths)
            })
            .collect()
    }
}

/// A path below another one. Indices stand at the piece before them.
fn join(prefix: &str, path: &str) -> String {
    let mut joined = String::new();
    for piece in prefix.split('.').chain(path.split('.')) {
        let is_index = piece.starts_with('[') && piece.ends_with(']');
        if !joined.is_empty() && !piece.is_empty() && !is_index {
            joined.push('.');
        }
        joined.push_str(piece);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_and_indices_stand_at_their_list() {
        assert_eq!(join("spec.params", "[1].name"), "spec.params[1].name");
        assert_eq!(join("spec", ""), "spec");
        assert_eq!(join("", "params"), "params");
    }

    #[test]
    fn what_is_said_of_several_fields_is_said_once() {
        let mut errors = FieldErrors::missing("b");
        errors.also(FieldErrors::invalid("x", "c").with_details("why"));
        errors.also(FieldErrors::missing("a"));
        errors.also(FieldErrors::missing("b"));
        let texts: Vec<String> = errors
            .via("spec")
            .merged()
            .into_iter()
            .map(|m| m.0)
            .collect();
        assert_eq!(
            texts,
            [
                "invalid value: x: spec.c\nwhy",
                "missing field(s): spec.a, spec.b"
            ]
        );
    }
}
