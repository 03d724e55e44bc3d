//! How long certificates live.

use time::{Duration, OffsetDateTime};

use super::Error;

/// How far `notBefore` lies before the time of issuing, for verifiers whose clocks are late.
pub const BACKDATE: Duration = Duration::seconds(10);

/// The times of a certificate, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: OffsetDateTime,
    /// The last second of its life (RFC 5280 §4.1.2.5).
    pub(super) not_after: OffsetDateTime,
}

impl Validity {
    /// From `BACKDATE` before `now` until `ttl` after it, within what the issuer allows.
    pub(super) fn within(issuer: Validity, ttl: Duration, now: OffsetDateTime) -> Result<Self, Error> {
        if now < issuer.not_before {
            return Err(Error::NotYetValid { now, not_before: issuer.not_before });
        }
        let not_before = whole_seconds(now.saturating_sub(BACKDATE)).max(issuer.not_before);
        let not_after = whole_seconds(now.saturating_add(ttl)).min(whole_seconds(issuer.not_after));
        if not_after <= now {
            return Err(Error::Ended { now, not_after: issuer.not_after });
        }
        Ok(Self { not_before, not_after })
    }

    /// What lies in both.
    pub(super) fn intersect(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), not_after: self.not_after.min(other.not_after) }
    }
}

/// The second in which the moment lies.
pub(super) fn whole_seconds(moment: OffsetDateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(moment.unix_timestamp()).unwrap_or(moment)
}

/// An error unless the life lies within bounds, in whole seconds.
pub(super) fn check_ttl(asked: Duration, most: Duration) -> Result<Duration, Error> {
    let least = Duration::SECOND;
    if asked < least || asked > most {
        return Err(Error::Ttl { asked, least, most });
    }
    Ok(Duration::seconds(asked.whole_seconds()))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const ISSUER: Validity =
        Validity { not_before: datetime!(2026-03-01 00:00 UTC), not_after: datetime!(2026-03-02 00:00 UTC) };

    #[test]
    fn a_life_stays_within_its_issuers() {
        let within = |now| Validity::within(ISSUER, Duration::HOUR, now);
        let whole = within(datetime!(2026-03-01 12:00:00.9 UTC)).unwrap();
        assert_eq!(whole.not_before, datetime!(2026-03-01 11:59:50 UTC));
        assert_eq!(whole.not_after, datetime!(2026-03-01 13:00 UTC));

        assert_eq!(within(ISSUER.not_before).unwrap().not_before, ISSUER.not_before);
        assert_eq!(within(datetime!(2026-03-01 23:30 UTC)).unwrap().not_after, ISSUER.not_after);

        let early = ISSUER.not_before - Duration::SECOND;
        let error = within(early).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the authority is not valid before 2026-03-01T00:00:00Z, now is 2026-02-28T23:59:59Z"
        );
        let error = within(ISSUER.not_after).unwrap_err();
        assert_eq!(error.to_string(), "the authority ends at 2026-03-02T00:00:00Z, now is 2026-03-02T00:00:00Z");
    }

    #[test]
    fn a_life_has_bounds() {
        assert_eq!(check_ttl(Duration::milliseconds(1500), Duration::DAY), Ok(Duration::SECOND));
        for asked in [Duration::ZERO, -Duration::DAY, Duration::milliseconds(999), Duration::DAY + Duration::SECOND] {
            assert!(check_ttl(asked, Duration::DAY).is_err(), "{asked}");
        }
        assert_eq!(
            check_ttl(Duration::DAY * 2, Duration::DAY).unwrap_err().to_string(),
            "a life of 172800 seconds was asked for, but 1 to 86400 are allowed"
        );
    }
}
