//! Where the keys that verify somebody else's tokens come from.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{JwkSet, JwksError, KeyUse};
use crate::refresh::{Due, Failure, Record, RefreshError, RefreshOptions, Refresher, Ticket};
use crate::url::HttpsUrl;

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyOrigin {
    /// They are known and stay as they are.
    Fixed(JwkSet),
    /// They are fetched from a `jwks_uri` (OpenID Connect Discovery 1.0 §3), again and again.
    Url {
        /// From there.
        url: HttpsUrl,
        /// The `use` of the entries that count.
        key_use: KeyUse,
    },
}

/// The keys of an issuer, kept fresh without I/O: it says when to fetch, and takes what was fetched.
///
/// Keys stay usable while the issuer cannot be reached, up to a maximum age. A token with an unknown `kid` causes a
/// fetch, at most one per cooldown, however many such tokens come. Once the origin changes, keys from the old one verify
/// nothing any more.
///
/// ```
/// use keyward_svid::KeyUse;
/// use keyward_svid::jwks::{KeyOrigin, KeySource};
/// use keyward_svid::refresh::Due;
/// use time::{Duration, OffsetDateTime};
///
/// let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
/// let origin = KeyOrigin::Url { url: "https://issuer.example/keys".parse()?, key_use: KeyUse::Signature };
/// let mut source = KeySource::new(origin, KeySource::default_options(), now)?;
///
/// let Due::Fetch(fetch) = source.poll(now) else { unreachable!() };
/// assert_eq!(fetch.url.as_str(), "https://issuer.example/keys");
/// source.fetched(fetch.ticket, br#"{"keys": []}"#, now)?;
/// assert!(source.keys(now).is_some());
/// assert!(source.keys(now + Duration::HOUR).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct KeySource {
    origin: KeyOrigin,
    fetched: Refresher<JwkSet>,
}

/// A key set to fetch with GET, without authentication of the caller, in at most [`RefreshOptions::timeout`] and
/// [`MAX_JWKS_BYTES`](super::MAX_JWKS_BYTES).
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyFetch {
    /// For [`KeySource::fetched`] or [`KeySource::failed`].
    pub ticket: Ticket,
    /// From there.
    pub url: HttpsUrl,
}

/// What makes an origin the same; fixed keys are not stored.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StoredOrigin {
    url: Option<String>,
    key_use: Option<String>,
}

impl From<&KeyOrigin> for StoredOrigin {
    fn from(origin: &KeyOrigin) -> Self {
        match origin {
            KeyOrigin::Fixed(_) => Self { url: None, key_use: None },
            KeyOrigin::Url { url, key_use } => {
                Self { url: Some(url.to_string()), key_use: Some(key_use.as_str().to_owned()) }
            }
        }
    }
}

impl KeySource {
    /// What suits a `jwks_uri`: every 5 minutes, at most 5 seconds, served for at most an hour.
    pub fn default_options() -> RefreshOptions {
        RefreshOptions {
            timeout: Duration::seconds(5),
            max_age: Duration::HOUR,
            ..RefreshOptions::every(Duration::minutes(5))
        }
    }

    /// A source that has nothing yet, unless its keys are fixed, and wants to fetch at once.
    ///
    /// # Errors
    /// When the options contradict themselves.
    pub fn new(origin: KeyOrigin, options: RefreshOptions, now: OffsetDateTime) -> Result<Self, RefreshError> {
        Ok(Self { origin, fetched: Refresher::new(options, now)? })
    }

    /// The record to store after each fetch, so that a restart while the issuer is away resumes. It holds nothing secret;
    /// whoever can change it decides whose tokens are accepted.
    pub fn to_json(&self) -> String {
        Record::write(StoredOrigin::from(&self.origin), &self.fetched, ())
    }

    /// Goes on where the record was written. A record of another origin is not taken up.
    ///
    /// # Errors
    /// When the record cannot be read or a newer release wrote it, or the options contradict themselves.
    pub fn resume(
        origin: KeyOrigin,
        options: RefreshOptions,
        record: &[u8],
        now: OffsetDateTime,
    ) -> Result<Self, RefreshError> {
        let record: Record<StoredOrigin> = Record::read(record)?;
        match &origin {
            KeyOrigin::Url { key_use, .. } if record.origin == StoredOrigin::from(&origin) => {
                let fetched = record.restore(options, |json| JwkSet::from_json(json, *key_use).ok(), now)?;
                Ok(Self { origin, fetched })
            }
            _ => Self::new(origin, options, now),
        }
    }

