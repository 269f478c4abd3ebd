//! What must have become of the events, for each class of actions.
//!
//! Creates: every event that was answered 202 ends in exactly one object for
//! each trigger that wants it and each place in that trigger's template; an
//! event that was not answered may; nothing else is there. A class that is
//! judged by another rule gets a function beside [`creates`].

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::Value;

use super::gateway::{Gateway, PATIENCE};
use super::load::Ledger;
use super::random::Random;
use super::world::Event;

/// An object, by what it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Made {
    pub(crate) mark: String,
    pub(crate) trigger: String,
    pub(crate) index: u32,
}

/// Somewhere that objects are.
pub(crate) trait Effects {
    /// All objects that are there now.
    fn made(&mut self) -> Result<Vec<Made>, Failed>;

    /// What attempts have begun and not finished.
    fn half_made(&self) -> Result<Vec<PathBuf>, Failed> {
        Ok(Vec::new())
    }
}

/// What has become of the events.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) accepted: usize,
    pub(crate) repeated: u64,
    pub(crate) objects: usize,
    /// Objects that are missing.
    pub(crate) lost: Vec<Made>,
    /// Objects that are there more than once.
    pub(crate) doubled: Vec<Made>,
    /// Objects that nothing should have made.
    pub(crate) extra: Vec<Made>,
}

impl Outcome {
    fn is_as_it_should_be(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.extra.is_empty()
    }
}

/// Judges objects that are created.
pub(crate) fn creates(ledger: &Ledger, made: &[Made]) -> Outcome {
    let mut counts: HashMap<&Made, usize> = HashMap::new();
    for one in made {
        *counts.entry(one).or_default() += 1;
    }
    let objects_of = |mark: &str| {
        let event = ledger.offered.get(mark);
        let objects = event.map_or(&[][..], |event| event.objects());
        let mark = mark.to_owned();
        objects.iter().map(move |(trigger, index)| Made {
            mark: mark.clone(),
            trigger: (*trigger).to_owned(),
            index: *index,
        })
    };
    let marks = ledger.accepted.keys();
    let lost = marks.flat_map(|mark| objects_of(mark));
    let lost = lost.filter(|wanted| !counts.contains_key(wanted)).collect();
    let possible: HashSet<Made> = ledger
        .offered
        .keys()
        .flat_map(|mark| objects_of(mark))
        .collect();
    let twice = counts.iter().filter(|(_, count)| **count > 1);
    let extra = counts.keys().filter(|made| !possible.contains(made));
    Outcome {
        accepted: ledger.accepted.len(),
        repeated: ledger.repeated,
        objects: made.len(),
        lost,
        doubled: twice.map(|(made, _)| (*made).clone()).collect(),
        extra: extra.map(|made| (*made).clone()).collect(),
    }
}

/// Waits until nothing is missing, stops the last gateway, and judges what
/// there is then.
pub(crate) fn judge(
    ledger: &Ledger,
    effects: &mut dyn Effects,
    last: Gateway,
) -> Result<Outcome, Failed> {
    wait(ledger, effects, PATIENCE)?;
    // What was sent and not answered may still be on its way.
    last.stop()?;
    let outcome = wait(ledger, effects, Duration::ZERO)?;
    let half_made = effects.half_made()?;
    if !half_made.is_empty() {
        return Err(format!("left over: {half_made:?}").into());
    }
    Ok(outcome)
}

