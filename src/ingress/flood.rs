//! How many refused requests a listener answers in a second.
//!
//! Only refusals are counted: a sender who proves who he is is never told to
//! slow down because of those who do not.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Listeners that are told apart; the others share one count. More come only
/// from a configuration, never from a stranger's path.
const LISTENERS: usize = 4096;

/// Counts refusals.
#[derive(Debug)]
pub(super) struct Floods {
    per_second: u32,
    seconds: Mutex<HashMap<String, (Instant, u32)>>,
}

impl Floods {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            seconds: Mutex::new(HashMap::new()),
        }
    }

    /// Counts a refusal at `now`; true where there were too many in the second
    /// that has passed.
    pub(super) fn refused(&self, listener: &str, now: Instant) -> bool {
        let Ok(mut seconds) = self.seconds.lock() else {
            return false;
        };
        let key = if seconds.len() < LISTENERS || seconds.contains_key(listener) {
            listener
        } else {
            ""
        };
        if !seconds.contains_key(key) {
            seconds.insert(key.to_owned(), (now, 0));
        }
        let Some((since, count)) = seconds.get_mut(key) else {
            return false;
        };
        if now.duration_since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count > self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_has_its_own_count_and_each_second_a_new_one() {
        let floods = Floods::new(2);
        let start = Instant::now();
        assert!(!floods.refused("a", start));
        assert!(!floods.refused("a", start));
        assert!(floods.refused("a", start));
        assert!(!floods.refused("b", start));
        assert!(!floods.refused("a", start + Duration::from_secs(1)));
    }
}
