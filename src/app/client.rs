//! The connection to the API server.

use std::time::Duration;

use anyhow::Context;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use crate::catalog::list_cluster;
use crate::config::Config;

/// The objects of a cluster that trigger something, for somebody who only
/// wants to read them.
pub async fn read_cluster(context: Option<String>) -> anyhow::Result<Vec<Value>> {
    let found = find(context).await?;
    let address = found.cluster_url.to_string();
    let client = Client::try_from(found).with_context(|| format!("connecting to {address}"))?;
    list_cluster::list(&client).await.with_context(|| {
        format!("reading the objects of triggers.tekton.dev at {address}; the account needs `list` on them in all namespaces")
    })
}

/// A client with the account of the pod, else with the kubeconfig's.
pub(super) async fn connect(config: &Config) -> anyhow::Result<Client> {
    let found = find(config.kube.context.clone()).await?;
    let given = &found.auth_info;
    anyhow::ensure!(
        given.impersonate.is_none()
            && given.impersonate_groups.is_none()
            && given.impersonate_uid.is_none(),
        "the kubeconfig impersonates somebody (`as`, `as-groups`): what triggers do would be done with those rights; take a context without"
    );
    let mut found = found;
    // Longer than watches last, so that only a connection that is dead ends.
    found.read_timeout = Some(Duration::from_secs(320));
    // What may be tried again is known here.
    found.default_retry = false;
    let address = found.cluster_url.to_string();
    Client::try_from(found).with_context(|| format!("connecting to {address}"))
}

async fn find(context: Option<String>) -> anyhow::Result<kube::Config> {
    let advice = "it is found in a pod, or through $KUBECONFIG or ~/.kube/config";
    let found = match context {
        None => kube::Config::infer().await.map_err(anyhow::Error::from),
        Some(context) => {
            let options = KubeConfigOptions {
                context: Some(context),
                ..KubeConfigOptions::default()
            };
            named(options).await.map_err(anyhow::Error::from)
        }
    };
    found.with_context(|| format!("no API server is known: {advice}"))
}

async fn named(options: KubeConfigOptions) -> Result<kube::Config, kube::config::KubeconfigError> {
    kube::Config::from_custom_kubeconfig(Kubeconfig::read()?, &options).await
}
