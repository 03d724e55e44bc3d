//! What forms send.

/// The hidden field that ties a form to the browser's cookie (`keyward_webauthn_login::form_token`).
pub const FIELD: &str = "form-token";
