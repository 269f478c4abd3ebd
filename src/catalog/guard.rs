//! Asks the API server whether a listener's account may take triggers of
//! another namespace. Answers are remembered for a while.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::timeout;

use crate::api::TRIGGERS_GROUP;

use super::permits::{Crossing, Permits};

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(20);

/// How long it stands where nobody can be asked again.
const STANDS: Duration = Duration::from_secs(10 * 60);

/// Longest time that an answer may take.
const LONGEST: Duration = Duration::from_secs(5);

/// Asks and remembers.
pub struct Guard {
    reviews: Api<SubjectAccessReview>,
    known: HashMap<Crossing, (bool, Instant)>,
}

impl Guard {
    /// Asks through `client`, whose account must be allowed to create
    /// SubjectAccessReviews.
    pub fn new(client: Client) -> Self {
        Self {
            reviews: Api::all(client),
            known: HashMap::new(),
        }
    }

    /// Which of the crossings are permitted. Where nobody can be asked, the
    /// last answer stands for a while; then nobody knows.
    pub async fn permits(
        &mut self,
        crossings: &HashSet<Crossing>,
    ) -> (Permits, Option<kube::Error>) {
        self.known
            .retain(|crossing, _| crossings.contains(crossing));
        let mut failure = None;
        for crossing in crossings {
            let known = self.known.get(crossing);
            if known.is_some_and(|(_, since)| since.elapsed() < HOLDS) {
                continue;
            }
            let asked = timeout(LONGEST, self.ask(crossing)).await;
            match asked.unwrap_or_else(|_| Err(too_slow())) {
                Ok(answer) => {
                    let now = Instant::now();
                    self.known.insert(crossing.clone(), (answer, now));
                }
                // Nor would it answer the others.
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let standing = |crossing: &&Crossing| {
            let known = self.known.get(*crossing);
            known.filter(|(_, since)| since.elapsed() < STANDS)
        };
        let is_permitted = |one: &&Crossing| standing(one).is_some_and(|(answer, _)| *answer);
        let permits = Permits::Only {
            permitted: crossings.iter().filter(is_permitted).cloned().collect(),
            unknown: crossings
                .iter()
                .filter(|one| standing(one).is_none())
                .cloned()
                .collect(),
        };
        (permits, failure)
    }

    async fn ask(&self, crossing: &Crossing) -> kube::Result<bool> {
        let read = ResourceAttributes {
            verb: Some("get".into()),
            group: Some(TRIGGERS_GROUP.into()),
            resource: Some("triggers".into()),
            namespace: Some(crossing.namespace.clone()),
            ..ResourceAttributes::default()
        };
        if !self.may(crossing, read).await? {
            return Ok(false);
        }
        let Some(account) = &crossing.account else {
            return Ok(true);
        };
        let act = ResourceAttributes {
            verb: Some("impersonate".into()),
            resource: Some("serviceaccounts".into()),
            name: Some(account.clone()),
            namespace: Some(crossing.namespace.clone()),
            ..ResourceAttributes::default()
        };
        self.may(crossing, act).await
    }

    async fn may(&self, crossing: &Crossing, what: ResourceAttributes) -> kube::Result<bool> {
        let (namespace, account) = &crossing.listener;
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{namespace}:{account}")),
                groups: Some(vec![
                    "system:serviceaccounts".into(),
                    format!("system:serviceaccounts:{namespace}"),
                    "system:authenticated".into(),
                ]),
                resource_attributes: Some(what),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answered = self.reviews.create(&PostParams::default(), &review).await?;
        Ok(answered.status.is_some_and(|status| status.allowed))
    }
}

/// The error of a request that took too long.
pub(super) fn too_slow() -> kube::Error {
    kube::Error::Service("the API server did not answer in time".into())
}
