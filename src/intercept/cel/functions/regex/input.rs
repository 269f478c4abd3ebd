//! A pattern, read character by character.

use std::iter::Peekable;
use std::str::Chars;

/// The rest of a pattern.
#[derive(Clone)]
pub(super) struct Input<'p> {
    characters: Peekable<Chars<'p>>,
}

impl<'p> Input<'p> {
    pub(super) fn new(pattern: &'p str) -> Self {
        Self {
            characters: pattern.chars().peekable(),
        }
    }

    pub(super) fn next(&mut self) -> Option<char> {
        self.characters.next()
    }

    pub(super) fn peek(&mut self) -> Option<char> {
        self.characters.peek().copied()
    }

    /// Takes the next character if it is this one.
    pub(super) fn take(&mut self, expected: char) -> bool {
        self.characters.next_if_eq(&expected).is_some()
    }

    /// Takes all of `expected`, or nothing.
    pub(super) fn take_all(&mut self, expected: &str) -> bool {
        let mut ahead = self.clone();
        let found = expected.chars().all(|character| ahead.take(character));
        if found {
            *self = ahead;
        }
        found
    }

    /// Takes what comes before `end`, and `end`; nothing where it is absent.
    pub(super) fn take_until(&mut self, end: &str) -> Option<String> {
        let mut ahead = self.clone();
        let mut taken = String::new();
        while !ahead.take_all(end) {
            taken.push(ahead.next()?);
        }
        *self = ahead;
        Some(taken)
    }

    /// Takes what follows the brace of `{n}`, `{n,}` or `{n,m}`.
    pub(super) fn take_count(&mut self) -> Option<(u32, Option<u32>)> {
        let least = self.take_number()?;
        if self.take('}') {
            return Some((least, Some(least)));
        }
        if !self.take(',') {
            return None;
        }
        if self.take('}') {
            return Some((least, None));
        }
        let most = self.take_number()?;
        self.take('}').then_some((least, Some(most)))
    }

    /// A number without needless zeros, as Go reads it; a huge one is just huge.
    fn take_number(&mut self) -> Option<u32> {
        let mut digits = String::new();
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.next();
        }
        let valid = !digits.is_empty() && (digits.len() == 1 || !digits.starts_with('0'));
        valid.then(|| digits.parse().unwrap_or(u32::MAX))
    }
}
