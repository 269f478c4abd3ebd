//! `tripline check`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::catalog::diagnostic::{Diagnostic, Severity};
use crate::catalog::{Loaded, Loader, files};
use crate::secrets::SecretSet;

use super::{count, print, say};

/// Flags of `check`.
#[derive(clap::Args)]
pub(super) struct CheckArgs {
    /// Folders and files of triggers
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Checks trigger files. Its status is 1 where something does not work;
/// warnings do not count.
pub(super) fn check(args: &CheckArgs) -> ExitCode {
    let (loaded, diagnostics) = load(&args.paths);
    for diagnostic in &diagnostics {
        print(&format!("{diagnostic}\n"));
    }
    let listeners = loaded.snapshot.listeners().count();
    let triggers: usize = loaded.snapshot.listeners().map(|l| l.triggers.len()).sum();
    let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
    let mistakes = diagnostics.iter().filter(is_error).count();
    let mut counts = vec![
        count(listeners, "listener"),
        count(triggers, "trigger"),
        count(mistakes, "mistake"),
    ];
    if diagnostics.len() > mistakes {
        counts.push(count(diagnostics.len() - mistakes, "warning"));
    }
    say(&counts.join(", "));
    ExitCode::from(u8::from(mistakes > 0))
}

/// Loads trigger files, with everything that is wrong with them.
pub(super) fn load(paths: &[PathBuf]) -> (Loaded, Vec<Diagnostic>) {
    let mut loaded = Loader::default().load(&files::read(paths));
    let mut diagnostics = std::mem::take(&mut loaded.diagnostics);
    diagnostics.extend(SecretSet::default().add_objects(&loaded.objects, &SecretSet::default()));
    diagnostics.sort();
    (loaded, diagnostics)
}
