//! Every bound of what strangers may make the gateway do.

use std::time::Duration;

/// The bounds of the ingress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body, in bytes. GitHub and GitLab send up to 25 MiB.
    pub body: usize,
    /// Bytes of bodies that may be in memory at once.
    pub in_flight: usize,
    /// Largest head of a request, in bytes.
    pub head: usize,
    /// Most header fields.
    pub headers: usize,
    /// Longest time that a head may take, and that a connection may be idle.
    pub head_time: Duration,
    /// Longest time that a body may take.
    pub body_time: Duration,
    /// Longest time from the head of a request to its answer.
    pub total_time: Duration,
    /// Most connections at once.
    pub connections: usize,
    /// Events of one listener that may wait although nobody has verified them.
    pub deferred_events: usize,
    /// Bytes of their bodies.
    pub deferred_bytes: usize,
    /// Verified events of one listener that may wait for a trigger that does
    /// not work yet.
    pub waiting_events: usize,
    /// Bytes of their bodies.
    pub waiting_bytes: usize,
    /// Refused requests that a listener answers with 401 in a second; the
    /// others are told to slow down.
    pub refusals_per_second: u32,
}

impl Limits {
    /// What holds where nobody says otherwise.
    pub const DEFAULT: Self = Self {
        body: 25 * 1024 * 1024,
        in_flight: 256 * 1024 * 1024,
        head: 64 * 1024,
        headers: 128,
        head_time: Duration::from_secs(10),
        body_time: Duration::from_secs(30),
        total_time: Duration::from_secs(60),
        connections: 4096,
        deferred_events: 100,
        deferred_bytes: 64 * 1024 * 1024,
        waiting_events: 10_000,
        waiting_bytes: 256 * 1024 * 1024,
        refusals_per_second: 100,
    };
}

/// Most connections to a port that is for people or for probes.
pub const CONSOLE_CONNECTIONS: usize = 64;

/// File descriptors that are left for everything but connections to the
/// ingress: the journal, what is watched and written, the other three ports.
pub const OTHER_FILES: usize = 256;

/// Largest question of an API server, in bytes: an object as it is and as it
/// was, each as large as may be stored.
pub(super) const REVIEW_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of such questions that may be in memory at once.
pub(super) const REVIEWS_IN_FLIGHT: usize = 8 * REVIEW_BYTES;

/// Memory that one may take up when it is parsed, in bytes.
pub(super) const REVIEW_MEMORY: usize = 8 * REVIEW_BYTES;

/// Bytes of a refused body that are still read, so that its sender gets to
/// hear why: who closes while the other side writes cuts his own answer off.
pub(super) const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// How long that may take.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(5);

/// Memory that a body gets on the word of its `Content-Length` alone, in bytes.
pub(super) const ANNOUNCED_AT_MOST: usize = 1024 * 1024;

/// Bodies from this size on are judged off the threads that serve
/// connections: to hash and parse a megabyte takes milliseconds.
pub(super) const JUDGED_ASIDE_FROM: usize = 512 * 1024;

/// Bodies that are judged there at once: parsed, each takes up many times its
/// own size.
pub(super) const JUDGED_ASIDE_AT_ONCE: usize = 2;

/// Rows of the answer's table of triggers. Beyond, verdicts are counted.
pub(super) const ANSWER_ROWS: usize = 20;

/// What `Retry-After` says, in seconds, when the gateway cannot take an event.
pub(super) const RETRY_AFTER_SECONDS: u32 = 10;
