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
    client_of(find(config.kube.context.clone()).await?)
}

fn client_of(mut found: kube::Config) -> anyhow::Result<Client> {
    let given = &found.auth_info;
    anyhow::ensure!(
        given.impersonate.is_none()
            && given.impersonate_groups.is_none()
            && given.impersonate_uid.is_none(),
        "the kubeconfig impersonates somebody (`as`, `as-groups`): what triggers do would be done with those rights; take a context without"
    );
    // Longer than watches last, so that only a connection that is dead ends.
    found.read_timeout = Some(Duration::from_secs(320));
    // Whoever asks tries again himself. kube would do so up to fifteen times
    // within one attempt, for hours, and nobody would know.
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_client_itself_tries_nothing_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                count.fetch_add(1, Ordering::SeqCst);
                let status = ["429 Too Many Requests", "503 Unavailable", "504 Timeout"][n % 3];
                let answer = format!(
                    "HTTP/1.1 {status}\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let client = client_of(kube::Config::new(url.parse().unwrap())).unwrap();
        for times in 1..=3 {
            let request = http::Request::get("/api").body(Vec::new()).unwrap();
            client.request::<Value>(request).await.unwrap_err();
            assert_eq!(asked.load(Ordering::SeqCst), times);
        }
    }
}
