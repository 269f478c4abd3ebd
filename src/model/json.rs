//! JSON as Go reads it, because the API has always been read with that.

use std::borrow::Cow;

use serde_json::Value;

/// Reads JSON as Go does: half of a surrogate pair and bytes that are not
/// UTF-8 become replacement characters instead of errors.
pub fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    let strict = serde_json::from_slice(text);
    if strict.is_ok() {
        return strict;
    }
    serde_json::from_str(&mend_surrogates(&lossy(text)))
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
            assert_eq!(read(text).expect("valid for Go"), expected);
        }
        for text in [
            &b"{"[..],
            b"{'a':1}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":1e999}",
            b"{} {}",
        ] {
            assert!(read(text).is_err());
        }
    }
}
