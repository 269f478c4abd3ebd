//! Lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people on a terminal, for programs elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines to standard error from now on. `level` is a level, or
/// directives as `tracing` has them.
pub fn init(format: Format, level: &str) -> Result<(), String> {
    let filter = parse_level(level).map_err(|error| format!("log.level: {error}"))?;
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // Whoever closes standard error must not end the thread that writes.
        .log_internal_errors(false)
        .with_ansi(terminal);
    let set = match format {
        Format::Json => builder.json().flatten_event(true).finish().try_init(),
        Format::Auto if !terminal => builder.json().flatten_event(true).finish().try_init(),
        _ => builder.compact().finish().try_init(),
    };
    set.map_err(|error| error.to_string())
}

/// Reads a level or directives. A bare word that is no level would be taken
/// for the name of a module, and silence everything else.
pub fn parse_level(level: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_word = level.chars().all(|c| c.is_ascii_alphanumeric());
    if is_word && !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
        return Err(format!(
            "`{level}` is no level; there are {}",
            LEVELS.join(", ")
        ));
    }
    EnvFilter::try_new(level).map_err(|error| format!("`{level}` is no level: {error}"))
}
