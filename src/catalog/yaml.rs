//! YAML files, one document after another, so that a mistake in one does not
//! hide the others; and where in its text a piece of a document stands.

use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

/// One document of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Document {
    /// Its text.
    pub text: DocumentText,
    /// The value, or what is wrong.
    pub value: Result<Value, SyntaxError>,
}

/// The text of one document, to find places in.
#[derive(Debug, PartialEq)]
pub(super) struct DocumentText {
    /// From the `---` on.
    text: String,
    /// Line of the file that the text begins on, from 1.
    first_line: usize,
    /// How many it has.
    lines: usize,
}

/// Text that is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Where, within the document's text.
    pub place: Place,
    /// What is wrong.
    pub message: String,
}

/// A place in a text, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl DocumentText {
    /// Where in the file the piece at a JSON pointer stands; the nearest piece
    /// around it where it is not there itself.
    pub(super) fn locate(&self, pointer: &str) -> Place {
        self.in_file(locate(&self.text, pointer))
    }

    /// Whether a place in the file is in the document.
    pub(super) fn holds(&self, place: Place) -> bool {
        (self.first_line..self.first_line + self.lines.max(1)).contains(&place.line)
    }

    /// A place in the document as a place in the file.
    pub(super) fn in_file(&self, place: Place) -> Place {
        Place {
            line: self.first_line + place.line - 1,
            column: place.column,
        }
    }
}

/// The documents of a file; those that hold nothing are left out.
pub(super) fn documents(text: &str) -> Vec<Document> {
    split(text)
        .into_iter()
        .filter_map(|(first_line, text)| {
            let value = match parse(text) {
                Ok(Value::Null) => return None,
                Ok(value) => Ok(value),
                Err(error) => Err(error),
            };
            let text = DocumentText {
                text: text.to_owned(),
                first_line,
                lines: text.lines().count(),
            };
            Some(Document { text, value })
        })
        .collect()
}

/// Stands at the end of a text while it is parsed, and nowhere else.
const END: &str = "\u{f8ff}the end of the text\u{f8ff}";

/// A block scalar that ends with the text has no line break at its end. The
/// parser gives it one, so that the end is marked.
fn parse(text: &str) -> Result<Value, SyntaxError> {
    if !text.ends_with('\n') && ends_in_block(text) {
        let mut marked = parse_whole(&format!("{text}{END}"));
        if let Ok(value) = &mut marked {
            take_end_off(value);
            return marked;
        }
    }
    parse_whole(text)
}

/// Whether the last scalar is a block.
fn ends_in_block(text: &str) -> bool {
    let events = Parser::new_from_str(text);
    let scalars = events.filter_map(|event| match event {
        Ok((Event::Scalar(_, style, ..), _)) => Some(style),
        _ => None,
    });
    let last = scalars.last();
    matches!(last, Some(ScalarStyle::Literal | ScalarStyle::Folded))
}

fn take_end_off(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(at) = text.find(END) {
                text.truncate(at);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(take_end_off),
        Value::Object(fields) => fields.values_mut().for_each(take_end_off),
        _ => {}
    }
}

fn parse_whole(text: &str) -> Result<Value, SyntaxError> {
    // As the API server's clients read YAML: `no` is false and 010 is eight.
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let parsed: Result<Option<Value>, _> = serde_saphyr::from_str_with_options(text, options);
    parsed.map(Option::unwrap_or_default).map_err(|error| {
        let place = error
            .location()
            .map_or(Place { line: 1, column: 1 }, |at| Place {
                line: usize::try_from(at.line()).unwrap_or(1).max(1),
                column: usize::try_from(at.column()).unwrap_or(1).max(1),
            });
        let message = error.to_string();
        let plain = message
            .rsplit_once(" at line ")
            .map_or(&*message, |(plain, _)| plain);
        SyntaxError {
            place,
            message: plain.to_owned(),
        }
    })
}

