//! What every journal promises, on files.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tripline::journal::sqlite::SqliteJournal;

use crate::contract::{Opened, PROMISES, Place};

struct File(PathBuf);

impl Place for File {
    fn open_history(&self) -> Pin<Box<dyn Future<Output = Opened> + '_>> {
        Box::pin(async { Opened::of(Arc::new(SqliteJournal::open(&self.0).unwrap())) })
    }
}

#[tokio::test]
async fn a_file_keeps_every_promise_of_a_journal() {
    for (name, promise) in PROMISES {
        eprintln!("{name}");
        let folder = tempfile::tempdir().unwrap();
        promise(&File(folder.path().join("journal.db"))).await;
    }
}
