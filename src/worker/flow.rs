//! Whose turn it is: a pure structure without a clock.
//!
//! In: what wants to begin, what has ended, and the time. Out: what begins.
//! Every listener has a queue of its own. Of those that wait, the one that has
//! the fewest at work is next, so that all get the same part of what there is.
//! Where one of them has taken all slots with slow work, a reserve lets the
//! others begin: as many of each as are its part.
//!
//! What a limit of its own keeps from beginning never waits here: it goes back
//! to the journal, where it takes up neither a slot nor memory.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::model::flow::Limits;
use crate::model::ids::ListenerId;
use crate::model::verdict::Reason;

mod lane;
mod meter;
mod survey;
#[cfg(test)]
mod tests;

pub(super) use lane::Lane;
use lane::{LaneKey, MeterKey};
use meter::Meter;
use survey::Survey;

/// Meters above which those that say nothing are looked for and forgotten.
const METERS: usize = 1024;

/// How much there may be at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// What may be at work, whoever's it is.
    pub slots: usize,
    /// What may be at work besides, of those who have less than their part.
    pub reserve: usize,
    /// What may wait.
    pub queue: usize,
    /// Bytes that may be held in memory for all that were leased.
    pub bytes: usize,
}

/// What became of something that wants to begin.
#[derive(Debug)]
pub(super) enum Entered<T> {
    /// It begins; the pass is given back when it has ended.
    Begins(T, Pass),
    /// It waits for its turn.
    Waits,
    /// It may not begin now and there is no room for it to wait.
    Back(T, Hold),
}

/// Why something goes back to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub reason: Reason,
    /// The earliest time at which it may begin, where that is known.
    pub until: Option<Duration>,
}

/// What is at work holds one.
#[derive(Debug)]
pub(super) struct Pass {
    listener: ListenerId,
    meters: Vec<(MeterKey, Limits)>,
    bytes: usize,
}

/// How many of a lane may be leased now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// Of all triggers of its listener together.
    pub listener: usize,
    /// Of its own.
    pub trigger: usize,
}

