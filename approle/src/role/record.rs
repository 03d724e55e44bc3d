//! A configured role with what was made for it.

use keyward_config_values::record::{self, Format};
use keyward_config_values::{Duration, Name};
use keyward_spiffe_id::{SpiffeId, TrustDomain};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::validate::too_short;
use super::{RoleConfig, RoleId};
use crate::error::{FieldError, Invalid, Problem};
use crate::{Accessor, Error, Limits};

const RECORD: &str = "role";
const FORMAT: u32 = 1;

/// A valid role of a tenant: its configuration, its role-id, and an instance that tells it from an
/// earlier role of the same name, so that no secret-id and no token outlives the role it was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Role {
    format: Format<FORMAT>,
    tenant: Name,
    instance: Accessor,
    role_id: RoleId,
    config: RoleConfig,
}

impl Role {
    /// A new role of `tenant`. Its role-id is the fixed one or a generated one; the store must refuse
    /// it when another role has it.
    ///
    /// # Errors
    ///
    /// The problems of [`RoleConfig::validate`].
    pub fn create(tenant: Name, config: RoleConfig, rng: &mut impl CryptoRng) -> Result<Self, Invalid> {
        config.validate()?;
        let role_id = match &config.fixed_role_id {
            Some(role_id) => role_id.clone(),
            None => RoleId::generate(rng),
        };
        Ok(Self { format: Format, tenant, instance: Accessor::generate(rng), role_id, config })
    }

    /// The role after its document was replaced. The role-id stays unless the document fixes another
    /// one; secret-ids go with the role-id, tokens stay.
    ///
    /// # Errors
    ///
    /// The problems of [`RoleConfig::validate`], another name, or `weak-secret-id` on a role whose
    /// present role-id is too short for a secret.
    pub fn reconfigure(&self, config: RoleConfig) -> Result<Self, Invalid> {
        config.validate()?;
        let role_id = config.fixed_role_id.as_ref().unwrap_or(&self.role_id).clone();
        let mut problems = Vec::new();
        if config.name != self.config.name {
            let (found, expected) = (config.name.clone(), self.config.name.clone());
            problems.push(FieldError::new("name", Problem::Renamed { found, expected }));
        }
        if config.weak_secret_id {
            // A fixed one has been checked; this is one that was fixed before.
            problems.extend(too_short(role_id.bits()).map(|problem| FieldError::new("weak-secret-id", problem)));
        }
        Invalid::check(problems)?;
        Ok(Self { format: Format, tenant: self.tenant.clone(), instance: self.instance, role_id, config })
    }

    /// The tenant that the role belongs to.
    #[must_use]
    pub fn tenant(&self) -> &Name {
        &self.tenant
    }

    /// The role's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.config.name
    }

    /// The role-id.
    #[must_use]
    pub fn role_id(&self) -> &RoleId {
        &self.role_id
    }

    /// What tells this role from an earlier one of the same name.
    #[must_use]
    pub fn instance(&self) -> Accessor {
        self.instance
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &RoleConfig {
        &self.config
    }

    /// `spiffe://<trust domain>/approle/<name>`: what the role's SVIDs say.
    ///
    /// # Errors
    ///
    /// None for a trust domain and a name of legal length; the signature is honest about the parser
    /// that it goes through.
    pub fn spiffe_id(&self, trust_domain: &TrustDomain) -> Result<SpiffeId, keyward_spiffe_id::Error> {
        Self::spiffe_id_of(&self.config.name, trust_domain)
    }

    /// [`spiffe_id`](Self::spiffe_id) of the role with a name, where the role itself is not at hand.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spiffe_id_of(name: &Name, trust_domain: &TrustDomain) -> Result<SpiffeId, keyward_spiffe_id::Error> {
        SpiffeId::from_segments(trust_domain, ["approle", name.as_str()])
    }

    /// What a reader of the state sees. With `weak-secret-id` the role-id in it is a secret.
    #[must_use]
    pub fn state(&self, limits: &Limits) -> RoleState<'_> {
        RoleState {
            name: self.name(),
            role_id: self.role_id.as_str(),
            token_ttl: self.config.lifetime().span(None, limits),
            longest_token_life: self.config.longest_token_life(limits),
        }
    }

    /// The record to be sealed and stored.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a time cannot be written, which none here can be.
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

