//! The interceptors of a trigger or a group: which they are, and where those
//! are that run elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;

use crate::api::interceptor::RegisteredInterceptor;
use crate::api::trigger::{Interceptor, OneOrMany, Webhook};
use crate::catalog::diagnostic::Diagnostic;
use crate::catalog::objects::{Kind, Object, ObjectKey, Objects, Origin};
use crate::catalog::source::InterceptorSource;
use crate::intercept::calls::{Endpoint, OnFailure, Reach};
use crate::intercept::{Away, BUILT_IN, TEKTONS};
use crate::model::annotations::INTERCEPTOR_FAILURE;

/// What resolving an interceptor takes.
pub(super) struct Surroundings<'a> {
    pub objects: &'a Objects,
    /// The listener's namespace: Interceptors are looked up there.
    pub listener: &'a str,
    /// The trigger's namespace: webhooks are there unless they say otherwise.
    pub namespace: &'a str,
    /// Where tenants may send the gateway.
    pub tenants: Reach,
    /// What the trigger, or its listener, says of interceptors that give no
    /// answer.
    pub on_failure: Option<OnFailure>,
}

/// Resolves interceptors that stand at `base` of an object.
pub(super) fn resolve(
    interceptors: &[Interceptor],
    (origin, base): (&Arc<Origin>, &str),
    around: &Surroundings<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<InterceptorSource> {
    let sources = interceptors.iter().enumerate().map(|(index, one)| {
        let here = format!("{base}/interceptors/{index}");
        let resolved = match &one.webhook {
            Some(webhook) => around.webhook(webhook).map(Some),
            None => around.registered(one),
        };
        let (kind, away) = match resolved {
            Ok(away) => (one.reference.name.clone(), away),
            Err((field, message)) => {
                problems.push(origin.error(&format!("{here}{field}"), message));
                // Without one it is not looked at any further.
                (String::new(), None)
            }
        };
        let is_webhook = matches!(away, Some(Away::Webhook { .. }));
        InterceptorSource {
            name: one.name.clone().unwrap_or_default(),
            kind: match is_webhook {
                true => "webhook".to_owned(),
                false => kind,
            },
            params: one.params.clone(),
            away,
        }
    });
    sources.collect()
}

/// A mistake: the field that it is in, and what is wrong.
type Mistake = (&'static str, String);

impl Surroundings<'_> {
    fn webhook(&self, webhook: &Webhook) -> Result<Away, Mistake> {
        let url = match (&webhook.url, &webhook.object_ref) {
            (Some(url), _) => url.clone(),
            (None, Some(service)) if service.kind == "Service" && service.api_version == "v1" => {
                let namespace = match service.namespace.as_str() {
                    "" => self.namespace,
                    given => given,
                };
                for name in [service.name.as_str(), namespace] {
                    if !is_label(name) {
                        let message = format!("`{name}` is no name of a Service or namespace");
                        return Err(("/webhook/objectRef", message));
                    }
                }
                format!("http://{}.{namespace}.svc/", service.name)
            }
            (None, Some(_)) => {
                let message = "a webhook's objectRef is a Service of apiVersion v1";
                return Err(("/webhook/objectRef", message.to_owned()));
            }
            (None, None) => {
                let message = "a webhook is at an objectRef or at a url";
                return Err(("/webhook", message.to_owned()));
            }
        };
        let reach = reach(&url, self.namespace, self.tenants);
        let headers = webhook.header.iter().map(|header| {
            let values = match &header.value {
                OneOrMany::One(value) => vec![value.clone()],
                OneOrMany::Many(values) => values.clone(),
            };
            (header.name.clone(), values)
        });
        Ok(Away::Webhook {
            endpoint: Endpoint {
                url,
                ca_bundle: String::new(),
                reach,
                on_failure: self.on_failure.unwrap_or_default(),
            },
            headers: headers.collect(),
        })
    }

    /// An interceptor that is referred to; nothing where it is one of the
    /// gateway's own.
    fn registered(&self, one: &Interceptor) -> Result<Option<Away>, Mistake> {
        let name = &one.reference.name;
        if name.is_empty() {
            return Err(("", "the interceptor has no `ref.name`".to_owned()));
        }
        let (kind, namespace) = match one.reference.kind.as_str() {
            "" | "ClusterInterceptor" => (Kind::ClusterInterceptor, ""),
            "NamespacedInterceptor" => (Kind::Interceptor, self.listener),
            other => {
                let message = format!(
                    "an interceptor's kind is ClusterInterceptor or NamespacedInterceptor, not `{other}`"
                );
                return Err(("/ref/kind", message));
            }
        };
        let is_cluster = kind == Kind::ClusterInterceptor;
        // Tekton installs objects for those that run in here all the same.
        if is_cluster && TEKTONS.contains(&name.as_str()) {
            return Ok(None);
        }
        let key = ObjectKey {
            kind,
            namespace: namespace.to_owned(),
            name: name.clone(),
        };
        let Some(object) = self.objects.interceptors.get(&key) else {
            return match is_cluster && BUILT_IN.contains(&name.as_str()) {
                true => Ok(None),
                false => Err(("/ref/name", missing(&key, is_cluster))),
            };
        };
        let endpoint = self.endpoint(object, is_cluster);
        let endpoint = endpoint.map_err(|message| ("/ref/name", format!("{key}: {message}")))?;
        Ok(Some(Away::Remote(endpoint)))
    }

    fn endpoint(
        &self,
        object: &Object<RegisteredInterceptor>,
        is_cluster: bool,
    ) -> Result<Endpoint, String> {
        let interceptor = &object.value;
        let url = interceptor.address().map_err(|error| error.to_string())?;
        let ca_bundle = &interceptor.spec.client_config.ca_bundle;
        let own = failure_policy(&interceptor.metadata.annotations)?;
        Ok(Endpoint {
            reach: match is_cluster {
                true => Reach::Configured,
                false => reach(&url, self.listener, self.tenants),
            },
            url,
            ca_bundle: String::from_utf8_lossy(ca_bundle).into_owned(),
            on_failure: self.on_failure.or(own).unwrap_or_default(),
        })
    }
}

/// Where a URL may lead that a tenant of a namespace wrote: to the Services of
/// that namespace in any case.
pub(super) fn reach(url: &str, namespace: &str, tenants: Reach) -> Reach {
    let uri: Option<Uri> = url.parse().ok();
    let own = [".svc", ".svc.cluster.local"];
    let is_own = uri.is_some_and(|uri| {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let host = uri.host().unwrap_or_default();
        uri.scheme().is_some()
            && !authority.contains('@')
            && own.iter().any(|suffix| {
                let service = host.strip_suffix(suffix);
                let parts = service.and_then(|service| service.split_once('.'));
                parts.is_some_and(|(_, inside)| inside == namespace)
            })
    });
    match tenants {
        Reach::Guarded if is_own => Reach::Own,
        tenants => tenants,
    }
}

/// Whether a text can name a Service or a namespace.
fn is_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..64).contains(&name.len()) && name.bytes().all(plain)
}

