//! What the browser is told not to do with a page.

use axum::http::{HeaderName, HeaderValue, header};

/// A file is of the type that it is said to be.
pub const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Nothing but the tower's own files, no inline style or script, no frame around a page, and forms that go nowhere else (CSP
/// Level 3). An OpenID provider is reached by a page that leads there, since a form's redirect to it would be one of the form.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The same for a page that looks for itself whether anything is new.
pub const LIVE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The head of every page. Pages are of their reader alone: nobody keeps them.
pub const HEAD: [(HeaderName, HeaderValue); 9] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, NOSNIFF),
    // Older browsers know no `frame-ancestors`.
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // Not `no-referrer`: browsers would send forms with `Origin: null` (Fetch §3.1).
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "publickey-credentials-get=(self), publickey-credentials-create=(self), clipboard-write=(self), camera=(), \
             geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict() {
        assert!(!POLICY.contains("unsafe") && !POLICY.contains('*') && !POLICY.contains("http"));
        assert!(POLICY.starts_with("default-src 'none';"));
        assert_eq!(LIVE_POLICY.replace("connect-src 'self'; ", ""), POLICY);
    }
}