    /// The same source as it is configured now. Another origin drops the keys and the answer to a fetch under way, and is
    /// fetched from at once.
    ///
    /// # Errors
    /// When the options contradict themselves; then nothing changes.
    pub fn configure(
        &mut self,
        origin: KeyOrigin,
        options: RefreshOptions,
        now: OffsetDateTime,
    ) -> Result<(), RefreshError> {
        self.fetched.set_options(options, now)?;
        if self.origin != origin {
            self.origin = origin;
            self.fetched.clear(now);
        }
        Ok(())
    }

    /// Where the keys come from.
    pub fn origin(&self) -> &KeyOrigin {
        &self.origin
    }

    /// What to do now. For fixed keys there is nothing to do within a day.
    pub fn poll(&mut self, now: OffsetDateTime) -> Due<KeyFetch> {
        let KeyOrigin::Url { url, .. } = &self.origin else {
            return Due::Wait(now.saturating_add(Duration::DAY));
        };
        match self.fetched.poll(now) {
            Due::Fetch(ticket) => Due::Fetch(KeyFetch { ticket, url: url.clone() }),
            Due::Wait(until) => Due::Wait(until),
        }
    }

    /// The fetch brought this body. A body that is no key set counts as a failed fetch.
    ///
    /// # Errors
    /// As [`JwkSet::from_json`].
    pub fn fetched(&mut self, ticket: Ticket, body: &[u8], now: OffsetDateTime) -> Result<(), JwksError> {
        let key_use = match &self.origin {
            KeyOrigin::Url { key_use, .. } => *key_use,
            KeyOrigin::Fixed(keys) => keys.key_use(),
        };
        match JwkSet::from_json(body, key_use) {
            Ok(keys) => {
                self.fetched.succeeded(ticket, keys, None, now);
                Ok(())
            }
            Err(error) => {
                self.fetched.failed(ticket, error.to_string(), now);
                Err(error)
            }
        }
    }

    /// The fetch brought nothing.
    pub fn failed(&mut self, ticket: Ticket, reason: impl Into<String>, now: OffsetDateTime) {
        self.fetched.failed(ticket, reason, now);
    }

    /// The keys to verify with. `None` before the first fetch, and when the last good one is too old: then no token is
    /// accepted.
    pub fn keys(&self, now: OffsetDateTime) -> Option<&JwkSet> {
        match &self.origin {
            KeyOrigin::Fixed(keys) => Some(keys),
            KeyOrigin::Url { .. } => self.fetched.current(now),
        }
    }

    /// A token came whose key is not there. Answers whether to [`poll`](Self::poll) now and verify the token again after
    /// that.
    pub fn on_unknown_key(&mut self, now: OffsetDateTime) -> bool {
        matches!(self.origin, KeyOrigin::Url { .. }) && self.fetched.on_unknown_key(now)
    }

    /// How old the keys are, if they were fetched.
    pub fn age(&self, now: OffsetDateTime) -> Option<Duration> {
        self.fetched.age(now)
    }

    /// When they were fetched.
    pub fn fetched_at(&self) -> Option<OffsetDateTime> {
        self.fetched.fetched_at()
    }

    /// Why the last fetch failed; `None` once one succeeded.
    pub fn last_error(&self) -> Option<&Failure> {
        self.fetched.last_error()
    }
}

#[cfg(test)]
mod tests {
    use keyward_keys::{Algorithm, KeyType, PrivateKey};
    use proptest::prelude::*;

    use super::*;
    use crate::jwks::VerificationKey;

