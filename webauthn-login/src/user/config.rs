//! The configuration document of a user, `strongbox/authentication/users/<email>`.

use std::collections::BTreeSet;

use keyward_config_values::{Distribute, Name};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Binding, UserRecord};
use crate::method::Method;
use crate::{Email, Identity};

/// What an administrator configures of a user. Nothing in it is secret: a password is set by its owner, with an enrolment
/// link, or by an operation of the embedder.
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
    /// The users at providers that are this one.
    #[serde(default)]
    pub external: Vec<ExternalConfig>,
    /// The sites that can log the user in by themselves; none where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribute: Option<Distribute>,
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
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<UserConfig>(&text).unwrap(), config);
    }
}
