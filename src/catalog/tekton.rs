//! Whether Tekton's own controller is at work.

use k8s_openapi::api::apps::v1::Deployment;
use kube::Client;
use kube::api::{Api, ListParams};

/// What its Deployment is called, wherever and by whomever it was installed.
/// Asked for by name, so that the right to list this name is enough.
pub const CONTROLLER: &str = "tekton-triggers-controller";

/// Controllers that run, as `namespace/name`. What they run for, they would
/// never let go of.
pub async fn controllers(client: Client) -> kube::Result<Vec<String>> {
    let api: Api<Deployment> = Api::all(client);
    let named = ListParams::default().fields(&format!("metadata.name={CONTROLLER}"));
    let all = api.list(&named).await?.items.into_iter();
    let running = all.filter(|deployment| {
        let status = deployment.status.as_ref();
        status.is_some_and(|status| status.ready_replicas.unwrap_or_default() > 0)
    });
    Ok(running
        .map(|deployment| {
            let namespace = deployment.metadata.namespace.unwrap_or_default();
            format!("{namespace}/{CONTROLLER}")
        })
        .collect())
}
