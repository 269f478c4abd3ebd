//! GitHub's REST API, as far as interceptors ask it.
//!
//! Formats: <https://docs.github.com/rest>.

use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::BASE64_MIME_PERMISSIVE;
use http::header::{ACCEPT, AUTHORIZATION, DATE, LINK, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::retry::retry_after;
use crate::model::secret::SecretValue;
use crate::outbound::{Http, OutboundError, Outgoing, Reach};

/// Address of the public API.
const PUBLIC: &str = "https://api.github.com";

/// How long one answer may take.
const WITHIN: Duration = Duration::from_secs(15);

/// How often a question may be sent on to another place of the same API, as it
/// is for a repository that has been renamed.
const REDIRECTS: usize = 5;

/// Pages that are read of one list: GitHub itself gives no more than 3000
/// files of a pull request.
const PAGES: u32 = 100;

/// How long all pages of a list may take, the last one apart.
const LIST_WITHIN: Duration = Duration::from_secs(60);

/// Bytes that are read of one list.
const LIST_BYTES: usize = 64 * 1024 * 1024;

/// A repository, and as whom it is looked at.
pub struct Repository<'r> {
    /// Where the API is.
    pub api: Api<'r>,
    /// Owner of the repository.
    pub owner: &'r str,
    /// Its name.
    pub name: &'r str,
    /// The token, where there is one.
    pub token: Option<&'r SecretValue>,
}

/// Which GitHub is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api<'r> {
    /// github.com.
    Public,
    /// An enterprise server.
    Enterprise {
        /// Its host.
        host: &'r str,
        /// Where it may be.
        reach: Reach,
    },
}

/// Why GitHub did not say what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    /// It gave no answer.
    #[error("GitHub: {0}")]
    Outbound(#[from] OutboundError),
    /// It refused.
    #[error("GitHub answered {path} with status {status}")]
    Status {
        /// What was asked for.
        path: String,
        /// The status.
        status: u16,
        /// Whether that is because too much was asked lately.
        is_limit: bool,
        /// When more may be asked, where it says so.
        retry_after: Option<Duration>,
    },
    /// Its answer is not what it documents.
    #[error("GitHub's answer to {path} cannot be read")]
    Answer {
        /// What was asked for.
        path: String,
    },
    /// It will know later.
    #[error("GitHub has no answer to {path} yet")]
    Later {
        /// What was asked for.
        path: String,
    },
    /// A list has more pages than are read.
    #[error("GitHub's list {0} is too long")]
    Long(String),
    /// A name cannot stand in a URL.
    #[error("`{0}` is no name of a repository or its owner")]
    Name(String),
}

impl GithubError {
    /// Whether the same question may be answered later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Outbound(error) => error.may_pass(),
            Self::Status {
                status, is_limit, ..
            } => *is_limit || matches!(status, 408 | 429 | 500..),
            Self::Later { .. } => true,
            Self::Answer { .. } | Self::Long(_) | Self::Name(_) => false,
        }
    }

    /// How much later, where GitHub says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct File {
    filename: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
    encoding: Option<String>,
}

