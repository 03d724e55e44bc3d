//! AppRoles, secret-ids, tokens and policies as pure decisions.
//!
//! A workload logs in with a role-id and a secret-id and is given a token; a token is refreshed
//! before it expires; every request with it is decided by policies. This crate says what a document
//! means, what is stored of a secret, and what a login, a check, a refresh or a request comes to:
//!
//! ```
//! use keyward_approle::*;
//! # use getrandom::SysRng;
//! # use rand_core::UnwrapErr;
//! # let mut rng = UnwrapErr(SysRng);
//! # let now = time::OffsetDateTime::UNIX_EPOCH;
//!
//! // An operator configures a role, and a secret-id is made for it.
//! let config: RoleConfig = serde_json::from_str(r#"{
//!     "name": "payments",
//!     "token-period": "1d",
//!     "secret-id-num-uses": 1,
//!     "token-spiffe-jwt": { "jwt-audiences": ["sts.amazonaws.com"] }
//! }"#)?;
//! let pepper = Pepper::generate(&mut rng);
//! let role = Role::create("default".parse()?, config, &mut rng)?;
//! let (secret_id, record) =
//!     SecretIdRecord::issue(&role, SecretIdRequest::default(), &pepper, &mut rng, now)?;
//!
//! // A workload logs in. The store is asked for one role and one record.
//! let attempt = Attempt::new(role.role_id().as_str(), secret_id.expose(), &pepper);
//! assert_eq!(attempt.key(), record.key());
//! let source = [192, 0, 2, 1].into();
//! let LoginDecision::Granted(grant) = login(&attempt, Some(&role), Some(&record), source, now)
//! else {
//!     return Err("refused".into());
//! };
//! assert!(matches!(grant.record, RecordChange::Update(_))); // to be committed with the token
//! let limits = Limits::default();
//! let (token, stored) = TokenRecord::issue(grant.parameters, &limits, &pepper, &mut rng, now);
//! assert_eq!(stored.jwt_svid().map(|svid| svid.expires), Some(stored.expires()));
//!
//! // Later it presents the token, and a policy decides.
//! let key = pepper.token_key(token.expose());
//! let good = check(&key, Some(&stored), source, now)?;
//! let policies = PolicySet::new();
//! let request = Request::new("/v1/state/strongbox/token", Operation::Read)?;
//! assert!(decide(None, &Scope::new(&policies, good.policies()), &request).is_allowed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it does not do: it stores nothing, reads no clock, draws no randomness of its own, signs no
//! SVID, and limits no rate. Human passwords are none of its business either: a user's token is
//! issued with [`TokenParameters::for_user`] once a login elsewhere is through.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod accessor;
mod address;
mod error;
mod instant;
mod limits;
mod login;
mod metadata;
mod pepper;
mod policy;
mod reason;
mod role;
mod secret_id;
mod spiffe;
#[cfg(test)]
mod testing;
mod token;
mod wrapping;

pub use keyward_config_values::ErrorKind;

pub use crate::accessor::Accessor;
pub use crate::error::{Error, FieldError, Invalid, Limit, Problem};
pub use crate::limits::Limits;
pub use crate::login::{Attempt, Grant, LoginDecision, RecordChange, login};
pub use crate::pepper::{Pepper, StorageKey};
pub use crate::policy::{
    ADMINISTRATOR_POLICY, Asker, Because, DEFAULT_POLICY, Decision, Effect, Explanation, HiddenField, Operation,
    Operations, PathPattern, PatternProblem, PolicyConfig, PolicySet, Request, RestApi, RuleConfig, RuleRef, Scope,
    Side, VariableWarning, VaultPathProblem, VaultPolicyError, Visibility, Weighed, Why, decide, explain, vault_rules,
    visibility,
};
pub use crate::reason::{LOGIN_REFUSED, Reason, TOKEN_REFUSED};
pub use crate::role::{
    AutoBound, MAX_SVID_TTL, Role, RoleConfig, RoleId, RoleState, SpiffeJwtConfig, SpiffeX509Config,
};
pub use crate::secret_id::{SecretId, SecretIdIssued, SecretIdRecord, SecretIdRequest, SecretIdState};
pub use crate::spiffe::{SPIFFE_LOGIN_REFUSED, SpiffeAuth, SpiffeGrant, SpiffeRule, spiffe_login};
pub use crate::token::{
    Authenticated, ChildRequest, JwtSvidGrant, MAX_ANCESTORS, MAX_TOKEN_LENGTH, Owner, Subject, Token, TokenId,
    TokenParameters, TokenRecord, TokenType, TokenView, X509SvidGrant, X509SvidView, check, check_child, check_found,
    open_batch,
};
pub use crate::wrapping::{Wrapped, WrappedKind};

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
