//! The other side: what a sender puts into a request to prove itself. For
//! whoever sends recorded requests again.

use data_encoding::HEXLOWER;

use super::hmac;
use super::scheme::{Check, Scheme};

impl Scheme {
    /// The header that proves that whoever knows `secret` has sent `body`, or
    /// nothing where the secret cannot be put into one.
    pub fn sign(&self, secret: &[u8], body: &[u8]) -> Option<(&'static str, String)> {
        match self.check {
            Check::HmacSha256 { header, prefix } => {
                let mac = hmac::sha256(secret, body)?;
                Some((header, format!("{prefix}{}", HEXLOWER.encode(&mac))))
            }
            Check::Token { header } => {
                let token = String::from_utf8(secret.to_vec()).ok()?;
                Some((header, token))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::verify::registry;

    #[test]
    fn a_signature_is_the_documented_one() {
        let scheme = registry::scheme("github").unwrap();
        let signed = scheme.sign(b"It's a Secret to Everybody", b"Hello, World!");
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signed, Some(("X-Hub-Signature-256", expected.into())));
    }
}
