//! Documents that are made from the code. `UPDATE_DOCS=1 cargo test` writes
//! them anew.

use std::fmt::Write;

use tripline::model::annotations;
use tripline::model::verdict::{DeliveryState, Reason, Verdict};

fn check(path: &str, wanted: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, wanted).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let differs = written
        .lines()
        .zip(wanted.lines())
        .find(|(written, wanted)| written != wanted);
    assert!(
        written == wanted,
        "{path} is out of date, first at {differs:?}: run UPDATE_DOCS=1 cargo test"
    );
}

#[test]
fn errors_md_lists_every_reason() {
    let mut text = String::from(
        "# Verdicts, states and reasons\n\n\
         Made from `src/model/verdict.rs`; `UPDATE_DOCS=1 cargo test` writes it anew. Codes are stable: answers, logs,\n\
         metrics and the journal use the same ones.\n\n",
    );
    let words = |words: Vec<&str>| {
        words
            .iter()
            .map(|w| format!("`{w}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let verdicts = Verdict::ALL.iter().map(|v| v.as_str()).collect();
    let states = DeliveryState::ALL.iter().map(|s| s.as_str()).collect();
    writeln!(
        text,
        "A trigger's **verdict** on an event: {}.\n",
        words(verdicts)
    )
    .unwrap();
    writeln!(text, "A delivery's **state**: {}.\n", words(states)).unwrap();
    text.push_str("| reason | meaning |\n|---|---|\n");
    for reason in Reason::ALL {
        writeln!(text, "| `{}` | {} |", reason.code(), reason.meaning()).unwrap();
    }
    check("docs/errors.md", &text);
}

#[test]
fn annotations_md_lists_every_annotation() {
    let mut text = String::from(
        "# Annotations\n\n\
         Made from `src/model/annotations.rs`; `UPDATE_DOCS=1 cargo test` writes it anew.\n\n\
         | annotation | on | values | meaning |\n|---|---|---|---|\n",
    );
    for annotation in annotations::ALL {
        let annotations::Annotation {
            key,
            on,
            values,
            meaning,
        } = annotation;
        writeln!(text, "| `{key}` | {on} | {values} | {meaning} |").unwrap();
    }
    check("docs/annotations.md", &text);
}

#[test]
fn deploy_crds_are_those_of_the_binary() {
    let documents = tripline::api::crds::definitions()
        .into_iter()
        .map(|definition| {
            tripline::act::stdout::document(&tripline::model::manifest::Manifest(definition))
                .unwrap()
        });
    check("deploy/crds/triggers.yaml", &documents.collect::<String>());
}
