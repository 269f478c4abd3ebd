//! EndpointSlices: what makes a Service lead to the gateway.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::{EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};

use super::addresses::Addresses;

/// The label that says of which Service a slice is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The label that says whose a slice is.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// Who Tripline is there.
const US: &str = "tripline.dev";

/// Controllers of Kubernetes that make slices of a Service's pods. What they
/// have made stays when the Service loses its selector.
const CONTROLLERS: [&str; 2] = [
    "endpointslice-controller.k8s.io",
    "endpointslicemirroring-controller.k8s.io",
];

/// Most addresses of one slice.
const ADDRESSES: usize = 100;

/// A selector for the slices of a Service.
pub(super) fn of_service(name: &str) -> String {
    format!("{SERVICE_NAME}={name}")
}

/// The slices that lead a Service to the gateway: to `port`, by the name that
/// the Service's own port has.
pub(super) fn wanted(service: &Service, port: u16, addresses: &Addresses) -> Vec<EndpointSlice> {
    let name = service.metadata.name.clone().unwrap_or_default();
    let labels = BTreeMap::from([
        (SERVICE_NAME.to_owned(), name.clone()),
        (MANAGED_BY.to_owned(), US.to_owned()),
    ]);
    let ports = vec![EndpointPort {
        name: Some(port_name(service)),
        port: Some(port.into()),
        protocol: Some("TCP".into()),
        ..EndpointPort::default()
    }];
    let mut slices = Vec::new();
    for (family, endpoints) in addresses {
        for (index, chunk) in endpoints.chunks(ADDRESSES).enumerate() {
            let metadata = ObjectMeta {
                name: Some(format!(
                    "{name}-tripline-{}-{index}",
                    family.to_ascii_lowercase()
                )),
                namespace: service.metadata.namespace.clone(),
                labels: Some(labels.clone()),
                owner_references: owner(service).map(|owner| vec![owner]),
                ..ObjectMeta::default()
            };
            slices.push(EndpointSlice {
                address_type: family.clone(),
                endpoints: Some(chunk.to_vec()),
                metadata,
                ports: Some(ports.clone()),
            });
        }
    }
    slices
}

/// So that the slices go with their Service.
fn owner(service: &Service) -> Option<OwnerReference> {
    Some(OwnerReference {
        api_version: "v1".into(),
        kind: "Service".into(),
        name: service.metadata.name.clone()?,
        uid: service.metadata.uid.clone()?,
        ..OwnerReference::default()
    })
}

/// The name of the port at which a Service takes events: the one that Tekton
/// names so, else the first that is not for metrics.
pub(super) fn port_name(service: &Service) -> String {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    let names = || {
        let names = ports.into_iter().flatten();
        names.map(|port| port.name.clone().unwrap_or_default())
    };
    let named = names().find(|name| name == "http-listener");
    let other = || names().find(|name| name != "http-metrics");
    named.or_else(other).unwrap_or_default()
}

/// Makes the slices of a Service be these, and takes away those of ours that
/// are too many.
pub(super) async fn publish(
    client: &Client,
    namespace: &str,
    service: &str,
    wanted: &[EndpointSlice],
) -> kube::Result<()> {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let ours = format!("{},{MANAGED_BY}={US}", of_service(service));
    let there = api.list(&ListParams::default().labels(&ours)).await?.items;
    let params = PostParams::default();
    for slice in wanted {
        let name = slice.metadata.name.as_deref().unwrap_or_default();
        let known = there
            .iter()
            .find(|known| known.metadata.name.as_deref() == Some(name));
        match known {
            Some(known) if known.endpoints == slice.endpoints && known.ports == slice.ports => {}
            Some(_) => drop(api.replace(name, &params, slice).await?),
            None => drop(api.create(&params, slice).await?),
        }
    }
    let name_of = |slice: &EndpointSlice| slice.metadata.name.clone().unwrap_or_default();
    for known in &there {
        let name = name_of(known);
        if !wanted.iter().any(|slice| name_of(slice) == name) {
            gone(api.delete(&name, &DeleteParams::default()).await)?;
        }
    }
    Ok(())
}

/// Takes away what still leads a Service without a selector to Tekton's pods:
/// slices of Kubernetes' controllers, and the Endpoints that one of them would
/// make such slices from again.
pub(super) async fn sweep(client: &Client, namespace: &str, service: &str) -> kube::Result<()> {
    let endpoints: Api<Endpoints> = Api::namespaced(client.clone(), namespace);
    gone(endpoints.delete(service, &DeleteParams::default()).await)?;
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let all = ListParams::default().labels(&of_service(service));
    for slice in api.list(&all).await?.items {
        let labels = slice.metadata.labels.unwrap_or_default();
        let manager = labels.get(MANAGED_BY).map(String::as_str);
        if manager.is_some_and(|manager| CONTROLLERS.contains(&manager)) {
            let name = slice.metadata.name.unwrap_or_default();
            gone(api.delete(&name, &DeleteParams::default()).await)?;
        }
    }
    Ok(())
}

/// What is not there need not be taken away.
fn gone<T>(deleted: kube::Result<T>) -> kube::Result<()> {
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
    use k8s_openapi::api::discovery::v1::Endpoint;

    use super::*;

    fn service(ports: &[&str]) -> Service {
        let port = |name: &&str| ServicePort {
            name: Some((*name).to_owned()),
            port: 1,
            ..ServicePort::default()
        };
        Service {
            metadata: ObjectMeta {
                name: Some("el-hook".into()),
                namespace: Some("ci".into()),
                uid: Some("u".into()),
                ..ObjectMeta::default()
            },
            spec: Some(ServiceSpec {
                ports: Some(ports.iter().map(port).collect()),
                ..ServiceSpec::default()
            }),
            ..Service::default()
        }
    }

    #[test]
    fn the_port_for_events_is_found() {
        assert_eq!(
            port_name(&service(&["http-metrics", "http-listener"])),
            "http-listener"
        );
        assert_eq!(port_name(&service(&["http-metrics", "web"])), "web");
        assert_eq!(port_name(&service(&[""])), "");
    }

    #[test]
    fn many_pods_make_several_slices_of_their_family() {
        let endpoint = |number: u32| Endpoint {
            addresses: vec![format!("10.0.0.{number}")],
            ..Endpoint::default()
        };
        let addresses = Addresses::from([("IPv4".to_owned(), (0..150).map(endpoint).collect())]);
        let slices = wanted(&service(&["http-listener"]), 20_001, &addresses);
        let names: Vec<_> = slices
            .iter()
            .filter_map(|one| one.metadata.name.as_deref())
            .collect();
        assert_eq!(
            names,
            ["el-hook-tripline-ipv4-0", "el-hook-tripline-ipv4-1"]
        );
        let port = &slices[0].ports.as_ref().unwrap()[0];
        assert_eq!(
            (port.name.as_deref(), port.port),
            (Some("http-listener"), Some(20_001))
        );
    }
}
