//! The connection to the API server.

use anyhow::Context;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::config::Config;

/// A client with the account of the pod, else with the kubeconfig's.
pub(super) async fn connect(config: &Config) -> anyhow::Result<Client> {
    let context = config.kube.context.clone();
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
    let found = found.with_context(|| format!("no API server is known: {advice}"))?;
    let address = found.cluster_url.to_string();
    Client::try_from(found).with_context(|| format!("connecting to {address}"))
}

async fn named(options: KubeConfigOptions) -> Result<kube::Config, kube::config::KubeconfigError> {
    kube::Config::from_custom_kubeconfig(Kubeconfig::read()?, &options).await
}
