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
    /// Ends an operand of everything around it: `:` `&&` `||`.
    Separator,
    /// `,`: nothing before it is around what follows.
    Comma,
    /// `?`: what follows, up to the next comma, is one level deeper.
    Question,
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
    /// Whether something was met that is no token, or a literal that does not
    /// end. The parser skips some of it and may begin the next token elsewhere.
    doubtful: bool,
}

impl<'s> Marks<'s> {
    pub(super) fn of(source: &'s str) -> Self {
        Self {
            source: source.as_bytes(),
            at: 0,
            before_operand: true,
            doubtful: false,
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
    fn read(&mut self, first: u8) -> (usize, Mark) {
        match first {
            b'(' | b'[' | b'{' => (1, Mark::Open),
            b')' | b']' | b'}' => (1, Mark::Close),
            b',' => (1, Mark::Comma),
            b'?' => (1, Mark::Question),
            b':' => (1, Mark::Separator),
            b'&' | b'|' => {
                let length = self.run(|byte| byte == first);
                self.doubtful |= length % 2 == 1;
                (length, Mark::Separator)
            }
            b'.' => (1, Mark::Dot),
            b'!' | b'-' if self.before_operand => (1, Mark::Other),
            b'+' | b'-' | b'*' | b'/' | b'%' => (1, Mark::Operator),
            b'<' | b'>' | b'=' | b'!' => {
                self.doubtful |= first == b'=' && self.byte(1) != Some(b'=');
                let operator = |byte| matches!(byte, b'<' | b'>' | b'=' | b'!');
                (self.run(operator).min(2), Mark::Operator)
            }
            b'\'' | b'"' => (self.literal(0, first), Mark::Other),
            b'`' => (self.quoted_name(), Mark::Other),
            _ => self.read_word(),
        }
    }

    fn read_word(&mut self) -> (usize, Mark) {
        let length = self.run(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80);
        let word = &self.source[self.at..self.at + length];
        match self.byte(length) {
            Some(quote @ (b'\'' | b'"')) => {
                let prefix = word.to_ascii_lowercase();
                let raw = prefix.ends_with(b"r");
                // Behind any other word the parser begins a literal of its own.
                self.doubtful |= !matches!(&*prefix, b"r" | b"b" | b"br");
                let length = if raw {
                    self.raw_literal(length, quote)
                } else {
                    self.literal(length, quote)
                };
                (length, Mark::Other)
            }
            _ if word == b"in" => (2, Mark::Operator),
            _ => {
                self.doubtful |= word.is_empty() || !word.is_ascii();
                (length.max(1), Mark::Other)
            }
        }
    }

    /// A name in backticks, which may have what would begin a comment.
    fn quoted_name(&mut self) -> usize {
        let rest = &self.source[self.at + 1..];
        let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.-/ ".contains(byte);
        let length = rest.iter().take_while(belongs).count();
        if length > 0 && rest.get(length) == Some(&b'`') {
            length + 2
        } else {
            self.doubtful = true;
            1
        }
    }

    fn run(&self, belongs: impl Fn(u8) -> bool) -> usize {
        let rest = &self.source[self.at..];
        rest.iter().take_while(|byte| belongs(**byte)).count()
    }

    /// Length up to the end of a literal whose quote stands at `offset`.
    fn literal(&mut self, offset: usize, quote: u8) -> usize {
        self.literal_with(offset, quote, true)
    }

    fn raw_literal(&mut self, offset: usize, quote: u8) -> usize {
        self.literal_with(offset, quote, false)
    }

    fn literal_with(&mut self, offset: usize, quote: u8, escapes: bool) -> usize {
        let rest = &self.source[self.at..];
        let triple = rest.get(offset..offset + 3) == Some(&[quote; 3][..]);
        let closing = if triple { 3 } else { 1 };
        let mut at = offset + closing;
        while at < rest.len() {
            if escapes && rest[at] == b'\\' {
                match escape(&rest[at + 1..]) {
                    Some(length) => at += 1 + length,
                    None => {
                        self.doubtful = true;
                        at += 2;
                    }
                }
            } else if rest.get(at..at + closing) == Some(&[quote; 3][..closing]) {
                return at + closing;
            } else {
                self.doubtful |= !triple && matches!(rest[at], b'\n' | b'\r');
                at += 1;
            }
        }
        self.doubtful = true;
        rest.len()
    }
}

/// Length of what follows a backslash, where the grammar knows it.
fn escape(rest: &[u8]) -> Option<usize> {
    let digits = |count: usize, are: fn(&u8) -> bool| {
        let digits = rest.get(1..=count)?;
        digits.iter().all(are).then_some(1 + count)
    };
    match rest.first()? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' => Some(1),
        b'"' | b'\'' | b'`' | b'\\' | b'?' => Some(1),
        b'0'..=b'3' => digits(2, |digit| matches!(digit, b'0'..=b'7')),
        b'x' | b'X' => digits(2, u8::is_ascii_hexdigit),
        b'u' => digits(4, u8::is_ascii_hexdigit),
        b'U' => digits(8, u8::is_ascii_hexdigit),
        _ => None,
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
            Mark::Open | Mark::Separator | Mark::Comma | Mark::Question | Mark::Operator => true,
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
    /// Conditions that this segment belongs to the last branch of.
    conditions: usize,
}

impl Segment {
    fn depth(self) -> usize {
        let most = self.most_suffixes.max(self.suffixes);
        let own = self.operators + most + self.deepest + 1;
        self.before.max(self.conditions + own)
    }

    fn next(self, conditions: usize) -> Self {
        Self {
            before: self.depth(),
            conditions,
            ..Self::default()
        }
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
///
/// It is not known where a literal ends that is none. All that could be a mark
/// counts then, for brackets that seem to close may stand in a literal; the
/// source cannot be parsed anyway.
pub(super) fn bounds(source: &str) -> Bounds {
    let mut marks = Marks::of(source);
    let bounds = bounds_of(&mut marks);
    if !marks.doubtful {
        return bounds;
    }
    let count = |is: fn(&u8) -> bool| source.bytes().filter(is).count();
    Bounds {
        depth: count(|byte| !byte.is_ascii_alphanumeric() && !byte.is_ascii_whitespace()) + 1,
        nesting: count(|byte| matches!(byte, b'(' | b'[' | b'{')),
    }
}

fn bounds_of(marks: &mut Marks<'_>) -> Bounds {
    let mut levels = Vec::new();
    let mut nesting = 0;
    let mut segment = Segment::default();
    for (_, mark) in marks {
        match mark {
            Mark::Open => {
                segment.suffixes += 1;
                levels.push(std::mem::take(&mut segment));
                nesting = nesting.max(levels.len());
            }
            Mark::Close => segment = close(&mut levels, segment),
            Mark::Separator => segment = segment.next(segment.conditions),
            Mark::Question => segment = segment.next(segment.conditions + 1),
            Mark::Comma => segment = segment.next(0),
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
            ("a.`b//c`.d == e", 4),
            ("a ? b : c ? d : e", 3),
            ("f(a ? b : c, d)", 4),
        ] {
            assert_eq!(bounds(source).depth, expected, "{source}");
        }
    }

    #[test]
    fn unbalanced_text_is_measured_too() {
        assert_eq!(bounds(")))").depth, 1);
        assert!(bounds(&"(".repeat(9000)).depth > 9000);
        assert_eq!(bounds("a[(b)], {").nesting, 2);
        assert_eq!(bounds("'").depth, 2);
        assert_eq!(bounds("").depth, 1);
    }

    #[test]
    fn behind_a_literal_that_is_none_everything_counts() {
        for literal in [
            "'",
            "'\n",
            "'a\\(",
            "'\\z'",
            "b\"\\x4\"",
            "'\\400'",
            "r'\n'",
            "\"\"\"'''\"\"",
            "''a'",
            "ar'\\'x'",
            "`//",
            "=",
            "&",
            "|||",
            "#",
            "é",
        ] {
            let source = format!("{literal}{}", "(')'".repeat(50));
            assert!(bounds(&source).nesting >= 50, "{source}");
        }
        for literal in [
            "r'\\'",
            "'\\u00e9\\101\\\\'",
            "'''\n'''",
            "\"\"\"a\"b\"\"\"",
        ] {
            let expected = Bounds {
                depth: 1,
                nesting: 0,
            };
            assert_eq!(bounds(literal), expected, "{literal}");
        }
    }
}
