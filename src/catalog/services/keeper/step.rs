//! What is done for one claimed listener: its port first, so that all replicas
//! listen; then the slices, so that the Service leads somewhere all the time;
//! then its selector goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::Value;

use crate::model::ids::ListenerId;

use super::memory::Done;
use super::{
    Addresses, FORBIDDEN, Keeper, RESYNC, ServiceState, Sight, Wanted, change, service_name,
};
use crate::catalog::services::change::Whose;
use crate::catalog::services::slices;

/// How long all replicas have to open a port once it is recorded.
const OPENED_WITHIN: Duration = Duration::from_secs(1);

/// When is looked again for slices that controllers were about to write while
/// the selector went.
const SWEPT_AGAIN_AFTER: Duration = Duration::from_secs(10);

impl Keeper {
    /// Does what is to be done now. Gives how it stands, once that is known.
    pub(super) async fn step(
        &mut self,
        wanted: &Wanted,
        addresses: Option<&Addresses>,
    ) -> kube::Result<Option<ServiceState>> {
        let id = &wanted.id;
        let name = service_name(&id.name);
        let seen = match self.watches.look(&id.namespace, &name) {
            Sight::Unknown => return Ok(None),
            Sight::Failed(error) => return Ok(Some(self.unreadable(id, &error))),
            Sight::Seen(seen) => seen,
        };
        let now = Instant::now();
        let version = seen.as_deref().and_then(change::version);
        let memory = self.memories.entry(id.clone()).or_default();
        if memory.awaits(version, now) {
            self.again_in(Duration::from_millis(500));
            return Ok(None);
        }
        let whose = seen
            .as_deref()
            .map(|service| change::whose(service, &id.name));
        if whose == Some(Whose::Foreign) {
            let message = format!(
                "Service {}/{name} is somebody else's, and is left alone; rename or delete it for senders in the \
                 cluster to reach the listener by that name",
                id.namespace
            );
            return Ok(Some(self.apart(id, "NotOurs", message)));
        }
        let is_ours = matches!(whose, Some(Whose::Made | Whose::Taken));
        if wanted.shape.is_tls {
            if is_ours {
                self.give_back(id).await?;
            }
            let message = "its senders speak TLS to it (TLS_CERT, TLS_KEY), which Tripline does not: end TLS in an \
                           Ingress, take the variables away";
            return Ok(Some(self.apart(id, "TlsNotServed", message.into())));
        }
        let Some(port) = self.ports.as_ref().and_then(|ports| ports.of(id)) else {
            if is_ours {
                self.give_back(id).await?;
            }
            let range = self.setup.range;
            let message = format!(
                "all {} ports of kube.ports ({range}) are other listeners'; give it a wider range. The ordinary \
                 address works",
                range.len()
            );
            return Ok(Some(self.apart(id, "PortsExhausted", message)));
        };
        let Some(addresses) = addresses else {
            return Ok(None);
        };
        self.lead(wanted, seen, whose, port, addresses).await
    }

    /// Makes the Service lead to a port of the gateway.
    async fn lead(
        &mut self,
        wanted: &Wanted,
        seen: Option<Arc<Service>>,
        whose: Option<Whose>,
        port: u16,
        addresses: &Addresses,
    ) -> kube::Result<Option<ServiceState>> {
        let id = &wanted.id;
        let now = Instant::now();
        let memory = self.memories.entry(id.clone()).or_default();
        if let Some(left) = memory.truce(now) {
            self.again_in(left);
            return Ok(Some(self.contested(id)));
        }
        let service = match (seen, whose) {
            (Some(service), Some(Whose::Made | Whose::Taken)) => service,
            (Some(service), _) => {
                // Somebody takes the marks away.
                let is_again = memory.has_port.is_some();
                if is_again && let Some(state) = self.insist(id).await? {
                    return Ok(state);
                }
                let patch = change::marked(&service, port);
                Arc::new(self.patch(id, patch).await?)
            }
            (None, _) => Arc::new(self.create(wanted, port).await?),
        };
        let memory = self.memories.entry(id.clone()).or_default();
        // At a replica's start, those that stand there already are in use.
        let is_old = change::recorded_port(&service) == Some(port) && memory.has_port.is_none();
        let since = match memory.has_port {
            Some((known, since)) if known == port => since,
            _ if is_old && !change::has_selector(&service) => {
                now.checked_sub(OPENED_WITHIN).unwrap_or(now)
            }
            _ => now,
        };
        memory.has_port = Some((port, since));
        if now < since + OPENED_WITHIN {
            self.again_in(OPENED_WITHIN);
            return Ok(None);
        }
        let is_done = memory.done.as_ref().is_some_and(|done| {
            done.version == service.metadata.resource_version
                && done.port == port
                && done.addresses == *addresses
                && now < done.at + RESYNC
        });
        if !is_done {
            let slices = slices::wanted(&service, port, addresses);
            let name = service_name(&id.name);
            slices::publish(&self.client, &id.namespace, &name, &slices).await?;
        }
        let (service, was_taken) = match change::taken(&service, port) {
            None => (service, false),
            Some(patch) => {
                if let Some(state) = self.insist(id).await? {
                    return Ok(state);
                }
                (Arc::new(self.patch(id, patch).await?), true)
            }
        };
        self.sweep(id, !is_done || was_taken).await?;
        let memory = self.memories.entry(id.clone()).or_default();
        memory.done = Some(Done {
            version: service.metadata.resource_version.clone(),
            addresses: addresses.clone(),
            port,
            at: now,
        });
        Ok(Some(self.managed(id, &service)))
    }

