//! How a sender proves itself, as data.

use std::borrow::Cow;

use crate::model::event::RawEvent;
use crate::model::headers::Headers;
use crate::model::secret::SecretValue;
use crate::model::verdict::Reason;

use super::hmac;

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
    /// `prefix` and the hex HMAC-SHA256 of the raw body.
    HmacSha256 {
        /// Header that carries it.
        header: &'static str,
        /// Text before the hex digits.
        prefix: &'static str,
    },
    /// The secret itself.
    Token {
        /// Header that carries it.
        header: &'static str,
    },
}

impl Scheme {
    pub(super) fn claimed_by(&self, headers: &Headers) -> bool {
        let has = |name: &&str| !headers.values(name).is_empty();
        self.claims.iter().any(has) && !self.disclaims.iter().any(has)
    }

    /// What the request presents as its proof.
    pub(super) fn presented<'h>(&self, headers: &'h Headers) -> Result<Cow<'h, [u8]>, Reason> {
        match self.check {
            Check::HmacSha256 { header, prefix } => {
                let text = headers.get(header).unwrap_or_default();
                // A sender without a secret may send the header with nothing behind the prefix.
                if text.is_empty() || text == prefix {
                    return Err(Reason::SignatureMissing);
                }
                let digits = text.strip_prefix(prefix);
                digits
                    .and_then(hmac::decode_sha256)
                    .map(Cow::Owned)
                    .ok_or(Reason::SignatureMalformed)
            }
            Check::Token { header } => match headers.get(header) {
                None | Some("") => Err(Reason::TokenMissing),
                Some(token) => Ok(Cow::Borrowed(token.as_bytes())),
            },
        }
    }

    pub(super) fn proves(&self, presented: &[u8], key: &SecretValue, raw: &RawEvent) -> bool {
        match self.check {
            Check::HmacSha256 { .. } => hmac::sha256_matches(key.expose(), &raw.body, presented),
            Check::Token { .. } => key.is(presented),
        }
    }

    pub(super) fn mismatch(&self) -> Reason {
        match self.check {
            Check::HmacSha256 { .. } => Reason::SignatureMismatch,
            Check::Token { .. } => Reason::TokenMismatch,
        }
    }
}
