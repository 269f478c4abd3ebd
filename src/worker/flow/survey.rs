//! What is known of that which waits in the journal.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::model::ids::ListenerId;

use super::{Flow, Lane, LaneKey};

/// What the last round through the journal has left there.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Whether there was one since the limits have changed.
    is_done: bool,
    /// Lanes under a limit that may have something there.
    behind: HashMap<LaneKey, Behind>,
    /// Counts what came back to the journal.
    returned: u64,
    /// Listeners of which more could be leased if less waited in memory.
    pub(super) hungry: HashSet<ListenerId>,
    /// Whether something was left for want of slots or memory.
    pub(super) is_starved: bool,
}

/// A lane with something in the journal.
#[derive(Debug)]
struct Behind {
    lane: Lane,
    /// What is on its way there.
    on_the_way: usize,
    /// When the last one came.
    since: u64,
}

impl Survey {
    /// Whether nothing of a lane is in the journal.
    pub(super) fn is_clear(&self, lane: &LaneKey) -> bool {
        self.is_done && !self.behind.contains_key(lane)
    }

    pub(super) fn goes_back(&mut self, lane: &Lane) {
        let behind = self.behind.entry(lane.key()).or_insert_with(|| Behind {
            lane: lane.clone(),
            on_the_way: 0,
            since: 0,
        });
        behind.on_the_way += 1;
        behind.lane = lane.clone();
    }
}

impl<T> Flow<T> {
    /// Something of a lane goes back that has not asked for a turn.
    pub(in crate::worker) fn goes_back(&mut self, lane: &Lane) {
        if lane.is_limited() {
            self.survey.goes_back(lane);
        }
    }

    /// Something of a lane that was to go back is in the journal.
    pub(in crate::worker) fn is_back(&mut self, lane: &Lane) {
        self.survey.returned += 1;
        if let Some(behind) = self.survey.behind.get_mut(&lane.key()) {
            behind.on_the_way = behind.on_the_way.saturating_sub(1);
            behind.since = self.survey.returned;
        }
    }

    /// Limits may have changed: nothing is known until the next round.
    pub(in crate::worker) fn forget_survey(&mut self) {
        self.survey.is_done = false;
    }

    /// There is no memory to go on with: whoever gives some back is to wake the
    /// next round.
    pub(in crate::worker) fn starve(&mut self) {
        self.survey.is_starved = true;
        self.survey.is_done = false;
    }

    /// The time of a round that begins now.
    pub(in crate::worker) fn survey_begins(&self) -> u64 {
        self.survey.returned
    }

    /// A round through the journal that began at `since` has left something of
    /// these lanes. Whether some of that may be leased now.
    pub(in crate::worker) fn survey_ends(
        &mut self,
        since: u64,
        left: Vec<Lane>,
        now: Duration,
    ) -> bool {
        let keys: HashSet<LaneKey> = left.iter().map(Lane::key).collect();
        self.survey.behind.retain(|key, behind| {
            behind.on_the_way > 0 || behind.since > since || keys.contains(key)
        });
        self.survey.hungry.clear();
        self.survey.is_starved = false;
        self.survey.is_done = true;
        let mut again = false;
        for lane in left {
            again |= self.room(&lane, now).trigger > 0;
            if !lane.is_limited() {
                self.survey.hungry.insert(lane.listener.clone());
                self.survey.is_starved |= self.is_heavy(&lane.listener);
                continue;
            }
            self.survey.is_starved |= self.obstacle(&lane, now).is_none();
            let key = lane.key();
            let known = self.survey.behind.entry(key).or_insert_with(|| Behind {
                lane: lane.clone(),
                on_the_way: 0,
                since,
            });
            known.lane = lane;
        }
        again
    }

    /// When the next lane that waits in the journal may begin by its rate.
    pub(in crate::worker) fn next_token(&self, now: Duration) -> Option<Duration> {
        let holds = self.survey.behind.values();
        let holds = holds.filter_map(|behind| self.obstacle(&behind.lane, now));
        holds.filter_map(|hold| hold.until).min()
    }

    /// Whether so much memory is held for a listener that it gets no more: more
    /// than is left for others.
    pub(super) fn is_heavy(&self, listener: &ListenerId) -> bool {
        let held = self.party(listener).map_or(0, |party| party.bytes);
        let left = self.bytes_left();
        left == 0 || held > left
    }
}
