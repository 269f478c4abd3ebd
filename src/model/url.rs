//! References as Go's `net/url` takes them apart, which keeps paths as they
//! are and decodes what it gives out.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::quote::quote;

/// What is wrong with a reference, as Go says it.
pub type Reason = String;

/// A reference in its parts, decoded.
#[derive(Debug, Default)]
pub struct Url {
    /// What comes before the colon, in lower case.
    pub scheme: String,
    /// Name and password.
    pub auth: Option<(Vec<u8>, Vec<u8>)>,
    /// Host, and port.
    pub host: Vec<u8>,
    /// Path.
    pub path: Vec<u8>,
    /// What comes after the question mark, as it is.
    pub raw_query: String,
    /// What comes after the hash.
    pub fragment: Vec<u8>,
}

impl Url {
    /// Takes a reference apart, or says what is wrong with it in Go's words.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        if rest.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".into());
        }
        let mut url = Self::default();
        url.take(rest)?;
        url.fragment = unescape(fragment, Part::Other)?;
        Ok(url)
    }

    /// All but the fragment.
    fn take(&mut self, rest: &str) -> Result<(), Reason> {
        let url = self;
        if rest == "*" {
            url.path = b"*".to_vec();
            return Ok(());
        }
        let rest = url.take_scheme(rest)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        query.clone_into(&mut url.raw_query);
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                // An opaque reference, `mailto:x`: nothing more to take apart.
                return Ok(());
            }
            let first_segment = rest.split('/').next().unwrap_or("");
            if first_segment.contains(':') {
                return Err("first path segment in URL cannot contain colon".into());
            }
        }
        let rest = match rest.strip_prefix("//") {
            // `///` is a path where there is no scheme.
            Some(after) if !url.scheme.is_empty() || !after.starts_with('/') => {
                let end = after.find('/').unwrap_or(after.len());
                let (authority, path) = after.split_at(end);
                url.take_authority(authority)?;
                path
            }
            _ => rest,
        };
        url.path = unescape(rest, Part::Other)?;
        Ok(())
    }

    /// The reference that `text` was, as Go prints it: the scheme in lower
    /// case, and what may not stand in a path or fragment escaped.
    pub fn printed(&self, text: &str) -> String {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = match self.scheme.is_empty() {
            true => (String::new(), text),
            false => {
                let (scheme, rest) = text.split_at(self.scheme.len() + 1);
                (scheme.to_ascii_lowercase(), rest)
            }
        };
        let end = rest.find('?').unwrap_or(rest.len());
        let (rest, query) = rest.split_at(end);
        let start = match rest.strip_prefix("//") {
            Some(after) if !scheme.is_empty() || !after.starts_with('/') => {
                2 + after.find('/').unwrap_or(after.len())
            }
            // What has a scheme and no slash is nobody's path.
            _ if !scheme.is_empty() && !rest.starts_with('/') => rest.len(),
            _ => 0,
        };
        let (authority, path) = rest.split_at(start);
        let path = printed(path, &self.path, b"$&+,/:;=@");
        let fragment = match fragment {
            "" => String::new(),
            _ => format!("#{}", printed(fragment, &self.fragment, b"$&+,/:;=?@!()*")),
        };
        format!("{scheme}{authority}{path}{query}{fragment}")
    }

    fn take_scheme<'t>(&mut self, text: &'t str) -> Result<&'t str, Reason> {
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' => {}
                b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
                b':' if at == 0 => return Err("missing protocol scheme".into()),
                b':' => {
                    self.scheme = text[..at].to_ascii_lowercase();
                    return Ok(&text[at + 1..]);
                }
                _ => break,
            }
        }
        Ok(text)
    }

    fn take_authority(&mut self, authority: &str) -> Result<(), Reason> {
        let host = match authority.rsplit_once('@') {
            None => authority,
            Some((user, host)) => {
                if !user.bytes().all(is_user_byte) {
                    return Err("net/url: invalid userinfo".into());
                }
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                self.auth = Some((
                    unescape(name, Part::Other)?,
                    unescape(password, Part::Other)?,
                ));
                host
            }
        };
        self.host = parse_host(&self.scheme, host)?;
        Ok(())
    }
}

/// A part as it was written, where Go takes that; else its bytes, escaped but
/// for letters, digits and those that `stand`.
fn printed(text: &str, decoded: &[u8], stand: &[u8]) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || stand.contains(&byte);
    let is_taken = |byte: u8| is_plain(byte) || b"!$&'()*+,;=:@[]%".contains(&byte);
    if text.bytes().all(is_taken) {
        return text.to_owned();
    }
    let mut printed = String::with_capacity(text.len());
    for &byte in decoded {
        match is_plain(byte) {
            true => printed.push(char::from(byte)),
            false => printed.push_str(&format!("%{byte:02X}")),
        }
    }
    printed
}

fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte)
}

fn parse_host(scheme: &str, host: &str) -> Result<Vec<u8>, Reason> {
    match host.rfind('[') {
        Some(0) => return parse_bracketed(&host[1..]),
        Some(_) => return Err("invalid IP-literal".into()),
        None => {}
    }
    // Of several colons, HTTP lets the first one begin the port.
    let colon = match scheme {
        "http" | "https" => host.find(':'),
        _ => host.rfind(':'),
    };
    if let Some(at) = colon {
        check_port(&host[at..])?;
    }
    unescape(host, Part::Host)
}

