//! What a page tells the browser's password manager after a change (W3C WebAuthn §5.1.10, the signal methods).

use serde::Serialize;

use super::{PasskeyId, UserHandle};

/// The argument of one of `PublicKeyCredential.signal…()`, so that a passkey that was removed here is no longer offered there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "method", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Signal {
    /// After a login with a passkey that is not registered: `signalUnknownCredential`.
    SignalUnknownCredential {
        /// The domain.
        rp_id: String,
        /// The passkey.
        credential_id: PasskeyId,
    },
    /// After a passkey was made or removed: `signalAllAcceptedCredentials`.
    SignalAllAcceptedCredentials {
        /// The domain.
        rp_id: String,
        /// The user.
        user_id: UserHandle,
        /// Those that are left.
        all_accepted_credential_ids: Vec<PasskeyId>,
    },
    /// After the user was renamed: `signalCurrentUserDetails`.
    SignalCurrentUserDetails {
        /// The domain.
        rp_id: String,
        /// The user.
        user_id: UserHandle,
        /// What the password manager lists.
        name: String,
        /// What people read.
        display_name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_browser_takes_it() {
        let signal = Signal::SignalAllAcceptedCredentials {
            rp_id: "example.com".into(),
            user_id: UserHandle::from_slice(&[0; 32]).unwrap(),
            all_accepted_credential_ids: vec!["AQID".parse().unwrap()],
        };
        assert_eq!(
            serde_json::to_value(signal).unwrap(),
            serde_json::json!({
                "method": "signalAllAcceptedCredentials",
                "rpId": "example.com",
                "userId": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                "allAcceptedCredentialIds": ["AQID"],
            })
        );
    }
}
