//! What did not work, on a page.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    component::{Tone, notice, prose},
    layout::Page,
};
use crate::http::error::ApiError;

/// What did not work, in the words for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl Problem {
    /// As a notice, where there is one.
    pub fn shown(problem: Option<&Self>) -> Markup {
        html! { @if let Some(Self(text)) = problem { (notice(Tone::Danger, &prose(&sentence(text)))) } }
    }
}

/// A text of an error as a sentence: with a capital, and a full stop.
pub fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let mut sentence: String = characters.next().into_iter().flat_map(char::to_uppercase).chain(characters).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

/// An error of the interface as a page.
#[derive(Debug)]
pub struct Failed(pub ApiError);

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = error.status();
        let title = match status {
            StatusCode::FORBIDDEN => "Not permitted",
            StatusCode::NOT_FOUND => "Nothing here",
            StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
            StatusCode::SERVICE_UNAVAILABLE => "Not available now",
            status if status.is_server_error() => "Something went wrong",
            _ => "That did not work",
        };
        let main = html! {
            div class="card stack" {
                h1 { (title) }
                p { (prose(&sentence(error.message()))) }
                p { a class="button" href="/" { "To the overview" } }
            }
        };
        let mut response = Page::single(title, &main).with_status(status).into_response();
        // It knows for how long to wait.
        if let Some(wait) = error.into_response().headers().get(axum::http::header::RETRY_AFTER) {
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, wait.clone());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_as_sentences() {
        assert_eq!(sentence("that did not work"), "That did not work.");
        assert_eq!(sentence("Really?"), "Really?");
        assert_eq!(sentence(""), ".");
        let wait = std::time::Duration::from_secs(7);
        let response = Failed(ApiError::too_many("too many", wait)).into_response();
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"7".parse().unwrap()));
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}
