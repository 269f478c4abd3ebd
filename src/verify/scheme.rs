//! How a sender proves itself, as data.

use std::borrow::Cow;

use crate::model::event::RawEvent;
use crate::model::headers::Headers;
use crate::model::secret::SecretValue;
use crate::model::verdict::Reason;

use super::hmac::{self, Hash};

/// One sender's way of proving itself.
#[derive(Debug)]
pub struct Scheme {
    /// The sender.
    pub name: &'static str,
    /// A request with any of these headers claims to be from the sender.
    pub claims: &'static [&'static str],
    /// A request with any of these is somebody else's, whatever it claims.
    pub disclaims: &'static [&'static str],
    /// What proves it.
    pub check: Check,
}

/// What a request must carry.
#[derive(Debug)]
pub enum Check {
    /// The hex HMAC of the raw body, behind the name of its hash.
    Hmac {
        /// Header that carries it.
        header: &'static str,
        /// Hashes that may be used, each with the text before the digits; what
        /// signs uses the first.
        hashes: &'static [(Hash, &'static str)],
    },
    /// The hex HMAC-SHA256 of a version, a time and the raw body.
    TimedHmac {
        /// Header that carries it.
        header: &'static str,
        /// Text before the digits, and the version that is signed.
        version: &'static str,
        /// Header with the time, in seconds of Unix time.
        time: &'static str,
        /// How far the time may be from now, in seconds.
        tolerance: i64,
    },
    /// The secret itself.
    Token {
        /// Header that carries it.
        header: &'static str,
    },
    /// Nothing but a header: no proof at all, for listeners that ask for it.
    Presence {
        /// The header.
        header: &'static str,
    },
}

/// What a request presents as its proof.
#[derive(Debug)]
pub(super) struct Presented<'h> {
    hash: Hash,
    bytes: Cow<'h, [u8]>,
    /// The time that is signed with the body, as it was written.
    time: Option<&'h str>,
}

impl Scheme {
    pub(super) fn claimed_by(&self, headers: &Headers) -> bool {
        let has = |name: &&str| !headers.values(name).is_empty();
        self.claims.iter().any(has) && !self.disclaims.iter().any(has)
    }

    /// What the request presents as its proof at `now_ms` of Unix time.
    pub(super) fn presented<'h>(
        &self,
        headers: &'h Headers,
        now_ms: i64,
    ) -> Result<Presented<'h>, Reason> {
        match self.check {
            Check::Hmac { header, hashes } => {
                let text = signature(headers, header)?;
                // A sender without a secret may send the header with nothing behind the prefix.
                if hashes.iter().any(|(_, prefix)| text == *prefix) {
                    return Err(Reason::SignatureMissing);
                }
                let read = hashes.iter().find_map(|(hash, prefix)| {
                    let bytes = hmac::decode(*hash, text.strip_prefix(prefix)?)?;
                    Some(Presented::mac(*hash, bytes, None))
                });
                read.ok_or(Reason::SignatureMalformed)
            }
            Check::TimedHmac {
                header,
                version,
                time,
                tolerance,
            } => {
                let text = signature(headers, header)?;
                let digits = text
                    .strip_prefix(version)
                    .and_then(|rest| rest.strip_prefix('='));
                let bytes = digits.and_then(|digits| hmac::decode(Hash::Sha256, digits));
                let bytes = bytes.ok_or(Reason::SignatureMalformed)?;
                let written = headers.get(time).ok_or(Reason::SignatureMissing)?;
                let at: i64 = written.parse().map_err(|_| Reason::SignatureMalformed)?;
                if (now_ms / 1000).abs_diff(at) > tolerance.unsigned_abs() {
                    return Err(Reason::SignatureExpired);
                }
                Ok(Presented::mac(Hash::Sha256, bytes, Some(written)))
            }
            Check::Token { header } => match headers.get(header) {
                None | Some("") => Err(Reason::TokenMissing),
                Some(token) => Ok(Presented {
                    hash: Hash::Sha256,
                    bytes: Cow::Borrowed(token.as_bytes()),
                    time: None,
                }),
            },
            Check::Presence { header } => {
                let text = signature(headers, header)?;
                Ok(Presented::mac(Hash::Sha256, text.into(), None))
            }
        }
    }

    /// Whether nothing is compared, so that no secret is needed.
    pub(super) fn is_presence(&self) -> bool {
        matches!(self.check, Check::Presence { .. })
    }

    pub(super) fn proves(&self, shown: &Presented<'_>, key: &SecretValue, raw: &RawEvent) -> bool {
        let (key_bytes, bytes) = (key.expose(), &shown.bytes);
        match self.check {
            Check::Hmac { .. } => hmac::matches(shown.hash, key_bytes, &[&raw.body], bytes),
            Check::TimedHmac { version, .. } => {
                let time = shown.time.unwrap_or_default().as_bytes();
                let parts = [version.as_bytes(), b":", time, b":", &raw.body];
                hmac::matches(shown.hash, key_bytes, &parts, bytes)
            }
            Check::Token { .. } => key.is(bytes),
            Check::Presence { .. } => true,
        }
    }

    pub(super) fn mismatch(&self) -> Reason {
        match self.check {
            Check::Hmac { .. } | Check::TimedHmac { .. } | Check::Presence { .. } => {
                Reason::SignatureMismatch
            }
            Check::Token { .. } => Reason::TokenMismatch,
        }
    }
}

impl<'h> Presented<'h> {
    fn mac(hash: Hash, bytes: Vec<u8>, time: Option<&'h str>) -> Self {
        let bytes = Cow::Owned(bytes);
        Self { hash, bytes, time }
    }
}

fn signature<'h>(headers: &'h Headers, header: &str) -> Result<&'h str, Reason> {
    let text = headers.get(header).filter(|text| !text.is_empty());
    text.ok_or(Reason::SignatureMissing)
}
