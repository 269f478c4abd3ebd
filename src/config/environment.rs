//! Which variables are settings.

use std::collections::HashMap;

/// The variables that are settings. Kubernetes puts others beside them: a
/// Service called `tripline` gives every pod `TRIPLINE_SERVICE_HOST`,
/// `TRIPLINE_PORT_8080_TCP_ADDR` and more.
pub(super) fn settings_of(
    variables: impl Iterator<Item = (String, String)>,
) -> HashMap<String, String> {
    let is_link = |name: &str| {
        let port = name.rsplit_once("_PORT").map(|(_, rest)| rest);
        let numbered = |rest: &str| {
            let digits = rest.strip_prefix('_').unwrap_or_default();
            digits.starts_with(|c: char| c.is_ascii_digit())
        };
        name.ends_with("_SERVICE_HOST")
            || name.contains("_SERVICE_PORT")
            || port.is_some_and(|rest| rest.is_empty() || numbered(rest))
            // TRIPLINE_PORT_8080_TCP_PORT
            || (name.contains("_PORT_") && name.ends_with("_PORT"))
    };
    variables
        .filter(|(name, _)| name.starts_with("TRIPLINE_") && !is_link(name))
        .collect()
}
