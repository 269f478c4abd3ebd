//! The other side: what a sender puts into a request to prove itself. For
//! whoever sends recorded requests again.

use data_encoding::HEXLOWER;

use super::hmac::{self, Hash};
use super::scheme::{Check, Scheme};

impl Scheme {
    /// The headers that prove that whoever knows `secret` has sent `body` at
    /// `now_ms` of Unix time, or nothing where the secret cannot be put into
    /// one.
    pub fn sign(
        &self,
        secret: &[u8],
        body: &[u8],
        now_ms: i64,
    ) -> Option<Vec<(&'static str, String)>> {
        match self.check {
            Check::Hmac { header, hashes } => {
                let (hash, prefix) = hashes.first()?;
                let mac = hmac::mac(*hash, secret, &[body])?;
                let signature = format!("{prefix}{}", HEXLOWER.encode(&mac));
                Some(vec![(header, signature)])
            }
            Check::TimedHmac {
                header,
                version,
                time,
                ..
            } => {
                let at = (now_ms / 1000).to_string();
                let parts = [version.as_bytes(), b":", at.as_bytes(), b":", body];
                let mac = hmac::mac(Hash::Sha256, secret, &parts)?;
                let signature = format!("{version}={}", HEXLOWER.encode(&mac));
                Some(vec![(header, signature), (time, at)])
            }
            Check::Token { header } => {
                let token = String::from_utf8(secret.to_vec()).ok()?;
                Some(vec![(header, token)])
            }
            Check::Presence { header } => Some(vec![(header, "v0=".to_owned())]),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::verify::registry;

    #[test]
    fn a_signature_is_the_documented_one() {
        let scheme = registry::scheme("github").unwrap();
        let signed = scheme.sign(b"It's a Secret to Everybody", b"Hello, World!", 0);
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signed, Some(vec![("X-Hub-Signature-256", expected.into())]));
    }
}
