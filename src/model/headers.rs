//! Request headers as Tekton Triggers sees them: canonical names, values in
//! the order of arrival.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A header map. Names are in Go's canonical MIME form (`X-Github-Event`),
/// because expressions written for Tekton spell them so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, Vec<String>>);

impl Headers {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value under the canonical form of `name`.
    pub fn append(&mut self, name: &str, value: impl Into<String>) {
        let name = canonical(name).into_owned();
        self.0.entry(name).or_default().push(value.into());
    }

    /// Adds a value under `name` exactly as given, for callers that replay a
    /// header map that another program already canonicalised.
    pub fn append_exact(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.entry(name.into()).or_default().push(value.into());
    }

    /// The first value of `name`, in any spelling.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }

    /// All values of `name`, in any spelling; empty when there is none.
    pub fn values(&self, name: &str) -> &[String] {
        self.0
            .get(canonical(name).as_ref())
            .map_or(&[], Vec::as_slice)
    }

    /// The values stored under exactly this key, without canonicalising it.
    pub fn values_exact(&self, key: &str) -> Option<&[String]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// Drops every value of `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(canonical(name).as_ref());
    }

    /// Names and their values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .iter()
            .map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// How many different names there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is no header at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The form that Go's `textproto.CanonicalMIMEHeaderKey` gives: the first
/// letter and each letter after a hyphen in upper case, the rest in lower
/// case. A name with a byte that no header name may hold is returned as it is.
pub fn canonical(name: &str) -> Cow<'_, str> {
    let mut upper = true;
    let mut changes = false;
    for byte in name.bytes() {
        if !is_token(byte) {
            return Cow::Borrowed(name);
        }
        changes |= if upper {
            byte.is_ascii_lowercase()
        } else {
            byte.is_ascii_uppercase()
        };
        upper = byte == b'-';
    }
    if !changes {
        return Cow::Borrowed(name);
    }
    let mut upper = true;
    let spelled = name.chars().map(|letter| {
        let letter_out = if upper {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        };
        upper = letter == '-';
        letter_out
    });
    Cow::Owned(spelled.collect())
}

/// Whether RFC 9110 allows the byte in a field name.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_the_canonical_mime_form() {
        for (given, expected) in [
            ("x-github-event", "X-Github-Event"),
            ("X-GitHub-Event", "X-Github-Event"),
            ("CONTENT-TYPE", "Content-Type"),
            ("a--b", "A--B"),
            ("x_y-z", "X_y-Z"),
            ("", ""),
        ] {
            assert_eq!(canonical(given), expected);
        }
    }

    #[test]
    fn a_name_that_is_no_token_stays_as_it_is() {
        assert_eq!(canonical("x y"), "x y");
        assert_eq!(canonical("żółć"), "żółć");
    }

    #[test]
    fn values_keep_their_order_and_are_found_in_any_spelling() {
        let mut headers = Headers::new();
        headers.append("x-multi", "one");
        headers.append("X-MULTI", "two");
        assert_eq!(headers.values("X-Multi"), ["one", "two"]);
        assert_eq!(headers.get("x-MULTI"), Some("one"));
        assert_eq!(headers.len(), 1);
        headers.remove("X-multi");
        assert!(headers.is_empty());
    }

    #[test]
    fn an_exact_name_is_not_found_under_its_canonical_form() {
        let mut headers = Headers::new();
        headers.append_exact("x-lower", "v");
        assert_eq!(headers.get("x-lower"), None);
        assert_eq!(headers.values_exact("x-lower"), Some(&["v".to_owned()][..]));
    }
}
