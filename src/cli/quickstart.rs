//! `tripline quickstart`: the gateway with the shipped example, and three
//! webhooks to itself.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::act::stdout::document;
use crate::app::{App, Triggers};
use crate::catalog::{Entry, Loader, Snapshot};
use crate::config::{Config, LogConfig, Sink};
use crate::ingress::{Target, target};
use crate::journal::DeliveryView;
use crate::model::event::RawEvent;
use crate::model::ids::EventId;
use crate::model::secret::{SecretLookup, SecretValue, Secrets as _};
use crate::model::verdict::{DeliveryState, Reason};
use crate::outbound::{Client, Guard};
use crate::secrets::{SecretSet, SecretStore};
use crate::verify::registry;
use crate::{shipped, telemetry};

use super::gateway::{GatewayArgs, Signals, block_on, until_stopped};
use super::{USAGE, fail, print, recorded, say, send};

/// Flags of `quickstart`.
#[derive(clap::Args)]
pub(super) struct QuickstartArgs {
    /// End after the three webhooks
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// One of the webhooks, where somebody has the repository.
const A_REQUEST: &str = "deploy/quickstart/requests/github-push.http";

/// How long a webhook's objects may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often is looked for them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs the gateway and sends it the shipped webhooks. With `--once`, its
/// status is 0 where all of them became objects.
pub(super) fn quickstart(args: QuickstartArgs) -> ExitCode {
    let once = args.once;
    let config = match configured(args.gateway) {
        Ok(config) => config,
        Err(error) => return fail(&error, USAGE),
    };
    block_on(async move {
        let signals = Signals::new()?;
        let sink = config.sink()?;
        let app = App::start(config, Triggers::Shipped(shipped::triggers())).await?;
        say(&format!(
            "the gateway listens on http://{} and writes {}",
            app.ingress, app.sink
        ));
        let shown = show_all(&app, sink == Sink::Stdout).await;
        if once {
            let clean = app.drain(true).await;
            return shown.map(|()| ExitCode::from(u8::from(!clean)));
        }
        shown?;
        say(
            "\nall three were verified, matched and rendered; the gateway stays up (Ctrl-C ends it)",
        );
        if Path::new(A_REQUEST).exists() {
            let program = std::env::args().next().unwrap_or_default();
            let to = app.ingress;
            say(&format!(
                "try:  {program} send {A_REQUEST} --to http://{to}"
            ));
        }
        say(&format!(
            "see:  http://{}/api/v1/status  http://{}/metrics",
            app.admin, app.probe
        ));
        until_stopped(app, signals).await
    })
}

fn configured(args: GatewayArgs) -> Result<Config> {
    let chosen = args.names_log_level();
    let mut config = args.config()?;
    ensure!(
        config.ingress.tls.cert.is_none(),
        "quickstart sends to itself in the clear; leave out --tls-cert and ingress.tls"
    );
    // Its triggers are in the binary.
    config.triggers.clear();
    config.check()?;
    if !chosen && config.log.level == LogConfig::default().level {
        // The verdicts are shown as they come; a second account of them would drown them.
        config.log.level = "warn".into();
    }
    telemetry::init(config.log.format, &config.log.level).map_err(anyhow::Error::msg)?;
    Ok(config)
}

async fn show_all(app: &App, printed_already: bool) -> Result<()> {
    let secrets = Secrets::shipped();
    let client = Client::new(Guard::default());
    for (name, bytes) in shipped::requests() {
        let mut event = recorded::parse(&bytes).with_context(|| name.clone())?;
        let provider =
            send::provider_of(&event).context("the shipped request is of no known sender")?;
        let scheme = registry::scheme(provider).context("the sender has no scheme")?;
        let secret = secrets.of(&event.url, provider)?;
        send::freshen(&mut event);
        send::sign(&mut event, scheme, secret.expose())?;
        say(&format!(
            "\n{name}: POST {} ({} bytes)",
            event.url,
            event.body.len()
        ));
        show(app, &client, event, printed_already)
            .await
            .with_context(|| name)?;
    }
    Ok(())
}

/// Sends one webhook and shows what became of it.
async fn show(app: &App, client: &Client, event: RawEvent, printed_already: bool) -> Result<()> {
    let response = send::post(client, event, &format!("http://{}", app.ingress)).await?;
    let answer: Value = serde_json::from_slice(response.body()).context("the answer is no JSON")?;
    say(&format!(
        "  {}  event {}",
        response.status(),
        answer["eventID"].as_str().unwrap_or_default()
    ));
    for trigger in answer["triggers"].as_array().into_iter().flatten() {
        let text = |key: &str| trigger[key].as_str().unwrap_or_default();
        let line = format!(
            "  {:<22} {} {}",
            text("name"),
            text("verdict"),
            text("reason")
        );
        say(line.trim_end());
    }
    ensure!(
        response.status().is_success(),
        "the webhook was not accepted"
    );
    let id = answer["eventID"]
        .as_str()
        .unwrap_or_default()
        .parse()
        .map(EventId)?;
    let deliveries = finished(app, id).await?;
    ensure!(!deliveries.is_empty(), "no trigger matched the webhook");
    for delivery in deliveries {
        ensure!(
            delivery.progress.state == DeliveryState::Done,
            "the delivery to {} is {}: {}",
            delivery.trigger,
            delivery.progress.state,
            delivery.progress.reason.map_or("", Reason::meaning)
        );
        for manifest in delivery
            .rendered
            .iter()
            .flat_map(|rendered| &rendered.manifests)
        {
            let names = [manifest.namespace(), manifest.kind(), manifest.name()];
            let place = names.map(Option::unwrap_or_default).join("/");
            say(&format!("  -> {place}"));
            if !printed_already {
                print(&document(manifest)?);
            }
        }
    }
    Ok(())
}

/// The deliveries of an event, once all have come to their end.
async fn finished(app: &App, event: EventId) -> Result<Vec<DeliveryView>> {
    let look = async {
        loop {
            let deliveries = app.journal().deliveries_of(event).await?;
            if deliveries
                .iter()
                .all(|delivery| delivery.progress.state.is_final())
            {
                return Ok(deliveries);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .context("the objects did not come in time; the log says why")?
}

/// The demo secrets that ship, by the listeners that use them.
struct Secrets {
    snapshot: Arc<Snapshot>,
    store: Arc<SecretStore>,
}

impl Secrets {
    fn shipped() -> Self {
        let loaded = Loader::default().load(&shipped::triggers().into());
        let mut set = SecretSet::default();
        set.add_objects(&loaded.objects, &SecretSet::default());
        let store = SecretStore::new();
        store.replace(set);
        Self {
            snapshot: loaded.snapshot,
            store,
        }
    }

    /// The secret that `provider` signs with for the listener under a URL.
    fn of(&self, url: &str, provider: &str) -> Result<SecretValue> {
        let Target::Listener { path, .. } = target(url) else {
            anyhow::bail!("`{url}` names no listener");
        };
        let listener = self.snapshot.listener(path);
        let listener = listener.with_context(|| format!("there is no listener {path}"))?;
        let verifiers = listener.triggers.iter().filter_map(|entry| match entry {
            Entry::Ready(trigger) => Some(&trigger.way.first.verifiers),
            Entry::Broken(_) => None,
        });
        let mut verifiers = verifiers
            .flatten()
            .filter(|verifier| verifier.name() == provider);
        let verifier = verifiers.next().context("no trigger verifies the sender")?;
        let secret = verifier
            .secrets()
            .first()
            .context("the verifier has no secret")?;
        match self.store.find(secret) {
            SecretLookup::Found(value) => Ok(value),
            _ => anyhow::bail!("there is no secret {secret}"),
        }
    }
}
