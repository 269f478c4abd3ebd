//! What each claimed listener wants of its Service.

use serde_json::Value;

use crate::api::event_listener::EventListener;
use crate::catalog::load::Loaded;
use crate::catalog::objects::{Kind, ObjectKey};
use crate::model::ids::ListenerId;

/// The port of a Service where its listener names none.
const PORT: i32 = 8080;

/// A claimed listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Namespace and name.
    pub id: ListenerId,
    /// Identity that the API server gave.
    pub uid: String,
    /// What its Service is like where there is none yet.
    pub shape: Shape,
}

/// What a Service is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The Service's port.
    pub port: i32,
    /// `ClusterIP`, `NodePort` or `LoadBalancer`.
    pub kind: Option<String>,
    /// Which load balancer.
    pub class: Option<String>,
    /// Whether its senders speak TLS to it.
    pub is_tls: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            port: PORT,
            kind: None,
            class: None,
            is_tls: false,
        }
    }
}

/// The listeners of a configuration. One that cannot be read keeps what it has.
pub fn wanted(loaded: &Loaded) -> Vec<Wanted> {
    let shapes = &loaded.objects.listeners;
    let listeners = loaded.snapshot.listeners();
    let mut wanted: Vec<Wanted> = listeners
        .map(|listener| {
            let key = ObjectKey {
                kind: Kind::EventListener,
                namespace: listener.id.namespace.clone(),
                name: listener.id.name.clone(),
            };
            let object = shapes.get(&key);
            Wanted {
                id: listener.id.clone(),
                uid: listener.uid.clone(),
                shape: object
                    .map(|object| shape(&object.value))
                    .unwrap_or_default(),
            }
        })
        .collect();
    wanted.sort_by(|one, other| one.id.cmp(&other.id));
    wanted
}

fn shape(listener: &EventListener) -> Shape {
    let resource = &listener.spec.resources.kubernetes_resource;
    let text = |key: &str| {
        let text = resource[key].as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    let port = resource["servicePort"].as_i64();
    Shape {
        port: port.and_then(|port| port.try_into().ok()).unwrap_or(PORT),
        kind: text("serviceType"),
        class: text("serviceLoadBalancerClass"),
        is_tls: is_tls(resource),
    }
}

/// Whether Tekton would serve TLS: its pod has both variables.
pub(crate) fn is_tls(resource: &Value) -> bool {
    let containers = resource.pointer("/spec/template/spec/containers");
    let containers = containers.and_then(Value::as_array);
    let variables = containers
        .into_iter()
        .flatten()
        .filter_map(|container| container["env"].as_array())
        .flatten();
    let names: Vec<&str> = variables.filter_map(|env| env["name"].as_str()).collect();
    names.contains(&"TLS_CERT") && names.contains(&"TLS_KEY")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(resource: Value) -> Shape {
        let listener = json!({
            "metadata": {"name": "hook", "namespace": "ci"},
            "spec": {"resources": {"kubernetesResource": resource}},
        });
        shape(&serde_json::from_value(listener).unwrap())
    }

    #[test]
    fn a_service_is_as_its_listener_says() {
        assert_eq!(of(Value::Null), Shape::default());
        let shape = of(json!({"serviceType": "NodePort", "servicePort": 80}));
        assert_eq!((shape.port, shape.kind.as_deref()), (80, Some("NodePort")));
    }

    #[test]
    fn tls_takes_both_variables() {
        let with = |names: &[&str]| {
            let env: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            of(json!({"spec": {"template": {"spec": {"containers": [{"env": env}]}}}})).is_tls
        };
        assert!(with(&["TLS_KEY", "TLS_CERT"]));
        assert!(!with(&["TLS_CERT"]));
    }
}
