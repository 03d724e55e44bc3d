//! Making a passkey.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AttestationConveyancePreference, RegistrationState, ResidentKeyRequirement, UserVerificationPolicy,
};

use super::client_data::ClientData;
use super::{
    CreationOptions, MAX_PASSKEYS, PasskeyId, PasskeyName, RegistrationResponse, RelyingParty, StoredPasskey,
    UserHandle,
};
use crate::{Error, Identity, Reason};

/// Who a passkey is for.
pub(crate) struct Subject<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) handle: &'a UserHandle,
    pub(crate) display_name: &'a str,
    pub(crate) passkeys: &'a [StoredPasskey],
}

/// A registration that was begun: its challenge, its user, and what the page is shown.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PendingRegistration {
    state: RegistrationState,
    pub(crate) options: CreationOptions,
}

impl PendingRegistration {
    pub(crate) fn begin(rp: &RelyingParty, subject: &Subject<'_>) -> Result<Self, Error> {
        let failed = |_| Error::Internal { what: "making a challenge" };
        let exclude = subject.passkeys.iter().map(|passkey| passkey.credential.cred_id.clone()).collect();
        let name = format!("{} ({})", subject.identity.email, subject.identity.tenant);
        let builder = rp
            .core
            .new_challenge_register_builder(subject.handle.as_bytes(), &name, subject.display_name)
            .map_err(failed)?
            // A passkey stands for two factors, so its user is always verified.
            .user_verification_policy(UserVerificationPolicy::Required)
            .attestation(AttestationConveyancePreference::None)
            .exclude_credentials(Some(exclude));
        let (mut options, state) = rp.core.generate_challenge_register(builder).map_err(failed)?;
        // The core knows `required` and `discouraged` alone. An old security key without room may still register.
        if let Some(selection) = &mut options.public_key.authenticator_selection {
            selection.resident_key = Some(ResidentKeyRequirement::Preferred);
            selection.require_resident_key = false;
        }
        let mut extensions = options.public_key.extensions.take().unwrap_or_default();
        extensions.cred_props = Some(true);
        options.public_key.extensions = Some(extensions);
        Ok(Self { state, options: CreationOptions(options) })
    }

    /// Verifies what the browser answered (W3C WebAuthn §7.1).
    pub(crate) fn finish(
        self,
        rp: &RelyingParty,
        passkeys: &[StoredPasskey],
        response: &RegistrationResponse,
        name: PasskeyName,
        now: OffsetDateTime,
    ) -> Result<StoredPasskey, Reason> {
        ClientData::check(&response.0.response.client_data_json)?;
        if passkeys.len() >= MAX_PASSKEYS {
            return Err(Reason::TooManyPasskeys);
        }
        // The list of excluded ones is a hint to the browser (§5.4).
        let id = PasskeyId::from_slice(&response.0.raw_id);
        if passkeys.iter().any(|passkey| passkey.is(&id)) {
            return Err(Reason::AlreadyRegistered);
        }
        let credential = rp.core.register_credential(&response.0, &self.state, None).map_err(|error| reason(&error))?;
        // The core takes the identifier from the attested data and never looks at the one beside it.
        if credential.cred_id != response.0.raw_id {
            return Err(Reason::BadResponse);
        }
        Ok(StoredPasskey { credential, name, created: now, last_used: None })
    }
}

/// What the core found, for the audit log.
pub(crate) fn reason(error: &WebauthnError) -> Reason {
    match error {
        WebauthnError::InvalidClientDataType => Reason::WrongType,
        WebauthnError::MismatchedChallenge => Reason::WrongChallenge,
        WebauthnError::InvalidRPOrigin => Reason::WrongOrigin,
        WebauthnError::InvalidRPIDHash => Reason::WrongRelyingParty,
        WebauthnError::UserNotVerified | WebauthnError::UserNotPresent => Reason::NotVerified,
        WebauthnError::AuthenticationFailure => Reason::WrongSignature,
        WebauthnError::CredentialPossibleCompromise => Reason::CounterWentBack,
        WebauthnError::CredentialNotFound => Reason::UnknownPasskey,
        WebauthnError::CredentialCrossOrigin => Reason::CrossOrigin,
        WebauthnError::CredentialBackupEligibilityInconsistent | WebauthnError::CredentialMayNotBeHardwareBound => {
            Reason::BackupState
        }
        _ => Reason::BadResponse,
    }
}
