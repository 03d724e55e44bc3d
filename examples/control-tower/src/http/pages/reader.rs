//! Who reads a page, and who sent one of its forms: somebody with a session. Whoever has none logs in first, and comes back.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{request::Parts, uri::PathAndQuery},
    response::{IntoResponse as _, Response},
};

use super::{Posted, log_in_first};
use crate::{
    app::App,
    http::{error::ApiError, peer::Peer},
    login::{Browser, Session},
    pages::problem::Failed,
};

/// Whoever reads a page.
pub struct Reader(pub Session);

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let Peer(source) = Peer::from_request_parts(parts, app).await.map_err(failed)?;
        let browser = Browser::of(&parts.headers, source);
        let found = Session::find(app, &browser, parts.uri.path()).await.map_err(failed)?;
        let back = || log_in_first(parts.uri.path_and_query().map_or("/", PathAndQuery::as_str));
        found.map(Self).ok_or_else(back)
    }
}

/// Whoever sent a form of a page in their session, and what it says.
pub struct Form {
    /// Whose it is.
    pub session: Session,
    /// Its fields.
    pub posted: Posted,
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let path = request.uri().path().to_owned();
        let posted = Posted::from_request(request, app).await.map_err(Failed::into_response)?;
        match posted.session(app, &path).await.map_err(failed)? {
            Some(session) => Ok(Self { session, posted }),
            None => Err(log_in_first(page_of(&path))),
        }
    }
}

fn failed(error: ApiError) -> Response {
    Failed(error).into_response()
}

/// The page that a form is of: its address is below the page's.
fn page_of(path: &str) -> &str {
    let end =
        path.char_indices().skip(1).find(|(_, character)| *character == '/').map_or(path.len(), |(place, _)| place);
    path.get(..end).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sent_a_form_comes_back_to_its_page() {
        for (path, page) in [
            ("/users", "/users"),
            ("/users/lock", "/users"),
            ("/account/passkeys/remove", "/account"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(page_of(path), page);
        }
    }
}
