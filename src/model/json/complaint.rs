//! What Go's decoder says of a text that is no JSON object: senders have been
//! told that, and tools look for it.

/// Deepest nesting that Go reads.
const MOST_NESTING: usize = 10_000;

/// What is wrong with a text that is to be an object or `null`, in the words
/// of Go's `encoding/json`; nothing where it is one.
pub fn complaint(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, at: 0 };
    if let Err(message) = scanner.document() {
        return Some(message);
    }
    let kind = match text.trim_ascii_start().first() {
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'-' | b'0'..=b'9') => "number",
        _ => return None,
    };
    Some(format!(
        "json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
    ))
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
}

type Scanned = Result<(), String>;

/// What the scanner is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Object,
    List,
}

impl Scanner<'_> {
    fn document(&mut self) -> Scanned {
        let mut open = Vec::new();
        self.skip_space();
        loop {
            // A value begins here.
            let begun = self.begin(&mut open)?;
            if begun {
                continue;
            }
            // A value has ended here.
            loop {
                self.skip_space();
                let Some(inside) = open.last().copied() else {
                    return match self.peek() {
                        None => Ok(()),
                        Some(byte) => Err(invalid(byte, "after top-level value")),
                    };
                };
                match (inside, self.peek()) {
                    (_, None) => return Err(ended()),
                    (Inside::List, Some(b',')) => {
                        self.at += 1;
                        self.skip_space();
                        break;
                    }
                    (Inside::Object, Some(b',')) => {
                        self.at += 1;
                        self.skip_space();
                        self.key()?;
                        break;
                    }
                    (Inside::List, Some(b']')) | (Inside::Object, Some(b'}')) => {
                        self.at += 1;
                        open.pop();
                    }
                    (Inside::List, Some(byte)) => {
                        return Err(invalid(byte, "after array element"));
                    }
                    (Inside::Object, Some(byte)) => {
                        return Err(invalid(byte, "after object key:value pair"));
                    }
                }
            }
        }
    }

    /// Reads a value, or the beginning of one that has others in it: true
    /// where another value begins next.
    fn begin(&mut self, open: &mut Vec<Inside>) -> Result<bool, String> {
        match self.next()? {
            b'{' => {
                enter(open, Inside::Object)?;
                self.skip_space();
                if self.peek() == Some(b'}') {
                    self.at += 1;
                    open.pop();
                    return Ok(false);
                }
                self.key()?;
                Ok(true)
            }
            b'[' => {
                enter(open, Inside::List)?;
                self.skip_space();
                if self.peek() == Some(b']') {
                    self.at += 1;
                    open.pop();
                    return Ok(false);
                }
                Ok(true)
            }
            b'"' => self.string().map(|()| false),
            b't' => self.word("true").map(|()| false),
            b'f' => self.word("false").map(|()| false),
            b'n' => self.word("null").map(|()| false),
            b'-' => {
                match self.next()? {
                    b'0' => {}
                    b'1'..=b'9' => self.digits(),
                    byte => return Err(invalid(byte, "in numeric literal")),
                }
                self.fraction().map(|()| false)
            }
            b'0' => self.fraction().map(|()| false),
            b'1'..=b'9' => {
                self.digits();
                self.fraction().map(|()| false)
            }
            byte => Err(invalid(byte, "looking for beginning of value")),
        }
    }

    /// A key and its colon, up to the value.
    fn key(&mut self) -> Scanned {
        match self.next()? {
            b'"' => self.string()?,
            byte => return Err(invalid(byte, "looking for beginning of object key string")),
        }
        self.skip_space();
        match self.next()? {
            b':' => {
                self.skip_space();
                Ok(())
            }
            byte => Err(invalid(byte, "after object key")),
        }
    }

    fn string(&mut self) -> Scanned {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.next()?;
                            if !byte.is_ascii_hexdigit() {
                                let place = "in \\u hexadecimal character escape";
                                return Err(invalid(byte, place));
                            }
                        }
                    }
                    byte => return Err(invalid(byte, "in string escape code")),
                },
                byte if byte < 0x20 => return Err(invalid(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &str) -> Scanned {
        for expected in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                let expected = char::from(expected);
                let place = format!("in literal {word} (expecting '{expected}')");
                return Err(invalid(byte, &place));
            }
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// What may stand after the whole part of a number.
    fn fraction(&mut self) -> Scanned {
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digit(&mut self, place: &str) -> Scanned {
        match self.next()? {
            b'0'..=b'9' => {
                self.digits();
                Ok(())
            }
            byte => Err(invalid(byte, place)),
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or_else(ended)?;
        self.at += 1;
        Ok(byte)
    }
}

fn enter(open: &mut Vec<Inside>, inside: Inside) -> Scanned {
    if open.len() == MOST_NESTING {
        return Err("exceeded max depth".into());
    }
    open.push(inside);
    Ok(())
}

fn ended() -> String {
    "unexpected end of JSON input".into()
}

fn invalid(byte: u8, place: &str) -> String {
    format!("invalid character {} {place}", quoted(byte))
}

/// A byte as Go shows it: taken for the character of that number.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".into(),
        b'"' => "'\"'".into(),
        b'\\' => "'\\\\'".into(),
        0x07 => "'\\a'".into(),
        0x08 => "'\\b'".into(),
        0x0c => "'\\f'".into(),
        b'\n' => "'\\n'".into(),
        b'\r' => "'\\r'".into(),
        b'\t' => "'\\t'".into(),
        0x0b => "'\\v'".into(),
        0x00..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{:04x}'", u32::from(byte)),
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_null_are_no_matter_for_complaint() {
        for text in [
            "{}",
            " {\"a\": [1, -0.5e+3, true, null, \"x\\u00e9\\n\"], \"b\": {}} ",
            "null",
        ] {
            assert_eq!(complaint(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn complaints_are_go_s() {
        for (text, expected) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            (
                "not json",
                "invalid character 'o' in literal null (expecting 'u')",
            ),
            (
                "true",
                "json: cannot unmarshal bool into Go value of type map[string]interface {}",
            ),
            (
                "[1]",
                "json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
            (
                "-1",
                "json: cannot unmarshal number into Go value of type map[string]interface {}",
            ),
            (
                "<x/>",
                "invalid character '<' looking for beginning of value",
            ),
            (
                "\u{feff}{}",
                "invalid character 'ï' looking for beginning of value",
            ),
            (
                "{a:1}",
                "invalid character 'a' looking for beginning of object key string",
            ),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1 2}",
                "invalid character '2' after object key:value pair",
            ),
            (
                "{\"a\":1,}",
                "invalid character '}' looking for beginning of object key string",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("{}x", "invalid character 'x' after top-level value"),
            ("01", "invalid character '1' after top-level value"),
            ("{\"a\":-x}", "invalid character 'x' in numeric literal"),
            (
                "{\"a\":1.x}",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            (
                "{\"a\":1ex}",
                "invalid character 'x' in exponent of numeric literal",
            ),
            ("{\"a\n\":1}", "invalid character '\\n' in string literal"),
            ("{\"\\x\":1}", "invalid character 'x' in string escape code"),
            (
                "{\"\\u12g4\":1}",
                "invalid character 'g' in \\u hexadecimal character escape",
            ),
            (
                "'a'",
                "invalid character '\\'' looking for beginning of value",
            ),
        ] {
            assert_eq!(
                complaint(text.as_bytes()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = "[".repeat(20_000);
        let said = complaint(deep.as_bytes());
        assert_eq!(said.as_deref(), Some("exceeded max depth"));
    }
}
