//! What every order of arrivals, ends and times must keep.

use std::collections::HashMap;

use crate::model::ids::TriggerId;

use super::*;

mod properties;

const CAPACITY: Capacity = Capacity {
    slots: 8,
    reserve: 8,
    queue: 32,
    bytes: 1_000,
};

const NO_LIMITS: Limits = Limits {
    concurrent: None,
    rate: None,
};

fn limits(at_once: &str, rate: &str) -> Limits {
    Limits {
        concurrent: (!at_once.is_empty()).then(|| at_once.parse().unwrap()),
        rate: (!rate.is_empty()).then(|| rate.parse().unwrap()),
    }
}

fn listener(name: &str) -> ListenerId {
    ListenerId {
        namespace: "default".into(),
        name: name.into(),
    }
}

fn lane(of: &str, trigger: &str, of_listener: Limits, of_trigger: Limits) -> Lane {
    Lane {
        listener: listener(of),
        trigger: TriggerId(trigger.into()),
        of_listener,
        of_trigger,
        meter: format!("{of}/{trigger}").into(),
    }
}

const fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A flow whose journal is known to hold nothing.
fn flow() -> Flow<u32> {
    let mut flow = Flow::new(CAPACITY);
    flow.survey_ends(0, Vec::new(), at(0));
    flow
}

fn begins(entered: Entered<u32>) -> Pass {
    match entered {
        Entered::Begins(_, pass) => pass,
        other => panic!("{other:?} does not begin"),
    }
}

fn reason(entered: &Entered<u32>) -> Option<Reason> {
    match entered {
        Entered::Back(_, hold) => Some(hold.reason),
        _ => None,
    }
}

#[test]
fn who_has_all_slots_does_not_keep_others_from_beginning() {
    let mut flow = flow();
    let (flood, quiet) = (
        lane("flood", "t", NO_LIMITS, NO_LIMITS),
        lane("quiet", "t", NO_LIMITS, NO_LIMITS),
    );
    for ticket in 0..8 {
        begins(flow.enter(&flood, ticket, (true, 0), at(0)));
    }
    assert!(matches!(
        flow.enter(&flood, 8, (true, 0), at(0)),
        Entered::Waits
    ));
    // Half of the slots is its part, and the reserve has them.
    for ticket in 0..4 {
        begins(flow.enter(&quiet, ticket, (true, 0), at(0)));
    }
    assert!(matches!(
        flow.enter(&quiet, 4, (true, 0), at(0)),
        Entered::Waits
    ));
}

#[test]
fn a_flood_does_not_take_the_whole_queue() {
    let mut flow = flow();
    let flood = lane("flood", "t", NO_LIMITS, NO_LIMITS);
    let entered: Vec<_> = (0..100)
        .map(|n| flow.enter(&flood, n, (true, 0), at(0)))
        .collect();
    let waiting = entered
        .iter()
        .filter(|e| matches!(e, Entered::Waits))
        .count();
    assert_eq!(waiting, 16);
    assert_eq!(reason(&entered[99]), Some(Reason::AwaitsSlot));
}

#[test]
fn a_trigger_that_is_limited_to_one_runs_one() {
    let mut flow = flow();
    let lane = lane("l", "t", NO_LIMITS, limits("1", ""));
    let first = begins(flow.enter(&lane, 1, (true, 0), at(0)));
    let second = flow.enter(&lane, 2, (true, 0), at(0));
    assert_eq!(reason(&second), Some(Reason::ConcurrencyLimited));
    assert_eq!(flow.room(&lane, at(0)).trigger, 0);
    // Whoever waits for its turn in the journal must be told.
    assert!(flow.leave(&first, at(1)));
    assert_eq!(flow.room(&lane, at(1)).trigger, 1);
    // A newer one must not overtake the one that went back.
    let third = flow.enter(&lane, 3, (true, 0), at(1));
    assert_eq!(reason(&third), Some(Reason::ConcurrencyLimited));
    flow.is_back(&lane);
    flow.is_back(&lane);
    begins(flow.enter(&lane, 2, (false, 0), at(2)));
}

