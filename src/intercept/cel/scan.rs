//! A look at source text that costs nothing and needs no stack.
//!
//! In: text that was not parsed yet, or will not be parsed again. Out: its
//! marks outside of literals and comments, and from them a bound of how deep
//! the parser would recurse.

/// Something outside of literals and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Open,
    Close,
    /// Ends an operand of everything around it: `,` `:` `?` `&&` `||`.
    Separator,
    /// An operator between two operands.
    Operator,
    Dot,
    /// A name, a number, a literal, or a sign before an operand.
    Other,
}

/// The marks of a source with their byte offsets.
pub(super) struct Marks<'s> {
    source: &'s [u8],
    at: usize,
    /// Whether the next sign stands before an operand.
    before_operand: bool,
}

impl<'s> Marks<'s> {
    pub(super) fn of(source: &'s str) -> Self {
        Self {
            source: source.as_bytes(),
            at: 0,
            before_operand: true,
        }
    }

    fn byte(&self, offset: usize) -> Option<u8> {
        self.source.get(self.at + offset).copied()
    }

    fn skip_blanks(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'/')) => {
                    while self.byte(0).is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                (Some(byte), _) if byte.is_ascii_whitespace() => self.at += 1,
                _ => return,
            }
        }
    }

    /// How many bytes the mark at the current place has, and what it is.
    fn read(&self, first: u8) -> (usize, Mark) {
        match first {
            b'(' | b'[' | b'{' => (1, Mark::Open),
            b')' | b']' | b'}' => (1, Mark::Close),
            b',' | b':' | b'?' => (1, Mark::Separator),
            b'&' | b'|' => (self.run(|byte| byte == first), Mark::Separator),
            b'.' => (1, Mark::Dot),
            b'!' | b'-' if self.before_operand => (1, Mark::Other),
            b'+' | b'-' | b'*' | b'/' | b'%' => (1, Mark::Operator),
            b'<' | b'>' | b'=' | b'!' => {
                let operator = |byte| matches!(byte, b'<' | b'>' | b'=' | b'!');
                (self.run(operator).min(2), Mark::Operator)
            }
            b'\'' | b'"' => (self.literal(0, first), Mark::Other),
            _ => self.read_word(),
        }
    }

    fn read_word(&self) -> (usize, Mark) {
        let length = self.run(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80);
        let word = &self.source[self.at..self.at + length];
        match self.byte(length) {
            Some(quote @ (b'\'' | b'"')) => {
                let raw = word.iter().any(|byte| byte.eq_ignore_ascii_case(&b'r'));
                let length = if raw {
                    self.raw_literal(length, quote)
                } else {
                    self.literal(length, quote)
                };
                (length, Mark::Other)
            }
            _ if word == b"in" => (2, Mark::Operator),
            _ => (length.max(1), Mark::Other),
        }
    }

    fn run(&self, belongs: impl Fn(u8) -> bool) -> usize {
        let rest = &self.source[self.at..];
        rest.iter().take_while(|byte| belongs(**byte)).count()
    }

    /// Length up to the end of a literal whose quote stands at `offset`.
    fn literal(&self, offset: usize, quote: u8) -> usize {
        self.literal_with(offset, quote, true)
    }

    fn raw_literal(&self, offset: usize, quote: u8) -> usize {
        self.literal_with(offset, quote, false)
    }

    fn literal_with(&self, offset: usize, quote: u8, escapes: bool) -> usize {
        let rest = &self.source[self.at..];
        let triple = rest.get(offset..offset + 3) == Some(&[quote; 3][..]);
        let closing = if triple { 3 } else { 1 };
        let mut at = offset + closing;
        while at < rest.len() {
            if escapes && rest[at] == b'\\' {
                at += 2;
            } else if rest.get(at..at + closing) == Some(&[quote; 3][..closing]) {
                return at + closing;
            } else {
                at += 1;
            }
        }
        rest.len()
    }
}

impl Iterator for Marks<'_> {
    type Item = (usize, Mark);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_blanks();
        let first = self.byte(0)?;
        let (length, mark) = self.read(first);
        let at = self.at;
        self.before_operand = match mark {
            Mark::Open | Mark::Separator | Mark::Operator => true,
            Mark::Other if matches!(first, b'!' | b'-') => true,
            _ => false,
        };
        self.at += length;
        Some((at, mark))
    }
}

/// What is known of the operands since the last separator of a level.
#[derive(Clone, Copy, Default)]
struct Segment {
    operators: usize,
    /// Selections, indexes and calls on the current operand.
    suffixes: usize,
    /// The most of them on one operand.
    most_suffixes: usize,
    /// The deepest group inside.
    deepest: usize,
    /// The deepest segment before this one, on the same level.
    before: usize,
}

impl Segment {
    fn depth(self) -> usize {
        let most = self.most_suffixes.max(self.suffixes);
        self.before.max(self.operators + most + self.deepest + 1)
    }
}

/// Bounds of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// At least as deep as its tree.
    pub(super) depth: usize,
    /// Most brackets inside one another, which cost the parser most.
    pub(super) nesting: usize,
}

/// Bounds how deep the parser would recurse on this source.
pub(super) fn bounds(source: &str) -> Bounds {
    let mut levels = Vec::new();
    let mut nesting = 0;
    let mut segment = Segment::default();
    for (_, mark) in Marks::of(source) {
        match mark {
            Mark::Open => {
                segment.suffixes += 1;
                levels.push(std::mem::take(&mut segment));
                nesting = nesting.max(levels.len());
            }
            Mark::Close => segment = close(&mut levels, segment),
            Mark::Separator => {
                segment = Segment {
                    before: segment.depth(),
                    ..Segment::default()
                };
            }
            Mark::Operator => {
                segment.operators += 1;
                segment.most_suffixes = segment.most_suffixes.max(segment.suffixes);
                segment.suffixes = 0;
            }
            Mark::Dot => segment.suffixes += 1,
            Mark::Other => {}
        }
    }
    while !levels.is_empty() {
        segment = close(&mut levels, segment);
    }
    Bounds {
        depth: segment.depth(),
        nesting,
    }
}

/// The level around a group, which now knows how deep the group is.
fn close(levels: &mut Vec<Segment>, inner: Segment) -> Segment {
    match levels.pop() {
        Some(outer) => Segment {
            deepest: outer.deepest.max(inner.depth()),
            ..outer
        },
        None => inner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_and_groups_add_up_and_separators_do_not() {
        for (source, expected) in [
            ("a", 1),
            ("a + b + c", 3),
            ("a.b.c", 3),
            ("a.b.c + d.e", 4),
            ("a && b && c", 1),
            ("f(a, b, c.d)", 4),
            ("((a + b))", 6),
            ("---a", 1),
            ("!!a == !b", 2),
            ("'a+b.c' + \"(\"", 2),
            ("r'\\' + '''a'b'''", 2),
            ("a // + + +\n + b", 2),
            ("a in b", 2),
            ("inside", 1),
            ("a - -b", 2),
        ] {
            assert_eq!(bounds(source).depth, expected, "{source}");
        }
    }

    #[test]
    fn unbalanced_text_is_measured_too() {
        assert_eq!(bounds(")))").depth, 1);
        assert!(bounds(&"(".repeat(9000)).depth > 9000);
        assert_eq!(bounds("a[(b)], {").nesting, 2);
        assert_eq!(bounds("'").depth, 1);
        assert_eq!(bounds("").depth, 1);
    }
}
