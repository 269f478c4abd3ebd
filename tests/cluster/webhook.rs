//! The API server asks the gateway whether objects may be stored.

use std::path::Path;

use libtest_mimic::Failed;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};

use super::api_server::{ApiServer, server};
use super::gateway::{Gateway, wait_until};

/// Fails with what was seen where something is not as it should be.
macro_rules! ensure {
    ($condition:expr, $($seen:tt)*) => {
        if !$condition {
            return Err(Failed::from(format!($($seen)*)));
        }
    };
}

const CONFIGURATIONS: [&str; 2] = [
    "mutatingwebhookconfiguration/tripline-webhook",
    "validatingwebhookconfiguration/tripline-webhook",
];

const HEAD: &str = "apiVersion: triggers.tekton.dev";

/// What `deploy/webhook` installs, for as long as this lives: the other tests
/// have no webhook.
struct Installed<'s>(&'s ApiServer);

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        let delete = ["delete", "--ignore-not-found"];
        let _ = self.0.kubectl(&[&delete[..], &CONFIGURATIONS].concat(), "");
    }
}

impl<'s> Installed<'s> {
    /// Installs the configurations that ship, with the gateway of this test in
    /// the place of the Service.
    fn new(server: &'s ApiServer, gateway: &Gateway, trusted: &str) -> Result<Self, Failed> {
        let folder = format!("{}/deploy/webhook", env!("CARGO_MANIFEST_DIR"));
        let built = ["apply", "--dry-run=client", "-o", "json", "-k", &folder];
        let built: Value = serde_json::from_str(&server.kubectl(&built, "")?)?;
        let address = gateway.webhook().ok_or("no webhook")?;
        let items = built["items"].as_array().cloned().unwrap_or_default();
        let is_configuration = |item: &Value| {
            let kind = item["kind"].as_str().unwrap_or_default();
            kind.ends_with("WebhookConfiguration")
        };
        let installed = Self(server);
        for mut item in items.into_iter().filter(is_configuration) {
            let webhook = &mut item["webhooks"][0]["clientConfig"];
            let path = webhook["service"]["path"].as_str().unwrap_or_default();
            *webhook = json!({
                "url": format!("https://{address}{path}"),
                "caBundle": data_encoding::BASE64.encode(trusted.as_bytes()),
            });
            server.apply(&item.to_string())?;
        }
        Ok(installed)
    }
}

fn start(server: &ApiServer, folder: &Path) -> Result<(Gateway, String), Failed> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let at = |name: &str| folder.join(name).display().to_string();
    std::fs::write(at("tls.crt"), cert.pem())?;
    std::fs::write(at("tls.key"), signing_key.serialize_pem())?;
    let flags = [
        "--webhook=127.0.0.1:0",
        &format!("--webhook-cert={}", at("tls.crt")),
        &format!("--webhook-key={}", at("tls.key")),
    ];
    Ok((Gateway::start_with(server, folder, &flags)?, cert.pem()))
}

/// What kubectl says of a manifest that is refused.
fn refusal(server: &ApiServer, manifest: &str) -> Result<String, Failed> {
    let output = server.try_kubectl(&["apply", "-f", "-"], manifest)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "it was taken: {manifest}");
    Ok(said)
}

pub(super) fn admission() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    server.namespace("asked")?;
    let (gateway, trusted) = start(server, folder.path())?;
    let installed = Installed::new(server, &gateway, &trusted)?;

    let empty = format!(
        "{HEAD}/v1beta1\nkind: EventListener\nmetadata: {{name: empty, namespace: asked}}\nspec: {{}}\n"
    );
    // An API server takes a moment to learn of a configuration.
    wait_until("the webhook is asked", || {
        let output = server.try_kubectl(&["apply", "--dry-run=server", "-f", "-"], &empty)?;
        Ok(!output.status.success())
    })?;
    let said = refusal(server, &empty)?;
    ensure!(
        said.contains(
            "admission webhook \"validation.webhook.triggers.tripline.dev\" denied the request: \
             validation failed: expected exactly one, got neither: spec.labelSelector, \
             spec.namespaceSelector, spec.triggerGroups, spec.triggers"
        ),
        "{said}"
    );
    let said = refusal(server, &empty.replace("{}\n", "{trigers: []}\n"))?;
    ensure!(
        said.contains(
            "mutation failed: cannot decode incoming new object: json: unknown field \"trigers\""
        ),
        "{said}"
    );

    let old = format!(
        "{HEAD}/v1alpha1\nkind: EventListener\n\
         metadata: {{name: old, namespace: asked, annotations: {{tripline.dev/managed: \"true\"}}}}\n\
         spec:\n  triggers:\n  - name: push\n    template: {{ref: t}}\n    bindings: [{{ref: b}}]\n\
         \x20   interceptors:\n    - github:\n        secretRef: {{secretName: hook, secretKey: token}}\n\
         \x20       eventTypes: [push]\n"
    );
    server.kubectl(&["apply", "-f", "-"], &old)?;
    let get = ["get", "eventlistener", "old", "-n", "asked", "-o", "json"];
    let stored: Value = serde_json::from_str(&server.kubectl(&get, "")?)?;
    ensure!(
        stored["spec"]
            == json!({
                "serviceAccountName": "default",
                "triggers": [{
                    "name": "push",
                    "template": {"ref": "t"},
                    "bindings": [{"ref": "b", "kind": "TriggerBinding"}],
                    "interceptors": [{
                        "ref": {"name": "github", "kind": "ClusterInterceptor"},
                        "params": [
                            {"name": "secretRef", "value": {"secretName": "hook", "secretKey": "token"}},
                            {"name": "eventTypes", "value": ["push"]},
                        ],
                    }],
                }],
            }),
        "{stored}"
    );
    wait_until("the gateway writes a status all the same", || {
        let stored: Value = serde_json::from_str(&server.kubectl(&get, "")?)?;
        Ok(stored["status"]["address"]["url"].is_string())
    })?;

    let called = format!(
        "{HEAD}/v1alpha1\nkind: ClusterInterceptor\nmetadata: {{name: asked, labels: {{a: b}}}}\n\
         spec: {{clientConfig: {{url: 'http://x'}}}}\n"
    );
    server.kubectl(&["apply", "-f", "-"], &called)?;
    let get = [
        "get",
        "clusterinterceptor",
        "asked",
        "-o",
        "jsonpath={.metadata.labels}",
    ];
    let labels = server.kubectl(&get, "")?;
    ensure!(labels == r#"{"server/type":"http"}"#, "{labels}");
    server.kubectl(&["delete", "clusterinterceptor", "asked"], "")?;
    server.kubectl(&["delete", "eventlistener", "old", "-n", "asked"], "")?;
    drop(installed);
    Ok(())
}
