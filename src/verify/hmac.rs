//! HMAC-SHA256 over the raw body, written as hex.

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const SHA256_HEX_DIGITS: usize = 64;

/// Reads the hex digits of a SHA-256 MAC; nothing where they are none.
pub(super) fn decode_sha256(digits: &str) -> Option<Vec<u8>> {
    if digits.len() != SHA256_HEX_DIGITS {
        return None;
    }
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()
}

/// The MAC of `body` under `key`.
pub(super) fn sha256(key: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(body);
    Some(mac.finalize().into_bytes().to_vec())
}

/// Whether `presented` is the MAC of `body` under `key`, in constant time.
pub(super) fn sha256_matches(key: &[u8], body: &[u8], presented: &[u8]) -> bool {
    // HMAC takes a key of any length, so that this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(presented).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's own documentation.
    const EXAMPLE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn the_documented_example_verifies_and_a_changed_byte_does_not() {
        let mac = decode_sha256(EXAMPLE).unwrap();
        let key = b"It's a Secret to Everybody";
        assert!(sha256_matches(key, b"Hello, World!", &mac));
        assert!(!sha256_matches(key, b"Hello, World?", &mac));
        assert!(!sha256_matches(b"another", b"Hello, World!", &mac));
    }

    #[test]
    fn digits_in_upper_case_are_read_and_others_are_not() {
        assert!(decode_sha256(&EXAMPLE.to_uppercase()).is_some());
        assert!(decode_sha256(&EXAMPLE[1..]).is_none());
        assert!(decode_sha256(&EXAMPLE.replace('7', "x")).is_none());
        assert!(decode_sha256("").is_none());
    }
}
