//! Which journal it is.

use std::sync::Arc;

use crate::config::{Config, JournalPlace, Nats};
use crate::journal::Journal;
use crate::journal::history::History;
use crate::journal::jetstream::JetStreamJournal;
use crate::journal::sqlite::SqliteJournal;

/// Opens the journal, and what looks back into it.
pub(super) async fn open(config: &Config) -> anyhow::Result<(Arc<dyn Journal>, Arc<dyn History>)> {
    match config.journal_place()? {
        JournalPlace::Sqlite(path) => {
            let bounds = config.journal_bounds();
            let open = move || SqliteJournal::open_within(&path, bounds);
            let opened = Arc::new(tokio::task::spawn_blocking(open).await??);
            Ok((Arc::clone(&opened) as _, opened))
        }
        JournalPlace::Nats(nats) => {
            let Nats {
                access,
                settings,
                seal,
            } = &*nats;
            let opened = JetStreamJournal::open(access, settings, seal).await?;
            Ok((Arc::clone(&opened) as _, opened))
        }
    }
}
