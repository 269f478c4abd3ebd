//! How many bytes of bodies may be in memory at once, over all connections.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for: a semaphore counts to fewer than there
/// are bytes.
const UNIT: usize = 1024;

/// A body is small up to this part of the budget...
const SMALL: usize = 64;

/// ... and this part of the budget is kept for those.
const KEPT: usize = 4;

/// The budget.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    all: usize,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Share(Option<OwnedSemaphorePermit>);

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        let all = bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    /// Takes what `share` lacks to hold `bytes`; false where the budget does
    /// not have it.
    pub(super) fn extend(&self, share: &mut Share, bytes: usize) -> bool {
        let held = share
            .0
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(UNIT).saturating_sub(held);
        if missing == 0 {
            return true;
        }
        let Ok(missing) = u32::try_from(missing) else {
            return false;
        };
        // Few large bodies must not keep all the small ones out.
        let left = self.units.available_permits();
        let is_large = bytes > self.all * UNIT / SMALL;
        if is_large && left.saturating_sub(missing as usize) < self.all / KEPT {
            return false;
        }
        match Arc::clone(&self.units).try_acquire_many_owned(missing) {
            Ok(more) => {
                match &mut share.0 {
                    Some(held) => held.merge(more),
                    none => *none = Some(more),
                }
                true
            }
            Err(_) => false,
        }
    }

    /// Whether more than half of it is taken.
    pub fn is_tight(&self) -> bool {
        self.units.available_permits() < self.all / 2
    }

    /// Bytes that are taken.
    pub fn taken(&self) -> usize {
        (self.all - self.units.available_permits().min(self.all)) * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let budget = Budget::new(640 * UNIT);
        let mut first = Share::default();
        assert!(budget.extend(&mut first, 1));
        assert!(budget.extend(&mut first, 400 * UNIT));
        assert_eq!(budget.taken(), 400 * UNIT);
        assert!(budget.is_tight());
        let mut second = Share::default();
        assert!(!budget.extend(&mut second, 241 * UNIT));
        assert!(budget.extend(&mut second, 80 * UNIT));
        drop(first);
        assert_eq!(budget.taken(), 80 * UNIT);
        assert!(!budget.is_tight());
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let budget = Budget::new(640 * UNIT);
        let mut large = Share::default();
        assert!(!budget.extend(&mut large, 500 * UNIT));
        assert!(budget.extend(&mut large, 480 * UNIT));
        let mut another = Share::default();
        assert!(!budget.extend(&mut another, 11 * UNIT));
        let mut small: Vec<Share> = (0..16).map(|_| Share::default()).collect();
        assert!(
            small
                .iter_mut()
                .all(|share| budget.extend(share, 10 * UNIT))
        );
        assert!(!budget.extend(&mut another, 1));
    }
}
