//! What a page passes to the browser's `navigator.credentials`.

use core::fmt;

use serde::{Deserialize, Serialize};
use webauthn_rs_core::proto::{CreationChallengeResponse, RequestChallengeResponse};

/// The options of `navigator.credentials.create()`, as JSON: `{"publicKey": …}`, for
/// `PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey)` (W3C WebAuthn §5.1.8).
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CreationOptions(pub(crate) CreationChallengeResponse);

/// The options of `navigator.credentials.get()`, as JSON: `{"publicKey": …, "mediation": "conditional"}`, for
/// `PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey)` (W3C WebAuthn §5.1.9). The mediation is there for the
/// autofill of the first page alone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestOptions(pub(crate) RequestChallengeResponse);

impl fmt::Debug for CreationOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CreationOptions(..)")
    }
}

impl fmt::Debug for RequestOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestOptions(..)")
    }
}
