//! `tripline check`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::catalog::diagnostic::Diagnostic;
use crate::catalog::{Loaded, Loader, files};
use crate::secrets::SecretSet;

use super::{print, say};

/// Flags of `check`.
#[derive(clap::Args)]
pub(super) struct CheckArgs {
    /// Folders and files of triggers
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Checks trigger files.
pub(super) fn check(args: &CheckArgs) -> ExitCode {
    let (loaded, diagnostics) = load(&args.paths);
    for diagnostic in &diagnostics {
        print(&format!("{diagnostic}\n"));
    }
    let listeners = loaded.snapshot.listeners().count();
    let triggers: usize = loaded.snapshot.listeners().map(|l| l.triggers.len()).sum();
    let mistakes = diagnostics.len();
    say(&format!(
        "{listeners} listeners, {triggers} triggers, {mistakes} mistakes"
    ));
    ExitCode::from(u8::from(mistakes > 0))
}

/// Loads trigger files, with everything that is wrong with them.
pub(super) fn load(paths: &[PathBuf]) -> (Loaded, Vec<Diagnostic>) {
    let mut loaded = Loader::default().load(&files::read(paths));
    let mut diagnostics = std::mem::take(&mut loaded.diagnostics);
    diagnostics.extend(SecretSet::default().add_objects(&loaded.objects));
    diagnostics.sort();
    (loaded, diagnostics)
}