/// The state of a role, for readers.
#[derive(Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RoleState<'a> {
    /// The role's name.
    pub name: &'a Name,
    /// The role-id.
    pub role_id: &'a str,
    /// The life that a login gives.
    pub token_ttl: Duration,
    /// The longest life that a login or a refresh can give.
    pub longest_token_life: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{name, rng, role};

    #[test]
    fn the_role_id_is_generated_once_and_kept() {
        let first = role(r#"{"name":"a"}"#);
        let again = first.reconfigure(serde_json::from_str(r#"{"name":"a","token-ttl":"1h"}"#).unwrap()).unwrap();
        assert_eq!(again.role_id(), first.role_id());
        assert_eq!(again.instance(), first.instance());
        assert!(again.config().token_ttl.is_some());

        let fixed = first.reconfigure(serde_json::from_str(r#"{"name":"a","fixed-role-id":"b"}"#).unwrap()).unwrap();
        assert_eq!(fixed.role_id().as_str(), "b");
        let unfixed = fixed.reconfigure(RoleConfig::new(name("a"))).unwrap();
        assert_eq!(unfixed.role_id().as_str(), "b");
    }

    #[test]
    fn a_role_made_anew_is_another_instance() {
        let mut rng = rng(1);
        let config: RoleConfig = serde_json::from_str(r#"{"name":"a","fixed-role-id":"b"}"#).unwrap();
        let one = Role::create(name("default"), config.clone(), &mut rng).unwrap();
        let two = Role::create(name("default"), config, &mut rng).unwrap();
        assert_eq!(one.role_id(), two.role_id());
        assert_ne!(one.instance(), two.instance());
    }

    #[test]
    fn what_a_replacement_may_not_do() {
        let short = role(r#"{"name":"a","fixed-role-id":"b"}"#);
        let weak = serde_json::from_str(r#"{"name":"a","weak-secret-id":true}"#).unwrap();
        assert_eq!(
            short.reconfigure(weak).unwrap_err().to_string(),
            "`weak-secret-id` has 8 bits, at least 128 are needed where it serves as the secret"
        );
        assert_eq!(
            short.reconfigure(RoleConfig::new(name("c"))).unwrap_err().to_string(),
            "`name` is `c`, but the role's name is `a`"
        );
        let invalid = serde_json::from_str(r#"{"name":"a","token-type":"batch","token-num-uses":1}"#).unwrap();
        assert!(short.reconfigure(invalid).is_err());
    }

    #[test]
    fn stored_and_read_again() {
        let role = role(r#"{"name":"a","token-period":"1d"}"#);
        let bytes = role.encode().unwrap();
        assert_eq!(Role::decode(&bytes).unwrap(), role);
        let newer = String::from_utf8(bytes).unwrap().replace("\"format\":1", "\"format\":2");
        assert_eq!(
            Role::decode(newer.as_bytes()).unwrap_err().to_string(),
            "the stored role has format 2, this release knows formats up to 1"
        );
        assert!(!format!("{role:?}").contains(role.role_id().as_str()));
    }

    #[test]
    fn state_and_spiffe_id() {
        let role = role(r#"{"name":"payments","token-period":"1d"}"#);
        let state = serde_json::to_value(role.state(&Limits::default())).unwrap();
        assert_eq!(
            state,
            serde_json::json!({
                "name": "payments",
                "role-id": role.role_id().as_str(),
                "token-ttl": "1d",
                "longest-token-life": "1d",
            })
        );
        let trust_domain: TrustDomain = "example.org".parse().unwrap();
        assert_eq!(role.spiffe_id(&trust_domain).unwrap().as_str(), "spiffe://example.org/approle/payments");
    }
}
