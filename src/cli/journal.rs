//! `tripline journal`: what people do to a journal beside the gateway.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::config::{Config, JournalPlace};
use crate::journal::Counts;
use crate::journal::sqlite::care::{self, Salvaged};
use crate::model::verdict::DeliveryState;

use super::{USAGE, count, fail, print, say};

/// Numbers of lost deliveries that are told one by one.
const TOLD: usize = 20;

/// Looks after the embedded journal
#[derive(clap::Args)]
pub(super) struct JournalArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Look through all of it, beside a gateway or without one, and print what
    /// is wrong; status 1 where something is
    Check(Which),
    /// Print everything that it holds as JSON lines, but for credentials
    Export {
        #[command(flatten)]
        which: Which,
        /// A file to write in place of standard output; it must not be there
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Save what can be read of a damaged one in a new folder; the damaged one
    /// is not touched
    Salvage {
        #[command(flatten)]
        which: Which,
        /// The folder to be made, with a journal and its key
        #[arg(value_name = "NEW-FOLDER")]
        folder: PathBuf,
    },
    /// Copy it, while a gateway uses it or not, into a new folder
    Backup {
        #[command(flatten)]
        which: Which,
        /// The folder to be made, with the copy and its key
        #[arg(value_name = "NEW-FOLDER")]
        folder: PathBuf,
        /// Leave the key out: who has the copy alone can open no credentials,
        /// and neither can a gateway that it is restored to
        #[arg(long)]
        without_key: bool,
    },
}

/// Which journal.
#[derive(clap::Args)]
struct Which {
    /// The gateway's data folder [default: .tripline]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The journal: sqlite:PATH [default: journal.db in the data folder]
    #[arg(long, value_name = "JOURNAL")]
    journal: Option<String>,
    /// Settings file [default: tripline.yaml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Which {
    fn path(&self) -> Result<PathBuf> {
        let mut config = Config::load(self.config.as_deref())?;
        match (&self.data, &self.journal) {
            (_, Some(journal)) => config.journal.clone_from(journal),
            // Who names the folder means the journal in it.
            (Some(data), None) => (config.data, config.journal) = (data.clone(), String::new()),
            (None, None) => {}
        }
        match config.journal_place()? {
            JournalPlace::Sqlite(path) => Ok(path),
            JournalPlace::Nats(_) => bail!(
                "the journal {} is kept by a NATS server, whose own tools look after it; name a file with --data or --journal sqlite:PATH",
                config.journal
            ),
        }
    }
}

/// Runs the verb.
pub(super) fn journal(args: JournalArgs) -> ExitCode {
    let which = match &args.verb {
        Verb::Check(which) => which,
        Verb::Export { which, .. } | Verb::Salvage { which, .. } | Verb::Backup { which, .. } => {
            which
        }
    };
    let path = match which.path() {
        Ok(path) => path,
        Err(error) => return fail(&error, USAGE),
    };
    let done = match args.verb {
        Verb::Check(_) => check(&path),
        Verb::Export { output, .. } => export(&path, output.as_deref()),
        Verb::Salvage { folder, .. } => salvage(&path, &folder),
        Verb::Backup {
            folder,
            without_key,
            ..
        } => backup(&path, &folder, !without_key),
    };
    done.unwrap_or_else(|error| fail(&error, 1))
}

fn check(path: &Path) -> Result<ExitCode> {
    let checked = care::check(path)?;
    for problem in &checked.problems {
        print(&format!("{}: {problem}\n", path.display()));
    }
    let (format, newest) = checked.format;
    let mut line = format!("{}: format {format}", path.display());
    match format == newest {
        true => line.push_str(&held(&checked.counts)),
        false => line.push_str(&format!(
            "; the next start of this version makes it format {newest}, and its records are looked at then"
        )),
    }
    if checked.in_use {
        line.push_str("; a gateway is using it");
    }
    say(&line);
    if checked.problems.is_empty() {
        say("nothing is wrong with it");
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!(
        "{}; stop the gateway, and save what can be read with `tripline journal salvage --journal sqlite:{} NEW-FOLDER`",
        count(checked.problems.len(), "problem"),
        path.display()
    ));
    Ok(ExitCode::FAILURE)
}

