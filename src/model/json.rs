//! JSON as Go reads it, because the API has always been read with that.

use std::borrow::Cow;

use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

mod bounded;
mod complaint;

use bounded::Bound;
pub use complaint::complaint;

/// A value, and about how many bytes it takes up in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// The value.
    pub value: Value,
    /// Its bytes.
    pub bytes: usize,
}

/// Why a text could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON. The message names a place, and nothing of the text.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// It would take up more memory than it may.
    #[error("it takes up too much memory")]
    TooLarge,
}

/// Reads JSON as Go does: half of a surrogate pair and bytes that are not
/// UTF-8 become replacement characters instead of errors. The value takes up
/// `most_bytes` at most.
pub fn read(text: &[u8], most_bytes: usize) -> Result<Weighed, ReadError> {
    match read_strictly(text, most_bytes) {
        Err(ReadError::Syntax(_)) => {
            read_strictly(mend_surrogates(&lossy(text)).as_bytes(), most_bytes)
        }
        read => read,
    }
}

fn read_strictly(text: &[u8], most_bytes: usize) -> Result<Weighed, ReadError> {
    let bound = Bound::new(most_bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = bound.deserialize(&mut deserializer);
    let value = match read.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => value,
        Err(_) if bound.is_exceeded() => return Err(ReadError::TooLarge),
        Err(error) => return Err(error.into()),
    };
    Ok(Weighed {
        value,
        bytes: most_bytes - bound.left(),
    })
}

/// Text with a replacement character for every byte that is not UTF-8.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Whether nothing in an object is nested deeper than `depth`.
pub fn fits(object: &Map<String, Value>, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return object.is_empty();
    };
    object.values().all(|value| value_fits(value, depth))
}

fn value_fits(value: &Value, depth: usize) -> bool {
    match value {
        Value::Object(object) => fits(object, depth),
        Value::Array(items) => match depth.checked_sub(1) {
            Some(depth) => items.iter().all(|item| value_fits(item, depth)),
            None => items.is_empty(),
        },
        _ => true,
    }
}

/// Replaces `\ud800`-like escapes that have no counterpart.
fn mend_surrogates(text: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let length = match (surrogate(escape), escape.get(6..).and_then(surrogate)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(_), _) => {
                mended.push('\u{fffd}');
                rest = &escape[6..];
                continue;
            }
            // The character that is escaped must not be read as a backslash.
            (None, _) => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        let (kept, after) = escape.split_at(length);
        mended.push_str(kept);
        rest = after;
    }
    if mended.is_empty() {
        return Cow::Borrowed(text);
    }
    mended.push_str(rest);
    Cow::Owned(mended)
}

/// The code of an escape that is half of a surrogate pair.
fn surrogate(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    let code = u32::from_str_radix(digits, 16).ok()?;
    (0xd800..0xe000).contains(&code).then_some(code)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_as_leniently_as_in_go() {
        for (text, expected) in [
            (&br#"{"a":"\ud800"}"#[..], json!({"a": "\u{fffd}"})),
            (
                br#"{"a":"\ud800\ud83d\ude00\udc00x"}"#,
                json!({"a": "\u{fffd}😀\u{fffd}x"}),
            ),
            (br#"{"a":"\\ud800"}"#, json!({"a": "\\ud800"})),
            (b"{\"a\":\"\xff\xc3\xa9\"}", json!({"a": "\u{fffd}é"})),
            (br#"{"a":1,"a":2}"#, json!({"a": 2})),
        ] {
            assert_eq!(read(text, 4096).expect("valid for Go").value, expected);
        }
        for text in [
            &b"{"[..],
            b"{'a':1}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":1e999}",
            b"{} {}",
        ] {
            assert!(matches!(read(text, 4096), Err(ReadError::Syntax(_))));
        }
    }

    #[test]
    fn values_are_those_of_the_usual_parser() {
        let text = r#"{"a":[1,-2,3.5,1e300,18446744073709551615,true,null,"x\n\u00e9"],"b":{"c":{}},"":[[]]}"#;
        let usual: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read(text.as_bytes(), 1 << 20).unwrap().value, usual);
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(matches!(
            read(deep.as_bytes(), 1 << 20),
            Err(ReadError::Syntax(_))
        ));
    }

    #[test]
    fn what_takes_up_much_more_memory_than_its_text_is_not_read() {
        for text in [
            "[".to_owned() + &"{},".repeat(100_000) + "{}]",
            "[".to_owned() + &"[],".repeat(100_000) + "[]]",
            "[".to_owned() + &"{\"\":0},".repeat(50_000) + "0]",
            "[".to_owned() + &"\"\",".repeat(100_000) + "0]",
        ] {
            let read = read(text.as_bytes(), 4 * text.len());
            assert!(matches!(read, Err(ReadError::TooLarge)));
        }
    }
}
