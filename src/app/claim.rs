//! All listeners are claimed only where Tekton's controller is not at work: it
//! would set every Service back, and run every event once more.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kube::Client;

use crate::catalog::cluster::Claim;
use crate::catalog::tekton::{CONTROLLER, controllers};
use crate::config::Config;
use crate::telemetry::Metrics;
use crate::telemetry::happening::{ClusterFailed, Happening};

/// How long an API server may be away before the start ends.
const ASKED_WITHIN: Duration = Duration::from_secs(60);

/// How long after a failure it is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// Fails where listeners would be claimed that somebody else serves.
pub(super) async fn check(
    config: &Config,
    client: &Client,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    if config.kube.claim != Claim::All || config.kube.force_claim {
        return Ok(());
    }
    let running = ask(client, metrics).await.with_context(|| {
        format!(
            "kube.claim: all needs to know whether {CONTROLLER} runs: let the gateway's account list deployments of \
             that name (deploy/base does), or pass --force-claim"
        )
    })?;
    if running.is_empty() {
        return Ok(());
    }
    bail!(
        "kube.claim: all is refused while Tekton's controller runs: {0}; stop it (kubectl -n {1} scale deployment \
         {CONTROLLER} --replicas=0), claim listeners one by one (tripline.dev/managed: \"true\"), or pass --force-claim",
        running.join(", "),
        running[0].split('/').next().unwrap_or_default()
    )
}

/// An API server that is away for a moment says nothing.
async fn ask(client: &Client, metrics: &Metrics) -> kube::Result<Vec<String>> {
    let until = Instant::now() + ASKED_WITHIN;
    loop {
        let error = match controllers(client.clone()).await {
            Err(kube::Error::Api(status)) if status.code < 500 => {
                return Err(kube::Error::Api(status));
            }
            Err(error) if Instant::now() < until => error.to_string(),
            answered => return answered,
        };
        let what = "asking whether Tekton's controller runs";
        ClusterFailed {
            what,
            error: &error,
        }
        .emit(metrics);
        tokio::time::sleep(AGAIN).await;
    }
}
