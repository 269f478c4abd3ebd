//! Where the gateway's pods are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointSlice};
use kube::Client;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::watch;

use crate::catalog::watch_cluster::after_failure;

use super::slices::of_service;

/// The pods, by the type of their addresses: `IPv4`, `IPv6`.
pub type Addresses = BTreeMap<String, Vec<Endpoint>>;

/// Where they are known from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The gateway's own Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// These, and always.
    Fixed(Vec<IpAddr>),
}

/// Follows the addresses for as long as somebody listens. They are nothing
/// until they are known.
pub(super) async fn follow(
    source: Source,
    client: Client,
    told: watch::Sender<Option<Addresses>>,
    failed: impl Fn(&watcher::Error),
) {
    let (namespace, name) = match source {
        Source::Fixed(addresses) => {
            told.send_replace(Some(fixed(&addresses)));
            return told.closed().await;
        }
        Source::Service { namespace, name } => (namespace, name),
    };
    let api: Api<EndpointSlice> = Api::namespaced(client, &namespace);
    let config = watcher::Config::default().labels(&of_service(&name));
    let (slices, writer) = reflector::store();
    let events = watcher(api, config)
        .backoff(after_failure())
        .reflect(writer);
    let mut events = std::pin::pin!(events);
    loop {
        let event = tokio::select! {
            () = told.closed() => return,
            event = events.next() => event,
        };
        let Some(event) = event else { return };
        match event {
            Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => {
                let now = gathered(&slices.state());
                told.send_if_modified(|known| {
                    let is_new = known.as_ref() != Some(&now);
                    *known = Some(now);
                    is_new
                });
            }
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(error) => failed(&error),
        }
    }
}

fn fixed(addresses: &[IpAddr]) -> Addresses {
    let mut known = Addresses::new();
    for address in addresses {
        let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        let endpoint = Endpoint {
            addresses: vec![address.to_string()],
            conditions: Some(EndpointConditions {
                ready: Some(true),
                serving: Some(true),
                terminating: Some(false),
            }),
            ..Endpoint::default()
        };
        known.entry(family.to_owned()).or_default().push(endpoint);
    }
    known
}

/// Also those that are not ready, and those that end: whether and for how long
/// they are still sent to is the business of whoever reads the slices.
fn gathered(slices: &[Arc<EndpointSlice>]) -> Addresses {
    let mut known = Addresses::new();
    for slice in slices {
        let of_family = known.entry(slice.address_type.clone()).or_default();
        let endpoints = slice.endpoints.iter().flatten();
        of_family.extend(endpoints.map(|endpoint| Endpoint {
            // Hints are about all endpoints of one Service.
            hints: None,
            hostname: None,
            ..endpoint.clone()
        }));
    }
    for endpoints in known.values_mut() {
        endpoints.sort_by(|one, other| one.addresses.cmp(&other.addresses));
        endpoints.dedup();
    }
    known.retain(|_, endpoints| !endpoints.is_empty());
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(family: &str, addresses: &[(&str, bool)]) -> Arc<EndpointSlice> {
        let endpoint = |&(address, ready): &(&str, bool)| Endpoint {
            addresses: vec![address.into()],
            conditions: Some(EndpointConditions {
                ready: Some(ready),
                serving: Some(true),
                terminating: Some(!ready),
            }),
            ..Endpoint::default()
        };
        Arc::new(EndpointSlice {
            address_type: family.into(),
            endpoints: Some(addresses.iter().map(endpoint).collect()),
            ..EndpointSlice::default()
        })
    }

    #[test]
    fn pods_are_gathered_with_their_conditions() {
        let slices = [
            slice("IPv4", &[("10.0.0.2", true)]),
            slice("IPv4", &[("10.0.0.1", false)]),
            slice("IPv6", &[]),
        ];
        let known = gathered(&slices);
        assert_eq!(known.len(), 1);
        let conditions: Vec<_> = known["IPv4"]
            .iter()
            .map(|endpoint| (endpoint.addresses[0].as_str(), endpoint.conditions.clone()))
            .collect();
        assert_eq!(conditions[0].0, "10.0.0.1");
        let ending = conditions[0].1.clone().unwrap();
        assert_eq!(
            (ending.ready, ending.serving, ending.terminating),
            (Some(false), Some(true), Some(true))
        );
    }

    #[test]
    fn fixed_addresses_have_their_family() {
        let known = fixed(&["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(known.keys().collect::<Vec<_>>(), ["IPv4", "IPv6"]);
    }
}
