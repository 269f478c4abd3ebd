//! base64.

use data_encoding::{BASE64, DecodeError, DecodeKind, Encoding};

use super::arguments::{bytes, string};
use crate::intercept::cel::error::{ErrorClass, Fault, fault};
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::Value;

pub(super) const TABLE: &[Row] = &[
    row("base64.decode", "(string) -> bytes", decode),
    row("base64.encode", "(bytes) -> string", encode),
];

fn encode<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let bytes = bytes(args, 0)?;
    context.meter.build(BASE64.encode_len(bytes.len()))?;
    Ok(Value::text(BASE64.encode(bytes)))
}

/// Decodes with padding, or else without. Like Go, skips line ends and does
/// not look at the bits that the last character leaves over.
fn decode<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let text = string(args, 0)?;
    context.meter.build(text.len())?;
    let compact: Vec<u8> = text
        .bytes()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    decode_with(true, &compact)
        .or_else(|_| decode_with(false, &compact))
        .map(Value::bytes)
        .map_err(|error| {
            let message = format!("illegal base64 data at input byte {}", error.position);
            fault(ErrorClass::Decode, message)
        })
}

fn decode_with(padded: bool, text: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let data = text
        .iter()
        .rposition(|byte| *byte != b'=')
        .map_or(0, |at| at + 1);
    // Padding ends the text; the crate would go on after it.
    match text[..data].iter().position(|byte| *byte == b'=') {
        Some(position) => Err(DecodeError {
            position,
            kind: DecodeKind::Padding,
        }),
        None => lenient(padded).decode(text),
    }
}

fn lenient(padded: bool) -> &'static Encoding {
    use std::sync::LazyLock;
    static PADDED: LazyLock<Encoding> = LazyLock::new(|| build(true));
    static PLAIN: LazyLock<Encoding> = LazyLock::new(|| build(false));
    if padded { &PADDED } else { &PLAIN }
}

fn build(padded: bool) -> Encoding {
    let mut specification = BASE64.specification();
    specification.check_trailing_bits = false;
    specification.padding = padded.then_some('=');
    // The specification of a standard encoding stays valid with these changes.
    specification.encoding().unwrap_or(BASE64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::intercept::cel::ErrorClass::Decode;
    use crate::intercept::cel::testing::{check_failures, check_true, check_values};

    #[test]
    fn base64_is_read_with_and_without_padding() {
        check_true(&[
            "base64.decode('aGVsbG8=') == b'hello'",
            "base64.decode('aGVsbG8') == b'hello'",
            "base64.decode('aGVs\\nbG8=') == b'hello'",
            "base64.decode('') == b''",
        ]);
        check_values(&[("base64.encode(b'hello')", json!("aGVsbG8="))]);
        check_failures(&[
            ("base64.decode('!!')", Decode),
            ("base64.decode('aGVs bG8=')", Decode),
            ("base64.decode('aGVsbG8==')", Decode),
            ("base64.decode('aGVsbG8=aGVsbG8=')", Decode),
        ]);
    }
}
