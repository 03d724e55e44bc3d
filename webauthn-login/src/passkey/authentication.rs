//! Logging in with a passkey.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use webauthn_rs_core::proto::{AllowCredentials, AuthenticationState, Mediation, UserVerificationPolicy};

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

/// A login by passkey that was begun: its challenge, and what the page is shown.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PendingAuthentication {
    state: AuthenticationState,
    pub(crate) options: RequestOptions,
}

impl PendingAuthentication {
    pub(crate) fn begin(rp: &RelyingParty, allowed: Allowed) -> Result<Self, Error> {
        let failed = |_| Error::Internal { what: "making a challenge" };
        let builder = rp
            .core
            .new_challenge_authenticate_builder(Vec::new(), Some(UserVerificationPolicy::Required))
            .map_err(failed)?
            // A passkey that moves into a synchronizing store is still the same passkey.
            .allow_backup_eligible_upgrade(true);
        let (mut options, state) = rp.core.generate_challenge_authenticate(builder).map_err(failed)?;
        match allowed {
            Allowed::Autofill => options.mediation = Some(Mediation::Conditional),
            Allowed::Listed(ids) => {
                options.public_key.allow_credentials = ids
                    .into_iter()
                    .map(|id| AllowCredentials {
                        type_: "public-key".to_owned(),
                        id: id.as_bytes().to_vec(),
                        transports: None,
                    })
                    .collect();
            }
        }
        Ok(Self { state, options: RequestOptions(options) })
    }

    /// The same question with another challenge.
    pub(crate) fn again(&self, rp: &RelyingParty) -> Result<Self, Error> {
        let listed = &self.options.0.public_key.allow_credentials;
        let ids = listed.iter().map(|allowed| PasskeyId::from_slice(&allowed.id)).collect();
        Self::begin(rp, Allowed::Listed(ids))
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
