//! The triggers of the suite, and the events that it sends them.

use std::path::Path;

use libtest_mimic::Failed;
use tripline::verify::registry;

use super::random::Random;

const SECRET: &str = "a secret of the crash suite";

/// Two listeners. `one` makes an object of every event and three more of some;
/// `two` wants some events and not the others.
const TRIGGERS: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: one, namespace: NAMESPACE}
spec:
  serviceAccountName: runner
  triggers:
  - name: single
    interceptors:
    - &verified
      ref: {name: github}
      params: [{name: secretRef, value: {secretName: hook, secretKey: token}}]
    bindings: &bindings [{name: mark, value: $(body.mark)}]
    template:
      spec:
        params: [{name: mark}]
        resourcetemplates:
        - {apiVersion: v1, kind: ConfigMap, metadata: {generateName: single-}, data: {mark: $(tt.params.mark)}}
  - name: triple
    interceptors:
    - *verified
    - ref: {name: cel}
      params: [{name: filter, value: body.triple}]
    bindings: *bindings
    template:
      spec:
        params: [{name: mark}]
        resourcetemplates:
        - {apiVersion: v1, kind: ConfigMap, metadata: {generateName: triple-}, data: {mark: $(tt.params.mark)}}
        - {apiVersion: v1, kind: ConfigMap, metadata: {generateName: triple-}, data: {mark: $(tt.params.mark)}}
        - {apiVersion: v1, kind: ConfigMap, metadata: {generateName: triple-}, data: {mark: $(tt.params.mark)}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: two, namespace: NAMESPACE}
spec:
  serviceAccountName: runner
  triggers:
  - name: picky
    interceptors:
    - ref: {name: github}
      params: [{name: secretRef, value: {secretName: hook, secretKey: token}}]
    - ref: {name: cel}
      params: [{name: filter, value: body.wanted}]
    bindings: [{name: mark, value: $(body.mark)}]
    template:
      spec:
        params: [{name: mark}]
        resourcetemplates:
        - {apiVersion: v1, kind: ConfigMap, metadata: {generateName: picky-}, data: {mark: $(tt.params.mark)}}
"#;

/// The secret that the triggers verify with.
const HOOK: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: hook, namespace: NAMESPACE}
stringData: {token: a secret of the crash suite}
"#;

/// Writes the triggers and their secret below a folder.
pub(crate) fn prepare(folder: &Path, namespace: &str) -> Result<(), Failed> {
    prepare_without_secret(folder, namespace)?;
    bring_secret(folder, namespace)
}

/// The triggers alone: whatever comes for them waits.
pub(crate) fn prepare_without_secret(folder: &Path, namespace: &str) -> Result<(), Failed> {
    std::fs::create_dir(folder.join("triggers"))?;
    let triggers = TRIGGERS.replace("NAMESPACE", namespace);
    Ok(std::fs::write(
        folder.join("triggers/world.yaml"),
        triggers,
    )?)
}

/// The secret that they wait for.
pub(crate) fn bring_secret(folder: &Path, namespace: &str) -> Result<(), Failed> {
    let secret = HOOK.replace("NAMESPACE", namespace);
    Ok(std::fs::write(folder.join("triggers/hook.yaml"), secret)?)
}

/// An event of the suite.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// What its sender calls it, and its objects have in them.
    pub(crate) mark: String,
    pub(crate) is_for_one: bool,
    /// What the triggers look at: `triple` or `wanted`.
    pub(crate) flag: bool,
    /// Bytes that nobody looks at.
    pub(crate) padding: usize,
}

impl Event {
    /// Any event.
    pub(crate) fn draw(mark: String, random: &mut Random) -> Self {
        Self {
            mark,
            is_for_one: random.percent(65),
            flag: random.percent(40),
            padding: match random.between(0, 100) {
                0 => 400_000,
                1..5 => 40_000,
                5..25 => 4_000,
                _ => usize::try_from(random.between(0, 400)).unwrap_or_default(),
            },
        }
    }

    /// The objects that it has to end in: trigger and place.
    pub(crate) fn objects(&self) -> &'static [(&'static str, u32)] {
        match (self.is_for_one, self.flag) {
            (true, false) => &[("single", 0)],
            (true, true) => &[("single", 0), ("triple", 0), ("triple", 1), ("triple", 2)],
            (false, true) => &[("picky", 0)],
            (false, false) => &[],
        }
    }

    /// The signed request.
    pub(crate) fn request(&self, namespace: &str) -> Option<String> {
        let Self { mark, flag, .. } = self;
        let padding = "x".repeat(self.padding);
        let body =
            format!(r#"{{"mark":"{mark}","triple":{flag},"wanted":{flag},"padding":"{padding}"}}"#);
        let scheme = registry::scheme("github")?;
        let (_, signature) = scheme
            .sign(SECRET.as_bytes(), body.as_bytes(), 0)?
            .remove(0);
        let listener = if self.is_for_one { "one" } else { "two" };
        Some(format!(
            "POST /{namespace}/{listener} HTTP/1.1\r\nHost: crash\r\nX-GitHub-Event: push\r\n\
             X-GitHub-Delivery: {mark}\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}
