//! `tripline migrate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::json;

use crate::app::read_cluster;
use crate::catalog::files;
use crate::catalog::migrate::{Report, Row, Verdict, of_cluster, of_files};

use super::gateway::block_on;
use super::{USAGE, count, fail, print, say};

/// Listeners for which the next step is spelt out; the others are alike.
const SPELT_OUT: usize = 3;

/// Flags of `migrate`.
#[derive(clap::Args)]
pub(super) struct MigrateArgs {
    /// Folder or file of Tekton's objects; may be given several times
    #[arg(
        short,
        long = "triggers",
        value_name = "PATH",
        required_unless_present = "kube"
    )]
    triggers: Vec<PathBuf>,
    /// Read them from the cluster, and change nothing there
    #[arg(long, conflicts_with = "triggers")]
    kube: bool,
    /// The kubeconfig's context [default: its current one]
    #[arg(long, value_name = "NAME", requires = "kube")]
    context: Option<String>,
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Reports on every object. Its status is 1 where something needs attention,
/// 2 where the objects cannot be read.
pub(super) fn migrate(args: MigrateArgs) -> ExitCode {
    let output = args.output;
    if args.kube {
        return block_on(async move {
            Ok(match read_cluster(args.context).await {
                Ok(objects) => tell(&of_cluster(objects), output, true),
                Err(error) => fail(&error, USAGE),
            })
        });
    }
    match read_files(&args.triggers) {
        Ok(report) => tell(&report, output, false),
        Err(error) => fail(&error, USAGE),
    }
}

fn read_files(paths: &[PathBuf]) -> Result<Report> {
    for path in paths {
        std::fs::metadata(path).with_context(|| format!("-t {}", path.display()))?;
    }
    let read = files::read(paths);
    if let Some(unread) = read.diagnostics.first() {
        anyhow::bail!("{unread}");
    }
    Ok(of_files(&read))
}

fn tell(report: &Report, output: Output, in_cluster: bool) -> ExitCode {
    let attention = report.count(Verdict::NeedsAttention) + report.unreadable.len();
    let next = next(report, attention, in_cluster);
    match output {
        Output::Text => {
            report.objects.iter().for_each(tell_row);
            for one in &report.unreadable {
                print(&format!("needs attention  {one}\n"));
            }
            say(&summary(report));
            for (number, step) in next.iter().enumerate() {
                say(&format!("{}. {step}", number + 1));
            }
        }
        Output::Json => {
            let report = json!({
                "objects": report.objects,
                "unreadable": report.unreadable,
                "summary": {
                    "worksAsIs": report.count(Verdict::WorksAsIs),
                    "worksBetter": report.count(Verdict::WorksBetter),
                    "needsAttention": report.count(Verdict::NeedsAttention),
                },
                "next": next,
            });
            print(&format!("{report:#}\n"));
        }
    }
    ExitCode::from(u8::from(attention > 0))
}

fn tell_row(row: &Row) {
    let place = row.place.as_deref().unwrap_or_default();
    let line = format!("{:15}  {} {}  {place}", row.verdict, row.kind, path(row));
    let mut text = format!("{}\n", line.trim_end());
    for why in &row.why {
        // Those that make the verdict come first, without saying so again.
        let mark = match why.verdict {
            verdict if verdict == row.verdict => String::new(),
            Verdict::WorksAsIs => "note: ".to_owned(),
            other => format!("{other}: "),
        };
        let place = why
            .place
            .as_ref()
            .filter(|place| Some(*place) != row.place.as_ref());
        let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
        let said = why.text.replace('\n', "\n      ");
        text.push_str(&format!("    - {place}{mark}{said}"));
        if let Some(how) = why.as_in_tekton {
            text.push_str(&format!(" (as in Tekton: {how})"));
        }
        text.push('\n');
    }
    print(&text);
}

fn path(row: &Row) -> String {
    match row.namespace.as_str() {
        "" => row.name.clone(),
        namespace => format!("{namespace}/{}", row.name),
    }
}

fn summary(report: &Report) -> String {
    let verb = |number: usize, one: &str, many: &str| {
        let verb = if number == 1 { one } else { many };
        format!("{number} {verb}")
    };
    let as_is = report.count(Verdict::WorksAsIs);
    let better = report.count(Verdict::WorksBetter);
    let attention = report.count(Verdict::NeedsAttention);
    let mut text = format!(
        "{}: {}, {}, {}",
        count(report.objects.len(), "object"),
        verb(as_is, "works as is", "work as they are"),
        verb(better, "works better", "work better"),
        verb(attention, "needs attention", "need attention"),
    );
    if !report.unreadable.is_empty() {
        let files = count(report.unreadable.len(), "mistake");
        text.push_str(&format!("; {files} in what cannot be read"));
    }
    text
}

/// What to do after that, in order.
fn next(report: &Report, attention: usize, in_cluster: bool) -> Vec<String> {
    let mut steps = Vec::new();
    if attention > 0 {
        steps.push(
            "look at what needs attention; `tripline run` tries a recorded request offline"
                .to_owned(),
        );
    }
    let listeners = report
        .objects
        .iter()
        .filter(|row| row.kind == "EventListener");
    let listeners: Vec<&Row> = listeners.collect();
    if listeners.is_empty() {
        return steps;
    }
    if !in_cluster {
        steps.push("without a cluster: tripline serve -t PATH".to_owned());
    }
    let mut namespaces: Vec<&str> = listeners.iter().map(|row| row.namespace.as_str()).collect();
    namespaces.dedup();
    let rights = namespaces.iter().take(SPELT_OUT);
    let rights =
        rights.map(|name| format!("kubectl apply --server-side -n {name} -k deploy/namespace"));
    steps.push(format!(
        "install the gateway: kubectl apply --server-side -k deploy/base; {}",
        list(rights.collect(), namespaces.len())
    ));
    let claims = listeners.iter().take(SPELT_OUT);
    let claims = claims.map(|row| {
        format!(
            "kubectl annotate eventlistener -n {} {} tripline.dev/managed=true",
            row.namespace, row.name
        )
    });
    steps.push(format!(
        "stop Tekton's controller, which would set the Services back: kubectl -n tekton-pipelines scale deployment \
         tekton-triggers-controller --replicas=0; then claim: {}",
        list(claims.collect(), listeners.len())
    ));
    steps.push(
        "hooks: those that lead to Service el-NAME, or to an Ingress before it, go on working; new ones lead to \
         /NAMESPACE/LISTENER of the gateway. docs/migrating-from-tekton.md has every step, and the way back"
            .to_owned(),
    );
    steps
}

fn list(shown: Vec<String>, all: usize) -> String {
    let more = all - shown.len();
    let mut text = shown.join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}
