//! Certificates: read from files, and read again when those change.
//!
//! Only `http/1.1` is offered. Senders of webhooks keep no connection busy
//! enough to gain from HTTP/2, and its streams would be a second set of bounds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// What is spoken, as ALPN names it.
const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];

/// How often the files are looked at. They are small, and Kubernetes swaps
/// them in ways that not every watch sees.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A certificate with its key, from two files.
#[derive(Debug)]
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    /// Hash of what the one in force was read from.
    read: Digest,
    /// The same of what was read since and is no good, and whether that was
    /// told.
    bad: Option<(Digest, bool)>,
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
}

type Digest = [u8; 32];

/// The texts of the two files. It is never printed.
struct Pem {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

/// The certificate in force.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file has not what is needed of it.
    #[error("{} holds no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// Both can be read and are no pair, or of a kind that is not supported.
    #[error("{} and {} are no certificate with its key", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

/// What a look at the files has found.
#[derive(Debug)]
pub enum Look {
    /// Another certificate, which is in force now.
    Replaced,
    /// Something that cannot be used. The old one stays in force.
    Refused(TlsError),
}

impl Certificate {
    /// Reads a certificate and its key.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let read = Pem::read(cert, key)?;
        let current = read.parse(cert, key, &provider)?;
        Ok(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            read: read.digest(),
            bad: None,
            current: Arc::new(Current(ArcSwap::from_pointee(current))),
            provider,
        })
    }

    /// How connections are to be accepted, now and after a change.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let mut config = builder
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as _);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(Arc::new(config))
    }

    /// Follows the files until `stop`, and tells what it finds.
    pub async fn follow(mut self, stop: CancellationToken, tell: impl Fn(Look) + Send) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let (cert, key) = (self.cert.clone(), self.key.clone());
            // A folder over the network may take its time.
            let read = tokio::task::spawn_blocking(move || Pem::read(&cert, &key));
            if let Ok(read) = read.await
                && let Some(found) = self.look(read)
            {
                tell(found);
            }
        }
    }

    /// Takes in what the files hold now. A pair that is being written is bad
    /// for a moment, so that only one that stays bad is told, and only once.
    fn look(&mut self, read: Result<Pem, TlsError>) -> Option<Look> {
        let read = match read {
            Ok(read) => read,
            Err(error) => return self.refuse(Sha256::digest(error.to_string()).into(), error),
        };
        let digest = read.digest();
        if digest == self.read {
            self.bad = None;
            return None;
        }
        match read.parse(&self.cert, &self.key, &self.provider) {
            Ok(certified) => {
                self.current.0.store(Arc::new(certified));
                self.read = digest;
                self.bad = None;
                Some(Look::Replaced)
            }
            Err(error) => self.refuse(digest, error),
        }
    }

    fn refuse(&mut self, digest: Digest, error: TlsError) -> Option<Look> {
        let (is_seen, is_told) = match &self.bad {
            Some((bad, is_told)) => (*bad == digest, *is_told),
            None => (false, false),
        };
        self.bad = Some((digest, is_seen));
        (is_seen && !is_told).then_some(Look::Refused(error))
    }
}

impl Pem {
    fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            cert: read(cert)?,
            key: Zeroizing::new(read(key)?),
        })
    }

    fn digest(&self) -> Digest {
        let mut hasher = Sha256::new();
        hasher.update(self.cert.len().to_le_bytes());
        hasher.update(&self.cert);
        hasher.update(&*self.key);
        hasher.finalize().into()
    }

    fn parse(
        &self,
        cert: &Path,
        key: &Path,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let no = |path: &Path, what: &'static str| {
            let path = path.to_owned();
            move |source| TlsError::Pem { path, what, source }
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.cert).collect();
        let chain = match chain {
            Ok(chain) if chain.is_empty() => Err(pem::Error::NoItemsFound),
            other => other,
        };
        let chain = chain.map_err(no(cert, "certificate"))?;
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(no(key, "private key"))?;
        let certified = CertifiedKey::from_der(chain, private, provider);
        certified.map_err(|source| TlsError::Pair {
            cert: cert.to_owned(),
            key: key.to_owned(),
            source,
        })
    }
}
