//! Places where the crash suite ends the process.
//!
//! Builds with debug assertions read `CRASH_AT` from the environment: a
//! point's name, which time it is reached (`after_append:3`), and, where the
//! process is to go on for a while, for how many microseconds
//! (`checkpoint:1+200`). The process is then killed as by `kill -9`: nothing is
//! unwound, flushed or closed. Other builds have nothing of this.

/// A place where the process may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// An event is wanted, and the journal has not been told.
    BeforeAppend,
    /// A transaction is complete, and not committed.
    InTransaction,
    /// A transaction is on disk, and nobody has been told.
    AfterTransaction,
    /// An event is on disk, and its sender has not been told.
    AfterAppend,
    /// A delivery is about to be performed, and nothing of it is done.
    BeforeCommit,
    /// What a delivery makes is on disk, and nothing of it is done.
    AfterCommit,
    /// A resource has been made, and that is not recorded.
    AfterCreate,
    /// Some of a delivery's resources are made, and the next one is not.
    BetweenResources,
    /// A file has its name, and its other one still.
    AfterLink,
    /// An attempt is recorded.
    AfterRecord,
    /// The log is about to be moved into the database.
    Checkpoint,
    /// A step to a newer format is complete, and not committed.
    Migration,
    /// A delivery is about to be given back to the journal.
    HandBack,
    /// An event that waited is decided on, and that is not on disk.
    Settle,
    /// An event that waited is on disk as deliveries, and nobody has them.
    AfterSettle,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::BeforeAppend,
        Self::InTransaction,
        Self::AfterTransaction,
        Self::AfterAppend,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::AfterCreate,
        Self::BetweenResources,
        Self::AfterLink,
        Self::AfterRecord,
        Self::Checkpoint,
        Self::Migration,
        Self::HandBack,
        Self::Settle,
        Self::AfterSettle,
    ];

    /// The name in `CRASH_AT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeAppend => "before_append",
            Self::InTransaction => "in_transaction",
            Self::AfterTransaction => "after_transaction",
            Self::AfterAppend => "after_append",
            Self::BeforeCommit => "before_commit",
            Self::AfterCommit => "after_commit",
            Self::AfterCreate => "after_create",
            Self::BetweenResources => "between_resources",
            Self::AfterLink => "after_link",
            Self::AfterRecord => "after_record",
            Self::Checkpoint => "checkpoint",
            Self::Migration => "migration",
            Self::HandBack => "hand_back",
            Self::Settle => "settle",
            Self::AfterSettle => "after_settle",
        }
    }
}

/// Ends the process where `point` is the armed one and its time has come.
#[inline]
pub fn reach(point: Point) {
    #[cfg(debug_assertions)]
    armed::reach(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::Point;

    /// What `CRASH_AT` says.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Armed {
        pub(super) point: Point,
        /// Which time it is, from 1.
        pub(super) time: u64,
        /// How long the process goes on, where it does.
        pub(super) after: Option<Duration>,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);

    #[expect(
        clippy::disallowed_methods,
        reason = "no setting: it is there for the crash suite alone"
    )]
    fn armed() -> Option<&'static Armed> {
        let read = || parse(&std::env::var("CRASH_AT").ok()?);
        ARMED.get_or_init(read).as_ref()
    }

    pub(super) fn reach(point: Point) {
        let Some(armed) = armed().filter(|armed| armed.point == point) else {
            return;
        };
        if REACHED.fetch_add(1, Ordering::Relaxed) + 1 != armed.time {
            return;
        }
        match armed.after {
            None => die(),
            Some(after) => drop(std::thread::spawn(move || {
                std::thread::sleep(after);
                die();
            })),
        }
    }

    fn die() {
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        std::process::abort();
    }

    pub(super) fn parse(text: &str) -> Option<Armed> {
        let (text, after) = match text.split_once('+') {
            Some((text, micros)) => (text, Some(Duration::from_micros(micros.parse().ok()?))),
            None => (text, None),
        };
        let (name, time) = text.split_once(':').unwrap_or((text, "1"));
        Some(Armed {
            point: Point::ALL.into_iter().find(|point| point.name() == name)?,
            time: time.parse().ok()?,
            after,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::armed::{Armed, parse};
    use super::*;

    #[test]
    fn a_point_is_named_with_its_time_and_what_is_left_to_live() {
        let armed = |point, time, after| Some(Armed { point, time, after });
        assert_eq!(parse("settle"), armed(Point::Settle, 1, None));
        assert_eq!(parse("after_append:3"), armed(Point::AfterAppend, 3, None));
        let micros = Some(Duration::from_micros(200));
        assert_eq!(
            parse("checkpoint:2+200"),
            armed(Point::Checkpoint, 2, micros)
        );
        for wrong in ["", "nowhere", "settle:x", "settle:1+x"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_point_has_a_name_of_its_own() {
        for point in Point::ALL {
            let named = Point::ALL.iter().filter(|one| one.name() == point.name());
            assert_eq!(named.count(), 1, "{point:?}");
        }
    }
}
