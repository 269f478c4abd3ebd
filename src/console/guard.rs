//! Who may ask the admin port.
//!
//! On loopback everybody who is on this machine, but no web page that his
//! browser happens to show: a page of another host can make the browser send
//! requests here, and can even give this address a name of its own. Anywhere
//! else, whoever has the token.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};

use crate::model::secret::SecretValue;

/// Decides who may ask.
#[derive(Clone, Debug)]
pub struct Guard {
    token: Option<SecretValue>,
}

impl Guard {
    /// With a token, everybody needs it. Without one, only names of this very
    /// machine are answered.
    pub fn new(token: Option<SecretValue>) -> Self {
        Self { token }
    }

    /// Whether a request with these headers may pass, or the status to answer.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST).unwrap_or_default();
        if let Some(origin) = text(ORIGIN) {
            let of = origin.split_once("://").map_or(origin, |(_, host)| host);
            if of != host {
                return Err(StatusCode::FORBIDDEN);
            }
        }
        match &self.token {
            None if is_loopback(host) => Ok(()),
            None => Err(StatusCode::FORBIDDEN),
            Some(token) => {
                let bearer = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
                match bearer {
                    Some(bearer) if token.is(bearer.as_bytes()) => Ok(()),
                    _ => Err(StatusCode::UNAUTHORIZED),
                }
            }
        }
    }
}

/// Whether a `Host` names this machine alone.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || port.starts_with(':') => name,
            Some(_) | None => "",
        },
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: Option<&str>, headers: &[(&'static str, &str)]) -> Result<(), StatusCode> {
        let guard = Guard::new(token.map(|token| SecretValue::new(token.into())));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        guard.check(&map)
    }

    #[test]
    fn names_of_this_machine_are_answered_and_others_are_not() {
        for host in [
            "127.0.0.1:9000",
            "localhost:9000",
            "LOCALHOST",
            "[::1]:9000",
            "127.0.0.2",
        ] {
            assert_eq!(check(None, &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9000",
            "10.0.0.1:9000",
            "",
            "127.0.0.1.evil.example",
            "[::1]evil.example",
            "[::1].evil.example:9000",
        ] {
            let refused = Err(StatusCode::FORBIDDEN);
            assert_eq!(check(None, &[("host", host)]), refused, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let host = ("host", "localhost:9000");
        let own = check(None, &[host, ("origin", "http://localhost:9000")]);
        assert_eq!(own, Ok(()));
        for origin in ["http://evil.example", "null", "http://localhost:3000"] {
            let refused = Err(StatusCode::FORBIDDEN);
            assert_eq!(check(None, &[host, ("origin", origin)]), refused);
        }
    }

    #[test]
    fn where_there_is_a_token_it_is_needed() {
        let host = ("host", "tripline.example");
        let with = |value| check(Some("t0ken"), &[host, ("authorization", value)]);
        assert_eq!(with("Bearer t0ken"), Ok(()));
        for wrong in ["Bearer t0ke", "bearer t0ken", "t0ken", "Basic t0ken"] {
            assert_eq!(with(wrong), Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        let without = check(Some("t0ken"), &[("host", "localhost")]);
        assert_eq!(without, Err(StatusCode::UNAUTHORIZED));
    }
}
