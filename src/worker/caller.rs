//! Asks interceptors elsewhere, and forges: over the one HTTP client.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request, Response};

use crate::forge::github::{Api, GithubError, Repository as GithubRepository};
use crate::intercept::calls::{
    Asked, CallError, Calls, Endpoint, Question, Reach as Given, Reply, Repository,
};
use crate::model::headers::Headers;
use crate::outbound::breaker::Breakers;
use crate::outbound::{Http, OutboundError, Outgoing, Reach, callable};

/// Asks over the network.
pub struct Caller {
    http: Arc<dyn Http>,
    breakers: Breakers,
    /// Hosts of GitHub Enterprise that the administrator has named.
    github_hosts: Vec<String>,
}

impl Caller {
    /// Asks over `http`. `github_hosts` are the enterprise servers that events
    /// may name.
    pub fn new(http: Arc<dyn Http>, github_hosts: Vec<String>) -> Self {
        Self {
            http,
            breakers: Breakers::default(),
            github_hosts,
        }
    }

    async fn post(&self, endpoint: &Endpoint, question: Question<'_>) -> Result<Reply, CallError> {
        // A query may hold a token, and this is shown.
        let url = &callable(&endpoint.url).map_err(CallError::lasting)?;
        let key = breaker_of(endpoint);
        if let Err(alone) = self.breakers.permit(key, Instant::now()) {
            let message = format!("{url} did not answer several times and is left alone");
            return Err(CallError {
                retry_after: Some(alone),
                ..CallError::passing(message)
            });
        }
        let mut answer = self.exchange(endpoint, &question).await;
        // A connection that somebody has just closed says nothing of him.
        if matches!(answer, Err(OutboundError::Exchange(_))) {
            answer = self.exchange(endpoint, &question).await;
        }
        let is_answered = match &answer {
            // A 500 may be about the event, and says that somebody is there.
            Ok(response) => !matches!(response.status().as_u16(), 502..=504),
            Err(error) => !error.may_pass(),
        };
        self.breakers.note(key, is_answered, Instant::now());
        let response = answer.map_err(|error| CallError {
            may_pass: error.may_pass(),
            message: format!("{url}: {error}"),
            retry_after: None,
        })?;
        Ok(reply(&response))
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        question: &Question<'_>,
    ) -> Result<Response<Bytes>, OutboundError> {
        let unsendable =
            |error: http::Error| OutboundError::Forbidden(format!("not sendable: {error}"));
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(endpoint.url.as_str());
        for (name, values) in question.headers.iter() {
            for value in values {
                request = request.header(name, value);
            }
        }
        let request = request.body(question.body.clone()).map_err(unsendable)?;
        let outgoing = Outgoing {
            request,
            reach: reach(endpoint.reach),
            ca_bundle: endpoint.ca_bundle.clone(),
            within: question.within,
        };
        self.http.send(outgoing).await
    }

    /// The repository, where its host may be asked.
    fn github<'r>(&self, of: &'r Repository<'r>) -> Result<GithubRepository<'r>, CallError> {
        let is_named = |host: &str| {
            let mut named = self.github_hosts.iter();
            named.any(|named| named.eq_ignore_ascii_case(host))
        };
        let api = match of.host {
            None => Api::Public,
            Some(host) if is_named(host) => Api::Enterprise {
                host,
                reach: Reach::Configured,
            },
            Some(host) if of.is_proven => Api::Enterprise {
                host,
                reach: Reach::Guarded,
            },
            Some(host) => {
                let message = format!(
                    "the event names the GitHub host `{host}` in a header that nothing proves; \
                     list it in outbound.githubHosts if it is yours"
                );
                return Err(CallError::lasting(message));
            }
        };
        Ok(GithubRepository {
            api,
            owner: of.owner,
            name: of.name,
            token: of.token.as_ref(),
        })
    }
}

impl From<GithubError> for CallError {
    fn from(error: GithubError) -> Self {
        Self {
            may_pass: error.may_pass(),
            message: error.to_string(),
            retry_after: error.retry_after(),
        }
    }
}

impl Calls for Caller {
    fn post<'c>(&'c self, endpoint: &'c Endpoint, question: Question<'c>) -> Asked<'c, Reply> {
        Box::pin(self.post(endpoint, question))
    }

    fn changed_files<'c>(&'c self, of: &'c Repository<'c>, number: i64) -> Asked<'c, Vec<String>> {
        Box::pin(async move {
            let github = self.github(of)?;
            Ok(github.changed_files(&*self.http, number).await?)
        })
    }

    fn is_member<'c>(&'c self, of: &'c Repository<'c>, login: &'c str) -> Asked<'c, bool> {
        Box::pin(async move {
            let github = self.github(of)?;
            Ok(github.is_member(&*self.http, login).await?)
        })
    }

    fn is_collaborator<'c>(&'c self, of: &'c Repository<'c>, login: &'c str) -> Asked<'c, bool> {
        Box::pin(async move {
            let github = self.github(of)?;
            Ok(github.is_collaborator(&*self.http, login).await?)
        })
    }

    fn file<'c>(&'c self, of: &'c Repository<'c>, path: &'c str) -> Asked<'c, Option<Bytes>> {
        Box::pin(async move { Ok(self.github(of)?.file(&*self.http, path).await?) })
    }
}

/// Which breaker an endpoint has: one that is written otherwise, with another
/// bundle for instance, fails for reasons of its own.
fn breaker_of(endpoint: &Endpoint) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Endpoint {
        url,
        ca_bundle,
        reach,
        ..
    } = endpoint;
    (url, ca_bundle, reach).hash(&mut hasher);
    hasher.finish()
}

/// Where an address of the configuration may lead.
pub(super) fn reach(given: Given) -> Reach {
    match given {
        Given::Configured => Reach::Configured,
        Given::Own => Reach::Own,
        Given::Guarded => Reach::Guarded,
    }
}

fn reply(response: &Response<Bytes>) -> Reply {
    let mut headers = Headers::new();
    for (name, value) in response.headers() {
        headers.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    Reply {
        status: response.status().as_u16(),
        headers,
        body: response.body().clone(),
    }
}
