//! A Service is given back: one that Tripline has made goes, one that it has
//! taken over becomes what it was.

use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, DeleteParams, Preconditions};

use crate::model::ids::ListenerId;

use super::{Keeper, change, service_name};
use crate::catalog::services::change::Whose;
use crate::catalog::services::slices;

impl Keeper {
    /// Gives the Service of a listener back, where it is Tripline's. The slices
    /// go last, so that it leads somewhere all the time.
    pub(super) async fn give_back(&mut self, id: &ListenerId) -> kube::Result<()> {
        if let Some(service) = self.get(id).await? {
            match change::whose(&service, &id.name) {
                Whose::Made => self.delete(id, service).await?,
                Whose::Taken => drop(self.patch(id, change::restored(&service)).await?),
                Whose::Tektons | Whose::Foreign => {}
            }
        }
        self.withdraw(id).await
    }

    /// Leaves a Service to whoever keeps changing it, as he wants it.
    pub(super) async fn leave(&mut self, id: &ListenerId) -> kube::Result<()> {
        if let Some(service) = self.get(id).await? {
            match change::whose(&service, &id.name) {
                // Without an owner who claims it, nobody would call it his.
                Whose::Made | Whose::Tektons | Whose::Foreign => {}
                Whose::Taken => drop(self.patch(id, change::unmarked(&service)).await?),
            }
        }
        self.withdraw(id).await
    }

    async fn withdraw(&self, id: &ListenerId) -> kube::Result<()> {
        let name = service_name(&id.name);
        slices::publish(&self.client, &id.namespace, &name, &[]).await
    }

    async fn get(&self, id: &ListenerId) -> kube::Result<Option<Service>> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), &id.namespace);
        api.get_opt(&service_name(&id.name)).await
    }

    async fn delete(&self, id: &ListenerId, service: Service) -> kube::Result<()> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), &id.namespace);
        let params = DeleteParams {
            // Not one that has come in its place.
            preconditions: Some(Preconditions {
                uid: service.metadata.uid,
                ..Preconditions::default()
            }),
            ..DeleteParams::default()
        };
        match api.delete(&service_name(&id.name), &params).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop),
        }
    }
}
