//! Text values.
//!
//! Go's strings may hold any bytes, and two of upstream's functions make such
//! strings: `truncate` cuts through a character, `parseURL` decodes `%ff`.
//! They are kept as they are, and a JSON form is refused.

use std::borrow::Cow;
use std::sync::Arc;

/// A string.
#[derive(Clone, Debug)]
pub(crate) enum Text<'v> {
    Borrowed(&'v str),
    Shared(Arc<str>),
    /// Bytes that are not UTF-8.
    Broken(Arc<[u8]>),
}

impl<'v> Text<'v> {
    /// The text that these bytes are.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Shared(text.into()),
            Err(error) => Self::Broken(error.into_bytes().into()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(text) => text.as_bytes(),
            Self::Shared(text) => text.as_bytes(),
            Self::Broken(bytes) => bytes,
        }
    }

    /// The text, unless it is broken.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Borrowed(text) => Some(text),
            Self::Shared(text) => Some(text),
            Self::Broken(_) => None,
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    /// The text with a replacement character for each byte that belongs to
    /// none, which is how Go reads characters from such a string.
    pub(crate) fn lossy(&self) -> Cow<'_, str> {
        match self {
            Self::Borrowed(text) => Cow::Borrowed(text),
            Self::Shared(text) => Cow::Borrowed(text),
            Self::Broken(bytes) => {
                Cow::Owned(replace_broken(bytes, |_| char::REPLACEMENT_CHARACTER))
            }
        }
    }

    /// The text with a stand-in for each such byte, for functions that keep
    /// them: Go's work on bytes.
    pub(crate) fn stood_in(&self) -> Cow<'_, str> {
        match self {
            Self::Borrowed(text) => Cow::Borrowed(text),
            Self::Shared(text) => Cow::Borrowed(text),
            Self::Broken(bytes) => Cow::Owned(replace_broken(bytes, stand_in)),
        }
    }

    /// The text with bytes again where `stood_in` put stand-ins.
    pub(crate) fn of_stood_in(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len());
        for letter in text.chars() {
            match u8::try_from((letter as u32).wrapping_sub(FIRST_STAND_IN)) {
                Ok(byte) => bytes.push(byte),
                Err(_) => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Self::of_bytes(bytes)
    }

    /// Length in characters.
    pub(crate) fn characters(&self) -> usize {
        self.lossy().chars().count()
    }

    pub(crate) fn lend(&'v self) -> Self {
        match self {
            Self::Broken(bytes) => Self::Broken(bytes.clone()),
            Self::Borrowed(text) => Self::Borrowed(text),
            Self::Shared(text) => Self::Borrowed(text),
        }
    }
}

/// The last characters of Unicode, for private use.
const FIRST_STAND_IN: u32 = 0x10_ff00;

fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST_STAND_IN + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn replace_broken(bytes: &[u8], by: fn(u8) -> char) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|&byte| by(byte)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broken_byte_is_one_character() {
        let text = Text::of_bytes(vec![0xe6, 0x97, b'a', 0xff]);
        assert_eq!(text.lossy(), "\u{fffd}\u{fffd}a\u{fffd}");
        assert_eq!(text.characters(), 4);
        assert!(text.as_str().is_none());
        let kept = Text::of_stood_in(&text.stood_in());
        assert_eq!(kept.as_bytes(), text.as_bytes());
    }
}