/// Cuts a file before each line that begins with the document marker. YAML
/// forbids such a line inside any scalar, so that no value is ever cut.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let marker = line.strip_prefix("---");
        if offset > start
            && marker.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            documents.push((start_line, &text[start..offset]));
            (start, start_line) = (offset, index + 1);
        }
        offset += line.len();
    }
    documents.push((start_line, &text[start..]));
    documents
}

/// Finds the piece at a JSON pointer by walking over the parser's events.
fn locate(text: &str, pointer: &str) -> Place {
    let wanted: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect();
    let mut walk = Walk {
        events: Parser::new_from_str(text),
        best: Place { line: 1, column: 1 },
    };
    while let Some((event, span)) = walk.next() {
        if !matches!(event, Shape::Other) {
            walk.node(&event, span, Some(&wanted), span);
            break;
        }
    }
    walk.best
}

struct Walk<'t, I: serde_saphyr::granit_parser::BorrowedInput<'t>> {
    events: Parser<'t, I>,
    best: Place,
}

enum Shape {
    Scalar(String),
    Sequence,
    Mapping,
    End,
    Other,
}

impl<'t, I: serde_saphyr::granit_parser::BorrowedInput<'t>> Walk<'t, I> {
    fn next(&mut self) -> Option<(Shape, Span)> {
        let (event, span) = self.events.next()?.ok()?;
        let shape = match event {
            Event::Scalar(text, ..) => Shape::Scalar(text.into_owned()),
            Event::Alias(_) => Shape::Scalar(String::new()),
            Event::SequenceStart(..) => Shape::Sequence,
            Event::MappingStart(..) => Shape::Mapping,
            Event::SequenceEnd | Event::MappingEnd => Shape::End,
            _ => Shape::Other,
        };
        Some((shape, span))
    }

    /// The next event that belongs to a node or ends one.
    fn next_node(&mut self) -> Option<(Shape, Span)> {
        loop {
            match self.next()? {
                (Shape::Other, _) => {}
                found => return Some(found),
            }
        }
    }

    /// Walks over a node that has begun. `wanted` is what remains of the
    /// pointer, or nothing where the node is beside the way. `at` is where a
    /// reader would look for the node: its key, or itself in a list.
    fn node(&mut self, shape: &Shape, span: Span, wanted: Option<&[String]>, at: Span) {
        if let Some(rest) = wanted {
            // A collection begins on its first entry; its key is the better place.
            let is_scalar = matches!(shape, Shape::Scalar(_));
            let marker = if rest.is_empty() && is_scalar {
                span.start
            } else {
                at.start
            };
            self.best = Place {
                line: marker.line(),
                column: marker.col() + 1,
            };
        }
        match shape {
            Shape::Mapping => self.mapping(wanted),
            Shape::Sequence => self.sequence(wanted),
            _ => {}
        }
    }

    /// Keys are found in any letter case, as they are read; one in the
    /// pointer's own case counts before others.
    fn mapping(&mut self, wanted: Option<&[String]>) {
        let mut is_found = false;
        while let Some((key, key_span)) = self.next_node() {
            if matches!(key, Shape::End) {
                return;
            }
            let inside = match (&key, wanted) {
                (Shape::Scalar(name), Some([first, rest @ ..])) if name == first => {
                    is_found = true;
                    Some(rest)
                }
                (Shape::Scalar(name), Some([first, rest @ ..]))
                    if !is_found && name.eq_ignore_ascii_case(first) =>
                {
                    Some(rest)
                }
                _ => None,
            };
            if !matches!(key, Shape::Scalar(_)) {
                self.node(&key, key_span, None, key_span);
            }
            let Some((value, span)) = self.next_node() else {
                return;
            };
            self.node(&value, span, inside, key_span);
        }
    }

    fn sequence(&mut self, wanted: Option<&[String]>) {
        let mut index = 0;
        while let Some((item, span)) = self.next_node() {
            if matches!(item, Shape::End) {
                return;
            }
            let inside = match wanted {
                Some([first, rest @ ..]) if first.parse() == Ok(index) => Some(rest),
                _ => None,
            };
            self.node(&item, span, inside, span);
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_block_that_ends_with_the_text_has_no_line_break() {
        for (text, expected) in [
            ("a: |\n  x", json!({"a": "x"})),
            ("a: |\n  x\n", json!({"a": "x\n"})),
            ("a: |+\n  x", json!({"a": "x"})),
            ("a: >\n  x\n  y", json!({"a": "x y"})),
            ("a: |\n  x\n# that was all", json!({"a": "x\n"})),
            ("- b\n- a: |-\n    x", json!(["b", {"a": "x"}])),
            ("a: |\n  x\nb: z", json!({"a": "x\n", "b": "z"})),
        ] {
            let read = documents(text);
            assert_eq!(read[0].value.as_ref().unwrap(), &expected, "{text:?}");
        }
    }

    #[test]
    fn a_broken_document_does_not_hide_its_neighbours() {
        let read = documents("a: 1\n---\nb: [\n---\n# nothing\n--- \nc: 3\n");
        let values: Vec<_> = read.iter().map(|d| d.value.as_ref().ok()).collect();
        assert_eq!(
            values,
            [Some(&json!({"a": 1})), None, Some(&json!({"c": 3}))]
        );
        assert_eq!(read[2].text.first_line, 6);
        let error = read[1].value.clone().unwrap_err();
        assert_eq!(
            read[1].text.in_file(error.place),
            Place { line: 3, column: 4 }
        );
    }

    #[test]
    fn a_marker_in_the_middle_of_a_line_or_a_longer_one_cuts_nothing() {
        assert_eq!(documents("a: x --- y\nb: |\n  ---\nc: 1\n").len(), 1);
        assert_eq!(documents("--- {a: 1}\n---\n{b: 2}").len(), 2);
    }

    #[test]
    fn scalars_are_read_as_the_api_s_own_clients_read_them() {
        let read = documents("[no, 'no', 010, 0x1F, 1e3, ~, 2024-01-01, 1.0]");
        assert_eq!(
            read[0].value,
            Ok(json!([false, "no", 8, 31, 1000.0, null, "2024-01-01", 1.0]))
        );
    }

    #[test]
    fn pieces_are_found_by_their_pointer() {
        let text = "kind: X\nspec:\n  triggers:\n  - name: a\n    list: [1, {x: 2}]\n  - name: b\n";
        let document = &documents(text)[0];
        for (pointer, line, column) in [
            ("", 1, 1),
            ("/kind", 1, 7),
            ("/spec/triggers/1/name", 6, 11),
            ("/spec/triggers/0/list/1/x", 5, 19),
            // What is not there is looked for around.
            ("/spec/triggers/1/template", 6, 5),
            ("/spec/triggers/7", 3, 3),
        ] {
            assert_eq!(
                document.text.locate(pointer),
                Place { line, column },
                "{pointer}"
            );
        }
    }

    #[test]
    fn keys_are_found_in_any_letter_case_and_the_exact_one_first() {
        let document = &documents("Spec:\n  Name: a\n  name: b\n  NAME: c\n")[0];
        let place = document.text.locate("/spec/name");
        assert_eq!(place, Place { line: 3, column: 9 });
        let place = document.text.locate("/spec/NAME");
        assert_eq!(place, Place { line: 4, column: 9 });
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "([a-c]: |- |---\n|\\{|\\}|\\[|\\]|,|\"|'|&a |\\*a|!!str |\\|\n|>-\n|#|\t|\n|  |é|[0-9]|~){0,60}") {
            for document in documents(&text) {
                for pointer in ["", "/a", "/a/0/b", "/c/~1/~0"] {
                    let place = document.text.locate(pointer);
                    prop_assert!(place.line >= document.text.first_line && place.column >= 1);
                }
            }
        }
    }
}
