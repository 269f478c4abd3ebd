//! What ships, as shipped: every recorded request through the quickstart's
//! triggers, compared with what it made when it was last looked at.

use std::fmt::Write;

use tripline::act::stdout::document;
use tripline::catalog::Loader;
use tripline::ingress::{Target, request_url, target};
use tripline::model::event::RawEvent;
use tripline::model::ids::DeliveryId;
use tripline::model::verdict::Verdict;
use tripline::pipeline::{Arrived, Circumstances, Work, judge, prepare};
use tripline::secrets::{SecretSet, SecretStore};
use tripline::shipped;
use uuid::Uuid;

use crate::fixtures::{came_ms, read};

#[test]
fn every_recorded_request_makes_what_it_should() {
    let loaded = Loader::default().load(&shipped::triggers().into());
    let mut secrets = SecretSet::default();
    assert_eq!(
        secrets.add_objects(&loaded.objects, &SecretSet::default()),
        []
    );
    let store = SecretStore::new();
    store.replace(secrets);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden/shipped");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::glob!("../fixtures", "*/*.http", |path| {
            let recorded = read(path);
            let Target::Listener { path: name, rest } = target(&recorded.url) else {
                panic!("{} names no listener", path.display());
            };
            let listener = loaded.snapshot.listener(name).unwrap();
            let raw = RawEvent {
                url: request_url(rest),
                ..recorded.clone()
            };
            let circumstances = Circumstances {
                secrets: &*store,
                fresh: Uuid::from_u128(7),
                received_ms: came_ms(&recorded),
                explain: false,
                proven: &[],
            };
            let accepted = judge(listener, raw, &circumstances);
            let mut shown = String::new();
            for judgement in &accepted.judgements {
                let reason = judgement.reason.map_or("", |reason| reason.code());
                let line = format!("# {}: {} {reason}", judgement.name, judgement.verdict);
                writeln!(shown, "{}", line.trim_end()).unwrap();
            }
            for judgement in accepted
                .judgements
                .iter()
                .filter(|j| j.verdict == Verdict::Matched)
            {
                let event = accepted.verified.as_ref().unwrap();
                let work = Work {
                    id: DeliveryId(0),
                    event_id: accepted.event,
                    event,
                    headers: accepted.headers.as_ref().unwrap(),
                    trigger: judgement.compiled.as_ref().unwrap(),
                    extensions: &judgement.extensions,
                    resume: None,
                    withheld: &[],
                    accepted_ms: 0,
                    rendered: None,
                };
                let arrived = Arrived::unasked(&judgement.extensions);
                for manifest in prepare(&work, &arrived).unwrap().rendered.manifests {
                    shown.push_str(&document(&manifest).unwrap());
                }
            }
            insta::assert_snapshot!(shown);
        });
    });
}
