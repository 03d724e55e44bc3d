//! One request to the tower, and what came back of it.

mod answer;
mod refusal;
mod unreachable;

use std::io::Read as _;
use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::{self, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH};
use reqwest::redirect::Policy;
use zeroize::Zeroizing;

pub(crate) use self::answer::{Answer, Content};
pub(crate) use self::refusal::{Fault, Refusal, Source};
pub(crate) use self::unreachable::Unreachable;
use crate::error::Error;
use crate::path::Target;
use crate::secret::Secret;
use crate::tower::{Ca, TowerUrl};
use crate::value::Value;

/// What the copies of a script are compared with.
const SCRIPT_DIGEST: HeaderName = HeaderName::from_static("x-script-sha256");

/// No answer of a tower is longer.
const MAX_ANSWER: u64 = 64 << 20;

/// Where a request goes and as whom.
#[derive(Debug)]
pub(crate) struct Client {
    http: blocking::Client,
    tower: TowerUrl,
    has_ca: bool,
    token: Option<Secret>,
}

/// What a request carries.
pub(crate) enum Payload<'a> {
    /// Nothing
    None,
    /// A JSON document
    Json(&'a Value),
    /// A JSON document with a secret in it
    SecretJson(Zeroizing<Vec<u8>>),
    /// YAML as it was written
    Yaml(Vec<u8>),
}

impl Client {
    /// A client of this tower; with a CA given, nothing else is trusted.
    pub(crate) fn new(tower: TowerUrl, ca: Option<&Ca>, token: Option<Secret>) -> Result<Self, Error> {
        // An error means that a provider is installed already: this one, from an earlier client.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = blocking::Client::builder()
            .user_agent(concat!("supctl/", env!("CARGO_PKG_VERSION")))
            // The API does not redirect; following one would carry a password elsewhere.
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120));
        if tower.is_loopback() {
            builder = builder.no_proxy();
        }
        if let Some(ca) = ca {
            builder = builder.tls_certs_only(ca.certificates()?);
        }
        let http = builder.build().map_err(|error| {
            Error::usage(format!("cannot prepare TLS: {}", unreachable::causes(&error)), "check the CA file")
        })?;
        Ok(Self { http, tower, has_ca: ca.is_some(), token })
    }

    /// Which tower it talks to.
    pub(crate) fn tower(&self) -> &TowerUrl {
        &self.tower
    }

    /// GET
    pub(crate) fn get(&self, target: &Target) -> Result<Answer, Error> {
        self.send(Method::GET, target, Payload::None, None)
    }

    /// POST
    pub(crate) fn post(&self, target: &Target, payload: Payload<'_>) -> Result<Answer, Error> {
        self.send(Method::POST, target, payload, None)
    }

    /// Sends one request. An answer that is not a success is an error.
    pub(crate) fn send(
        &self,
        method: Method,
        target: &Target,
        payload: Payload<'_>,
        if_match: Option<&str>,
    ) -> Result<Answer, Error> {
        let url = self.tower.join(target.as_str())?;
        let mut request = self.http.request(method, url).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
                Error::usage("the token has characters that no token has", "log in with `supctl login`")
            })?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        if let Some(revision) = if_match {
            request = request.header(IF_MATCH, entity_tag(revision)?);
        }
        request = match payload {
            Payload::None => request,
            Payload::Json(value) => {
                let bytes = serde_json::to_vec(value)
                    .map_err(|error| Error::usage(format!("the body is no JSON: {error}"), "check the body"))?;
                request.header(CONTENT_TYPE, "application/json").body(bytes)
            }
            Payload::SecretJson(bytes) => request.header(CONTENT_TYPE, "application/json").body(bytes.to_vec()),
            Payload::Yaml(bytes) => request.header(CONTENT_TYPE, "application/yaml").body(bytes),
        };
        let response = request.send().map_err(|error| Unreachable::from_error(&error, &self.tower, self.has_ca))?;
        self.read(response)
    }

    fn read(&self, response: Response) -> Result<Answer, Error> {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (revision, kind, digest) = (header(ETAG), header(CONTENT_TYPE), header(SCRIPT_DIGEST));
        let mut body = Vec::new();
        response.take(MAX_ANSWER + 1).read_to_end(&mut body).map_err(|error| Unreachable::cut(&error, &self.tower))?;
        if body.len() as u64 > MAX_ANSWER {
            return Err(Unreachable::foreign(&self.tower, "the answer is longer than 64 MiB").into());
        }
        let content = Content::read(kind.as_deref().unwrap_or_default(), body)
            .map_err(|why| Unreachable::foreign(&self.tower, why));
        if status.is_success() {
            let revision = revision.map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_owned());
            let script_digest =
                digest.filter(|text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            return Ok(Answer { status: status.as_u16(), revision, script_digest, content: content? });
        }
        if !status.is_client_error() && !status.is_server_error() {
            return Err(Unreachable::foreign(&self.tower, format!("it answered {status}, which no tower does")).into());
        }
        Err(Box::new(Refusal::new(status, content.ok().as_ref(), self.token.is_some())).into())
    }
}

/// RFC 9110 §8.8.3: an entity tag stands in quotes, which a shell would eat; they are added here.
fn entity_tag(revision: &str) -> Result<HeaderValue, Error> {
    let bare = revision.trim_matches('"');
    HeaderValue::from_str(&format!("\"{bare}\""))
        .ok()
        .filter(|_| !bare.contains('"'))
        .ok_or_else(|| Error::usage(format!("`{revision}` is no revision"), "`supctl show --revision PATH` prints it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_quoted_once() {
        assert_eq!(entity_tag("12").unwrap(), "\"12\"");
        assert_eq!(entity_tag("\"12\"").unwrap(), "\"12\"");
        assert_eq!(entity_tag("1\"2").unwrap_err().to_string(), "`1\"2` is no revision");
    }

    #[test]
    fn debug_shows_no_token() {
        let tower = TowerUrl::parse("https://localhost:1").unwrap();
        let client = Client::new(tower, None, Some(Secret::new("hunter2".to_owned()))).unwrap();
        assert!(!format!("{client:?}").contains("hunter2"));
    }
}
