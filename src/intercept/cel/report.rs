//! Problems of an expression, with their places, as cel-go prints them.
//!
//! In: offsets and messages from `parse`, `check` and `lower`. Out: one
//! `CompileError`.

use super::error::{CompileError, Stage};

/// Most problems that one error prints.
const MOST_PROBLEMS: usize = 100;

/// Longest line that is printed with a problem, in bytes. A long line with
/// many problems would make a message of megabytes.
const LONGEST_LINE: usize = 2048;

/// One thing that is wrong with the source.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
    pub(crate) message: String,
    /// A name that was perhaps meant.
    pub(crate) suggestion: Option<String>,
    /// How the function is called.
    pub(crate) usage: Option<String>,
}

impl Problem {
    /// A problem at a byte offset.
    pub(crate) fn at(source: &str, offset: u32, message: impl Into<String>) -> Self {
        let (line, column) = place(source, offset);
        Self {
            line,
            column,
            message: message.into(),
            suggestion: None,
            usage: None,
        }
    }
}

/// Line and column, both from 1, of a byte offset.
fn place(source: &str, offset: u32) -> (usize, usize) {
    let before = &source[..source.floor_char_boundary(offset as usize)];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

/// The error that reports `problems`.
pub(crate) fn compile_error(
    stage: Stage,
    source: &str,
    mut problems: Vec<Problem>,
) -> CompileError {
    problems.sort_by_key(|problem| (problem.line, problem.column));
    let printed: Vec<String> = problems
        .iter()
        .take(MOST_PROBLEMS)
        .map(|problem| display(source, problem))
        .collect();
    let first = problems.into_iter().next().unwrap_or(Problem {
        line: 1,
        column: 1,
        message: "invalid expression".to_owned(),
        suggestion: None,
        usage: None,
    });
    CompileError {
        stage,
        message: printed.join("\n"),
        summary: first.message,
        line: first.line,
        column: first.column,
        suggestion: first.suggestion,
    }
}

/// One problem, its line, and a mark under its column. Wide characters get
/// wide dots, so that the mark stays in place.
fn display(source: &str, problem: &Problem) -> String {
    let Problem {
        line,
        column,
        message,
        ..
    } = problem;
    let mut text = format!("ERROR: <input>:{line}:{column}: {message}");
    if let Some(name) = &problem.suggestion {
        text.push_str(&format!(", did you mean '{name}'?"));
    }
    if let Some(usage) = &problem.usage {
        text.push_str(&format!("; it is called as {usage}"));
    }
    let lines = source.split('\n').skip(line.saturating_sub(1));
    let Some(snippet) = lines.take(1).find(|line| line.len() <= LONGEST_LINE) else {
        return text;
    };
    text.push_str("\n | ");
    text.push_str(&snippet.replace('\t', " "));
    text.push_str("\n | ");
    let mut characters = snippet.chars();
    for character in characters.by_ref().take(column.saturating_sub(1)) {
        text.push(if character.is_ascii() {
            '.'
        } else {
            '\u{ff0e}'
        });
    }
    let wide = characters.next().is_some_and(|c| !c.is_ascii());
    text.push(if wide { '\u{ff3e}' } else { '^' });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_marked_under_its_column() {
        let source = "body.x &&\n  żó + hello";
        let error = compile_error(
            Stage::Check,
            source,
            vec![Problem::at(source, 19, "undeclared reference")],
        );
        assert_eq!((error.line, error.column), (2, 8));
        assert_eq!(
            error.message,
            "ERROR: <input>:2:8: undeclared reference\n |   żó + hello\n | ..\u{ff0e}\u{ff0e}...^"
        );
    }

    #[test]
    fn problems_come_in_the_order_of_the_text() {
        let source = "a + b";
        let error = compile_error(
            Stage::Check,
            source,
            vec![
                Problem::at(source, 4, "second"),
                Problem::at(source, 0, "first"),
            ],
        );
        assert_eq!(error.summary, "first");
        assert!(error.message.find("first") < error.message.find("second"));
    }
}
