//! How large the journal is, how much room its disk has, and whether new
//! events are taken.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::ErrorCode;

use crate::journal::JournalError;
use crate::journal::upkeep::{Bounds, Refusal, Room};

/// Deliveries that have ended are forgotten from this part of a bound on, so
/// that new events seldom meet the bound itself.
const FORGET_FROM: (u64, u64) = (15, 16);

/// What is known of the file and its disk. The writer and the thread that looks
/// after the file note it; whoever brings an event asks.
pub(super) struct Gauge {
    path: PathBuf,
    bounds: Bounds,
    file: AtomicU64,
    unused: AtomicU64,
    /// Free bytes of the disk and those that must be free; the largest number
    /// where nobody knows.
    disk: AtomicU64,
    needed: AtomicU64,
    disk_full: AtomicBool,
    /// As large as it may be, and nothing may be forgotten.
    size_full: AtomicBool,
    damage: Mutex<Option<String>>,
    damaged: AtomicBool,
}

impl Gauge {
    pub(super) fn new(path: &Path, bounds: Bounds) -> Self {
        let gauge = Self {
            path: path.to_owned(),
            bounds,
            file: AtomicU64::new(0),
            unused: AtomicU64::new(0),
            disk: AtomicU64::new(u64::MAX),
            needed: AtomicU64::new(0),
            disk_full: AtomicBool::new(false),
            size_full: AtomicBool::new(false),
            damage: Mutex::new(None),
            damaged: AtomicBool::new(false),
        };
        gauge.look_at_disk();
        gauge
    }

    /// Asks how much of the disk is free. Cheap: the kernel knows it.
    pub(super) fn look_at_disk(&self) {
        let Ok(disk) = rustix::fs::statvfs(folder_of(&self.path)) else {
            return;
        };
        // Some filesystems do not say how large they are.
        if disk.f_blocks > 0 {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let all = disk.f_blocks.saturating_mul(disk.f_frsize);
            self.note_disk(free, self.bounds.free.min(all / 8));
        }
    }

    fn note_disk(&self, free: u64, needed: u64) {
        self.disk.store(free, Ordering::Relaxed);
        self.needed.store(needed, Ordering::Relaxed);
        // A little more must come free than was missing: who has been told to
        // come later must not find it full again at once.
        let was_full = self.disk_full.load(Ordering::Acquire);
        let needed = if was_full {
            needed + needed / 4
        } else {
            needed
        };
        self.disk_full.store(free < needed, Ordering::Release);
    }

    /// Notes how large the file is.
    pub(super) fn note_file(&self, file: u64, unused: u64) {
        self.file.store(file, Ordering::Relaxed);
        self.unused.store(unused, Ordering::Relaxed);
    }

    /// Whether deliveries that have ended should be forgotten for the room that
    /// they take up.
    pub(super) fn wants_room(&self) -> bool {
        self.is_large() || self.is_tight()
    }

    /// Notes that there was `something` to be forgotten, or nothing any more.
    pub(super) fn note_forgotten(&self, something: bool) {
        let full = !something && self.bounds.size.is_some_and(|limit| self.used() >= limit);
        let still = self.size_full.load(Ordering::Acquire) && self.is_large();
        self.size_full.store(full || still, Ordering::Release);
    }

    /// Bytes of the file that hold something.
    fn used(&self) -> u64 {
        let file = self.file.load(Ordering::Relaxed);
        file.saturating_sub(self.unused.load(Ordering::Relaxed))
    }

    fn is_large(&self) -> bool {
        let (of, parts) = FORGET_FROM;
        let limit = self.bounds.size;
        limit.is_some_and(|limit| self.used() >= limit / parts * of)
    }

    /// Whether the disk has less than twice the room that is kept free. What is
    /// unused in the file is room as well.
    fn is_tight(&self) -> bool {
        let free = self.disk.load(Ordering::Relaxed);
        let unused = self.unused.load(Ordering::Relaxed);
        let needed = self.needed.load(Ordering::Relaxed);
        free.saturating_add(unused) < needed.saturating_mul(2)
    }

    /// Whether the disk is so full that unused pages should go back to it.
    pub(super) fn is_disk_tight(&self) -> bool {
        let needed = self.needed.load(Ordering::Relaxed);
        self.disk.load(Ordering::Relaxed) < needed.saturating_mul(2)
    }

