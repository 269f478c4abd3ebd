//! Where requests may lead, looked at when names have become addresses: a name
//! that means one thing when it is checked must not mean another one when it is
//! called.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::dns::Name;
use ipnet::IpNet;
use tower::Service;

use super::OutboundError;

/// Where a request may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Anywhere: whoever runs this has typed the address.
    Anywhere,
    /// Anywhere but to addresses that hand out a machine's own credentials.
    Configured,
    /// To what somebody has put behind a name of his own inside: nowhere on this
    /// machine.
    Own,
    /// Nowhere inside, unless that is listed.
    Guarded,
}

/// Addresses at which clouds hand credentials to their machines.
///
/// Most are link-local, and all of those are left alone: nothing else that
/// anybody calls is there.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Addresses and names that tenants may reach although they are inside.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    networks: Vec<IpNet>,
    names: Vec<String>,
}

impl Guard {
    /// Reads networks (`10.0.0.0/8`), addresses and names; gives back what is
    /// none of these.
    pub fn new(allowed: &[String]) -> Result<Self, String> {
        let mut guard = Self::default();
        for entry in allowed {
            let network = entry.parse::<IpNet>().ok();
            let network = network.or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from));
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            match network {
                Some(network) => guard.networks.push(network),
                None if !entry.is_empty() && entry.bytes().all(is_name) => {
                    guard.names.push(entry.to_ascii_lowercase());
                }
                None => return Err(entry.clone()),
            }
        }
        Ok(guard)
    }

    /// Looks at a URL whose host may be an address already.
    pub(super) fn look_at(&self, uri: &Uri, reach: Reach) -> Result<(), OutboundError> {
        let Some(host) = uri.host() else {
            return Err(OutboundError::Forbidden(format!("`{uri}` names no host")));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(address) if !self.permits(address, reach) => {
                Err(OutboundError::Forbidden(denial(host, reach)))
            }
            _ => Ok(()),
        }
    }

    /// The addresses of a name that may be connected to.
    pub(super) async fn look_up(&self, name: &str, reach: Reach) -> io::Result<Vec<SocketAddr>> {
        let reach = match reach {
            Reach::Guarded | Reach::Own if self.knows(name) => Reach::Configured,
            other => other,
        };
        let found = tokio::net::lookup_host((name, 0)).await?;
        let found: Vec<SocketAddr> = found.collect();
        let known = !found.is_empty();
        let mut permitted = found;
        permitted.retain(|address| self.permits(address.ip(), reach));
        if permitted.is_empty() && known {
            let kind = io::ErrorKind::PermissionDenied;
            return Err(io::Error::new(kind, denial(name, reach)));
        }
        Ok(permitted)
    }

    fn knows(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    fn permits(&self, address: IpAddr, reach: Reach) -> bool {
        let address = plain(address);
        if reach == Reach::Anywhere {
            return true;
        }
        if is_metadata(address) {
            return false;
        }
        let is_listed = self
            .networks
            .iter()
            .any(|network| network.contains(&address));
        match reach {
            Reach::Anywhere | Reach::Configured => true,
            Reach::Own => is_listed || !is_this_machine(address),
            Reach::Guarded => is_listed || !is_inside(address),
        }
    }
}

fn denial(host: &str, reach: Reach) -> String {
    match reach {
        Reach::Guarded => format!(
            "`{host}` is an address inside, where triggers may not send anything; list it in outbound.allow if they may"
        ),
        Reach::Own => format!(
            "`{host}` is an address of this machine, where triggers may not send anything; list it in outbound.allow if they may"
        ),
        Reach::Configured | Reach::Anywhere => {
            format!("`{host}` may hand out the credentials of this machine and is never called")
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, where it does.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
        // NAT64, and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        _ => address,
    }
}

fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || METADATA_V6.contains(&v6),
    }
}

