//! Objects that Tripline can read and that upstream's admission would refuse.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::admission::{self, Mistake, Stage, Verdict};

use super::diagnostic::{Diagnostic, Severity};
use super::objects::{ObjectKey, Objects, Origin};

/// What upstream says of a parameter that a template does not declare.
const UNDECLARED: &str = "undeclared param";

/// Why one would be refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    origin: Arc<Origin>,
    mistakes: Vec<Mistake>,
}

impl Refused {
    /// Asks upstream's rules about an object. What a cluster serves may have
    /// been stored by an older version: its shape is nobody's mistake.
    pub(super) fn find(value: &Value, origin: &Arc<Origin>) -> Option<Self> {
        let Verdict::Refused(refusal) = admission::review(value) else {
            return None;
        };
        let counts = match refusal.stage {
            // Secrets are the API server's.
            Stage::Kind => false,
            Stage::Decode | Stage::Defaulting => origin.is_file(),
            Stage::Validate => true,
        };
        counts.then(|| Self {
            origin: Arc::clone(origin),
            mistakes: refusal.mistakes,
        })
    }

    /// What is to be told of it, beside what is told already: a rule that is
    /// Tripline's too must not be told twice.
    fn remarks(&self, told: &HashMap<&str, Vec<&Diagnostic>>) -> Vec<Diagnostic> {
        let told: Vec<(Severity, String)> = told
            .get(self.origin.file())
            .into_iter()
            .flatten()
            .filter_map(|told| Some((told.severity, self.origin.pointer_of(told)?)))
            .collect();
        let is_told = |mistake: &&Mistake| {
            // Of what works here Tripline has one rule in common with upstream.
            let is_common = mistake.message.contains(UNDECLARED);
            told.iter()
                .filter(|(severity, _)| *severity == Severity::Error || is_common)
                .any(|(_, told)| mistake.pointers.iter().any(|at| is_same_place(told, at)))
        };
        let mistakes = self.mistakes.iter().filter(|mistake| !is_told(mistake));
        mistakes
            .map(|mistake| {
                let pointer = mistake.pointers.first().map_or("", String::as_str);
                let what = mistake.message.replace('\n', "; ");
                let message = format!("Tekton's admission would refuse this: {what}");
                self.origin.warning(pointer, message)
            })
            .collect()
    }
}

/// What upstream's admission would refuse among `objects`, by object.
pub(super) fn remarks(objects: &Objects, told: &[Diagnostic]) -> Vec<(ObjectKey, Vec<Diagnostic>)> {
    let mut by_file: HashMap<&str, Vec<&Diagnostic>> = HashMap::new();
    for diagnostic in told {
        by_file
            .entry(&diagnostic.file)
            .or_default()
            .push(diagnostic);
    }
    let refused = objects.refused.iter();
    refused
        .map(|(key, refused)| (key.clone(), refused.remarks(&by_file)))
        .filter(|(_, remarks)| !remarks.is_empty())
        .collect()
}

/// Whether one of two pointers leads to the other.
fn is_same_place(one: &str, other: &str) -> bool {
    let leads = |short: &str, long: &str| {
        let rest = long.get(..short.len()).filter(|start| {
            // Upstream spells some fields in other letter cases.
            start.eq_ignore_ascii_case(short)
        });
        rest.is_some() && matches!(long.as_bytes().get(short.len()), None | Some(b'/'))
    };
    leads(one, other) || leads(other, one)
}

#[cfg(test)]
mod tests {
    use crate::catalog::files::ReadFiles;
    use crate::catalog::status::statuses;
    use crate::catalog::{Loader, SourceFile};

    fn files(text: &str) -> ReadFiles {
        let file = SourceFile {
            name: "f.yaml".into(),
            text: text.into(),
        };
        vec![file].into()
    }

    fn told(text: &str) -> Vec<String> {
        let loaded = Loader::default().load(&files(text));
        let diagnostics = loaded.diagnostics.iter();
        diagnostics.map(ToString::to_string).collect()
    }

    #[test]
    fn a_listener_that_works_says_what_admission_would_say() {
        let text = format!(
            "{HEAD}kind: EventListener\n\
             metadata: {{name: l, annotations: {{tekton.dev/payload-validation: maybe}}}}\n\
             spec: {{triggers: [{{template: {{spec: {{resourcetemplates: [{{apiVersion: v1, kind: Pod}}]}}}}}}]}}\n"
        );
        let loaded = Loader::default().load(&files(&text));
        let statuses = statuses(&loaded.snapshot, "http://x");
        let status = statuses.values().next().unwrap();
        assert!(status.is_ready);
        assert_eq!(
            status.message,
            "1 triggers are in force; f.yaml:3:21: warning: Tekton's admission would refuse this: \
             invalid value: tekton.dev/payload-validation annotation must have value 'true' or 'false': \
             metadata.annotations"
        );
    }

    const HEAD: &str = "apiVersion: triggers.tekton.dev/v1beta1\n";

    #[test]
    fn what_works_here_and_not_there_is_a_warning_at_its_place() {
        let text = format!(
            "{HEAD}kind: TriggerBinding\nmetadata: {{name: a}}\nspec:\n  params:\n\
             \x20 - name: p\n    value: $($(body.x))\n"
        );
        assert_eq!(
            told(&text),
            [
                "f.yaml:7:12: warning: Tekton's admission would refuse this: \
                 invalid value: $($(body.x)): spec.params[0].value"
            ]
        );
    }

    #[test]
    fn what_is_wrong_here_too_is_told_once() {
        let resource = "{apiVersion: v1, kind: Pod, x: $(tt.params.p)}";
        for (kind, spec) in [
            ("Trigger", "template: {ref: a, spec: {}}"),
            (
                "Trigger",
                "bindings: [{ref: a, kind: B}]\n  template: {spec: {}}",
            ),
            (
                "TriggerTemplate",
                &format!("resourcetemplates: [{resource}]"),
            ),
            (
                "Trigger",
                &format!("template: {{spec: {{resourcetemplates: [{resource}]}}}}"),
            ),
            ("Trigger", "template: {ref: 7}"),
            (
                "EventListener",
                "triggers: [{name: a, interceptors: [{}], template: {spec: {}}}]",
            ),
        ] {
            let text = format!("{HEAD}kind: {kind}\nmetadata: {{name: a}}\nspec:\n  {spec}\n");
            let told = told(&text);
            // Beside our own words there is only what is no mistake here.
            let is_admissions = |line: &&String| line.contains("admission");
            let (theirs, ours): (Vec<_>, Vec<_>) = told.iter().partition(is_admissions);
            assert!(!ours.is_empty(), "{told:?}");
            assert!(
                theirs.iter().all(|line| line.contains("resourcetemplates")),
                "{told:?}"
            );
        }
    }
}
