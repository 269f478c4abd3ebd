//! ClusterInterceptor and Interceptor: interceptors that somebody runs behind
//! an address.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::meta::{ObjectMeta, null_as_default};

/// Port of a Service that is spoken to in the clear, unless it says another.
const HTTP_PORT: u16 = 80;

/// Port of a Service that is spoken to over TLS, unless it says another.
const HTTPS_PORT: u16 = 8443;

/// A ClusterInterceptor, which has no namespace, or an Interceptor.
#[derive(Clone, Debug, Deserialize)]
pub struct RegisteredInterceptor {
    /// Name, namespace, labels, annotations.
    pub metadata: ObjectMeta,
    /// How it is reached.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: RegisteredInterceptorSpec,
    /// What a controller says of it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub status: RegisteredInterceptorStatus,
}

/// How an interceptor is reached.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisteredInterceptorSpec {
    /// Its address, and who vouches for it.
    #[serde(deserialize_with = "null_as_default")]
    pub client_config: ClientConfig,
}

/// An address, and who vouches for it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientConfig {
    /// Certificates in PEM that its own is checked against; base64 in the
    /// object, decoded here.
    #[serde(deserialize_with = "base64")]
    pub ca_bundle: Vec<u8>,
    /// The address as it is.
    pub url: Option<String>,
    /// The Service that it is behind.
    pub service: Option<ServiceReference>,
}

/// A Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceReference {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Its namespace.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
    /// Path of the requests.
    #[serde(deserialize_with = "null_as_default")]
    pub path: String,
    /// Its port.
    pub port: Option<u16>,
}

/// What a controller says of an interceptor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RegisteredInterceptorStatus {
    /// Where it was found.
    #[serde(deserialize_with = "null_as_default")]
    pub address: Address,
}

/// Where something was found.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Address {
    /// The URL.
    #[serde(deserialize_with = "null_as_default")]
    pub url: String,
}

/// An interceptor that says nothing of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interceptor URL was nil")]
pub struct NoAddress;

impl RegisteredInterceptor {
    /// Where it is called: what a controller found, else what its author wrote.
    pub fn address(&self) -> Result<String, NoAddress> {
        let found = &self.status.address.url;
        let config = &self.spec.client_config;
        match (found.as_str(), config.url.as_deref(), &config.service) {
            ("", None | Some(""), None) => Err(NoAddress),
            ("", None | Some(""), Some(service)) => Ok(service.url(!config.ca_bundle.is_empty())),
            ("", Some(written), _) => Ok(written.to_owned()),
            (found, ..) => Ok(found.to_owned()),
        }
    }
}

impl ServiceReference {
    fn url(&self, is_tls: bool) -> String {
        let (scheme, usual) = match is_tls {
            true => ("https", HTTPS_PORT),
            false => ("http", HTTP_PORT),
        };
        let Self {
            name,
            namespace,
            path,
            port,
        } = self;
        let port = port.unwrap_or(usual);
        let slash = match path.is_empty() || path.starts_with('/') {
            true => "",
            false => "/",
        };
        let path = escape(path);
        format!("{scheme}://{name}.{namespace}.svc:{port}{slash}{path}")
    }
}

/// A path as Go's `net/url` writes it.
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'='
            | b'@' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text: String = null_as_default(deserializer)?;
    let decoded = crate::model::base64::decode(&text);
    decoded.map_err(|at| D::Error::custom(format!("it must be base64, and is not at byte {at}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn address(spec: Value, status: Value) -> Result<String, NoAddress> {
        let object = json!({"metadata": {"name": "i"}, "spec": spec, "status": status});
        let object: RegisteredInterceptor = serde_json::from_value(object).unwrap();
        object.address()
    }

    #[test]
    fn what_a_controller_found_comes_before_what_was_written() {
        let written = json!({"clientConfig": {"url": "https://a/x"}});
        let found = json!({"address": {"url": "http://b"}});
        assert_eq!(address(written.clone(), found), Ok("http://b".into()));
        assert_eq!(address(written, json!(null)), Ok("https://a/x".into()));
    }

    #[test]
    fn a_service_is_spoken_to_over_tls_where_somebody_vouches_for_it() {
        let service = json!({"name": "s", "namespace": "n", "path": "a b/c?"});
        let plain = json!({"clientConfig": {"service": service}});
        assert_eq!(
            address(plain, json!({})),
            Ok("http://s.n.svc:80/a%20b/c%3F".into())
        );
        let vouched = json!({"clientConfig": {"service": service, "caBundle": "YQ=\n=\n"}});
        assert_eq!(
            address(vouched, json!({})),
            Ok("https://s.n.svc:8443/a%20b/c%3F".into())
        );
        let ported = json!({"clientConfig": {
            "service": {"name": "s", "namespace": "n", "port": 7},
        }});
        assert_eq!(address(ported, json!({})), Ok("http://s.n.svc:7".into()));
    }

    #[test]
    fn one_without_an_address_says_so() {
        for spec in [json!(null), json!({"clientConfig": {"caBundle": "YQ=="}})] {
            let error = address(spec, json!({})).unwrap_err();
            assert_eq!(error.to_string(), "interceptor URL was nil");
        }
    }
}
