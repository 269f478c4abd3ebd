//! The command line: verbs, their flags, their exit codes.
//!
//! In: arguments. Out: what the verbs print, and a status that scripts rely
//! on. Verbs that read an event take a recorded request: raw HTTP/1.1 text.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::act::stdout::document;
use crate::api::crds::definitions;
use crate::model::manifest::Manifest;

mod check;
mod evaluate;
mod events;
mod gateway;
mod journal;
mod migrate;
mod quickstart;
mod recorded;
mod run;
mod send;

/// Exit status for a command line or a configuration that cannot be used.
const USAGE: u8 = 2;

/// An event-listener trigger gateway: verifies webhooks, filters them, and
/// renders trigger templates into PipelineRun-style resources.
#[derive(Parser)]
#[command(name = "tripline", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the gateway
    Serve(gateway::ServeArgs),
    /// Run the gateway with the shipped example and send it three webhooks
    Quickstart(quickstart::QuickstartArgs),
    /// Take one recorded request through the triggers, offline, and print
    /// what they make
    Run(run::RunArgs),
    /// Evaluate a CEL expression on a recorded request
    Cel(evaluate::CelArgs),
    /// Evaluate TriggerBindings on a recorded request
    Bind(evaluate::BindArgs),
    /// Check trigger files and print every mistake as file:line:col
    Check(check::CheckArgs),
    /// Say of each of Tekton's objects whether it works as it is, works
    /// better, or needs attention
    Migrate(migrate::MigrateArgs),
    /// Sign a recorded request anew and send it
    Send(send::SendArgs),
    /// Check, export, copy or salvage the embedded journal
    Journal(journal::JournalArgs),
    /// Show what a running gateway remembers, perform events once more, erase
    /// them
    Events(events::EventsArgs),
    /// Print the CustomResourceDefinitions for a cluster without Tekton's own
    Crds,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Parses the arguments and runs the verb.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            let _ = error.print();
            return ExitCode::from(if asked { 0 } else { USAGE });
        }
    };
    match cli.verb {
        Verb::Serve(args) => gateway::serve(args),
        Verb::Quickstart(args) => quickstart::quickstart(args),
        Verb::Run(args) => run::run(&args),
        Verb::Cel(args) => evaluate::cel(&args),
        Verb::Bind(args) => evaluate::bind(&args),
        Verb::Check(args) => check::check(&args),
        Verb::Migrate(args) => migrate::migrate(args),
        Verb::Send(args) => send::send(args),
        Verb::Journal(args) => journal::journal(args),
        Verb::Events(args) => events::events(args),
        Verb::Crds => crds(),
        Verb::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "tripline", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
    }
}

fn crds() -> ExitCode {
    for definition in definitions() {
        match document(&Manifest(definition)) {
            Ok(text) => print(&text),
            Err(error) => return fail(&error.into(), 1),
        }
    }
    ExitCode::SUCCESS
}

/// Trigger files, as several verbs take them.
#[derive(clap::Args)]
struct TriggerFiles {
    /// Folder or file of triggers; may be given several times
    #[arg(short, long = "triggers", value_name = "PATH", required = true)]
    triggers: Vec<PathBuf>,
    /// Folder of secrets: NAME/KEY or NAMESPACE/NAME/KEY files
    #[arg(long, value_name = "DIR")]
    secret_dir: Vec<PathBuf>,
}

/// Says what went wrong, with its causes, and gives the status.
fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    let mut line = format!("tripline: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some errors name their cause themselves.
        if !line.ends_with(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    say(&line);
    ExitCode::from(status)
}

/// A number of things.
fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// A line for people, on standard error. Whoever closes it does not want to
/// know.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Output for programs, on standard output. A reader that has gone away is no
/// failure.
fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
