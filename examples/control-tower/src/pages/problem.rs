//! What did not work, on a page.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    component::{failure, prose},
    layout::Page,
};
use crate::http::error::ApiError;

/// What did not work, in the words for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl Problem {
    /// The id of its notice, of which there is one on a page.
    pub const ID: &str = "problem";

    /// As a notice that has the focus, where there is one.
    pub fn shown(problem: Option<&Self>) -> Markup {
        Self::shown_unless(false, problem)
    }

    /// The same above a field that has the focus.
    pub fn above_field(problem: Option<&Self>) -> Markup {
        Self::shown_unless(true, problem)
    }

    /// The same where a field may have the focus.
    pub fn shown_unless(is_at_field: bool, problem: Option<&Self>) -> Markup {
        html! { @if let Some(Self(text)) = problem { (failure(Self::ID, !is_at_field, &prose(&sentence(text)))) } }
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

/// What the interface says as a page does: to people, who have policies and ask for no permission.
pub fn words(text: &str) -> String {
    match text.strip_prefix("permission denied: ") {
        Some(needed) => format!("your policies do not let you do this, which needs {needed}"),
        None => text.to_owned(),
    }
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
        let text = words(self.0.message());
        for_people(&self.0.into_response(), &text)
    }
}

/// A refusal as a page, with what its text is.
pub fn for_people(refusal: &Response, text: &str) -> Response {
    let mut response = page(refusal.status(), text).into_response();
    // It knows for how long to wait, and what else could be asked for.
    for name in [header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = refusal.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// The page of a status, with what there is to say.
pub fn page(status: StatusCode, text: &str) -> Page {
    let title = match status {
        StatusCode::FORBIDDEN => "Not permitted",
        StatusCode::NOT_FOUND => "Nothing here",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        StatusCode::SERVICE_UNAVAILABLE => "Not available now",
        status if status.is_server_error() => "Something went wrong",
        _ => "That did not work",
    };
    let away = if status == StatusCode::SERVICE_UNAVAILABLE { "Try again" } else { "To the overview" };
    let main = html! {
        div class="card stack" {
            h1 { (title) }
            p { (prose(&sentence(text))) }
            p { a class="button" href="/" { (away) } }
        }
    };
    Page::single(title, &main).with_status(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_as_sentences() {
        assert_eq!(sentence("that did not work"), "That did not work.");
        assert_eq!(sentence("Really?"), "Really?");
        assert_eq!(sentence(""), ".");
        let denied = words("permission denied: `read` on `/v1/x`");
        assert_eq!(denied, "your policies do not let you do this, which needs `read` on `/v1/x`");
        assert_eq!(words("no"), "no");
        let wait = std::time::Duration::from_secs(7);
        let response = Failed(ApiError::too_many("too many", wait)).into_response();
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"7".parse().unwrap()));
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}
