//! A token as it travels.

use std::fmt;

use time::OffsetDateTime;
use zeroize::Zeroizing;

/// A signed token. Whoever holds its text can act as its subject until it expires: `Debug` does not show it,
/// there is no `Clone`, and the memory is cleared in the end.
pub struct EncodedJwtSvid {
    text: Zeroizing<String>,
    issued_at: OffsetDateTime,
    expires: OffsetDateTime,
}

impl EncodedJwtSvid {
    pub(super) fn new(text: String, issued_at: OffsetDateTime, expires: OffsetDateTime) -> Self {
        Self { text: Zeroizing::new(text), issued_at, expires }
    }

    /// The compact serialization (RFC 7515 §3.1), to be sent to the one it was issued to.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `iat`: when it was issued, in whole seconds.
    pub fn issued_at(&self) -> OffsetDateTime {
        self.issued_at
    }

    /// `exp`: from this second on it is expired.
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }
}

impl fmt::Debug for EncodedJwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedJwtSvid")
            .field("issued_at", &self.issued_at)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