/// Waits until nothing is missing, for some time at most.
pub(crate) fn wait(
    ledger: &Ledger,
    effects: &mut dyn Effects,
    patience: Duration,
) -> Result<Outcome, Failed> {
    let (mut progress, mut fewest) = (Instant::now(), usize::MAX);
    loop {
        let outcome = creates(ledger, &effects.made()?);
        if outcome.is_as_it_should_be() {
            return Ok(outcome);
        }
        let (lost, doubled, extra) = (&outcome.lost, &outcome.doubled, &outcome.extra);
        let is_hopeless = !doubled.is_empty() || !extra.is_empty();
        if lost.len() < fewest {
            (progress, fewest) = (Instant::now(), lost.len());
        }
        if is_hopeless || progress.elapsed() > patience {
            return Err(format!(
                "{} events accepted; {} objects lost {:?}, {} doubled {:?}, {} extra {:?}",
                outcome.accepted,
                lost.len(),
                first(lost),
                doubled.len(),
                first(doubled),
                extra.len(),
                first(extra)
            )
            .into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn first(made: &[Made]) -> &[Made] {
    &made[..made.len().min(3)]
}

/// Files of the folder sink.
#[derive(Default)]
pub(crate) struct Files {
    folder: PathBuf,
    /// Files that were read: one that has its name never changes.
    read: HashMap<PathBuf, Made>,
}

impl Files {
    /// Below `out` of a gateway's folder.
    pub(crate) fn of(folder: &Path, namespace: &str) -> Self {
        Self {
            folder: folder.join("out").join(namespace).join("ConfigMap"),
            read: HashMap::new(),
        }
    }

    fn all(&self) -> Result<Vec<PathBuf>, Failed> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Ok(Vec::new());
        };
        let paths: Result<_, std::io::Error> = entries.map(|entry| Ok(entry?.path())).collect();
        Ok(paths?)
    }
}

impl Effects for Files {
    fn made(&mut self) -> Result<Vec<Made>, Failed> {
        let mut made = Vec::new();
        for path in self.all()?.into_iter().filter(|path| !is_part(path)) {
            if !self.read.contains_key(&path) {
                let text = std::fs::read_to_string(&path)?;
                let object: Value = serde_saphyr::from_str(&text)?;
                let one = origin(&object);
                let one = one.ok_or_else(|| format!("{} is not whole", path.display()))?;
                self.read.insert(path.clone(), one);
            }
            made.push(self.read[&path].clone());
        }
        Ok(made)
    }

    fn half_made(&self) -> Result<Vec<PathBuf>, Failed> {
        Ok(self
            .all()?
            .into_iter()
            .filter(|path| is_part(path))
            .collect())
    }
}

fn is_part(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "part")
}

/// What an object of the suite was made for.
pub(crate) fn origin(object: &Value) -> Option<Made> {
    let annotations = &object["metadata"]["annotations"];
    let trigger = annotations["tripline.dev/trigger"].as_str()?;
    Some(Made {
        mark: object["data"]["mark"].as_str()?.to_owned(),
        trigger: trigger.rsplit('#').next()?.to_owned(),
        index: annotations["tripline.dev/index"].as_str()?.parse().ok()?,
    })
}

/// An oracle that sees nothing would have every test pass.
pub(crate) fn sees() -> Result<(), Failed> {
    let mut random = Random::new(1);
    let mut ledger = Ledger::default();
    while ledger.accepted.len() < 50 {
        let mark = format!("m{}", ledger.offered.len());
        let event = Event::draw(mark.clone(), &mut random);
        if !event.objects().is_empty() && random.percent(70) {
            ledger.accepted.insert(mark.clone(), String::new());
        }
        ledger.offered.insert(mark, event);
    }
    let objects = |marks: Vec<&String>| -> Vec<Made> {
        let objects = marks.into_iter().flat_map(|mark| {
            let places = ledger.offered[mark].objects().iter();
            places.map(|(trigger, index)| Made {
                mark: mark.clone(),
                trigger: (*trigger).to_owned(),
                index: *index,
            })
        });
        objects.collect()
    };
    let all = objects(ledger.accepted.keys().collect());
    // What was sent and not answered may have been made.
    let more = objects(ledger.offered.keys().collect());
    for fine in [&all, &more] {
        let outcome = creates(&ledger, fine);
        if !outcome.is_as_it_should_be() {
            return Err(format!("{outcome:?}").into());
        }
    }
    let twice = [&all[..], &all[3..4]].concat();
    let nobodys = Made {
        index: 7,
        ..all[0].clone()
    };
    let (lost, doubled) = (creates(&ledger, &all[1..]), creates(&ledger, &twice));
    let extra = creates(
        &ledger,
        &[&all[..], std::slice::from_ref(&nobodys)].concat(),
    );
    for (what, seen, wanted) in [
        ("lost", lost.lost, &all[0]),
        ("doubled", doubled.doubled, &all[3]),
        ("extra", extra.extra, &nobodys),
    ] {
        if seen != [wanted.clone()] {
            return Err(format!("{what}: {seen:?} and not {wanted:?}").into());
        }
    }
    Ok(())
}
