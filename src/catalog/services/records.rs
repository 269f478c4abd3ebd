//! Which port is whose, written down in the gateway's own namespace: whoever
//! may edit Services of a namespace must not be able to take the port of
//! another one's listener.

use std::collections::BTreeMap;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt, watcher};

use crate::catalog::watch_cluster::after_failure;
use crate::model::ids::ListenerId;

use super::ports::Ports;

/// Name of the ConfigMap, in the client's own namespace. A key is a port, its
/// value the listener as `namespace/name`.
const NAME: &str = "tripline-ports";

/// Reads and writes it.
pub struct Records {
    api: Api<ConfigMap>,
    last: Option<ConfigMap>,
}

impl Records {
    /// Has read nothing yet.
    pub fn new(client: Client) -> Self {
        Self {
            api: Api::default_namespaced(client),
            last: None,
        }
    }

    /// Reads what is written.
    pub async fn load(&mut self) -> kube::Result<Ports> {
        self.last = self.api.get_opt(NAME).await?;
        Ok(self.last.as_ref().map(ports).unwrap_or_default())
    }

    /// Writes. Fails where somebody else has written in between.
    pub async fn store(&mut self, ports: &Ports) -> kube::Result<()> {
        let data: BTreeMap<String, String> = ports
            .iter()
            .map(|(port, id)| (port.to_string(), id.to_string()))
            .collect();
        let params = PostParams::default();
        let mut map = self.last.clone().unwrap_or_else(|| ConfigMap {
            metadata: ObjectMeta {
                name: Some(NAME.into()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        });
        map.data = Some(data);
        let written = match self.last {
            Some(_) => self.api.replace(NAME, &params, &map).await?,
            None => self.api.create(&params, &map).await?,
        };
        self.last = Some(written);
        Ok(())
    }
}

/// Tells of what is written, at once and whenever it changes; nothing where
/// there is no such ConfigMap.
pub fn watch(client: Client) -> impl Stream<Item = watcher::Result<Option<Ports>>> {
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let told = watcher::watch_object(api, NAME).backoff(after_failure());
    told.map(|told| told.map(|map| map.as_ref().map(ports)))
}

/// What is no port or no listener is passed over.
fn ports(map: &ConfigMap) -> Ports {
    let entries = map.data.iter().flatten();
    Ports::new(entries.filter_map(|(port, id)| {
        let (namespace, name) = id.split_once('/')?;
        let id = ListenerId {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Some((port.parse().ok()?, id))
    }))
}
