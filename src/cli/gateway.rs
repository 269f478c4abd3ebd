//! `tripline serve`, and what it shares with `quickstart`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{App, Triggers};
use crate::catalog::cluster::Claim;
use crate::config::{Config, TlsConfig};
use crate::telemetry;

use super::{USAGE, fail, say};

/// Flags of `serve`. What is not given comes from tripline.yaml, from
/// TRIPLINE_* variables, or has a default.
#[derive(clap::Args)]
pub(super) struct ServeArgs {
    /// Folder or file of triggers; may be given several times [default:
    /// bindings, templates and deploy/quickstart]
    #[arg(short, long = "triggers", value_name = "PATH")]
    triggers: Vec<PathBuf>,
    /// Folder of secrets: NAME/KEY or NAMESPACE/NAME/KEY files
    #[arg(long, value_name = "DIR")]
    secret_dir: Vec<PathBuf>,
    /// Take triggers from the cluster: the one that this runs in, else the
    /// kubeconfig's
    #[arg(long, conflicts_with = "triggers")]
    kube: bool,
    /// Which listeners of the cluster are served: those with the annotation
    /// tripline.dev/managed: "true", or all [default: managed]
    #[arg(long, value_name = "CLAIM", value_parser = ["managed", "all"])]
    claim: Option<String>,
    /// Claim all listeners even while Tekton's controller runs
    #[arg(long)]
    force_claim: bool,
    #[command(flatten)]
    pub(super) gateway: GatewayArgs,
}

/// Flags of everything that runs a gateway.
#[derive(clap::Args)]
pub(super) struct GatewayArgs {
    /// Address for senders [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address for people [default: 127.0.0.1:9000]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// Address for probes and metrics [default: 127.0.0.1:9001]
    #[arg(long, value_name = "ADDRESS")]
    probe: Option<String>,
    /// Certificate for senders, in PEM; they speak TLS then
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Address for API servers that ask whether objects may be stored
    #[arg(long, value_name = "ADDRESS")]
    webhook: Option<String>,
    /// Certificate for API servers, in PEM
    #[arg(long, value_name = "FILE", requires = "webhook_key")]
    webhook_cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "webhook_cert")]
    webhook_key: Option<PathBuf>,
    /// Folder that holds what must survive a restart [default: .tripline]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where objects go: dir:PATH, stdout or kube [default: kube with --kube,
    /// else dir:out]
    #[arg(long, value_name = "SINK")]
    sink: Option<String>,
    /// The journal: sqlite:PATH, nats://HOST:PORT or tls://HOST:PORT
    /// [default: journal.db in the data folder]
    #[arg(long, value_name = "JOURNAL")]
    journal: Option<String>,
    /// The listener under the path / [default: the only one]
    #[arg(long, value_name = "NAMESPACE/NAME")]
    default_listener: Option<String>,
    /// Settings file [default: tripline.yaml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which log lines are written: a level, or directives [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl GatewayArgs {
    /// Whether somebody said which log lines he wants.
    pub(super) fn names_log_level(&self) -> bool {
        self.log_level.is_some()
    }

    /// The settings, flags included.
    pub(super) fn config(self) -> Result<Config> {
        let mut config = Config::load(self.config.as_deref())?;
        let set = |to: &mut String, from: Option<String>| {
            if let Some(from) = from {
                *to = from;
            }
        };
        set(&mut config.ingress.listen, self.listen);
        set(&mut config.admin.listen, self.admin);
        set(&mut config.probe.listen, self.probe);
        set(&mut config.sink, self.sink);
        set(&mut config.journal, self.journal);
        set(&mut config.log.level, self.log_level);
        if self.tls_cert.is_some() {
            config.ingress.tls = TlsConfig {
                cert: self.tls_cert,
                key: self.tls_key,
            };
        }
        if self.webhook_cert.is_some() {
            config.webhook.tls = TlsConfig {
                cert: self.webhook_cert,
                key: self.webhook_key,
            };
        }
        config.webhook.listen = self.webhook.or(config.webhook.listen);
        if let Some(data) = self.data {
            config.data = data;
        }
        config.default_listener = self.default_listener.or(config.default_listener);
        Ok(config)
    }
}

/// Runs the gateway until it is told to stop.
pub(super) fn serve(args: ServeArgs) -> ExitCode {
    let prepared = prepare(args);
    let (config, triggers) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return fail(&error, USAGE),
    };
    block_on(async {
        let signals = Signals::new()?;
        let app = App::start(config, triggers).await?;
        say(&format!(
            "listening on {}://{} for senders, http://{} for people, http://{} for probes{}; objects become {}",
            app.scheme(),
            app.ingress,
            app.admin,
            app.probe,
            app.webhook
                .map(|address| format!(", https://{address} for API servers"))
                .unwrap_or_default(),
            app.sink
        ));
        until_stopped(app, signals).await
    })
}

fn prepare(args: ServeArgs) -> Result<(Config, Triggers)> {
    let named = !args.triggers.is_empty();
    let mut config = args.gateway.config()?;
    config.kube.enabled |= args.kube;
    config.kube.force_claim |= args.force_claim;
    match args.claim.as_deref() {
        Some("all") => config.kube.claim = Claim::All,
        Some(_) => config.kube.claim = Claim::Managed,
        None => {}
    }
    if config.kube.enabled {
        config.triggers.clear();
    } else if named {
        config.triggers = args.triggers;
    } else {
        let defaults = Config::default().triggers;
        if config.triggers == defaults {
            config.triggers.retain(|path| path.exists());
        }
        if config.triggers.is_empty() {
            bail!(
                "there are no triggers: none of {} is here; name a folder with -t PATH, or try `tripline quickstart`",
                defaults
                    .iter()
                    .map(|p| p.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            );
        }
    }
    config.secret_dirs.extend(args.secret_dir);
    for path in &config.triggers {
        std::fs::metadata(path).with_context(|| format!("triggers: {}", path.display()))?;
    }
    for path in &config.secret_dirs {
        std::fs::read_dir(path).with_context(|| format!("secretDirs: {}", path.display()))?;
    }
    config.check()?;
    let triggers = match config.kube.enabled {
        true => Triggers::Cluster,
        false => Triggers::Paths(config.triggers.clone()),
    };
    telemetry::init(config.log.format, &config.log.level).map_err(anyhow::Error::msg)?;
    Ok((config, triggers))
}

/// Runs a gateway's future to its end. Its status is 0, or 1 with the error.
pub(super) fn block_on(future: impl Future<Output = Result<ExitCode>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = runtime.context("starting").and_then(|runtime| {
        let result = runtime.block_on(future);
        // What still blocks, on a pipe that nobody reads say, must not keep
        // the process. What it was to do is in the journal.
        runtime.shutdown_background();
        result
    });
    result.unwrap_or_else(|error| fail(&error, 1))
}

/// Waits for a signal and drains. A second signal ends the wait.
pub(super) async fn until_stopped(app: App, mut signals: Signals) -> Result<ExitCode> {
    let interactive = signals.next().await;
    say("stopping: finishing what was accepted; again to stop at once");
    tokio::select! {
        clean = app.drain(interactive) => {
            if clean {
                return Ok(ExitCode::SUCCESS);
            }
            say("stopped; what was not finished is finished after the next start");
            Ok(ExitCode::FAILURE)
        }
        _ = signals.next() => {
            say("stopped at once; what was accepted is finished after the next start");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The signals that end the gateway. To be made before it starts: until then
/// they end the process.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one; whether somebody at a keyboard sent it.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => false,
        }
    }
}