    /// Notes that the database has found itself damaged. It stays so until the
    /// next start.
    pub(super) fn note_damage(&self, error: &rusqlite::Error) {
        if let Ok(mut damage) = self.damage.lock() {
            damage.get_or_insert_with(|| error.to_string());
        }
        self.damaged.store(true, Ordering::Release);
    }

    /// What an error means. One that says that the file is damaged is noted.
    pub(super) fn explain(&self, error: JournalError) -> JournalError {
        match error {
            JournalError::Write(source) if says_damaged(&source) => {
                self.note_damage(&source);
                JournalError::Damaged {
                    path: self.path.clone(),
                    source,
                }
            }
            other => other,
        }
    }

    /// Why no new events are taken, where none are.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let path = || self.path.clone();
        if self.damaged.load(Ordering::Acquire) {
            let message = self.damage.lock().ok().and_then(|damage| damage.clone());
            return Some(Refusal::Damage {
                path: path(),
                message: message.unwrap_or_default(),
            });
        }
        if self.disk_full.load(Ordering::Acquire) {
            return Some(Refusal::Disk {
                path: path(),
                free: self.disk.load(Ordering::Relaxed),
                needed: self.needed.load(Ordering::Relaxed),
            });
        }
        self.size_full
            .load(Ordering::Acquire)
            .then(|| Refusal::Size {
                path: path(),
                used: self.used(),
                limit: self.bounds.size.unwrap_or_default(),
            })
    }

    /// All of it.
    pub(super) fn room(&self) -> Room {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let disk = self.disk.load(Ordering::Relaxed);
        Room {
            file: self.file.load(Ordering::Relaxed),
            log: std::fs::metadata(log).map_or(0, |log| log.len()),
            unused: self.unused.load(Ordering::Relaxed),
            disk: (disk < u64::MAX).then_some(disk),
            refusal: self.refusal(),
        }
    }
}

/// Whether an error says that the file itself is damaged.
pub(super) fn says_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn gauge(size: Option<u64>) -> (tempfile::TempDir, Gauge) {
        let folder = tempfile::tempdir().unwrap();
        let bounds = Bounds { size, free: 0 };
        let gauge = Gauge::new(&folder.path().join("journal.db"), bounds);
        (folder, gauge)
    }

    #[test]
    fn new_events_are_refused_before_the_disk_is_full_and_taken_again_when_it_has_room() {
        let (_folder, gauge) = gauge(None);
        gauge.note_disk(64 * MIB, 64 * MIB);
        assert_eq!(gauge.refusal(), None);
        gauge.note_disk(64 * MIB - 1, 64 * MIB);
        let told = gauge.refusal().unwrap().to_string();
        assert!(told.contains("journal.db"), "{told}");
        assert!(told.contains("limits.journalFree"), "{told}");
        // Not at the very byte at which it was refused.
        gauge.note_disk(64 * MIB, 64 * MIB);
        assert!(gauge.refusal().is_some());
        gauge.note_disk(80 * MIB, 64 * MIB);
        assert_eq!(gauge.refusal(), None);
    }

    #[test]
    fn the_size_is_a_reason_only_when_nothing_may_be_forgotten() {
        let (_folder, gauge) = gauge(Some(16 * MIB));
        gauge.note_file(14 * MIB, 0);
        assert!(!gauge.wants_room());
        gauge.note_file(16 * MIB, 0);
        assert!(gauge.wants_room());
        gauge.note_forgotten(true);
        assert_eq!(gauge.refusal(), None);
        gauge.note_forgotten(false);
        assert!(matches!(gauge.refusal(), Some(Refusal::Size { .. })));
        // Pages that nothing needs are room.
        gauge.note_file(16 * MIB, 8 * MIB);
        gauge.note_forgotten(false);
        assert_eq!(gauge.refusal(), None);
    }

    #[test]
    fn what_is_damaged_stays_so_and_says_how_it_is_saved() {
        let (_folder, gauge) = gauge(None);
        gauge.note_damage(&rusqlite::Error::InvalidQuery);
        let told = gauge.refusal().unwrap().to_string();
        assert!(told.contains("tripline journal salvage"), "{told}");
        assert!(told.contains("journal.db"), "{told}");
    }
}
