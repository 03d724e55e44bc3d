//! How often somebody may guess, as a pure function of what was guessed before and the time.
//!
//! Nobody is locked out by a number of failures: failures fill a bucket that leaks, and a full bucket makes guessing slow,
//! not impossible. Who has logged in from a browser before has a bucket of their own there ([`Bucket::Device`]), and a
//! passkey is not guessed and needs no bucket: a stranger who keeps guessing keeps nobody out.

use keyward_config_values::record::{self, Format};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::Error;

const RECORD: &str = "history of attempts";
const FORMAT: u32 = 1;

/// What a history is kept of. The embedder keeps one [`History`] for each key it forms of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// The network address of the caller (of IPv6 the /64): 20 at once, then one each 6 seconds.
    Address,
    /// An identity as it was typed, known or not, guessed at by strangers: 10 at once, then one a minute.
    Identity,
    /// An identity, from a browser that has logged in as it before: 10 at once, then one a minute.
    Device,
    /// The second factor of an identity: 5 at once, then one each 5 minutes, 288 a day out of a million.
    SecondFactor,
}

impl Bucket {
    /// How many fit.
    fn size(self) -> i32 {
        match self {
            Self::Address => 20,
            Self::Identity | Self::Device => 10,
            Self::SecondFactor => 5,
        }
    }

    /// How long one takes to leak, which is also the longest wait.
    fn period(self) -> Duration {
        match self {
            Self::Address => Duration::seconds(6),
            Self::Identity | Self::Device => Duration::MINUTE,
            Self::SecondFactor => Duration::minutes(5),
        }
    }
}

/// What is kept of failures: the moment at which the bucket will be empty. Failures that have leaked are forgotten, and an
/// empty history need not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct History {
    format: Format<FORMAT>,
    #[serde(with = "time::serde::rfc3339")]
    empty_at: OffsetDateTime,
}

/// Nothing happened yet.
impl Default for History {
    fn default() -> Self {
        Self { format: Format, empty_at: OffsetDateTime::UNIX_EPOCH }
    }
}

impl History {
    /// Counts an attempt before it is made, so that many at once are counted too, or says how long to wait.
    ///
    /// ```
    /// # use keyward_webauthn_login::{Bucket, History};
    /// # let now = time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
    /// let mut history = History::default();
    /// for _ in 0..10 {
    ///     history = history.attempt(Bucket::Identity, now).expect("ten at once");
    /// }
    /// let wait = history.attempt(Bucket::Identity, now).unwrap_err();
    /// assert_eq!(wait.after, time::Duration::minutes(1)); // and never longer
    /// ```
    ///
    /// # Errors
    ///
    /// [`Wait`], at most as long as one attempt takes to leak.
    pub fn attempt(self, bucket: Bucket, now: OffsetDateTime) -> Result<Self, Wait> {
        let full = bucket.period() * bucket.size();
        // A clock that was set back makes nobody wait for longer than a full bucket does.
        let empty_at = self.empty_at.clamp(now, now + full) + bucket.period();
        let excess = empty_at - now - full;
        if excess.is_positive() { Err(Wait { after: excess }) } else { Ok(Self { format: Format, empty_at }) }
    }

    /// Gives an attempt back that was no failure.
    #[must_use]
    pub fn succeeded(self, bucket: Bucket) -> Self {
        Self { empty_at: self.empty_at - bucket.period(), ..self }
    }

    /// Whether all of it has leaked.
    #[must_use]
    pub fn is_empty(&self, now: OffsetDateTime) -> bool {
        self.empty_at <= now
    }

    /// The record to be stored.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a time cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(record::encode(RECORD, self)?)
    }

    /// Reads a stored record.
    ///
    /// # Errors
    ///
    /// [`Error::Record`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(record::decode(RECORD, FORMAT, bytes)?)
    }
}

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again in {} seconds, or log in with a passkey", .after.whole_seconds().max(1))]
pub struct Wait {
    /// How long until the next attempt.
    pub after: Duration,
}

/// The permission to check one guess. Steps that check something guessable take one, so that none can be checked
/// without having been counted.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an attempt was counted"]
pub struct Admitted(());

/// The histories that one guess counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Histories {
    /// Of the caller's address.
    pub address: History,
    /// Of the identity: [`Bucket::Device`] where the browser showed a [`crate::DeviceToken`] of it, else
    /// [`Bucket::Identity`]; for a second factor [`Bucket::SecondFactor`].
    pub identity: History,
    /// Which of these three.
    pub bucket: Bucket,
}

