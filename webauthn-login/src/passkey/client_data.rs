//! What the browser says about a ceremony.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::RelyingParty;
use crate::Reason;

/// The client data (W3C WebAuthn §5.8.1), as far as it is checked here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<IgnoredAny>,
}

impl ClientData {
    /// Everything but the signature, with the reason for the audit log. The core checks again what it checks; a page in a
    /// frame of another site it does not look at when somebody logs in (§7.2, step 14).
    pub(crate) fn check(json: &[u8], kind: &str, challenge: &[u8], rp: &RelyingParty) -> Result<(), Reason> {
        let data: Self = serde_json::from_slice(json).map_err(|_| Reason::BadResponse)?;
        if data.kind != kind {
            return Err(Reason::WrongType);
        }
        if !crate::secret::same(&data.challenge, &URL_SAFE_NO_PAD.encode(challenge)) {
            return Err(Reason::WrongChallenge);
        }
        // Browsers write the origin alone (§5.8.1); some other clients a URL with a path of nothing.
        let origin = data.origin.strip_suffix('/').unwrap_or(&data.origin);
        if !rp.origins.iter().any(|own| own.origin().ascii_serialization() == origin) {
            return Err(Reason::WrongOrigin);
        }
        if data.cross_origin || data.top_origin.is_some() {
            return Err(Reason::CrossOrigin);
        }
        Ok(())
    }
}
