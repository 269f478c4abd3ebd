//! Which replica does what only one may do, agreed on through a Lease.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

/// How long a lease holds that nobody renews: as Kubernetes' own components have
/// it, so that an API server that is away for some seconds makes nobody else take
/// over who does the same beside the first.
pub const HOLDS: Duration = Duration::from_secs(15);

/// How often it is renewed, and looked at by those who wait for it.
pub const RENEWED: Duration = Duration::from_secs(2);

/// A lease that this process asks for.
pub struct Lease {
    api: Api<Object>,
    name: String,
    holder: String,
    /// The version that was seen last, and since when: whether another one
    /// still renews it is told by this machine's clock alone.
    seen: Option<(Option<String>, Instant)>,
}

impl Lease {
    /// Asks for lease `name` in the client's own namespace, as `holder`.
    pub fn new(client: Client, name: &str, holder: String) -> Self {
        Self {
            api: Api::default_namespaced(client),
            name: name.to_owned(),
            holder,
            seen: None,
        }
    }

    /// Takes or renews the lease. Whether this process holds it now.
    pub async fn hold(&mut self, now: Timestamp) -> kube::Result<bool> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            return self.create(now).await;
        };
        let spec = lease.spec.get_or_insert_default();
        let is_mine = spec.holder_identity.as_deref() == Some(&self.holder);
        let is_free = spec.holder_identity.as_deref().is_none_or(str::is_empty);
        let version = lease.metadata.resource_version.clone();
        match &self.seen {
            Some((seen, since)) if *seen == version => {
                if !is_mine && !is_free && since.elapsed() < HOLDS {
                    return Ok(false);
                }
            }
            _ => {
                self.seen = Some((version, Instant::now()));
                if !is_mine && !is_free {
                    return Ok(false);
                }
            }
        }
        if !is_mine {
            spec.acquire_time = Some(MicroTime(now));
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
        }
        spec.holder_identity = Some(self.holder.clone());
        spec.lease_duration_seconds = i32::try_from(HOLDS.as_secs()).ok();
        spec.renew_time = Some(MicroTime(now));
        // The version in it makes this fail where another one was faster.
        let params = PostParams::default();
        held(self.api.replace(&self.name, &params, &lease).await)
    }

    /// Gives the lease back, so that another one need not wait.
    pub async fn release(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            return Ok(());
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.holder) {
            return Ok(());
        }
        spec.holder_identity = None;
        let params = PostParams::default();
        self.api
            .replace(&self.name, &params, &lease)
            .await
            .map(drop)
    }

    async fn create(&self, now: Timestamp) -> kube::Result<bool> {
        let lease = Object {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                acquire_time: Some(MicroTime(now)),
                holder_identity: Some(self.holder.clone()),
                lease_duration_seconds: i32::try_from(HOLDS.as_secs()).ok(),
                lease_transitions: Some(0),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        };
        held(self.api.create(&PostParams::default(), &lease).await)
    }
}

/// Somebody else was faster where it has changed in between.
fn held(written: kube::Result<Object>) -> kube::Result<bool> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
