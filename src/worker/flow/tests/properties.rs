//! Whatever comes, ends and waits, and whenever.

use proptest::prelude::*;

use super::*;

/// What may happen to a flow.
#[derive(Clone, Debug)]
enum Step {
    Enter(usize),
    Leave(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..LANES).prop_map(Step::Enter),
        3 => any::<usize>().prop_map(Step::Leave),
        1 => (1..200u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..400)
}

const LANES: usize = 7;

fn lanes() -> [Lane; LANES] {
    let whole = limits("3", "");
    [
        lane("flood", "t", NO_LIMITS, NO_LIMITS),
        lane("flood", "u", NO_LIMITS, NO_LIMITS),
        lane("quiet", "t", NO_LIMITS, NO_LIMITS),
        lane("one", "t", NO_LIMITS, limits("1", "")),
        lane("some", "t", whole, limits("2", "")),
        lane("some", "u", whole, NO_LIMITS),
        lane(
            "slow",
            "t",
            limits("", "20/s burst 4"),
            limits("", "10/s burst 2"),
        ),
    ]
}

/// A flow with what has been seen of it.
struct Watched {
    flow: Flow<u32>,
    lanes: [Lane; LANES],
    now: Duration,
    next: u32,
    /// What is at work, by lane.
    running: Vec<(usize, Pass)>,
    /// Which lane each ticket is of.
    of: HashMap<u32, usize>,
    /// The tickets of each listener that began, in order.
    begun: HashMap<String, Vec<u32>>,
    /// When lanes with a rate began.
    starts: Vec<Duration>,
}

impl Watched {
    fn new() -> Self {
        Self {
            flow: flow(),
            lanes: lanes(),
            now: at(0),
            next: 0,
            running: Vec::new(),
            of: HashMap::new(),
            begun: HashMap::new(),
            starts: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Pass(time) => self.now += at(time),
            Step::Enter(index) => self.enter(index),
            Step::Leave(which) if !self.running.is_empty() => {
                let (_, pass) = self.running.swap_remove(which % self.running.len());
                self.flow.leave(&pass, self.now);
            }
            Step::Leave(_) => {}
        }
        while let Some((ticket, pass)) = self.flow.next(self.now) {
            self.began(ticket, pass);
        }
        self.check();
    }

    fn enter(&mut self, index: usize) {
        let lane = self.lanes[index].clone();
        let ticket = self.next;
        self.next += 1;
        self.of.insert(ticket, index);
        // As leased: whether newer ones overtake is another matter.
        match self.flow.enter(&lane, ticket, (false, 0), self.now) {
            Entered::Begins(ticket, pass) => self.began(ticket, pass),
            Entered::Waits => assert!(!lane.is_limited(), "{lane:?} waits in memory"),
            Entered::Back(_, hold) => {
                if let Some(until) = hold.until {
                    assert!(until > self.now);
                }
                if lane.is_limited() {
                    self.flow.is_back(&lane);
                }
            }
        }
    }

    fn began(&mut self, ticket: u32, pass: Pass) {
        let index = self.of[&ticket];
        if index == LANES - 1 {
            self.starts.push(self.now);
        }
        self.begun
            .entry(pass.listener.name.clone())
            .or_default()
            .push(ticket);
        self.running.push((index, pass));
    }

    fn check(&self) {
        let count = |of: &[usize]| {
            self.running
                .iter()
                .filter(|(index, _)| of.contains(index))
                .count()
        };
        assert!(count(&[3]) <= 1 && count(&[4]) <= 2 && count(&[4, 5]) <= 3);
        let (running, queued) = self.flow.load();
        assert_eq!(running, self.running.len());
        assert!(running <= CAPACITY.slots + CAPACITY.reserve && queued <= CAPACITY.queue);
        // Work-conserving: nothing waits while there is a slot.
        assert!(queued == 0 || running >= CAPACITY.slots);
        // Nobody waits who has less than his part, as long as there is a reserve.
        if running < CAPACITY.slots + CAPACITY.reserve {
            let part = self.flow.part();
            let mut parties = self.flow.parties.values();
            assert!(parties.all(|party| party.queue.is_empty() || party.running >= part));
        }
        for tickets in [self.begun.get("flood"), self.begun.get("quiet")]
            .into_iter()
            .flatten()
        {
            assert!(tickets.is_sorted(), "{tickets:?} are out of order");
        }
        for (first, from) in self.starts.iter().enumerate() {
            for (last, to) in self.starts.iter().enumerate().skip(first) {
                let allowed = 2 + (*to - *from).as_millis() / 100;
                assert!((last - first + 1) as u128 <= allowed, "{:?}", self.starts);
            }
        }
    }

    /// Everything ends, and nothing is left that waits.
    fn drain(&mut self) {
        for _ in 0..1_000 {
            if self.running.is_empty() {
                break;
            }
            self.step(&Step::Leave(0));
        }
        assert_eq!(self.flow.load(), (0, 0));
        assert!(self.flow.parties.is_empty());
        assert_eq!(self.flow.bytes_left(), CAPACITY.bytes);
    }
}

proptest! {
    #[test]
    fn limits_parts_and_order_hold_whatever_happens(steps in steps()) {
        let mut watched = Watched::new();
        steps.iter().for_each(|step| watched.step(step));
        watched.drain();
    }
}