#[test]
fn a_lane_is_clear_when_a_round_has_found_nothing_of_it() {
    let mut flow = flow();
    let lane = lane("l", "t", NO_LIMITS, limits("1", ""));
    let first = begins(flow.enter(&lane, 1, (true, 0), at(0)));
    flow.enter(&lane, 2, (true, 0), at(0));
    flow.leave(&first, at(0));
    // A round that began before the second was there says nothing of it.
    let before = flow.survey_begins();
    flow.survey_ends(before, Vec::new(), at(0));
    assert!(reason(&flow.enter(&lane, 3, (true, 0), at(0))).is_some());
    flow.is_back(&lane);
    flow.is_back(&lane);
    flow.survey_ends(before, Vec::new(), at(0));
    assert!(reason(&flow.enter(&lane, 4, (true, 0), at(0))).is_some());
    flow.is_back(&lane);
    flow.survey_ends(flow.survey_begins(), Vec::new(), at(0));
    begins(flow.enter(&lane, 5, (true, 0), at(0)));
}

#[test]
fn before_the_first_round_nothing_overtakes_what_may_be_in_the_journal() {
    let mut flow = Flow::new(CAPACITY);
    let limited = lane("l", "t", NO_LIMITS, limits("1", ""));
    assert!(matches!(
        flow.enter(&limited, 1, (true, 0), at(0)),
        Entered::Back(..)
    ));
    let free = lane("l", "u", NO_LIMITS, NO_LIMITS);
    begins(flow.enter(&free, 2, (true, 0), at(0)));
}

#[test]
fn one_that_waits_for_its_rate_is_told_when() {
    let mut flow = flow();
    let lane = lane("l", "t", limits("", "10/s burst 1"), NO_LIMITS);
    let pass = begins(flow.enter(&lane, 1, (true, 0), at(0)));
    flow.leave(&pass, at(1));
    let Entered::Back(_, hold) = flow.enter(&lane, 2, (true, 0), at(1)) else {
        panic!("it begins too early");
    };
    assert_eq!(
        hold,
        Hold {
            reason: Reason::RateLimited,
            until: Some(at(100))
        }
    );
    flow.is_back(&lane);
    assert!(!flow.survey_ends(flow.survey_begins(), vec![lane.clone()], at(2)));
    assert_eq!(flow.next_token(at(2)), Some(at(100)));
    assert_eq!(
        flow.room(&lane, at(100)),
        Room {
            listener: 1,
            trigger: 1
        }
    );
}

#[test]
fn memory_of_one_listener_leaves_some_for_others() {
    let mut flow = flow();
    let (a, b) = (
        lane("a", "t", NO_LIMITS, NO_LIMITS),
        lane("b", "t", NO_LIMITS, NO_LIMITS),
    );
    let pass = begins(flow.enter(&a, 1, (false, 600), at(0)));
    assert_eq!(flow.room(&a, at(0)), Room::default());
    assert!(flow.room(&b, at(0)).trigger > 0);
    assert_eq!(flow.bytes_left(), 400);
    flow.survey_ends(0, vec![a.clone()], at(0));
    assert!(flow.leave(&pass, at(0)), "there is memory again");
    assert!(flow.room(&a, at(0)).trigger > 0);
}

#[test]
fn of_those_that_wait_whoever_has_the_fewest_at_work_is_next() {
    let mut flow = flow();
    let lanes: Vec<Lane> = ["a", "b", "c"]
        .map(|of| lane(of, "t", NO_LIMITS, NO_LIMITS))
        .into();
    let mut passes = Vec::new();
    for (number, of) in lanes.iter().flat_map(|lane| [lane; 14]).enumerate() {
        if let Entered::Begins(_, pass) = flow.enter(of, number as u32, (true, 0), at(0)) {
            passes.push(pass);
        }
    }
    // Whatever ends, each gets its part of what becomes free.
    for round in 0..20 {
        let pass = passes.swap_remove(round % passes.len());
        flow.leave(&pass, at(0));
        while let Some((_, pass)) = flow.next(at(0)) {
            passes.push(pass);
        }
    }
    let mut counts = HashMap::new();
    for pass in &passes {
        *counts.entry(pass.listener.name.clone()).or_insert(0) += 1;
    }
    let (least, most) = (
        counts.values().min().unwrap(),
        counts.values().max().unwrap(),
    );
    assert!(counts.len() == 3 && most - least <= 1, "{counts:?}");
}