/// What an object's annotation says of interceptors that give no answer.
pub(super) fn failure_policy(
    annotations: &BTreeMap<String, String>,
) -> Result<Option<OnFailure>, String> {
    annotations
        .get(INTERCEPTOR_FAILURE.key)
        .map(|word| parse_policy(word))
        .transpose()
}

/// The policy that a word stands for.
pub(super) fn parse_policy(word: &str) -> Result<OnFailure, String> {
    OnFailure::parse(word).ok_or_else(|| {
        let key = INTERCEPTOR_FAILURE.key;
        format!("`{key}` is retry, stop or continue, not `{word}`")
    })
}

fn missing(key: &ObjectKey, is_cluster: bool) -> String {
    match is_cluster {
        true => format!("there is no {key}; built in are {}", BUILT_IN.join(", ")),
        false => format!("there is no {key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_reach_the_services_of_their_own_namespace_and_nobody_s_by_a_trick() {
        let reach = |url| super::reach(url, "ci", Reach::Guarded);
        for own in [
            "http://hook.ci.svc/",
            "https://hook.ci.svc.cluster.local:8443/x?y",
            "http://hook.ci.svc:80",
        ] {
            assert_eq!(reach(own), Reach::Own, "{own}");
        }
        for other in [
            "http://hook.other.svc/",
            "http://hook.ci.svc:80@10.0.0.1/",
            "http://hook.ci.svc@10.0.0.1/",
            "http://10.0.0.1/hook.ci.svc",
            "http://10.0.0.1/#@hook.ci.svc",
            "http://hook.ci.svc.evil.example/",
            "http://a.b.ci.svc/",
            "hook.ci.svc",
            "http://",
        ] {
            assert_eq!(reach(other), Reach::Guarded, "{other}");
        }
    }

    #[test]
    fn what_names_a_service_is_a_name_and_no_piece_of_an_address() {
        for name in ["hook", "hook-2", "0"] {
            assert!(is_label(name), "{name}");
        }
        for name in ["", "10.0.0.1:8080/x?", "a.b", "a@b", "A", "a/b", "a#"] {
            assert!(!is_label(name), "{name}");
        }
        assert!(!is_label(&"a".repeat(64)));
    }
}
