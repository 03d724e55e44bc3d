//! One-time passwords by time (RFC 6238): SHA-1, six digits, 30 seconds, which every application can do.

use core::fmt;
use std::sync::Arc;

use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use crate::{Email, base32};

/// The secret that the user's application and this system share: 160 random bits (RFC 4226 §4, R6).
pub struct TotpSecret(Zeroizing<[u8; 20]>);

impl TotpSecret {
    /// A fresh one.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 20]);
        rng.fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// As people type it, where they cannot scan: 32 characters of base32 (RFC 4648 §6).
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(base32::encode(&*self.0))
    }

    /// What a QR code holds: the `otpauth` URI of the common applications.
    ///
    /// ```
    /// # use keyward_webauthn_login::TotpSecret;
    /// # use getrandom::SysRng;
    /// # use rand_core::UnwrapErr;
    /// let secret = TotpSecret::generate(&mut UnwrapErr(SysRng));
    /// let uri = secret.uri("Keyward b2", &"ann@example.com".parse()?);
    /// assert!(uri.starts_with("otpauth://totp/Keyward%20b2:ann%40example.com?secret="));
    /// assert!(uri.ends_with("&issuer=Keyward%20b2&algorithm=SHA1&digits=6&period=30"));
    /// # Ok::<(), keyward_webauthn_login::Error>(())
    /// ```
    #[must_use]
    pub fn uri(&self, issuer: &str, email: &Email) -> Zeroizing<String> {
        let issuer = crate::percent::encode(&issuer.replace(':', " "));
        let account = crate::percent::encode(email.as_str());
        let secret = self.to_base32();
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
            *secret
        ))
    }

    /// The step that a code is of: now's, the one before or the one after (RFC 6238 §5.2).
    pub(crate) fn matches(&self, code: &str, now: OffsetDateTime) -> Option<u64> {
        let seconds = u64::try_from(now.unix_timestamp()).ok()?;
        let code: Zeroizing<String> = Zeroizing::new(code.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.totp().check(&code, seconds)
    }

    fn totp(&self) -> Totp {
        // Secret, digits and step are those of RFC 6238, so nothing is left to be checked.
        Builder::new().with_secret(*self.0).build_noncompliant()
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

/// What is stored of a user's one-time password. Shared, not copied, when a record is changed.
#[derive(Debug, Clone)]
pub(crate) struct SharedSecret(pub(crate) Arc<TotpSecret>);

impl PartialEq for SharedSecret {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.0.as_slice().ct_eq(other.0.0.as_slice()).into()
    }
}

impl Eq for SharedSecret {}

impl Serialize for SharedSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_base32())
    }
}

impl<'de> Deserialize<'de> for SharedSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = base32::decode::<20>(&text).ok_or_else(|| de::Error::custom("no secret of a one-time password"))?;
        Ok(Self(Arc::new(TotpSecret(Zeroizing::new(bytes)))))
    }
}

/// A user's one-time password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct StoredTotp {
    secret: SharedSecret,
    /// The last step that a code was taken of.
    last_step: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
}

/// What a code comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CodeCheck {
    Good(StoredTotp),
    Used,
    Wrong,
}

impl StoredTotp {
    /// After the application has shown that it holds the secret, with a code of that step.
    pub(crate) fn confirmed(secret: SharedSecret, step: u64, now: OffsetDateTime) -> Self {
        Self { secret, last_step: step, created: now }
    }

    /// Each step is good once: the changed record is committed against the revision that this one was read at, so that of two
    /// logins with one code one succeeds.
    pub(crate) fn check(&self, code: &str, now: OffsetDateTime) -> CodeCheck {
        match self.secret.0.matches(code, now) {
            None => CodeCheck::Wrong,
            Some(step) if step <= self.last_step => CodeCheck::Used,
            Some(step) => CodeCheck::Good(Self { last_step: step, ..self.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, rng};

    fn code(secret: &TotpSecret, now: OffsetDateTime) -> String {
        secret.totp().generate(now.unix_timestamp() as u64).to_string()
    }

    /// RFC 6238, appendix B, the row of SHA-1 (its eight digits cut to six).
    #[test]
    fn the_published_vectors() {
        let secret = TotpSecret(Zeroizing::new(*b"12345678901234567890"));
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            assert_eq!(secret.matches(code, now), Some(seconds as u64 / 30), "{seconds}");
        }
        assert_eq!(*secret.to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_code_works_once_and_never_an_older_one_after_it() {
        let secret = Arc::new(TotpSecret::generate(&mut rng(1)));
        let stored = StoredTotp::confirmed(SharedSecret(Arc::clone(&secret)), 0, at(0));
        let now = at(600);
        let CodeCheck::Good(after) = stored.check(&code(&secret, now), now) else { panic!("refused") };
        assert_eq!(after.check(&code(&secret, now), now), CodeCheck::Used);
        assert_eq!(after.check(&code(&secret, now), at(629)), CodeCheck::Used, "inside the skew");
        assert_eq!(after.check(&code(&secret, at(570)), now), CodeCheck::Used, "the one before");
        assert!(matches!(after.check(&code(&secret, at(630)), now), CodeCheck::Good(_)), "the one after");
        // A clock that is set back does not bring an old code back.
        assert_eq!(after.check(&code(&secret, at(300)), at(300)), CodeCheck::Used);
    }

    #[test]
    fn codes_of_other_times_and_forms_are_wrong() {
        let secret = Arc::new(TotpSecret::generate(&mut rng(2)));
        let stored = StoredTotp::confirmed(SharedSecret(Arc::clone(&secret)), 0, at(0));
        let good = code(&secret, at(600));
        for now in [at(600 - 61), at(600 + 61), at(6000)] {
            assert_eq!(stored.check(&good, now), CodeCheck::Wrong);
        }
        let spaced = format!(" {} {}", &good[..3], &good[3..]);
        assert!(matches!(stored.check(&spaced, at(600)), CodeCheck::Good(_)));
        for bad in ["", "12345", "1234567", "abcdef", "１２３４５６", &format!("{good}0")] {
            assert_eq!(stored.check(bad, at(600)), CodeCheck::Wrong, "{bad}");
        }
    }

    #[test]
    fn stored_and_read_again_and_not_shown() {
        let secret = Arc::new(TotpSecret::generate(&mut rng(3)));
        let stored = StoredTotp::confirmed(SharedSecret(Arc::clone(&secret)), 7, at(0));
        let json = serde_json::to_string(&stored).unwrap();
        assert_eq!(serde_json::from_str::<StoredTotp>(&json).unwrap(), stored);
        assert!(!format!("{stored:?}").contains(&**secret.to_base32()));
    }
}