/// Counts one guess in both histories, or says how long to wait and counts it in none. Passkeys and providers need no
/// admission.
///
/// # Errors
///
/// [`Wait`], the longer of the two.
pub fn admit(histories: Histories, now: OffsetDateTime) -> Result<(Admitted, Histories), Wait> {
    let address = histories.address.attempt(Bucket::Address, now);
    let identity = histories.identity.attempt(histories.bucket, now);
    match (address, identity) {
        (Ok(address), Ok(identity)) => Ok((Admitted(()), Histories { address, identity, ..histories })),
        (Err(one), Err(two)) => Err(if one.after > two.after { one } else { two }),
        (Err(wait), _) | (_, Err(wait)) => Err(wait),
    }
}

impl Histories {
    /// After a guess that was right.
    #[must_use]
    pub fn succeeded(self) -> Self {
        Self {
            address: self.address.succeeded(Bucket::Address),
            identity: self.identity.succeeded(self.bucket),
            bucket: self.bucket,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;
    use proptest::prelude::*;

    const ALL: [Bucket; 4] = [Bucket::Address, Bucket::Identity, Bucket::Device, Bucket::SecondFactor];

    #[test]
    fn a_day_of_guessing_at_a_code_is_288_guesses() {
        let mut history = History::default();
        let mut guesses = 0;
        for second in 0..86_400 {
            if let Ok(after) = history.attempt(Bucket::SecondFactor, at(second)) {
                history = after;
                guesses += 1;
            }
        }
        assert_eq!(guesses, 5 + 287);
    }

    #[test]
    fn success_is_no_failure_and_what_leaked_is_forgotten() {
        let mut history = History::default();
        for _ in 0..1000 {
            history = history.attempt(Bucket::Identity, at(0)).unwrap().succeeded(Bucket::Identity);
        }
        assert!(history.is_empty(at(0)));
        let once = History::default().attempt(Bucket::Identity, at(0)).unwrap();
        assert!(!once.is_empty(at(59)) && once.is_empty(at(60)));
    }

    #[test]
    fn a_refused_guess_counts_nowhere_and_strangers_keep_no_device_out() {
        let mut histories =
            Histories { address: History::default(), identity: History::default(), bucket: Bucket::Identity };
        for _ in 0..10 {
            histories = admit(histories, at(0)).unwrap().1;
        }
        let wait = admit(histories, at(0)).unwrap_err();
        assert_eq!(wait.to_string(), "too many attempts; try again in 60 seconds, or log in with a passkey");
        // The owner comes from elsewhere, with a browser that has logged in before.
        let own = Histories { address: History::default(), identity: History::default(), bucket: Bucket::Device };
        assert!(admit(own, at(0)).is_ok());
        // Others behind the same address still may.
        let others = Histories { identity: History::default(), ..histories };
        assert!(admit(others, at(0)).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let mut history = History::default();
        while let Ok(after) = history.attempt(Bucket::SecondFactor, at(1_000_000)) {
            history = after;
        }
        assert!(history.attempt(Bucket::SecondFactor, at(0)).unwrap_err().after <= Duration::minutes(5));
    }

    #[test]
    fn stored_and_read_again() {
        let history = History::default().attempt(Bucket::Address, at(0)).unwrap();
        assert_eq!(History::decode(&history.encode().unwrap()).unwrap(), history);
        assert!(History::decode(br#"{"format":2}"#).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// In any window the number of attempts is bounded, and the wait never longer than a period.
        #[test]
        fn bounded(bucket in 0usize..4, gaps in proptest::collection::vec(0i64..400, 1..80)) {
            let bucket = ALL[bucket];
            let (mut history, mut now, mut admitted) = (History::default(), 0, 0i64);
            for gap in gaps {
                now += gap;
                match history.attempt(bucket, at(now)) {
                    Ok(after) => { history = after; admitted += 1; }
                    Err(wait) => {
                        prop_assert!(wait.after <= bucket.period());
                        prop_assert!(history.attempt(bucket, at(now) + wait.after).is_ok());
                    }
                }
                prop_assert!(admitted <= i64::from(bucket.size()) + now / bucket.period().whole_seconds());
            }
        }
    }
}