    /// Nothing where the Service may be changed now. Where somebody changes it
    /// back each time, it is left to him.
    async fn insist(&mut self, id: &ListenerId) -> kube::Result<Option<Option<ServiceState>>> {
        let now = Instant::now();
        let memory = self.memories.entry(id.clone()).or_default();
        if let Some(wait) = memory.pause(now) {
            self.again_in(wait);
            return Ok(Some(None));
        }
        if memory.take(now) {
            return Ok(None);
        }
        memory.has_port = None;
        self.leave(id).await?;
        Ok(Some(Some(self.contested(id))))
    }

    /// Slices that were about to be written come after the selector has gone.
    async fn sweep(&mut self, id: &ListenerId, at_once: bool) -> kube::Result<()> {
        let now = Instant::now();
        let memory = self.memories.entry(id.clone()).or_default();
        let is_due = memory.sweep_at.is_some_and(|at| now >= at);
        if !at_once && !is_due {
            return Ok(());
        }
        memory.sweep_at = at_once.then(|| now + SWEPT_AGAIN_AFTER);
        if at_once {
            self.again_in(SWEPT_AGAIN_AFTER);
        }
        slices::sweep(&self.client, &id.namespace, &service_name(&id.name)).await
    }

    async fn create(&mut self, wanted: &Wanted, port: u16) -> kube::Result<Service> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), &wanted.id.namespace);
        let service = change::made(wanted, port);
        let made = api.create(&PostParams::default(), &service).await?;
        self.wrote(&wanted.id, &made);
        Ok(made)
    }

    pub(super) async fn patch(&mut self, id: &ListenerId, patch: Value) -> kube::Result<Service> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), &id.namespace);
        let (name, params) = (service_name(&id.name), PatchParams::default());
        let patched = api.patch(&name, &params, &Patch::Merge(patch)).await?;
        self.wrote(id, &patched);
        Ok(patched)
    }

    fn wrote(&mut self, id: &ListenerId, service: &Service) {
        let memory = self.memories.entry(id.clone()).or_default();
        memory.wrote(change::version(service), Instant::now());
    }

    fn managed(&self, id: &ListenerId, service: &Service) -> ServiceState {
        let name = service_name(&id.name);
        let port = change::service_port(service).unwrap_or_default();
        let domain = &self.setup.domain;
        ServiceState {
            url: Some(format!(
                "http://{name}.{}.svc.{domain}:{port}",
                id.namespace
            )),
            reason: "Managed",
            message: format!("Service {}/{name} leads to Tripline", id.namespace),
            name,
        }
    }

    /// Events still come at the ordinary address.
    fn apart(&self, id: &ListenerId, reason: &'static str, message: String) -> ServiceState {
        ServiceState {
            name: service_name(&id.name),
            url: None,
            reason,
            message,
        }
    }

    fn contested(&self, id: &ListenerId) -> ServiceState {
        let (namespace, name) = (&id.namespace, service_name(&id.name));
        let message = format!(
            "somebody sets Service {namespace}/{name} back each time, most likely Tekton's controller: it is \
             left to him for ten minutes. Stop him (scale the Deployment tekton-triggers-controller to 0), or give the \
             listener back"
        );
        self.apart(id, "Contested", message)
    }

    fn unreadable(&self, id: &ListenerId, error: &str) -> ServiceState {
        let message = format!(
            "Services of namespace {0} cannot be read ({error}); `kubectl apply -n {0} -k deploy/namespace` gives the \
             right",
            id.namespace
        );
        self.apart(id, FORBIDDEN, message)
    }

    /// How it stands where the API server would not do something.
    pub(super) fn failure(&self, id: &ListenerId, error: &kube::Error) -> ServiceState {
        let message = format!(
            "Service {}/{}: {error}",
            id.namespace,
            service_name(&id.name)
        );
        match error {
            kube::Error::Api(status) if status.code == 403 => self.apart(id, FORBIDDEN, message),
            _ => self.apart(id, "Failed", message),
        }
    }
}
