//! Lists of glob patterns, compiled once.

use globset::{GlobBuilder, GlobMatcher};
use serde_json::{Map, Value};

use crate::model::problem::{Problem, string_list, unknown_fields};

/// How the texts of a list are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `*` stays within one segment of a path, `**` crosses segments; letter
    /// case counts.
    Path,
    /// As [`Style::Path`], in any letter case: names that hosts compare so.
    PathAnyCase,
    /// `*` matches anything, in any letter case.
    WordAnyCase,
}

/// The lists of one interceptor, read one after the other.
pub(super) struct Lists<'a> {
    params: &'a Map<String, Value>,
    pub problems: Vec<Problem>,
}

impl<'a> Lists<'a> {
    /// The parameters of interceptor `kind`, which has those that are `known`.
    pub(super) fn new(kind: &str, params: &'a Map<String, Value>, known: &[&str]) -> Self {
        let problem = |name: &str| {
            let message = format!(
                "`{kind}` has no parameter `{name}`; it has {}",
                known.join(", ")
            );
            Problem::at(format!("/{name}"), message)
        };
        let problems = unknown_fields(params, known).map(problem).collect();
        Self { params, problems }
    }

    /// The list `name`; nothing where it is absent, or a mistake.
    pub(super) fn list(&mut self, name: &str, style: Style) -> Option<Globs> {
        Globs::compile(self.params, name, style).unwrap_or_else(|problem| {
            self.problems.push(problem);
            None
        })
    }

    /// The interceptor, where there was no mistake.
    pub(super) fn finish<T>(self, interceptor: T) -> Result<T, Vec<Problem>> {
        match self.problems.is_empty() {
            true => Ok(interceptor),
            false => Err(self.problems),
        }
    }
}

/// A list of patterns. The last one that matches decides; one that begins
/// with `!` excludes. A list that begins with an exclusion starts from
/// everything.
#[derive(Debug)]
pub(super) struct Globs {
    patterns: Vec<(bool, GlobMatcher)>,
    written: Vec<String>,
}

impl Globs {
    /// Compiles the list `name`; nothing where it is absent.
    pub(super) fn compile(
        params: &Map<String, Value>,
        name: &str,
        style: Style,
    ) -> Result<Option<Self>, Problem> {
        let Some(written) = string_list(params, name)? else {
            return Ok(None);
        };
        if written.is_empty() {
            return Err(Problem::at(
                format!("/{name}"),
                "the list is empty and would let nothing pass; give a pattern or leave it out",
            ));
        }
        let patterns = written.iter().enumerate().map(|(index, pattern)| {
            let (wanted, glob) = match pattern.strip_prefix('!') {
                Some(excluded) => (false, excluded),
                None => (true, pattern.as_str()),
            };
            GlobBuilder::new(glob)
                .literal_separator(style != Style::WordAnyCase)
                .case_insensitive(style != Style::Path)
                .backslash_escape(true)
                .build()
                .map(|glob| (wanted, glob.compile_matcher()))
                .map_err(|error| {
                    Problem::at(
                        format!("/{name}/{index}"),
                        format!("no valid glob: {error}"),
                    )
                })
        });
        Ok(Some(Self {
            patterns: patterns.collect::<Result<_, _>>()?,
            written,
        }))
    }

    /// Whether the list takes `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.matches_any(&[text])
    }

    /// Whether the list takes something that goes by several names.
    pub(super) fn matches_any(&self, names: &[&str]) -> bool {
        let decided = self
            .patterns
            .iter()
            .rev()
            .find(|(_, pattern)| names.iter().any(|name| pattern.is_match(name)));
        match decided {
            Some((wanted, _)) => *wanted,
            None => self.patterns.first().is_some_and(|(wanted, _)| !wanted),
        }
    }

    /// The list as its author wrote it.
    pub(super) fn written(&self) -> &[String] {
        &self.written
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn globs(style: Style, patterns: &[&str]) -> Globs {
        let params = json!({ "list": patterns });
        let params = params.as_object().cloned().unwrap_or_default();
        Globs::compile(&params, "list", style).unwrap().unwrap()
    }

    #[test]
    fn a_star_stays_within_a_segment_of_a_path() {
        let branches = globs(Style::Path, &["release/*", "docs/**"]);
        assert!(branches.matches("release/1"));
        assert!(!branches.matches("release/1/x"));
        assert!(branches.matches("docs/a/b"));
        assert!(!branches.matches("Release/1"));
    }

    #[test]
    fn names_of_repositories_are_compared_in_any_case() {
        assert!(globs(Style::PathAnyCase, &["Acme/*"]).matches("acme/Rocket"));
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let list = globs(Style::Path, &["**", "!vendor/**", "vendor/ours/**"]);
        assert!(list.matches("src/a"));
        assert!(!list.matches("vendor/a"));
        assert!(list.matches("vendor/ours/a"));
    }

    #[test]
    fn a_list_of_exclusions_takes_the_rest() {
        let list = globs(Style::WordAnyCase, &["!dependabot*"]);
        assert!(list.matches("wile-e"));
        assert!(!list.matches("dependabot[bot]"));
    }

    #[test]
    fn an_empty_list_and_a_bad_pattern_are_mistakes() {
        let compile = |value: Value| {
            let params = value.as_object().cloned().unwrap_or_default();
            Globs::compile(&params, "list", Style::Path).map_err(|problem| problem.pointer)
        };
        assert_eq!(compile(json!({"list": []})).unwrap_err(), "/list");
        assert_eq!(
            compile(json!({"list": ["ok", "a[b"]})).unwrap_err(),
            "/list/1"
        );
        assert!(compile(json!({})).unwrap().is_none());
    }
}
