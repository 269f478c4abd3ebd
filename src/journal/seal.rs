//! Credentials of events that cannot be verified yet, unreadable on disk.
//!
//! The key is a file of its own, readable by its owner alone, so that a copy
//! of the database gives nothing away.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chacha20poly1305::aead::{Aead, Generate};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Seals and opens what is written of unverified events.
pub(super) struct Seal(XChaCha20Poly1305);

impl Seal {
    /// Reads the key from `path`, or draws one and writes it there.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        match Self::read(path)? {
            Some(seal) => Ok(seal),
            None => Self::with(&create_key(path)?, path),
        }
    }

    /// Reads the key from `path`, where there is one.
    pub(super) fn read(path: &Path) -> std::io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => Self::with(&Zeroizing::new(bytes), path).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn with(key: &[u8], path: &Path) -> std::io::Result<Self> {
        let key = <&Key>::try_from(key).map_err(|_| {
            let message = format!("{} does not hold {KEY_BYTES} bytes", path.display());
            std::io::Error::new(std::io::ErrorKind::InvalidData, message)
        })?;
        Ok(Self(XChaCha20Poly1305::new(key)))
    }

    /// Seals `plain`. Each call gives other bytes.
    pub(super) fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let nonce = XNonce::generate();
        let sealed = self.0.encrypt(&nonce, plain).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Seal::seal`] gave; nothing where it was sealed with
    /// another key or changed since.
    pub(super) fn unseal(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce = <&XNonce>::try_from(nonce).ok()?;
        self.0.decrypt(nonce, sealed).ok().map(Zeroizing::new)
    }
}

fn create_key(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let key = Zeroizing::new(Key::generate().to_vec());
    // Under its name it is whole: half a key would open nothing, ever.
    let temporary = path.with_extension(format!("{}.part", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(&key)?;
    file.sync_all()?;
    // Another process may have been faster: its key is the one.
    match fs::hard_link(&temporary, path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            fs::remove_file(&temporary)?;
            return fs::read(path).map(Zeroizing::new);
        }
        Err(error) => return Err(error),
    }
    fs::remove_file(&temporary)?;
    if let Some(folder) = path.parent().filter(|folder| folder.is_dir()) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_can_be_opened_with_the_same_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let seal = Seal::open(&path).unwrap();
        let sealed = seal.seal(b"Bearer canary").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        let again = Seal::open(&path).unwrap();
        assert_eq!(*again.unseal(&sealed).unwrap(), b"Bearer canary");
        let other = Seal::open(&folder.path().join("other.key")).unwrap();
        assert!(other.unseal(&sealed).is_none());
        let mut changed = sealed.clone();
        changed[30] ^= 1;
        assert!(seal.unseal(&changed).is_none());
        assert!(seal.unseal(b"short").is_none());
    }

    #[test]
    fn the_key_is_its_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        Seal::open(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        fs::write(&path, b"short").unwrap();
        assert!(Seal::open(&path).is_err());
    }
}
