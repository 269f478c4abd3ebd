//! A stand-in for Tekton's controller: as that one does, it makes a Service for
//! each EventListener, and sets selector, ports and labels back where they are
//! not its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::api_server::ApiServer;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(100);

/// It works as long as this lives.
pub(crate) struct StandIn {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Reconciles a namespace; claimed listeners too, where it is `greedy`.
    pub(crate) fn start(server: &ApiServer, namespace: &str, greedy: bool) -> Result<Self, Failed> {
        let config = Kubeconfig::read_from(server.kubeconfig("admin"))?;
        let (stop, writes) = (Arc::default(), Arc::default());
        let (stopped, written) = (Arc::clone(&stop), Arc::clone(&writes));
        let namespace = namespace.to_owned();
        let runtime = tokio::runtime::Runtime::new()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let options = KubeConfigOptions::default();
                let config = kube::Config::from_custom_kubeconfig(config, &options).await;
                let client = Client::try_from(config.unwrap()).unwrap();
                while !AtomicBool::load(&stopped, Ordering::Relaxed) {
                    // What fails is tried again, as a controller does.
                    let _ = reconcile(&client, &namespace, greedy, &written).await;
                    tokio::time::sleep(EVERY).await;
                }
            });
        });
        Ok(Self {
            stop,
            writes,
            thread: Some(thread),
        })
    }

    /// How often it has written.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn reconcile(
    client: &Client,
    namespace: &str,
    greedy: bool,
    writes: &AtomicUsize,
) -> kube::Result<()> {
    let kind = GroupVersionKind::gvk("triggers.tekton.dev", "v1beta1", "EventListener");
    let resource = ApiResource::from_gvk(&kind);
    let listeners: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    for listener in listeners.list(&ListParams::default()).await? {
        let annotations = listener.metadata.annotations.unwrap_or_default();
        if annotations.contains_key("tripline.dev/managed") && !greedy {
            continue;
        }
        let name = listener.metadata.name.unwrap_or_default();
        let wanted = service(&name, listener.metadata.uid.as_deref().unwrap_or_default());
        let params = PostParams::default();
        let Some(mut there) = services.get_opt(&format!("el-{name}")).await? else {
            services.create(&params, &wanted).await?;
            writes.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let ports = |spec: &ServiceSpec| -> Vec<(Option<String>, i32, Value)> {
            let ports = spec.ports.iter().flatten();
            ports
                .map(|p| (p.name.clone(), p.port, json!(p.target_port)))
                .collect()
        };
        let (now, then) = (
            there.spec.clone().unwrap_or_default(),
            wanted.spec.clone().unwrap_or_default(),
        );
        let is_so = now.selector == then.selector
            && ports(&now) == ports(&then)
            && there.metadata.labels == wanted.metadata.labels;
        if !is_so {
            there.metadata.labels = wanted.metadata.labels;
            there.spec = Some(ServiceSpec {
                cluster_ip: now.cluster_ip,
                ..then
            });
            services
                .replace(&format!("el-{name}"), &params, &there)
                .await?;
            writes.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// The Service that Tekton makes for a listener.
pub(crate) fn service(listener: &str, uid: &str) -> Service {
    let labels = BTreeMap::from([
        ("app.kubernetes.io/managed-by", "EventListener"),
        ("app.kubernetes.io/part-of", "Triggers"),
        ("eventlistener", listener),
    ]);
    let object = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": format!("el-{listener}"),
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": "triggers.tekton.dev/v1beta1", "kind": "EventListener",
                "name": listener, "uid": uid, "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "selector": labels,
            "type": "NodePort",
            "ports": [
                {"name": "http-listener", "port": 8080, "targetPort": 8080, "protocol": "TCP"},
                {"name": "http-metrics", "port": 9000, "targetPort": 9000, "protocol": "TCP"},
            ],
        },
    });
    serde_json::from_value(object).unwrap()
}
