//! The door of a network that has but one: what goes to the outside over TLS
//! goes through a tunnel of an HTTP proxy.

use std::net::IpAddr;

use data_encoding::BASE64;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use ipnet::IpNet;

use super::guard::is_inside;

/// Names that mean something inside a cluster or a machine alone.
const INSIDE: [&str; 4] = ["svc", "cluster.local", "localhost", "internal"];

/// An HTTP proxy, and what is called without it.
#[derive(Clone)]
pub struct Proxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
    networks: Vec<IpNet>,
    names: Vec<String>,
}

impl Proxy {
    /// Reads the proxy's address, `http://[USER:PASSWORD@]HOST:PORT`, and the
    /// names (with all that end in them), addresses and networks that are
    /// called without it; or says what cannot be read. No password is in that.
    pub fn new(url: &str, except: &[String]) -> Result<Self, String> {
        let unusable = || "it is no address such as http://proxy.example:3128".to_owned();
        let rest = url.strip_prefix("http://").ok_or_else(unusable)?;
        let (user, authority) = match rest.trim_end_matches('/').rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, rest.trim_end_matches('/')),
        };
        let uri: Uri = format!("http://{authority}/")
            .parse()
            .map_err(|_| unusable())?;
        if uri.port().is_none() || uri.path() != "/" {
            return Err(unusable());
        }
        let authorization = user.map(|user| {
            let basic = format!("Basic {}", BASE64.encode(user.as_bytes()));
            HeaderValue::try_from(basic).map_err(|_| unusable())
        });
        let (mut networks, mut names) = (Vec::new(), Vec::new());
        for entry in except {
            let network = entry.parse::<IpNet>().ok();
            match network.or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from)) {
                Some(network) => networks.push(network),
                None => names.push(entry.trim_start_matches('.').to_ascii_lowercase()),
            }
        }
        Ok(Self {
            uri,
            authorization: authorization.transpose()?,
            networks,
            names,
        })
    }

    /// Whether a request goes through it: one over TLS, to the outside.
    pub(super) fn serves(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default();
        if uri.scheme_str() != Some("https") {
            return false;
        }
        if let Ok(address) = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
        {
            return !is_inside(address) && !self.networks.iter().any(|n| n.contains(&address));
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let ends_in = |name: &str| {
            let before = host.strip_suffix(name);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        host.contains('.')
            && !INSIDE.into_iter().any(ends_in)
            && !self.names.iter().any(|name| ends_in(name))
    }

    /// A connector through it.
    pub(super) fn tunnel<C>(&self, connector: C) -> Tunnel<C> {
        let tunnel = Tunnel::new(self.uri.clone(), connector);
        match &self.authorization {
            Some(authorization) => tunnel.with_auth(authorization.clone()),
            None => tunnel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_and_over_tls_goes_through_it() {
        let except = [".corp.example", "203.0.113.0/24", "Direct.example"].map(str::to_owned);
        let proxy = Proxy::new("http://proxy:3128", &except).unwrap();
        for (url, is_served) in [
            ("https://api.github.com/x", true),
            ("https://140.82.112.3/", true),
            ("https://notcorp.example", true),
            ("http://api.github.com/x", false),
            ("https://hook.ci.svc/", false),
            ("https://hook.ci.svc.cluster.local:8443/", false),
            ("https://hook", false),
            ("https://localhost/", false),
            ("https://127.0.0.1/", false),
            ("https://[::1]/", false),
            ("https://10.0.0.1/", false),
            ("https://203.0.113.7/", false),
            ("https://corp.example/", false),
            ("https://git.CORP.example./", false),
            ("https://direct.example:8443/", false),
        ] {
            assert_eq!(proxy.serves(&url.parse().unwrap()), is_served, "{url}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_told_without_its_password() {
        for url in [
            "proxy:3128",
            "https://proxy:3128",
            "http://proxy",
            "http://proxy:3128/path",
            "http://user:hush@",
            "socks5://proxy:1080",
        ] {
            let error = Proxy::new(url, &[]).map(drop).unwrap_err();
            assert!(!error.contains("hush"), "{error}");
        }
        assert!(Proxy::new("http://user:hush@proxy:3128/", &[]).is_ok());
    }
}
