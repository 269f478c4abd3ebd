//! What a journal keeps and how large it may become.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Since when what is over must have ended to be kept, in milliseconds of Unix
/// time. What has none is kept for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptSince {
    /// Deliveries that are done or were cancelled.
    pub ended_ms: Option<i64>,
    /// Deliveries that were given up.
    pub dead_ms: Option<i64>,
    /// Events that have waited for too long.
    pub given_up_ms: Option<i64>,
}

/// How long what is over is kept; for good where there is no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Deliveries that are done or were cancelled.
    pub ended: Option<Duration>,
    /// Deliveries that were given up.
    pub dead: Option<Duration>,
    /// Events that have waited for too long.
    pub given_up: Option<Duration>,
    /// The payload of events that are not under way; as long as the event
    /// where there is none.
    pub payload: Option<Duration>,
}

impl Retention {
    /// What that means at `now_ms`.
    pub fn at(&self, now_ms: i64) -> KeptSince {
        let since = |kept: Option<Duration>| {
            let kept_ms = |kept: Duration| i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
            kept.map(|kept| now_ms.saturating_sub(kept_ms(kept)))
        };
        KeptSince {
            ended_ms: since(self.ended),
            dead_ms: since(self.dead),
            given_up_ms: since(self.given_up),
        }
    }
}

/// How large a journal may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of its file; any number where there is none.
    pub size: Option<u64>,
    /// Bytes of the disk that new events must leave free, so that what becomes
    /// of accepted ones can still be written down. An eighth of the disk at
    /// most.
    pub free: u64,
}

impl Bounds {
    /// No bounds.
    pub const NONE: Self = Self {
        size: None,
        free: 0,
    };
}

/// How large a journal is, and whether it takes new events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes of its file.
    pub file: u64,
    /// Bytes of its log.
    pub log: u64,
    /// Bytes of the file that nothing needs.
    pub unused: u64,
    /// Bytes that are free on its disk, where that is known.
    pub disk: Option<u64>,
    /// Why it takes no new events, where it takes none.
    pub refusal: Option<Refusal>,
}

/// Why a journal takes no new events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its disk is nearly full.
    Disk {
        /// Where it is.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        needed: u64,
    },
    /// It is as large as it may become, and has nothing that may be forgotten.
    Size {
        /// Where it is.
        path: PathBuf,
        /// Bytes that it holds.
        used: u64,
        /// Bytes that it may hold.
        limit: u64,
    },
    /// It is damaged.
    Damage {
        /// The file.
        path: PathBuf,
        /// What the database says.
        message: String,
    },
}

impl Refusal {
    /// The word for it in metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disk { .. } => "disk_full",
            Self::Size { .. } => "journal_full",
            Self::Damage { .. } => "damaged",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { path, free, needed } => write!(
                f,
                "the disk of the journal {} is nearly full: {} are free, and {} are kept for what was accepted before (limits.journalFree); make room",
                path.display(),
                Mebibytes(*free),
                Mebibytes(*needed)
            ),
            Self::Size { path, used, limit } => write!(
                f,
                "the journal {} is full: it holds {} of {} (limits.journalSize), and nothing that may be forgotten; raise the limit, or look at the deliveries that were given up",
                path.display(),
                Mebibytes(*used),
                Mebibytes(*limit)
            ),
            Self::Damage { path, message } => write!(
                f,
                "the journal {} is damaged: {message}; {}",
                path.display(),
                salvage_hint(path)
            ),
        }
    }
}

/// What to do about a damaged file.
pub(super) fn salvage_hint(path: &std::path::Path) -> String {
    format!(
        "stop the gateway; `tripline journal salvage --journal sqlite:{} NEW-FOLDER` saves what can be read of it; moved away, it is begun anew, empty",
        path.display()
    )
}

/// Bytes in a unit that people read.
struct Mebibytes(u64);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "it is rounded anyway")]
        let mebibytes = self.0 as f64 / (1024.0 * 1024.0);
        write!(f, "{mebibytes:.1} MiB")
    }
}
