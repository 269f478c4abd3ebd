//! Reads kubectl's JSONPath dialect.
//!
//! In: a path such as `.body.list[0]`, without braces. Out: its steps, or what
//! cannot be read. The dialect has no grammar but its own scanner
//! (k8s.io/client-go `util/jsonpath`), so this one scans alike, oddities
//! included: a backslash may swallow the end of the path, `['a.b']` is read
//! again as `.a.b`, and a bare word is only judged when a value reaches it.

mod bracket;
mod quote;

use super::error::PathError;
use super::path::{Literal, Path, Step};
use super::search::Search;

/// How deep brackets may stand inside one another. It takes quoting tricks to
/// get beyond four.
const DEPTH: usize = 32;

/// Reads a path.
pub(super) fn path(text: &str) -> Result<Path, PathError> {
    nested(text, DEPTH)
}

/// Reads a path that stands `DEPTH - depth` levels deep.
fn nested(text: &str, depth: usize) -> Result<Path, PathError> {
    let depth = depth.checked_sub(1);
    let mut scanner = Scanner {
        input: format!("{text}}}"),
        at: 0,
        steps: Path::new(),
        depth: depth.ok_or_else(|| PathError::syntax("filters stand too deep in filters"))?,
    };
    scanner.run()?;
    Ok(scanner.steps)
}

/// A reading position in a path and the steps read so far.
struct Scanner {
    /// The path, closed by the `}` that an odd backslash may swallow.
    input: String,
    at: usize,
    steps: Path,
    depth: usize,
}

impl Scanner {
    fn run(&mut self) -> Result<(), PathError> {
        while !self.rest().starts_with('}') {
            if self.rest().starts_with("[?(") {
                self.filter()?;
            } else if self.rest().starts_with("..") {
                self.descend()?;
            } else {
                self.step()?;
            }
        }
        Ok(())
    }

    /// Reads what the next character alone tells apart.
    fn step(&mut self) -> Result<(), PathError> {
        match self.peek() {
            None | Some('\r' | '\n') => return Err(PathError::syntax("unclosed action")),
            // `@` and `$` both mean the value at hand.
            Some(' ' | '@' | '$') => _ = self.next(),
            Some('[') => self.bracket()?,
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            Some('.') => {
                self.next();
                self.field();
            }
            Some('+' | '-') => self.number()?,
            Some(letter) if is_digit(letter) => self.number()?,
            Some(letter) if is_alphanumeric(letter) => self.word(),
            Some(letter) => {
                let message = format!("unrecognized character in action: {letter:?}");
                return Err(PathError::Syntax(message));
            }
        }
        Ok(())
    }

    fn descend(&mut self) -> Result<(), PathError> {
        if self.steps.last() == Some(&Step::Descend) {
            return Err(PathError::syntax("invalid multiple recursive descent"));
        }
        self.at += "..".len();
        self.steps.push(Step::Descend);
        if self.peek().is_some_and(is_alphanumeric) {
            self.field();
        }
        Ok(())
    }

    /// A name up to the next character that ends one and is not escaped.
    fn field(&mut self) {
        let start = self.at;
        while let Some(letter) = self.peek().filter(|&letter| !ends_name(letter)) {
            self.next();
            if letter == '\\' {
                self.next();
            }
        }
        let step = match self.since(start) {
            "*" => Step::Wildcard(Search::members()),
            name => Step::Field(name.replace('\\', "")),
        };
        self.steps.push(step);
    }

    fn word(&mut self) {
        let start = self.at;
        while self.peek().is_some_and(|letter| !ends_name(letter)) {
            self.next();
        }
        let step = match self.since(start) {
            "true" => Step::Literal(Literal::Bool(true)),
            "false" => Step::Literal(Literal::Bool(false)),
            word => Step::Word(word.to_owned()),
        };
        self.steps.push(step);
    }

    fn number(&mut self) -> Result<(), PathError> {
        let start = self.at;
        self.next();
        while self.peek().is_some_and(|c| c == '.' || is_digit(c)) {
            self.next();
        }
        let text = self.since(start);
        let literal = match (text.parse(), text.parse::<f64>()) {
            (Ok(whole), _) => Literal::Int(whole),
            (_, Ok(number)) if number.is_finite() => Literal::Float(number),
            _ => return Err(PathError::Syntax(format!("cannot parse number {text}"))),
        };
        self.steps.push(Step::Literal(literal));
        Ok(())
    }

    fn quoted(&mut self, quote: char) -> Result<(), PathError> {
        let start = self.at;
        self.next();
        loop {
            match self.next() {
                None | Some('\n') => return Err(PathError::syntax("unterminated quoted string")),
                Some(letter) if letter == quote && self.before_last() != b'\\' => break,
                Some(_) => {}
            }
        }
        let text = quote::unquote(self.since(start))
            .ok_or_else(|| PathError::Syntax(format!("cannot unquote {}", self.since(start))))?;
        self.steps.push(Step::Literal(Literal::Text(text)));
        Ok(())
    }

    fn rest(&self) -> &str {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn since(&self, start: usize) -> &str {
        self.input.get(start..self.at).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    /// The byte before the one read last, which must be one byte long.
    fn before_last(&self) -> u8 {
        let index = self.at.checked_sub(2);
        let byte = index.and_then(|index| self.input.as_bytes().get(index));
        byte.copied().unwrap_or_default()
    }
}

fn ends_name(letter: char) -> bool {
    " \t\r\n.,[]$@{}".contains(letter)
}

fn is_alphanumeric(letter: char) -> bool {
    letter == '_' || letter.is_alphabetic() || is_digit(letter)
}

/// Digits of any script: those that are not ASCII then fail as numbers.
fn is_digit(letter: char) -> bool {
    letter.is_numeric()
}
