//! Secret values and how stages ask for them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The bytes of one key of a Secret. Prints nothing of itself.
#[derive(Clone)]
pub struct SecretValue(Arc<Zeroizing<Vec<u8>>>);

impl SecretValue {
    /// Takes the bytes; they are wiped when the last copy is dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// Whether `presented` is this secret: the one place where secrets are
    /// compared. The time that it takes tells neither where they differ nor how
    /// long the secret is, because digests of both are compared.
    pub fn is(&self, presented: &[u8]) -> bool {
        let presented = Sha256::digest(presented);
        let expected = Sha256::digest(self.expose());
        presented.as_slice().ct_eq(expected.as_slice()).into()
    }

    /// The bytes, as the key of a MAC or to sign with; never for a log.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

/// Which key of which Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretKeyRef {
    /// Namespace of the Secret.
    pub namespace: String,
    /// `metadata.name` of the Secret.
    pub name: String,
    /// Key inside its data.
    pub key: String,
}

impl fmt::Display for SecretKeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}[{}]", self.namespace, self.name, self.key)
    }
}

/// What a look-up of a secret gives.
#[derive(Clone, Debug)]
pub enum SecretLookup {
    /// The value.
    Found(SecretValue),
    /// There is no such Secret.
    NoSecret,
    /// The Secret is there and does not have the key.
    NoKey,
    /// The store has not been read yet, so nobody can say.
    NotSynced,
}

/// A synchronous view of the secrets that are known now. Stages get it as an
/// argument; whoever implements it decides where secrets come from.
pub trait Secrets: Send + Sync {
    /// Looks up one key.
    fn find(&self, at: &SecretKeyRef) -> SecretLookup;
}

/// A store that holds nothing, for offline evaluation.
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn find(&self, _at: &SecretKeyRef) -> SecretLookup {
        SecretLookup::NoSecret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let value = SecretValue::new(b"hunter2".to_vec());
        assert!(!format!("{value:?}").contains("hunter2"));
        assert_eq!(value.expose(), b"hunter2");
    }

    #[test]
    fn only_an_equal_secret_is_the_secret() {
        let value = SecretValue::new(b"hunter2".to_vec());
        assert!(value.is(b"hunter2"));
        for wrong in ["hunter", "hunter22", "Hunter2", ""] {
            assert!(!value.is(wrong.as_bytes()));
        }
    }
}