/// What one listener has at work, and what waits.
#[derive(Debug)]
struct Party<T> {
    running: usize,
    queue: VecDeque<(T, usize)>,
    /// When it was served last.
    served: u64,
    bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Flow<T> {
    capacity: Capacity,
    /// Only those who have something at work or waiting.
    parties: HashMap<ListenerId, Party<T>>,
    meters: HashMap<MeterKey, Meter>,
    running: usize,
    queued: usize,
    bytes: usize,
    served: u64,
    survey: Survey,
}

impl<T> Flow<T> {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            parties: HashMap::new(),
            meters: HashMap::new(),
            running: 0,
            queued: 0,
            bytes: 0,
            served: 0,
            survey: Survey::default(),
        }
    }

    /// Something wants to begin. One that `is_new` has not been in the
    /// journal's hands, and does not overtake those of its lane that are.
    /// `bytes` are held in memory for it, beyond anybody else's budget.
    pub(super) fn enter(
        &mut self,
        lane: &Lane,
        ticket: T,
        (is_new, bytes): (bool, usize),
        now: Duration,
    ) -> Entered<T> {
        if lane.is_limited() {
            let hold = self.obstacle(lane, now).or_else(|| {
                let reason = match is_new && !self.survey.is_clear(&lane.key()) {
                    true => lane.waits_for(),
                    false if self.startable(&lane.listener) == 0 => Reason::AwaitsSlot,
                    false => return None,
                };
                Some(Hold {
                    reason,
                    until: None,
                })
            });
            return match hold {
                Some(hold) => {
                    self.survey.goes_back(lane);
                    Entered::Back(ticket, hold)
                }
                None => Entered::Begins(ticket, self.begin(lane, bytes, now)),
            };
        }
        if self.startable(&lane.listener) > 0 {
            return Entered::Begins(ticket, self.begin(lane, bytes, now));
        }
        let waiting = self
            .party(&lane.listener)
            .map_or(0, |party| party.queue.len());
        // As many as are free for others: no flood takes the whole queue.
        if waiting >= self.capacity.queue.saturating_sub(self.queued) {
            let reason = Reason::AwaitsSlot;
            return Entered::Back(
                ticket,
                Hold {
                    reason,
                    until: None,
                },
            );
        }
        let party = self.party_mut(&lane.listener);
        party.queue.push_back((ticket, bytes));
        party.bytes += bytes;
        self.queued += 1;
        self.bytes += bytes;
        Entered::Waits
    }

    /// Something has ended. Whether the journal should be asked for more.
    pub(super) fn leave(&mut self, pass: &Pass, now: Duration) -> bool {
        let mut wake = self.survey.is_starved;
        for (key, limits) in &pass.meters {
            if let Some(meter) = self.meters.get_mut(key) {
                wake |= meter.is_full(limits);
                meter.ends();
                if meter.is_idle(now) {
                    self.meters.remove(key);
                }
            }
        }
        self.running = self.running.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(pass.bytes);
        let mut waiting = 0;
        if let Some(party) = self.parties.get_mut(&pass.listener) {
            party.running = party.running.saturating_sub(1);
            party.bytes = party.bytes.saturating_sub(pass.bytes);
            waiting = party.queue.len();
            if party.running == 0 && party.queue.is_empty() {
                self.parties.remove(&pass.listener);
            }
        }
        wake || self.survey.hungry.contains(&pass.listener) && waiting <= self.part() / 2
    }

    /// What begins now of that which has waited.
    pub(super) fn next(&mut self, now: Duration) -> Option<(T, Pass)> {
        let part = self.part();
        let has_turn = |party: &Party<T>| self.may_begin(party.running, part) > 0;
        let waiting = self
            .parties
            .iter()
            .filter(|(_, p)| !p.queue.is_empty() && has_turn(p));
        let next = waiting.min_by_key(|(_, party)| (party.running, party.served))?;
        let listener = next.0.clone();
        let (ticket, bytes) = self.party_mut(&listener).queue.pop_front()?;
        self.queued -= 1;
        // It is counted again as it begins.
        self.bytes -= bytes;
        self.party_mut(&listener).bytes -= bytes;
        Some((ticket, self.begin(&Lane::unlimited(listener), bytes, now)))
    }

    /// How many of a lane may be leased now: what is under a limit as many as
    /// may begin at once, other things some more, so that nobody waits for the
    /// journal.
    pub(super) fn room(&self, lane: &Lane, now: Duration) -> Room {
        let party = self.party(&lane.listener);
        if self.is_heavy(&lane.listener) {
            return Room::default();
        }
        if !lane.is_limited() {
            let has = party.map_or(0, |party| party.running + party.queue.len());
            let ahead = (2 * self.part_of(&lane.listener)).saturating_sub(has);
            let ahead = ahead.min(self.capacity.queue.saturating_sub(self.queued));
            return Room {
                listener: ahead,
                trigger: ahead,
            };
        }
        let free = |key: &MeterKey, limits: &Limits| {
            let meter = self.meters.get(key).copied().unwrap_or_default();
            meter.free(limits, now)
        };
        let mut room = Room {
            listener: self.startable(&lane.listener),
            trigger: usize::MAX,
        };
        for (key, limits) in lane.meters() {
            match key {
                MeterKey::Listener(_) => room.listener = room.listener.min(free(&key, limits)),
                MeterKey::Trigger(_) => room.trigger = free(&key, limits),
            }
        }
        room.trigger = room.trigger.min(room.listener);
        room
    }

    /// Bytes that may still be leased.
    pub(super) fn bytes_left(&self) -> usize {
        self.capacity.bytes.saturating_sub(self.bytes)
    }

    /// How many more may begin or wait.
    pub(super) fn places_left(&self) -> usize {
        let Capacity {
            slots,
            reserve,
            queue,
            ..
        } = self.capacity;
        let all = slots.saturating_add(reserve).saturating_add(queue);
        all.saturating_sub(self.running).saturating_sub(self.queued)
    }

    /// What is at work, and what waits.
    #[cfg(test)]
    pub(super) fn load(&self) -> (usize, usize) {
        (self.running, self.queued)
    }

    /// The limit that keeps a lane from beginning.
    fn obstacle(&self, lane: &Lane, now: Duration) -> Option<Hold> {
        let mut found: Option<Hold> = None;
        for (key, limits) in lane.meters() {
            let Some(meter) = self.meters.get(&key) else {
                continue;
            };
            let until = meter.next_token(limits, now);
            // Without a time that anybody knows it waits for the longest.
            if meter.is_full(limits) {
                let reason = Reason::ConcurrencyLimited;
                return Some(Hold { reason, until });
            }
            if let Some(until) = until {
                let later = found
                    .and_then(|hold| hold.until)
                    .map_or(until, |at| at.max(until));
                found = Some(Hold {
                    reason: Reason::RateLimited,
                    until: Some(later),
                });
            }
        }
        found
    }

    fn begin(&mut self, lane: &Lane, bytes: usize, now: Duration) -> Pass {
        if self.meters.len() > METERS {
            self.meters.retain(|_, meter| !meter.is_idle(now));
        }
        let mut meters = Vec::new();
        for (key, limits) in lane.meters() {
            self.meters
                .entry(key.clone())
                .or_default()
                .begins(limits, now);
            meters.push((key, *limits));
        }
        self.served += 1;
        let served = self.served;
        let party = self.party_mut(&lane.listener);
        party.running += 1;
        party.served = served;
        party.bytes += bytes;
        self.running += 1;
        self.bytes += bytes;
        Pass {
            listener: lane.listener.clone(),
            meters,
            bytes,
        }
    }

    /// How many more of a listener's may begin now.
    fn startable(&self, listener: &ListenerId) -> usize {
        let running = self.party(listener).map_or(0, |party| party.running);
        self.may_begin(running, self.part_of(listener))
    }

    fn may_begin(&self, running: usize, part: usize) -> usize {
        let Capacity { slots, reserve, .. } = self.capacity;
        let free = slots.saturating_sub(self.running);
        let reserved = (slots + reserve).saturating_sub(self.running);
        free.max(reserved.min(part.saturating_sub(running)))
    }

    /// The part of the slots that each of those has who want any.
    fn part(&self) -> usize {
        (self.capacity.slots / self.parties.len().max(1)).max(1)
    }

    fn part_of(&self, listener: &ListenerId) -> usize {
        let others = self.parties.len() - usize::from(self.parties.contains_key(listener));
        (self.capacity.slots / (others + 1)).max(1)
    }

    fn party(&self, listener: &ListenerId) -> Option<&Party<T>> {
        self.parties.get(listener)
    }

    fn party_mut(&mut self, listener: &ListenerId) -> &mut Party<T> {
        match self.parties.entry(listener.clone()) {
            Entry::Occupied(party) => party.into_mut(),
            Entry::Vacant(place) => place.insert(Party {
                running: 0,
                queue: VecDeque::new(),
                served: self.served,
                bytes: 0,
            }),
        }
    }
}
