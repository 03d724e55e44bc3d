//! What a form sent.

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use zeroize::Zeroizing;

use crate::{
    app::App,
    http::{
        body,
        error::{Answer, ApiError},
        peer::Peer,
    },
    login::{Browser, Session},
    pages::{form, problem::Failed},
};

/// More than any form of ours sends: the response of a passkey has at most 64 KiB.
const LIMIT: usize = 256 << 10;

/// The fields of a form (`application/x-www-form-urlencoded`), and the browser that sent it. Nothing is checked yet: a handler
/// first calls [`Browser::check`] or [`Browser::check_session`] with [`Posted::token`].
pub struct Posted {
    fields: Vec<(String, Zeroizing<String>)>,
    /// Who sent it.
    pub browser: Browser,
}

impl Posted {
    fn parse(bytes: &[u8], browser: Browser) -> Self {
        let fields =
            form_urlencoded::parse(bytes).map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())));
        Self { fields: fields.collect(), browser }
    }

    /// A field; empty where it was not sent.
    pub fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// A field that can be there several times.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The same, to be kept.
    pub fn secret(&self, name: &str) -> Zeroizing<String> {
        Zeroizing::new(self.get(name).to_owned())
    }

    /// The session in which the form was sent, by a page of this tower; `None` where there is none any more.
    ///
    /// # Errors
    /// 403 for a form of elsewhere; those of the store.
    pub async fn session(&self, app: &App, path: &str) -> Answer<Option<Session>> {
        let Some(session) = Session::find(app, &self.browser, path).await? else { return Ok(None) };
        if let Err(reason) = self.browser.check_session(app, self.token()) {
            app.refuse(session.caller.actor().refused("session", reason.code(), app.clock.now()));
            return Err(ApiError::new(StatusCode::FORBIDDEN, reason.told()));
        }
        Ok(Some(session))
    }

    /// What ties the form to the browser's cookie.
    pub fn token(&self) -> Option<&str> {
        Some(self.get(form::FIELD)).filter(|token| !token.is_empty())
    }
}

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failed> {
        let (mut parts, whole) = request.into_parts();
        let Peer(source) = <Peer as axum::extract::FromRequestParts<S>>::from_request_parts(&mut parts, state).await?;
        let browser = Browser::of(&parts.headers, source);
        let request = Request::from_parts(parts, whole);
        const FORM: &str = "application/x-www-form-urlencoded";
        match body::content_type(&request) {
            Some(kind) if kind.eq_ignore_ascii_case(FORM) => {}
            other => return Err(body::unsupported(other.unwrap_or_default(), FORM).into()),
        }
        let bytes = to_bytes(request.into_body(), LIMIT).await.map_err(|_| {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the form is longer than {LIMIT} bytes"))
        })?;
        Ok(Self::parse(&bytes, browser))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_by_their_names() {
        let posted = Posted::parse(b"a=1+%2B&b=x&b=y&form-token=t", Browser::default());
        assert_eq!((posted.get("a"), posted.get("c"), posted.token()), ("1 +", "", Some("t")));
        assert_eq!(posted.all("b").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(Posted::parse(b"form-token=", Browser::default()).token(), None);
    }
}
