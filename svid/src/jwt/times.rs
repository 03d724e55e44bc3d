//! From when until when a token is valid.

use time::{Duration, OffsetDateTime};

use super::error::{MintError, VerifyError};
use crate::json::push_integer;

/// The times of a token to make, in whole seconds.
pub(crate) struct Validity {
    pub(crate) issued_at: OffsetDateTime,
    not_before: OffsetDateTime,
    pub(crate) expires: OffsetDateTime,
}

impl Validity {
    /// A lifetime that begins at `now`, looking back by `backdate`, and is cut at `not_after`.
    pub(crate) fn new(
        lifetime: Duration,
        backdate: Duration,
        not_after: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<Self, MintError> {
        let impossible = MintError::Lifetime { lifetime };
        let issued_at = OffsetDateTime::from_unix_timestamp(now.unix_timestamp()).map_err(|_| impossible.clone())?;
        let lifetime = Duration::seconds(lifetime.whole_seconds());
        let mut expires = issued_at.checked_add(lifetime).ok_or(impossible)?;
        if let Some(not_after) = not_after {
            // Down to the whole second, so that the token ends first.
            let end = OffsetDateTime::from_unix_timestamp(not_after.unix_timestamp()).unwrap_or(not_after);
            expires = expires.min(end);
            if expires <= now {
                return Err(MintError::AuthorityEnded { now, not_after });
            }
        }
        let not_before = issued_at.saturating_sub(Duration::seconds(backdate.whole_seconds()));
        Ok(Self { issued_at, not_before, expires })
    }

    /// Continues an object with `exp`, `iat`, `nbf` as integers.
    pub(crate) fn push_claims(&self, json: &mut String) {
        for (name, instant) in [("exp", self.expires), ("iat", self.issued_at), ("nbf", self.not_before)] {
            json.push_str(",\"");
            json.push_str(name);
            json.push_str("\":");
            push_integer(json, instant.unix_timestamp());
        }
    }
}

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