    fn start() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
    }

    fn url(text: &str) -> KeyOrigin {
        KeyOrigin::Url { url: text.parse().unwrap(), key_use: KeyUse::Signature }
    }

    fn source() -> KeySource {
        KeySource::new(url("https://issuer.example/a"), KeySource::default_options(), start()).unwrap()
    }

    #[track_caller]
    fn fetch(source: &mut KeySource, now: OffsetDateTime) -> Ticket {
        match source.poll(now) {
            Due::Fetch(fetch) => fetch.ticket,
            Due::Wait(until) => panic!("it waits for {}", until - now),
        }
    }

    const EMPTY: &[u8] = br#"{"keys":[]}"#;

    #[test]
    fn keys_outlive_their_issuer_up_to_the_maximum_age() {
        let mut source = source();
        assert!(source.keys(start()).is_none());
        let ticket = fetch(&mut source, start());
        source.fetched(ticket, EMPTY, start()).unwrap();
        for n in 1..12 {
            let now = start() + Duration::minutes(5 * n);
            let ticket = fetch(&mut source, now);
            source.failed(ticket, "connection refused", now);
            assert!(source.keys(now).is_some());
        }
        let now = start() + Duration::HOUR;
        assert!(source.keys(now).is_none());
        assert_eq!(source.last_error().unwrap().count, 11);
        assert_eq!((source.age(now), source.fetched_at()), (Some(Duration::HOUR), Some(start())));
        let ticket = fetch(&mut source, now);
        source.fetched(ticket, EMPTY, now).unwrap();
        assert!(source.keys(now).is_some());
    }

    #[test]
    fn a_body_that_is_no_key_set_is_a_failure() {
        let mut source = source();
        let ticket = fetch(&mut source, start());
        let error = source.fetched(ticket, b"<html>", start()).unwrap_err();
        assert_eq!(source.last_error().unwrap().reason, error.to_string());
        assert!(source.keys(start()).is_none());
        assert!(matches!(source.poll(start() + Duration::MINUTE), Due::Wait(_)));
    }

    #[test]
    fn another_origin_drops_the_keys() {
        let mut source = source();
        let ticket = fetch(&mut source, start());
        source.fetched(ticket, EMPTY, start()).unwrap();
        // Other options keep them.
        let now = start() + Duration::minutes(5);
        let ticket = fetch(&mut source, now);
        let hourly = RefreshOptions { max_age: Duration::DAY, ..RefreshOptions::every(Duration::HOUR) };
        source.configure(url("https://issuer.example/a"), hourly.clone(), now).unwrap();
        assert!(source.keys(now).is_some());
        // Another URL does not, and the answer from the old one comes too late.
        source.configure(url("https://issuer.example/b"), hourly, now).unwrap();
        assert!(source.keys(now).is_none());
        source.fetched(ticket, EMPTY, now).unwrap();
        assert!(source.keys(now).is_none());
        let _ = fetch(&mut source, now);
    }

    #[test]
    fn keys_outlive_the_program() {
        let mut source = source();
        let ticket = fetch(&mut source, start());
        source.fetched(ticket, EMPTY, start()).unwrap();
        let record = source.to_json();
        let now = start() + Duration::minutes(59);
        let resume =
            |origin, record: &str| KeySource::resume(origin, KeySource::default_options(), record.as_bytes(), now);
        let mut again = resume(url("https://issuer.example/a"), &record).unwrap();
        assert!(again.keys(now).is_some() && again.keys(now + Duration::MINUTE).is_none());
        let _ = fetch(&mut again, now);
        // Of another origin, or read as something else: anew.
        let jwt_svid = KeyOrigin::Url { url: "https://issuer.example/a".parse().unwrap(), key_use: KeyUse::JwtSvid };
        for origin in [url("https://issuer.example/b"), jwt_svid] {
            assert!(resume(origin, &record).unwrap().keys(now).is_none());
        }
        let newer = record.replace(r#""format":1"#, r#""format":2"#);
        for (record, text) in [
            ("{}", "the record of a fetched document is damaged"),
            (r#"{"format":1}"#, "the record of a fetched document is damaged"),
            (&record.replace(r#"{"keys":[]}"#, "[]"), "the record of a fetched document is damaged"),
            (&newer, "the record has format 2, but this release knows formats up to 1"),
        ] {
            assert_eq!(resume(url("https://issuer.example/a"), record).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn fixed_keys_are_never_fetched() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let key = VerificationKey::new(key.public_key().clone(), Algorithm::Es256, "k").unwrap();
        let keys = JwkSet::new(KeyUse::Signature, [key]);
        let mut source = KeySource::new(KeyOrigin::Fixed(keys.clone()), RefreshOptions::default(), start()).unwrap();
        assert_eq!(source.poll(start()), Due::Wait(start() + Duration::DAY));
        assert!(!source.on_unknown_key(start() + Duration::DAY));
        assert_eq!(source.keys(start() + Duration::days(9999)), Some(&keys));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// 10,000 tokens with unknown keys, over a while, whether the fetches succeed or not.
        #[test]
        fn a_flood_of_unknown_keys_causes_one_fetch_per_cooldown(
            spread in 0..200_i64, // milliseconds between two tokens
            succeeds in any::<bool>(),
        ) {
            let mut source = source();
            let ticket = fetch(&mut source, start());
            source.fetched(ticket, EMPTY, start()).unwrap();
            let mut now = start() + Duration::seconds(31);
            let mut fetches = 0;
            for _ in 0..10_000 {
                now += Duration::milliseconds(spread);
                if source.on_unknown_key(now) {
                    let ticket = fetch(&mut source, now);
                    fetches += 1;
                    match succeeds {
                        true => source.fetched(ticket, EMPTY, now).unwrap(),
                        false => source.failed(ticket, "refused", now),
                    }
                }
            }
            let flood = now - (start() + Duration::seconds(31));
            prop_assert!(fetches >= 1);
            prop_assert!(fetches <= 1 + flood.whole_seconds() / 30, "{fetches} fetches in {flood}");
        }
    }
}