/// An IPv6 address after its opening bracket, perhaps with a zone and a port.
fn parse_bracketed(host: &str) -> Result<Vec<u8>, Reason> {
    let (literal, port) = host.rsplit_once(']').ok_or("missing ']' in host")?;
    check_port(port)?;
    let (address, zone) = match literal.split_once("%25") {
        Some((address, zone)) => (
            address,
            [b"%".to_vec(), unescape(zone, Part::Other)?].concat(),
        ),
        None => (literal, Vec::new()),
    };
    let address = unescape(address, Part::Host)?;
    let valid = std::str::from_utf8(&address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    if !valid {
        return Err("invalid host: not an IPv6 address".into());
    }
    Ok([b"[", address.as_slice(), &zone, b"]", port.as_bytes()].concat())
}

/// Nothing, or a colon and digits.
fn check_port(port: &str) -> Result<(), Reason> {
    let valid = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    if valid {
        Ok(())
    } else {
        Err(format!("invalid port {} after host", quote(port)))
    }
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Only bytes beyond ASCII and `%` may be escaped, and not every character
    /// may stand.
    Host,
    /// Anything may.
    Other,
}

impl Part {
    fn escapes(self, byte: u8) -> bool {
        self == Self::Other || byte == b'%' || !byte.is_ascii()
    }

    fn holds(self, byte: u8) -> bool {
        self == Self::Other
            || !byte.is_ascii()
            || byte.is_ascii_alphanumeric()
            || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
    }
}

/// Decodes `%41`.
fn unescape(text: &str, part: Part) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            if !part.holds(byte) {
                let shown = quote(&char::from(byte).to_string());
                return Err(format!("invalid character {shown} in host name"));
            }
            bytes.push(byte);
            rest = after;
            continue;
        }
        let (code, after) = match after {
            [high, low, after @ ..] => (hexadecimal(*high, *low), after),
            _ => (None, after),
        };
        let Some(code) = code.filter(|&code| part.escapes(code)) else {
            let escape = &rest[..rest.len().min(3)];
            let shown = quote(&String::from_utf8_lossy(escape));
            return Err(format!("invalid URL escape {shown}"));
        };
        bytes.push(code);
        rest = after;
    }
    Ok(bytes)
}

fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The values of each name. Pairs that do not decode, or hold a semicolon,
/// are left out, as Go leaves them out.
pub fn parse_query(query: &str) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut values: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let decode = |text: &str| unescape(&text.replace('+', " "), Part::Other).ok();
    for pair in query.split('&') {
        if pair.is_empty() || pair.contains(';') {
            continue;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (decode(name), decode(value)) {
            values.entry(name).or_default().push(value);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_apart_as_in_go() {
        for (text, scheme, host, path, query, fragment) in [
            ("http://h/a%20b?x=1#f%41", "http", "h", "/a b", "x=1", "fA"),
            ("/p/q?a=b", "", "", "/p/q", "a=b", ""),
            (
                "http://h/a/../b/./c//d",
                "http",
                "h",
                "/a/../b/./c//d",
                "",
                "",
            ),
            ("HTTP://H:99999/", "http", "H:99999", "/", "", ""),
            ("http://[::1]:80/x", "http", "[::1]:80", "/x", "", ""),
            (
                "http://[fe80::1%25en0]/",
                "http",
                "[fe80::1%en0]",
                "/",
                "",
                "",
            ),
            (
                "ssh://git@github.com:22/o/r.git",
                "ssh",
                "github.com:22",
                "/o/r.git",
                "",
                "",
            ),
            ("a:b:c?d", "a", "", "", "d", ""),
            ("a/b:c", "", "", "a/b:c", "", ""),
            ("http://h?a=1", "http", "h", "", "a=1", ""),
            ("http://h#f?x", "http", "h", "", "", "f?x"),
            ("///x", "", "", "///x", "", ""),
            ("//h/x", "", "h", "/x", "", ""),
            ("*", "", "", "*", "", ""),
            ("", "", "", "", "", ""),
            ("http://m%C3%BCnchen.de/", "http", "münchen.de", "/", "", ""),
        ] {
            let url = Url::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"));
            assert_eq!(url.scheme, scheme, "{text}");
            assert_eq!(String::from_utf8_lossy(&url.host), host, "{text}");
            assert_eq!(String::from_utf8_lossy(&url.path), path, "{text}");
            assert_eq!(url.raw_query, query, "{text}");
            assert_eq!(String::from_utf8_lossy(&url.fragment), fragment, "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "http://[::1",
            "http://[::1]x/",
            "http://[1.2.3.4]/",
            "http://a[::1]/",
            "http://h/%zz",
            "http://h%41/",
            "http://h:1:2/",
            "http://h:x/",
            "http://a b/",
            "http://u ser@h/",
            "http://h\n/",
            "1http://x",
            ":x",
            "http://h/#%z",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn references_are_printed_as_in_go() {
        for (text, expected) in [
            ("HTTP://H/a b?c d#e f", "http://H/a%20b?c d#e%20f"),
            ("/(a)", "/(a)"),
            ("/(a) b", "/%28a%29%20b"),
            ("a:b c", "a:b c"),
            ("http://h/%41#", "http://h/%41"),
            ("", ""),
        ] {
            let url = Url::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"));
            assert_eq!(url.printed(text), expected, "{text}");
        }
    }

    #[test]
    fn bad_pairs_of_a_query_are_left_out() {
        let query = parse_query("a=1&b=%zz&c=1;d=2&&a=3&e+f=%2F&g");
        let names: Vec<_> = query
            .keys()
            .map(|name| String::from_utf8_lossy(name))
            .collect();
        assert_eq!(names, ["a", "e f", "g"]);
        assert_eq!(query[&b"a".to_vec()], [b"1".to_vec(), b"3".to_vec()]);
        assert_eq!(query[&b"e f".to_vec()], [b"/".to_vec()]);
    }
}
