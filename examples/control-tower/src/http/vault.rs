//! The surface for clients of Vault and OpenBao: their paths, names and shapes, thin over what the other routes do.
//!
//! Policies decide on the path as it is asked for (`/v1/transit/encrypt/orders`), as everywhere: `GET` and `LIST` are the operation
//! `read`, `POST` and `PUT`, which are one thing there, `execute`, and `DELETE` is `delete`. A `POST` on a role itself is
//! `create` where there is none and `update` where there is one, as there. Whoever may use a key by one of its
//! paths may not for that use it by the other.

pub mod answer;
pub mod approle;
pub mod body;
pub mod capabilities;
mod fields;
pub mod role;
pub mod sys;
pub mod token;
pub mod transit;
pub mod wrapping;

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, Method, StatusCode, Uri, request::Parts},
    middleware::Next,
    response::Response,
};
use keyward_approle::Operation;
use keyward_config_tree::Path as DocumentPath;
use keyward_config_values::Name;

use super::{
    caller::Caller,
    error::{Answer, ApiError},
};
use crate::{
    app::App,
    documents::{KEYS, POLICIES, ROLES},
    tenant::Tenant,
};

/// Where the surface is.
const PREFIXES: [&str; 3] = ["/v1/sys/", "/v1/transit/", "/v1/auth/"];

/// Where a slash at the end of a name means nothing.
const MOUNTED: [&str; 2] = ["/v1/sys/mounts/", "/v1/sys/auth/"];

/// Where names stand that know no upper case.
const FOLDED: [&str; 2] = ["/v1/sys/policy/", "/v1/sys/policies/acl/"];

/// The header that names a tenant, by name or id.
const NAMESPACE: &str = "x-vault-namespace";

/// Whether a path is of this surface.
pub fn is_here(path: &str) -> bool {
    PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// A request for what is below a path: the method `LIST`, or `GET` with `?list=true`.
#[derive(Clone, Copy, Debug)]
pub struct List;

impl<S: Send + Sync> FromRequestParts<S> for List {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().copied().ok_or_else(|| {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "unsupported operation: this path is for `LIST`")
        })
    }
}

/// A request that looks up the token that it bears, and names no other in its address, which others keep in their logs.
#[derive(Clone, Copy, Debug)]
pub struct NoTokenInAddress;

impl<S: Send + Sync> FromRequestParts<S> for NoTokenInAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        match form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "token") {
            false => Ok(Self),
            true => Err(ApiError::invalid("no token stands in an address: name it in the body of a `POST`")),
        }
    }
}

impl List {
    fn is_in_query(uri: &Uri) -> bool {
        uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "list=true"))
    }
}

/// Around everything: takes the methods of these clients for what they are, and gives refusals their shape.
pub async fn surface(mut request: Request, next: Next) -> Response {
    let here = is_here(request.uri().path());
    // Whoever asks for it must not find a secret in the answer.
    if request.headers().contains_key(wrapping::HEADER) && !(here && wrapping::is_for(request.uri().path())) {
        let refusal = ApiError::invalid("the answers of this path cannot be wrapped");
        let refusal = axum::response::IntoResponse::into_response(refusal);
        return if here { answer::in_their_shape(refusal) } else { refusal };
    }
    if !here {
        return next.run(request).await;
    }
    if let Some(folded) = folded(request.uri()) {
        *request.uri_mut() = folded;
    }
    match request.method().as_str() {
        "LIST" => {
            *request.method_mut() = Method::GET;
            request.extensions_mut().insert(List);
        }
        "PUT" => *request.method_mut() = Method::POST,
        "GET" if List::is_in_query(request.uri()) => {
            request.extensions_mut().insert(List);
        }
        _ => {}
    }
    if (request.extensions().get::<List>().is_some() || names_a_mount(request.uri().path()))
        && let Some(bare) = without_slash(request.uri())
    {
        *request.uri_mut() = bare;
    }
    answer::in_their_shape(next.run(request).await)
}

fn names_a_mount(path: &str) -> bool {
    MOUNTED.iter().any(|prefix| path.strip_prefix(prefix).is_some_and(|name| !name.is_empty()))
}

/// The address of a list that is asked for as a directory, `…/keys/`, as some clients do.
fn without_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/')?;
    with_path(uri, path.to_owned())
}

fn with_path(uri: &Uri, mut text: String) -> Option<Uri> {
    if let Some(query) = uri.query() {
        text.push('?');
        text.push_str(query);
    }
    text.parse().ok()
}

/// The address with the name that is meant, where it is written with upper case: before the policies decide on it, so that they decide on
/// what is read and written.
fn folded(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !FOLDED.iter().any(|prefix| path.starts_with(prefix)) || !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    with_path(uri, path.to_ascii_lowercase())
}

/// The tenant that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// None: whichever the credential is of.
    Any,
    /// The one with this id.
    Of(Name),
    /// One that there is not.
    Unknown,
}

impl Namespace {
    /// What the request says.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn asked(app: &App, headers: &HeaderMap) -> Answer<Self> {
        let Some(value) = headers.get(NAMESPACE) else { return Ok(Self::Any) };
        let Ok(name) = value.to_str() else { return Ok(Self::Unknown) };
        Ok(match name.trim_matches('/') {
            "" => Self::Any,
            name => match Tenant::find(&app.db, name).await? {
                Some(tenant) => Self::Of(tenant.value.id.clone()),
                None => Self::Unknown,
            },
        })
    }

    /// Whether a credential of a tenant is good there.
    pub fn admits(&self, tenant: &Name) -> bool {
        match self {
            Self::Any => true,
            Self::Of(id) => id == tenant,
            Self::Unknown => false,
        }
    }
}

/// Fails where the policies hide fields of what the path that was asked for answers, or the path that the document has here: nothing is
/// written behind it then, for what is hidden would be lost, or chosen by who does not see it. Whatever operation it is hidden for.
///
/// # Errors
/// 403.
pub async fn sees_all(app: &App, caller: &Caller, document: &DocumentPath) -> Answer<()> {
    let standing = caller.standing(app).await?;
    let mut paths = paths_of(document);
    paths.push(caller.asked.to_string());
    for path in paths {
        for operation in Operation::ALL {
            if standing.hidden(operation, &path)?.is_some() {
                let record = caller.actor().refused("denied", "fields of the document are hidden", app.clock.now());
                app.refuse(record.with("path", path));
                let text = "fields of it are hidden from you: change its document instead, which keeps them";
                return Err(ApiError::new(StatusCode::FORBIDDEN, text));
            }
        }
    }
    Ok(())
}

/// Where a document as a whole is read here.
fn paths_of(document: &DocumentPath) -> Vec<String> {
    match document.as_str().rsplit_once('/') {
        Some((ROLES, name)) => vec![format!("/v1/auth/approle/role/{name}")],
        Some((POLICIES, name)) => FOLDED.iter().map(|path| format!("{path}{name}")).collect(),
        Some((KEYS, name)) => vec![format!("/v1/transit/keys/{name}")],
        _ => Vec::new(),
    }
}

/// The refusal of a token in another tenant than its own. Whether that exists is not told.
pub fn elsewhere() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "permission denied: the token is not of that namespace")
}
