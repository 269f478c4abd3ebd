//! Comparison of secrets: the one place.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whether two secrets are equal, in a time that tells neither where they
/// differ nor how long the expected one is: digests of both are compared.
pub(super) fn equal(presented: &[u8], expected: &[u8]) -> bool {
    let presented = Sha256::digest(presented);
    let expected = Sha256::digest(expected);
    presented.as_slice().ct_eq(expected.as_slice()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_secrets_are_equal() {
        assert!(equal(b"hunter2", b"hunter2"));
        for wrong in ["hunter", "hunter22", "Hunter2", ""] {
            assert!(!equal(wrong.as_bytes(), b"hunter2"));
        }
    }
}
