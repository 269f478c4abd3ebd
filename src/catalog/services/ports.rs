//! One port for each listener, out of a bounded range.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use sha2::{Digest, Sha256};

use crate::model::ids::ListenerId;

/// Most ports that a range may have: each is a socket in every replica.
const WIDEST: u16 = 4096;

/// The ports that may be given away, written `FIRST-LAST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: u16,
    last: u16,
}

impl Default for Range {
    fn default() -> Self {
        Self {
            first: 20_000,
            last: 20_255,
        }
    }
}

impl Range {
    /// Whether a port is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// How many there are.
    pub fn len(self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    /// Whether there are none: a range has at least one.
    pub fn is_empty(self) -> bool {
        false
    }

    /// All of them, from the one on that is a listener's first choice: the
    /// same after every start.
    fn beginning_with_choice(self, id: &ListenerId) -> impl Iterator<Item = u16> {
        let hash = Sha256::digest(id.to_string().as_bytes());
        let number = u16::from_be_bytes([hash[0], hash[1]]);
        let wide = self.last - self.first + 1;
        let start = number % wide;
        (start..wide).chain(0..start).map(move |at| self.first + at)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no range of ports such as 20000-20255");
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let parse = |port: &str| port.trim().parse::<u16>().map_err(|_| wrong());
        let (first, last) = (parse(first)?, parse(last)?);
        if first == 0 || last < first {
            return Err(wrong());
        }
        if last - first >= WIDEST {
            return Err(format!("`{text}` has more than {WIDEST} ports"));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Which listener each port is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(BTreeMap<u16, ListenerId>);

impl Ports {
    /// What was recorded. No port can be recorded twice.
    pub fn new(recorded: impl IntoIterator<Item = (u16, ListenerId)>) -> Self {
        Self(recorded.into_iter().collect())
    }

    /// The port of a listener.
    pub fn of(&self, id: &ListenerId) -> Option<u16> {
        let mut all = self.0.iter();
        all.find_map(|(port, owner)| (owner == id).then_some(*port))
    }

    /// Every port with its listener.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &ListenerId)> {
        self.0.iter().map(|(port, id)| (*port, id))
    }

    /// Gives every wanted listener a port, as far as there are any: the one
    /// that it has, else the one that `hint` knows of, else its first choice.
    /// A listener that is given back keeps its port for as long as nobody else
    /// needs it; `busy` ones, until they are given back. Whether anything is
    /// different now.
    pub fn assign(
        &mut self,
        wanted: &BTreeSet<ListenerId>,
        busy: &BTreeSet<ListenerId>,
        range: Range,
        hint: impl Fn(&ListenerId) -> Option<u16>,
    ) -> bool {
        let before = self.0.clone();
        self.0.retain(|port, id| {
            range.contains(*port) || (!wanted.contains(id) && busy.contains(id))
        });
        let mut known: BTreeSet<&ListenerId> = BTreeSet::new();
        let known_now = self.0.clone();
        known.extend(known_now.values());
        for id in wanted.iter().filter(|id| !known.contains(id)) {
            let free = |port: &u16| range.contains(*port) && !self.0.contains_key(port);
            let port = hint(id)
                .filter(free)
                .or_else(|| range.beginning_with_choice(id).find(free))
                .or_else(|| self.reclaim(wanted, busy));
            if let Some(port) = port {
                self.0.insert(port, id.clone());
            }
        }
        self.0 != before
    }

    /// A port whose listener is not served any more.
    fn reclaim(&self, wanted: &BTreeSet<ListenerId>, busy: &BTreeSet<ListenerId>) -> Option<u16> {
        let mut all = self.0.iter();
        all.find_map(|(port, id)| (!wanted.contains(id) && !busy.contains(id)).then_some(*port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ListenerId {
        ListenerId {
            namespace: "ci".into(),
            name: name.into(),
        }
    }

    fn ids(names: &[&str]) -> BTreeSet<ListenerId> {
        names.iter().map(|name| id(name)).collect()
    }

    fn assign(ports: &mut Ports, wanted: &[&str], busy: &[&str], range: &str) -> bool {
        let range = range.parse().unwrap();
        ports.assign(&ids(wanted), &ids(busy), range, |_| None)
    }

    #[test]
    fn ranges_are_bounded() {
        assert_eq!("20000-20255".parse(), Ok(Range::default()));
        assert_eq!(Range::default().len(), 256);
        for wrong in ["", "1", "9-8", "0-5", "1-70000", "a-b", "1-60000"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_listener_keeps_its_port_whoever_comes_and_goes() {
        let mut ports = Ports::default();
        assert!(assign(&mut ports, &["a", "b"], &[], "20000-20009"));
        let (a, b) = (ports.of(&id("a")), ports.of(&id("b")));
        assert!(a.is_some() && a != b);
        assert!(!assign(&mut ports, &["b"], &[], "20000-20009"));
        assert!(assign(&mut ports, &["a", "b", "c"], &[], "20000-20009"));
        assert_eq!((ports.of(&id("a")), ports.of(&id("b"))), (a, b));
        // The same choice where nothing was recorded.
        let mut again = Ports::default();
        assign(&mut again, &["a"], &[], "20000-20009");
        assert_eq!(again.of(&id("a")), a);
    }

    #[test]
    fn beyond_the_range_there_is_no_port_until_one_is_given_back() {
        let mut ports = Ports::default();
        assign(&mut ports, &["a", "b", "c"], &[], "20000-20001");
        assert_eq!(ports.of(&id("c")), None);
        assign(&mut ports, &["b", "c"], &["a"], "20000-20001");
        assert_eq!(ports.of(&id("c")), None, "a is still being given back");
        let taken = ports.of(&id("a"));
        assert!(assign(&mut ports, &["b", "c"], &[], "20000-20001"));
        assert_eq!(ports.of(&id("c")), taken);
    }

    #[test]
    fn what_a_service_says_is_used_where_it_is_free() {
        let mut ports = Ports::new([(20_001, id("b"))]);
        let range = "20000-20003".parse().unwrap();
        ports.assign(&ids(&["a", "b"]), &BTreeSet::new(), range, |_| Some(20_003));
        assert_eq!(ports.of(&id("a")), Some(20_003));
        let mut ports = Ports::new([(20_001, id("b"))]);
        ports.assign(&ids(&["a", "b"]), &BTreeSet::new(), range, |_| Some(20_001));
        assert_ne!(ports.of(&id("a")), Some(20_001), "it is another's");
        // Nor outside the range.
        ports.assign(&ids(&["c"]), &BTreeSet::new(), range, |_| Some(8080));
        assert_ne!(ports.of(&id("c")), Some(8080));
    }

    #[test]
    fn another_range_gives_other_ports() {
        let mut ports = Ports::new([(100, id("a"))]);
        assert!(assign(&mut ports, &["a"], &[], "20000-20001"));
        assert!(ports.of(&id("a")).is_some_and(|port| port >= 20_000));
    }
}
