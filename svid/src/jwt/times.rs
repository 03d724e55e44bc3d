//! Whether a token is valid at a moment.

use time::{Duration, OffsetDateTime};

use super::error::VerifyError;

/// Checks `exp` and `nbf`; the leeway prolongs the token at both ends.
pub(crate) fn timely(
    expires: OffsetDateTime,
    not_before: Option<OffsetDateTime>,
    leeway: Duration,
    now: OffsetDateTime,
) -> Result<(), VerifyError> {
    // RFC 7519 §4.1.4: "on or after which the JWT MUST NOT be accepted".
    if now.saturating_sub(leeway) >= expires {
        return Err(VerifyError::Expired { now, not_after: expires });
    }
    // RFC 7519 §4.1.5: "before which the JWT MUST NOT be accepted".
    if let Some(not_before) = not_before
        && now.saturating_add(leeway) < not_before
    {
        return Err(VerifyError::NotYetValid { now, not_before });
    }
    Ok(())
}