impl Repository<'_> {
    /// The files that a pull request changes, in GitHub's order.
    pub async fn changed_files(
        &self,
        http: &dyn Http,
        number: i64,
    ) -> Result<Vec<String>, GithubError> {
        let path = self.path(&format!("pulls/{number}/files"))?;
        let mut names = Vec::new();
        let each = |files: Vec<File>| {
            names.extend(files.into_iter().map(|file| file.filename));
            false
        };
        self.pages(http, &path, Some(100), each).await?;
        Ok(names)
    }

    /// Whether somebody is a public member of the owner, an organisation.
    pub async fn is_member(&self, http: &dyn Http, login: &str) -> Result<bool, GithubError> {
        let path = format!("/orgs/{}/public_members", segment(self.owner)?);
        match self.lists(http, &path, login).await {
            Ok(is_listed) => Ok(is_listed),
            // It may be no organisation.
            Err(GithubError::Status { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether somebody is a collaborator.
    pub async fn is_collaborator(&self, http: &dyn Http, login: &str) -> Result<bool, GithubError> {
        let path = self.path("collaborators")?;
        self.lists(http, &path, login).await
    }

    /// A file of the default branch, where there is one.
    pub async fn file(&self, http: &dyn Http, path: &str) -> Result<Option<Bytes>, GithubError> {
        let path = self.path(&format!("contents/{path}"))?;
        let answer = match self.get(http, &path).await {
            Err(GithubError::Status { status: 404, .. }) => return Ok(None),
            answer => answer?,
        };
        let unreadable = || GithubError::Answer { path: path.clone() };
        let content: Content = read(&answer, &path)?;
        match (content.encoding.as_deref().unwrap_or(""), content.content) {
            ("base64", Some(text)) => {
                let decoded = BASE64_MIME_PERMISSIVE.decode(text.as_bytes());
                Ok(Some(decoded.map_err(|_| unreadable())?.into()))
            }
            ("", text) => Ok(Some(text.unwrap_or_default().into())),
            _ => Err(unreadable()),
        }
    }

    fn path(&self, rest: &str) -> Result<String, GithubError> {
        let (owner, name) = (segment(self.owner)?, segment(self.name)?);
        Ok(format!("/repos/{owner}/{name}/{rest}"))
    }

    /// Whether a list of people has somebody in it.
    async fn lists(&self, http: &dyn Http, path: &str, login: &str) -> Result<bool, GithubError> {
        let mut is_listed = false;
        let each = |users: Vec<User>| {
            is_listed |= users.iter().any(|user| user.login == login);
            is_listed
        };
        self.pages(http, path, None, each).await?;
        Ok(is_listed)
    }

    /// All pages of a list, until `each` has found what it looks for.
    async fn pages<T: DeserializeOwned>(
        &self,
        http: &dyn Http,
        path: &str,
        per_page: Option<u32>,
        mut each: impl FnMut(Vec<T>) -> bool,
    ) -> Result<(), GithubError> {
        let mut page = None;
        let (mut bytes, began) = (0, Instant::now());
        for _ in 0..PAGES {
            let queries = [
                page.map(|page| format!("page={page}")),
                per_page.map(|per_page| format!("per_page={per_page}")),
            ];
            let query: Vec<String> = queries.into_iter().flatten().collect();
            let asked = match query.is_empty() {
                true => path.to_owned(),
                false => format!("{path}?{}", query.join("&")),
            };
            let answer = self.get(http, &asked).await?;
            let mut is_found = false;
            if !answer.body().is_empty() {
                let page: Option<Vec<T>> = read(&answer, path)?;
                is_found = each(page.unwrap_or_default());
            }
            page = next_page(&answer);
            if is_found || page.is_none() {
                return Ok(());
            }
            if began.elapsed() > LIST_WITHIN {
                return Err(OutboundError::Timeout(LIST_WITHIN).into());
            }
            bytes += answer.body().len();
            if bytes > LIST_BYTES {
                break;
            }
        }
        Err(GithubError::Long(path.to_owned()))
    }

    async fn get(&self, http: &dyn Http, path: &str) -> Result<Response<Bytes>, GithubError> {
        let base = match self.api {
            Api::Public => PUBLIC.to_owned(),
            Api::Enterprise { host, .. } => format!("https://{host}/api/v3"),
        };
        let mut answer = self.ask(http, &format!("{base}{path}")).await?;
        for _ in 0..REDIRECTS {
            let Some(place) = moved_to(&answer, &base) else {
                break;
            };
            answer = self.ask(http, &place).await?;
        }
        if answer.status() == StatusCode::ACCEPTED {
            let path = path.to_owned();
            return Err(GithubError::Later { path });
        }
        if answer.status().is_success() {
            return Ok(answer);
        }
        let headers = answer.headers();
        let used_up = headers.get("x-ratelimit-remaining");
        Err(GithubError::Status {
            path: path.to_owned(),
            status: answer.status().as_u16(),
            is_limit: used_up.is_some_and(|left| left == "0") || headers.contains_key(RETRY_AFTER),
            retry_after: asked_for(headers),
        })
    }

    async fn ask(&self, http: &dyn Http, url: &str) -> Result<Response<Bytes>, GithubError> {
        let mut request = Request::get(url)
            .header(ACCEPT, "application/vnd.github+json")
            .header(USER_AGENT, "tripline");
        if let Some(token) = self.token {
            let bearer = [b"Bearer ", token.expose().trim_ascii()].concat();
            let unusable = |_| GithubError::Name("the token".to_owned());
            let mut bearer = HeaderValue::from_bytes(&bearer).map_err(unusable)?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        let request = request.body(Bytes::new());
        let request = request.map_err(|_| GithubError::Name(url.to_owned()))?;
        let outgoing = Outgoing {
            request,
            reach: match self.api {
                Api::Public => Reach::Configured,
                Api::Enterprise { reach, .. } => reach,
            },
            ca_bundle: String::new(),
            within: WITHIN,
        };
        Ok(http.send(outgoing).await?)
    }
}

/// How long to ask nothing more.
fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    retry_after(text(RETRY_AFTER)?, text(DATE))
}

/// Where a question is to be asked instead: only of the API that it was asked
/// of, because the token goes there too.
fn moved_to(answer: &Response<Bytes>, base: &str) -> Option<String> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let place = answer.headers().get(LOCATION)?.to_str().ok()?;
    let inside = place.strip_prefix(base)?;
    (inside.starts_with('/') && !inside.contains("..")).then(|| place.to_owned())
}

/// A part of a path. Names come from payloads.
fn segment(name: &str) -> Result<&str, GithubError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match !name.is_empty() && name != "." && name != ".." && name.bytes().all(plain) {
        true => Ok(name),
        false => Err(GithubError::Name(name.to_owned())),
    }
}

fn read<T: DeserializeOwned>(answer: &Response<Bytes>, path: &str) -> Result<T, GithubError> {
    serde_json::from_slice(answer.body()).map_err(|_| GithubError::Answer {
        path: path.to_owned(),
    })
}

/// The number of the next page, as the `Link` header has it.
fn next_page(answer: &Response<Bytes>) -> Option<u32> {
    let links = answer.headers().get_all(LINK).iter();
    let links = links.filter_map(|link| link.to_str().ok());
    let mut next = links.flat_map(|links| links.split(',')).filter_map(|link| {
        let (url, relation) = link.trim().split_once(';')?;
        let url = url.trim().strip_prefix('<')?.strip_suffix('>')?;
        relation.contains("rel=\"next\"").then_some(url)
    });
    let (_, query) = next.next()?.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, page) = pairs.find(|(name, _)| name == "page")?;
    page.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_one_that_the_header_names() {
        let link = "<https://api.github.com/x?per_page=100&page=2>; rel=\"next\", \
                    <https://api.github.com/x?per_page=100&page=9>; rel=\"last\"";
        let answer = |link: &str| {
            let answer = Response::builder().header(LINK, link);
            answer.body(Bytes::new()).unwrap()
        };
        assert_eq!(next_page(&answer(link)), Some(2));
        let last = "<https://api.github.com/x?page=1>; rel=\"first\"";
        assert_eq!(next_page(&answer(last)), None);
    }

    #[test]
    fn a_question_is_sent_on_within_the_api_only() {
        let base = "https://ghe.example/api/v3";
        let answer = |status: u16, place: &str| {
            let answer = Response::builder().status(status).header(LOCATION, place);
            answer.body(Bytes::new()).unwrap()
        };
        let place = "https://ghe.example/api/v3/repositories/7/contents/OWNERS";
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(moved_to(&answer(status, place), base).unwrap(), place);
        }
        assert_eq!(moved_to(&answer(200, place), base), None);
        for elsewhere in [
            "https://elsewhere.example/api/v3/repositories/7",
            "http://ghe.example/api/v3/repositories/7",
            "https://ghe.example/api/v3.elsewhere.example/7",
            "https://ghe.example/api/v3/../../login",
            "/repositories/7",
        ] {
            assert_eq!(moved_to(&answer(301, elsewhere), base), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_name_out_of_a_payload_leads_to_no_other_path() {
        for name in ["", ".", "..", "a/b", "a?b", "a b", "a%2f", "ü"] {
            assert!(segment(name).is_err(), "{name}");
        }
        assert_eq!(segment("Hello-World.2_x").unwrap(), "Hello-World.2_x");
    }
}
