//! What the browser says about a ceremony.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::Reason;

/// The client data (W3C WebAuthn §5.8.1), as far as the core does not look at it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientData {
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<IgnoredAny>,
}

impl ClientData {
    /// Refuses a page in a frame of another site: the core does when a passkey is made, and not when somebody logs in
    /// (§7.2, step 14), and knows no `topOrigin`. Type, challenge and origin are the core's.
    pub(crate) fn check(json: &[u8]) -> Result<(), Reason> {
        let data: Self = serde_json::from_slice(json).map_err(|_| Reason::BadResponse)?;
        if data.cross_origin || data.top_origin.is_some() {
            return Err(Reason::CrossOrigin);
        }
        Ok(())
    }
}
