//! Logging in with a passkey.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use webauthn_rs_core::proto::{
    AllowCredentials, AuthenticationState, Mediation, PublicKeyCredentialRequestOptions, RequestChallengeResponse,
    UserVerificationPolicy,
};

use super::client_data::ClientData;
use super::registration::reason;
use super::{AuthenticationResponse, PasskeyId, RelyingParty, RequestOptions, StoredPasskey};
use crate::{Error, Reason};

/// Which passkeys may answer.
pub(crate) enum Allowed {
    /// Any that the browser knows for this domain, offered by the autofill of the first page.
    Autofill,
    /// Those listed.
    Listed(Vec<PasskeyId>),
}

/// A login by passkey that was begun: its challenge, and which passkeys the page is told.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PendingAuthentication {
    state: AuthenticationState,
    challenge: String,
    /// `None` for the autofill.
    listed: Option<Vec<PasskeyId>>,
}

/// What the browser is told; our own time limit is the login's (W3C WebAuthn §15.1).
const TIMEOUT_MS: u32 = 300_000;

impl PendingAuthentication {
    pub(crate) fn begin(rp: &RelyingParty, allowed: Allowed) -> Result<Self, Error> {
        let failed = |_| Error::Internal { what: "making a challenge" };
        let builder = rp
            .core
            .new_challenge_authenticate_builder(Vec::new(), Some(UserVerificationPolicy::Required))
            .map_err(failed)?
            // A passkey that moves into a synchronizing store is still the same passkey.
            .allow_backup_eligible_upgrade(true);
        let (options, state) = rp.core.generate_challenge_authenticate(builder).map_err(failed)?;
        let challenge = URL_SAFE_NO_PAD.encode(options.public_key.challenge.as_slice());
        let listed = match allowed {
            Allowed::Autofill => None,
            Allowed::Listed(ids) => Some(ids),
        };
        Ok(Self { state, challenge, listed })
    }

    /// The same question with another challenge.
    pub(crate) fn again(&self, rp: &RelyingParty) -> Result<Self, Error> {
        Self::begin(rp, self.listed.clone().map_or(Allowed::Autofill, Allowed::Listed))
    }

    /// What the page passes on.
    pub(crate) fn options(&self, rp: &RelyingParty) -> RequestOptions {
        let allowed = |id: &PasskeyId| AllowCredentials {
            type_: "public-key".to_owned(),
            id: id.as_bytes().to_vec(),
            transports: None,
        };
        RequestOptions(RequestChallengeResponse {
            public_key: PublicKeyCredentialRequestOptions {
                // It was encoded here.
                challenge: URL_SAFE_NO_PAD.decode(&self.challenge).unwrap_or_default(),
                timeout: Some(TIMEOUT_MS),
                rp_id: rp.id().to_owned(),
                allow_credentials: self.listed.iter().flatten().map(allowed).collect(),
                user_verification: UserVerificationPolicy::Required,
                hints: None,
                extensions: None,
            },
            mediation: self.listed.is_none().then_some(Mediation::Conditional),
        })
    }

    /// Verifies what the browser answered (W3C WebAuthn §7.2) with the passkey as it is stored now, and gives it back with its
    /// counter, backup state and time of use brought up to date. Who the passkey belongs to was decided before.
    pub(crate) fn finish(
        self,
        rp: &RelyingParty,
        passkey: &StoredPasskey,
        response: &AuthenticationResponse,
        now: OffsetDateTime,
    ) -> Result<StoredPasskey, Reason> {
        ClientData::check(&response.0.response.client_data_json)?;
        let result = rp
            .core
            .authenticate_single_credential(&response.0, &self.state, &passkey.credential)
            .map_err(|error| reason(&error))?;
        if !result.user_verified() {
            return Err(Reason::NotVerified);
        }
        let mut used = passkey.clone();
        used.credential.counter = result.counter();
        used.credential.backup_state = result.backup_state();
        used.credential.backup_eligible = result.backup_eligible();
        used.last_used = Some(now);
        Ok(used)
    }
}
