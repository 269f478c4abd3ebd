//! Objects as YAML documents on standard output.

use std::io::{self, Write};

use crate::model::manifest::Manifest;

use super::path::ObjectPath;
use super::{ActError, Action, Actor, Effect, Performing};

/// Standard output. After a crash an object may be printed a second time:
/// nobody can tell what was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdout;

impl Action for Stdout {
    fn perform<'a>(&'a self, manifest: &'a Manifest, _: Actor<'a>) -> Performing<'a> {
        Box::pin(async move {
            let shown = ObjectPath::of(manifest)?.to_string();
            let text = document(manifest)?;
            // A reader who takes his time must not hold up everybody else.
            let write = tokio::task::spawn_blocking(move || {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            });
            let written = write
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)));
            written.map_err(|source| ActError::Unavailable {
                what: "standard output".into(),
                source,
            })?;
            Ok(Effect::Created(shown))
        })
    }

    fn describe(&self) -> String {
        "standard output".into()
    }
}

/// The manifest as a document of a YAML stream.
pub fn document(manifest: &Manifest) -> Result<String, ActError> {
    let text = serde_saphyr::to_string(&manifest.0)
        .map_err(|error| ActError::Invalid(error.to_string()))?;
    Ok(format!("---\n{text}"))
}
