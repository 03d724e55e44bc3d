//! The configuration document of a user, `strongbox/authentication/users/<email>`.

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use keyward_config_values::{Distribute, Name};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Binding, UserRecord};
use crate::method::Method;
use crate::readable::is_readable;
use crate::{Email, Error, Identity, Password, PasswordHash};

/// What an administrator configures of a user. Nothing that is written again is secret: a password to begin with is taken when the
/// user is made, and otherwise set by its owner, with an enrolment link where there is none yet.
///
/// ```
/// # use keyward_webauthn_login::{Method, UserConfig};
/// let config: UserConfig = serde_json::from_str(r#"{
///     "name": "hansolo@example.com",
///     "policies": ["reader"],
///     "enforced-methods": ["password", "passkey"]
/// }"#)?;
/// assert!(config.enforced_methods.contains(&Method::Passkey));
/// assert!(serde_json::from_str::<UserConfig>(r#"{ "name": "a b" }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct UserConfig {
    /// The email address, or the name of a local account.
    pub name: Email,
    /// What people read; the address where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The names of the user's policies.
    #[serde(default)]
    pub policies: Vec<Name>,
    /// What every login must prove: `password`, `totp`, `passkey`.
    #[serde(default)]
    pub enforced_methods: BTreeSet<Method>,
    /// Whether the user is kept out.
    #[serde(default)]
    pub locked: bool,
    /// A password to begin with: taken when the user is made, and never written again.
    #[serde(default, skip_serializing)]
    pub password: Option<InitialPassword>,
    /// The hash of one that was brought along from elsewhere, argon2 in the PHC form; likewise.
    #[serde(default, skip_serializing)]
    pub password_hash: Option<PasswordHash>,
    /// The users at providers that are this one.
    #[serde(default)]
    pub external: Vec<ExternalConfig>,
    /// The sites that can log the user in by themselves; none where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribute: Option<Distribute>,
}

/// A password in a document. It is shared, not copied, and not written again.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct InitialPassword(Arc<Zeroizing<String>>);

impl InitialPassword {
    /// As it is typed.
    #[must_use]
    pub fn to_password(&self) -> Password {
        Password::new(self.0.to_string())
    }
}

impl From<String> for InitialPassword {
    fn from(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }
}

impl PartialEq for InitialPassword {
    fn eq(&self, other: &Self) -> bool {
        crate::secret::same(&self.0, &other.0)
    }
}

impl Eq for InitialPassword {}

impl fmt::Debug for InitialPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitialPassword(..)")
    }
}

/// A user at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ExternalConfig {
    /// The provider, by the name of its document `strongbox/authentication/oidc/<name>`.
    pub provider: Name,
    /// The provider's issuer, exactly as its tokens have it.
    pub issuer: String,
    /// The user's subject there. Never an email address.
    pub subject: String,
}

impl UserConfig {
    /// Whether it can be the document of a user: a name that reads as what it is, and of the two ways to give a password at most one, and one that may become theirs.
    ///
    /// # Errors
    ///
    /// The field, and what is wrong with it.
    pub fn validate(&self) -> Result<(), (&'static str, Error)> {
        if self.display_name.as_deref().is_some_and(|name| !name.is_empty() && !is_readable(name, 128)) {
            return Err(("display-name", Error::DisplayName));
        }
        match (&self.password, &self.password_hash) {
            (Some(_), Some(_)) => {
                let problem = "give it or its hash, not both";
                Err(("password", Error::NewPassword { problem }))
            }
            (None, Some(hash)) if hash.is_too_costly() => {
                let problem =
                    "a guess at it takes too long; bring one along of at most 256 MiB, and 1 GiB over all passes";
                Err(("password-hash", Error::NewPassword { problem }))
            }
            (Some(password), None) => password.to_password().check_new(&self.name).map_err(|error| ("password", error)),
            _ => Ok(()),
        }
    }

    /// A new user as configured.
    #[must_use]
    pub fn create(&self, tenant: Name, rng: &mut impl CryptoRng, now: OffsetDateTime) -> UserRecord {
        let identity = Identity::new(self.name.clone(), tenant);
        let enforced = self.enforced_methods.clone();
        let mut user = UserRecord::create(identity, enforced, self.policies.clone(), rng, now);
        self.apply(&mut user, now);
        user
    }

    /// Brings a user in line with a changed document.
    pub fn apply(&self, user: &mut UserRecord, now: OffsetDateTime) {
        user.set_display_name(self.display_name.clone());
        user.set_policies(self.policies.clone());
        user.enforce(self.enforced_methods.clone());
        let binding = |external: &ExternalConfig| Binding {
            provider: external.provider.clone(),
            issuer: external.issuer.clone(),
            subject: external.subject.clone(),
        };
        user.set_bindings(self.external.iter().map(binding).collect());
        if self.locked { user.lock(now) } else { user.unlock() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, name, rng};

    #[test]
    fn a_document_becomes_a_user_and_changes_it() {
        let json = r#"{"name":"Ann@Example.com","display-name":"Ann Lee","policies":["reader"],"enforced-methods":["totp"],
            "external":[{"provider":"entra","issuer":"https://issuer.example","subject":"42"}],"distribute":{"to":"sites"}}"#;
        let mut config: UserConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config.name.as_str(), "ann@example.com");
        let mut user = config.create(name("b2"), &mut rng(1), at(0));
        assert_eq!((user.display_name(), user.bindings().len()), ("Ann Lee", 1));
        assert!(user.open().contains(&Method::Totp));
        let epoch = user.epoch();
        config.apply(&mut user, at(1));
        assert_eq!(user.epoch(), epoch, "nothing changed");
        config.locked = true;
        config.apply(&mut user, at(2));
        assert_eq!(user.locked(), Some(at(2)));
        config.password = Some("kessel run in twelve".to_owned().into());
        assert!(config.validate().is_ok() && !format!("{config:?}").contains("kessel"));
        let text = serde_json::to_string(&config).unwrap();
        assert!(!text.contains("kessel"));
        config.password = Some("ann@example.com".to_owned().into());
        assert_eq!(config.validate().unwrap_err().0, "password");
        config.password = None;
        let hash = |work: &str| {
            let text =
                format!("$argon2id$v=19${work},p=1$c29tZSBzYWx0c29tZQ$bTTWl4DTYfbHOZ5pdLtcMKrNqe5nV8QbHNXcCo2x2K0");
            Some(text.parse().unwrap())
        };
        for (work, is_taken) in [("m=262144,t=4", true), ("m=262144,t=5", false), ("m=262145,t=1", false)] {
            config.password_hash = hash(work);
            assert_eq!(config.validate().is_ok(), is_taken, "{work}");
        }
        assert_eq!(config.validate().unwrap_err().0, "password-hash");
        config.password_hash = None;
        assert_eq!(serde_json::from_str::<UserConfig>(&text).unwrap(), config);
        for bad in ["\u{202e}nnA", "A\u{2066}nn", "Ann\u{1b}[31m", "A\nnn", &"x".repeat(129)] {
            config.display_name = Some(bad.to_owned());
            assert_eq!(config.validate(), Err(("display-name", Error::DisplayName)), "{bad:?}");
        }
        config.display_name = Some("Ärzte, 日本語, עברית".to_owned());
        assert_eq!(config.validate(), Ok(()));
    }
}
