//! HMACs over the raw body, written as hex.

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// A hash that a MAC is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1: only for senders of old, where their listener says so.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Hash {
    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// Reads the hex digits of a whole MAC; nothing where they are none.
pub(super) fn decode(hash: Hash, digits: &str) -> Option<Vec<u8>> {
    if digits.len() != 2 * hash.bytes() {
        return None;
    }
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()
}

/// The MAC of `parts`, one after the other, under `key`.
pub(super) fn mac(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    Some(match hash {
        Hash::Sha1 => fed::<Hmac<Sha1>>(key, parts)?
            .finalize()
            .into_bytes()
            .to_vec(),
        Hash::Sha256 => fed::<Hmac<Sha256>>(key, parts)?
            .finalize()
            .into_bytes()
            .to_vec(),
        Hash::Sha512 => fed::<Hmac<Sha512>>(key, parts)?
            .finalize()
            .into_bytes()
            .to_vec(),
    })
}

/// Whether `presented` is the MAC of `parts` under `key`, in constant time.
pub(super) fn matches(hash: Hash, key: &[u8], parts: &[&[u8]], presented: &[u8]) -> bool {
    let verified = match hash {
        Hash::Sha1 => fed::<Hmac<Sha1>>(key, parts).map(|mac| mac.verify_slice(presented)),
        Hash::Sha256 => fed::<Hmac<Sha256>>(key, parts).map(|mac| mac.verify_slice(presented)),
        Hash::Sha512 => fed::<Hmac<Sha512>>(key, parts).map(|mac| mac.verify_slice(presented)),
    };
    matches!(verified, Some(Ok(())))
}

/// HMAC takes a key of any length, so that this never fails.
fn fed<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<M> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of GitHub's own documentation, and of the same key and text
    /// with the older hash.
    const EXAMPLES: [(Hash, &str); 2] = [
        (
            Hash::Sha256,
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
        (Hash::Sha1, "01dc10d0c83e72ed246219cdd91669667fe2ca59"),
    ];

    #[test]
    fn the_documented_example_verifies_and_a_changed_byte_does_not() {
        let key = b"It's a Secret to Everybody";
        for (hash, digits) in EXAMPLES {
            let mac = decode(hash, digits).unwrap();
            assert!(matches(hash, key, &[b"Hello, ", b"World!"], &mac));
            assert!(!matches(hash, key, &[b"Hello, World?"], &mac));
            assert!(!matches(hash, b"another", &[b"Hello, World!"], &mac));
        }
    }

    #[test]
    fn digits_in_upper_case_are_read_and_others_are_not() {
        let (hash, digits) = EXAMPLES[0];
        assert!(decode(hash, &digits.to_uppercase()).is_some());
        assert!(decode(hash, &digits[1..]).is_none());
        assert!(decode(hash, &digits.replace('7', "x")).is_none());
        assert!(decode(hash, "").is_none());
        assert!(decode(Hash::Sha512, digits).is_none());
    }
}