/// What a journal holds, in words.
fn held(counts: &Counts) -> String {
    let mut words: Vec<String> = counts
        .deliveries
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if words.is_empty() {
        words.push("no deliveries".into());
    }
    if counts.deferred > 0 {
        words.push(format!("{} waiting", counts.deferred));
    }
    if counts.given_up > 0 {
        words.push(format!("{} waiting events given up", counts.given_up));
    }
    format!(", {}", words.join(", "))
}

fn export(path: &Path, output: Option<&Path>) -> Result<ExitCode> {
    let lines = match output {
        None => {
            // A reader that has gone away is no failure.
            let mut out = BufWriter::new(std::io::stdout().lock());
            match care::export(path, &mut out) {
                Err(care::CareError::File { source, .. })
                    if source.kind() == std::io::ErrorKind::BrokenPipe =>
                {
                    return Ok(ExitCode::SUCCESS);
                }
                exported => {
                    let _ = out.flush();
                    exported?
                }
            }
        }
        Some(file) => {
            let named = || file.display().to_string();
            let mut options = File::options();
            options.write(true).create_new(true);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut out = BufWriter::new(options.open(file).with_context(named)?);
            let lines = care::export(path, &mut out)?;
            out.flush().with_context(named)?;
            out.get_ref().sync_all().with_context(named)?;
            lines
        }
    };
    say(&format!("exported {lines} records of {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

fn backup(path: &Path, folder: &Path, with_key: bool) -> Result<ExitCode> {
    let copy = care::backup(path, folder, with_key)?;
    let key = match with_key && folder.join("seal.key").exists() {
        true => "; its key lies beside it: keep them as you keep credentials",
        false => {
            ", without its key: events that wait, and deliveries that have still to ask, cannot be read from it"
        }
    };
    say(&format!(
        "copied {} to {}{key}",
        path.display(),
        copy.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn salvage(path: &Path, folder: &Path) -> Result<ExitCode> {
    let salvaged = care::salvage(path, folder)?;
    let rows = salvaged.rows.iter();
    let rows: Vec<String> = rows
        .map(|(table, rows)| format!("{rows} {table}"))
        .collect();
    say(&format!(
        "saved in {}: {}",
        salvaged.file.display(),
        rows.join(", ")
    ));
    for line in lost(&salvaged) {
        say(&line);
    }
    let old = path.parent().filter(|old| *old != Path::new(""));
    let old = old.unwrap_or(Path::new("."));
    say(&format!(
        "to use it, put it in the place of the damaged one: mv {old} {old}.damaged && mv {} {old}",
        folder.display(),
        old = old.display(),
    ));
    Ok(ExitCode::SUCCESS)
}

/// What could not be saved.
fn lost(salvaged: &Salvaged) -> Vec<String> {
    let mut lines = Vec::new();
    if salvaged.torn > 0 {
        let torn = count(salvaged.torn, "record");
        lines.push(format!("lost: {torn} that cannot be read"));
    }
    let mut list = |what: &str, items: Vec<String>| {
        for item in items.iter().take(TOLD) {
            lines.push(format!("{what}: {item}"));
        }
        if items.len() > TOLD {
            lines.push(format!("{what}: {} more", items.len() - TOLD));
        }
    };
    let orphans = salvaged.orphans.iter();
    let orphans = orphans.map(|(id, trigger, state)| {
        let over = DeliveryState::parse(state).is_some_and(|state| state.is_final());
        let word = if over {
            "it is over"
        } else {
            "its sender may send it again"
        };
        format!("delivery {id} of {trigger}, {state}, {word}")
    });
    list(
        "lost, because its event or trigger cannot be read",
        orphans.collect(),
    );
    let lonely = salvaged.lonely.iter().map(ToString::to_string);
    list(
        "saved without its deliveries, look at it with `tripline journal export`: event",
        lonely.collect(),
    );
    if !salvaged.has_key {
        lines.push("there was no seal.key beside it: what it sealed cannot be read".into());
    }
    if lines.is_empty() {
        lines.push("nothing is lost that can be told".into());
    }
    lines
}
