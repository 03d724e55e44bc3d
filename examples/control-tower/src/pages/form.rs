//! What forms send, and what of it is not accepted.

use super::problem::sentence;
use crate::http::error::ApiError;

/// The hidden field that ties a form to the browser's cookie (`keyward_webauthn_login::form_token`).
pub const FIELD: &str = "form-token";

/// A field that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which one, as the interface names it.
    pub field: String,
    /// Why not, and what to write.
    pub message: String,
}

impl Wrong {
    /// The field that a refusal of the interface is about, if it is one of these.
    pub fn found(error: &ApiError, fields: &[&str]) -> Option<Self> {
        let text = |name: &str| error.info()?.get(name)?.as_str().map(str::to_owned);
        let (field, message) = match (text("field"), text("message")) {
            (Some(field), Some(message)) => match text("remedy") {
                Some(remedy) => (field, format!("{message}: {remedy}")),
                None => (field, message),
            },
            // Texts name the field that they begin with.
            _ => (error.message().strip_prefix('`')?.split('`').next()?.to_owned(), error.message().to_owned()),
        };
        let wrong = Self { field, message };
        fields.iter().any(|name| wrong.is_in(name)).then_some(wrong)
    }

    /// What is shown at a field, as a sentence.
    pub fn of(wrong: Option<&Self>, field: &str) -> Option<String> {
        wrong.filter(|wrong| wrong.is_in(field)).map(|wrong| sentence(&wrong.message))
    }

    fn is_in(&self, field: &str) -> bool {
        self.field.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_shown_at_the_field_that_it_names() {
        let info = json!({"field": "a.list[1]", "message": "`x` is no network", "remedy": "write `10.0.0.0/8`"});
        let error = ApiError::invalid("all of it").with_info(info);
        let wrong = Wrong::found(&error, &["b", "a.list"]);
        assert_eq!(Wrong::of(wrong.as_ref(), "a.list").as_deref(), Some("`x` is no network: write `10.0.0.0/8`."));
        assert_eq!(Wrong::of(wrong.as_ref(), "a.li"), None);
        assert_eq!(Wrong::found(&error, &["b"]), None);
        let error = ApiError::invalid("`ttl` is 5 seconds");
        assert_eq!(Wrong::found(&error, &["ttl"]).map(|wrong| wrong.field).as_deref(), Some("ttl"));
        assert_eq!(Wrong::found(&ApiError::invalid("no"), &["ttl"]), None);
    }
}
