//! `parseURL`: references as Go's `net/url` takes them apart, which keeps
//! paths as they are and decodes what it gives out.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::arguments::string;
use crate::intercept::cel::error::{ErrorClass, Fault, fault};
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::{Key, Map, Text, Value};

pub(super) const TABLE: &[Row] = &[row("parseURL", "string.() -> map(string, dyn)", parse)];

type Reason = &'static str;

const INVALID_ESCAPE: Reason = "invalid URL escape";

fn parse<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let text = string(args, 0)?;
    context.meter.step(text.len() as u64)?;
    // The parts and the two maps of the query repeat the text a few times.
    context.meter.build(text.len().saturating_mul(8))?;
    let url = Url::parse(&text).map_err(|reason| {
        let message = format!("failed to decode in parseURL: {reason}");
        fault(ErrorClass::Decode, message)
    })?;
    Ok(url.into_value())
}

/// A reference in its parts, decoded.
#[derive(Debug, Default)]
struct Url {
    scheme: String,
    auth: Option<(Vec<u8>, Vec<u8>)>,
    host: Vec<u8>,
    path: Vec<u8>,
    raw_query: String,
    fragment: Vec<u8>,
}

impl Url {
    fn parse(text: &str) -> Result<Self, Reason> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        if rest.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return Err("invalid control character in URL");
        }
        let mut url = Self {
            fragment: unescape(fragment, |_| true)?,
            ..Self::default()
        };
        if rest == "*" {
            url.path = b"*".to_vec();
            return Ok(url);
        }
        let rest = url.take_scheme(rest)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        query.clone_into(&mut url.raw_query);
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                // An opaque reference, `mailto:x`: nothing more to take apart.
                return Ok(url);
            }
            let first_segment = rest.split('/').next().unwrap_or("");
            if first_segment.contains(':') {
                return Err("first path segment in URL cannot contain colon");
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
        url.path = unescape(rest, |_| true)?;
        Ok(url)
    }

    fn take_scheme<'t>(&mut self, text: &'t str) -> Result<&'t str, Reason> {
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' => {}
                b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
                b':' if at == 0 => return Err("missing protocol scheme"),
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
                    return Err("net/url: invalid userinfo");
                }
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                self.auth = Some((unescape(name, |_| true)?, unescape(password, |_| true)?));
                host
            }
        };
        self.host = parse_host(&self.scheme, host)?;
        Ok(())
    }

    fn into_value<'v>(self) -> Value<'v> {
        let query = parse_query(&self.raw_query);
        let strings = query.iter().map(|(name, values)| {
            let values = values.iter().map(|value| bytes_value(value.clone()));
            (name.clone(), Value::list(values.collect()))
        });
        let joined = query
            .iter()
            .map(|(name, values)| (name.clone(), bytes_value(values.join(&b','))));
        let mut fields = vec![
            ("scheme", Value::text(self.scheme)),
            ("host", bytes_value(self.host)),
            ("path", bytes_value(self.path)),
            ("rawQuery", Value::text(self.raw_query.as_str())),
            ("fragment", bytes_value(self.fragment)),
            ("queryStrings", map_value(strings)),
            ("query", map_value(joined)),
        ];
        if let Some((name, password)) = self.auth {
            let auth = [
                (b"username".to_vec(), bytes_value(name)),
                (b"password".to_vec(), bytes_value(password)),
            ];
            fields.push(("auth", map_value(auth)));
        }
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value));
        map_value(fields)
    }
}

fn bytes_value<'v>(bytes: Vec<u8>) -> Value<'v> {
    Value::Text(Text::of_bytes(bytes))
}

fn map_value<'v>(entries: impl IntoIterator<Item = (Vec<u8>, Value<'v>)>) -> Value<'v> {
    let entries = entries
        .into_iter()
        .map(|(name, value)| (Key::Text(Text::of_bytes(name)), value));
    Value::Map(Map::of_entries(entries.collect()))
}

fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte)
}

fn parse_host(scheme: &str, host: &str) -> Result<Vec<u8>, Reason> {
    match host.rfind('[') {
        Some(0) => return parse_bracketed(&host[1..]),
        Some(_) => return Err("invalid IP-literal"),
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
    unescape_host(host)
}

/// An IPv6 address after its opening bracket, perhaps with a zone and a port.
fn parse_bracketed(host: &str) -> Result<Vec<u8>, Reason> {
    let (literal, port) = host.rsplit_once(']').ok_or("missing ']' in host")?;
    check_port(port)?;
    let (address, zone) = match literal.split_once("%25") {
        Some((address, zone)) => (address, [b"%".to_vec(), unescape(zone, |_| true)?].concat()),
        None => (literal, Vec::new()),
    };
    let address = unescape_host(address)?;
    let valid = std::str::from_utf8(&address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    if !valid {
        return Err("invalid host: not an IPv6 address");
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
        Err("invalid port after host")
    }
}

/// In a host only bytes beyond ASCII and `%` may be escaped, and not every
/// character may stand.
fn unescape_host(text: &str) -> Result<Vec<u8>, Reason> {
    let stands = |byte: u8| {
        !byte.is_ascii()
            || byte.is_ascii_alphanumeric()
            || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte)
    };
    if !text.bytes().all(stands) {
        return Err("invalid character in host name");
    }
    unescape(text, |byte| byte == b'%' || !byte.is_ascii())
}

/// Decodes `%41`. `allowed` says which bytes may be written so.
fn unescape(text: &str, allowed: fn(u8) -> bool) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (code, after) = match after {
            [high, low, after @ ..] => (hexadecimal(*high, *low), after),
            _ => (None, after),
        };
        let code = code.filter(|&code| allowed(code)).ok_or(INVALID_ESCAPE)?;
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
fn parse_query(query: &str) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let mut values: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let decode = |text: &str| unescape(&text.replace('+', " "), |_| true).ok();
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
    use serde_json::json;

    use super::*;
    use crate::intercept::cel::testing::{check_failures, check_values};

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
    fn the_parts_have_the_names_that_upstream_gives_them() {
        check_values(&[
            (
                "'https://u:p%40@h:1/a%20b?x=1&x=2#f'.parseURL()",
                json!({
                    "scheme": "https",
                    "host": "h:1",
                    "path": "/a b",
                    "rawQuery": "x=1&x=2",
                    "fragment": "f",
                    "queryStrings": {"x": ["1", "2"]},
                    "query": {"x": "1,2"},
                    "auth": {"username": "u", "password": "p@"},
                }),
            ),
            ("requestURL.parseURL().query.x", json!("1,2")),
            ("has('http://h'.parseURL().auth)", json!(false)),
            ("size('/%ff'.parseURL().path)", json!(2)),
        ]);
        check_failures(&[("'http://[::1'.parseURL()", ErrorClass::Decode)]);
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