fn is_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// Whether an address is of this machine, of its network, or of nobody's.
pub(super) fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                // This network, carriers' networks, benchmarks, what is reserved.
                || first == 0
                || (first == 100 && (64..128).contains(&second))
                || (first == 198 && (18..20).contains(&second))
                || (first == 192 && v4.octets()[1..3] == [0, 0])
                || first >= 240
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                // Only this part of the space has been given to anybody.
                || v6.segments()[0] & 0xe000 != 0x2000
        }
    }
}

/// Resolves names to addresses that may be connected to.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    guard: Arc<Guard>,
    reach: Reach,
}

impl GuardedResolver {
    pub(super) fn new(guard: Arc<Guard>, reach: Reach) -> Self {
        Self { guard, reach }
    }
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { guard, reach } = self.clone();
        Box::pin(async move {
            let found = guard.look_up(name.as_str(), reach).await?;
            Ok(found.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(guard: &Guard, address: &str, reach: Reach) -> bool {
        guard.permits(address.parse().unwrap(), reach)
    }

    #[test]
    fn tenants_reach_nothing_inside() {
        let guard = Guard::default();
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "240.0.0.1",
            "::1",
            "::",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(!permits(&guard, inside, Reach::Guarded), "{inside}");
            assert!(permits(&guard, inside, Reach::Configured), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "140.82.112.3",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
        ] {
            assert!(permits(&guard, outside, Reach::Guarded), "{outside}");
        }
    }

    #[test]
    fn nobody_but_whoever_types_it_reaches_what_hands_out_credentials() {
        let guard = Guard::new(&["169.254.0.0/16".into(), "fd00::/8".into()]).unwrap();
        for metadata in [
            "169.254.169.254",
            "169.254.170.23",
            "::ffff:169.254.169.254",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
        ] {
            assert!(!permits(&guard, metadata, Reach::Guarded), "{metadata}");
            assert!(!permits(&guard, metadata, Reach::Own), "{metadata}");
            assert!(!permits(&guard, metadata, Reach::Configured), "{metadata}");
            assert!(permits(&guard, metadata, Reach::Anywhere), "{metadata}");
        }
    }

    #[test]
    fn a_name_of_one_s_own_leads_to_the_network_and_not_to_this_machine() {
        let guard = Guard::default();
        for (address, is_permitted) in [
            ("10.1.2.3", true),
            ("fd12::1", true),
            ("1.1.1.1", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(
                permits(&guard, address, Reach::Own),
                is_permitted,
                "{address}"
            );
        }
        let guard = Guard::new(&["127.0.0.0/8".into()]).unwrap();
        assert!(permits(&guard, "127.0.0.1", Reach::Own));
    }

    #[test]
    fn what_is_listed_is_reached() {
        let allowed = ["10.0.0.0/8", "192.168.1.7", "Hooks.internal"].map(str::to_owned);
        let guard = Guard::new(&allowed).unwrap();
        assert!(permits(&guard, "10.9.9.9", Reach::Guarded));
        assert!(permits(&guard, "192.168.1.7", Reach::Guarded));
        assert!(!permits(&guard, "192.168.1.8", Reach::Guarded));
        assert!(guard.knows("hooks.INTERNAL"));
        assert_eq!(Guard::new(&["a b".into()]).unwrap_err(), "a b");
    }

    #[test]
    fn a_host_that_is_an_address_is_looked_at_without_a_name() {
        let guard = Guard::default();
        for url in ["http://127.0.0.1/", "http://[::1]:80/x", "https://10.0.0.1"] {
            let uri = url.parse().unwrap();
            assert!(guard.look_at(&uri, Reach::Guarded).is_err(), "{url}");
            assert!(guard.look_at(&uri, Reach::Configured).is_ok(), "{url}");
        }
        let uri = "http://169.254.169.254/latest".parse().unwrap();
        assert!(guard.look_at(&uri, Reach::Configured).is_err());
    }
}
