//! What comes back from the browser.

use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, de};
use webauthn_rs_core::proto::{PublicKeyCredential, RegisterPublicKeyCredential};

use super::{PasskeyId, UserHandle};
use crate::Error;

/// More than any authenticator sends: attestation objects have a few kilobytes.
const MAX_JSON: usize = 64 * 1024;
/// W3C WebAuthn §5.8.7.
const MAX_ID: usize = 1023;

fn check(expected: &'static str, id: &str, raw: &[u8], kind: &str) -> Result<(), Error> {
    let refuse = |problem| Err(Error::Response { expected, problem });
    if kind != "public-key" {
        return refuse("its `type` is not `public-key`");
    }
    if raw.is_empty() || raw.len() > MAX_ID {
        return refuse("its `rawId` has no acceptable length");
    }
    if id != URL_SAFE_NO_PAD.encode(raw) {
        return refuse("its `id` and `rawId` differ");
    }
    Ok(())
}

/// What `navigator.credentials.create()` answered, as `credential.toJSON()` writes it. Not verified.
#[derive(Clone)]
pub struct RegistrationResponse(pub(crate) RegisterPublicKeyCredential);

impl FromStr for RegistrationResponse {
    type Err = Error;

    fn from_str(json: &str) -> Result<Self, Error> {
        const EXPECTED: &str = "registration";
        if json.len() > MAX_JSON {
            return Err(Error::Response { expected: EXPECTED, problem: "it is longer than 64 KiB" });
        }
        let response: RegisterPublicKeyCredential = serde_json::from_str(json)
            .map_err(|_| Error::Response { expected: EXPECTED, problem: "it is not what `toJSON()` writes" })?;
        check(EXPECTED, &response.id, &response.raw_id, &response.type_)?;
        Ok(Self(response))
    }
}

/// What `navigator.credentials.get()` answered, as `credential.toJSON()` writes it. Not verified.
#[derive(Clone)]
pub struct AuthenticationResponse(pub(crate) PublicKeyCredential);

impl AuthenticationResponse {
    /// The user that the response names, to be looked up. A passkey that was chosen from the browser's own list always names one.
    #[must_use]
    pub fn user_handle(&self) -> Option<UserHandle> {
        UserHandle::from_slice(self.0.response.user_handle.as_deref()?)
    }

    /// Whether a user is named at all, also one that is no handle of ours.
    pub(crate) fn names_user(&self) -> bool {
        self.0.response.user_handle.is_some()
    }

    /// The passkey that the response is of.
    #[must_use]
    pub fn passkey(&self) -> PasskeyId {
        PasskeyId::from_slice(&self.0.raw_id)
    }
}

impl FromStr for AuthenticationResponse {
    type Err = Error;

    fn from_str(json: &str) -> Result<Self, Error> {
        const EXPECTED: &str = "authentication";
        if json.len() > MAX_JSON {
            return Err(Error::Response { expected: EXPECTED, problem: "it is longer than 64 KiB" });
        }
        let mut response: PublicKeyCredential = serde_json::from_str(json)
            .map_err(|_| Error::Response { expected: EXPECTED, problem: "it is not what `toJSON()` writes" })?;
        check(EXPECTED, &response.id, &response.raw_id, &response.type_)?;
        // Some write an empty handle where there is none.
        if response.response.user_handle.as_ref().is_some_and(Vec::is_empty) {
            response.response.user_handle = None;
        }
        Ok(Self(response))
    }
}

impl<'de> Deserialize<'de> for RegistrationResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer)?.to_string().parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for AuthenticationResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer)?.to_string().parse().map_err(de::Error::custom)
    }
}

impl fmt::Debug for RegistrationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrationResponse(..)")
    }
}

impl fmt::Debug for AuthenticationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticationResponse(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(id: &str, raw: &str, kind: &str, handle: &str) -> String {
        format!(
            r#"{{"id":"{id}","rawId":"{raw}","type":"{kind}","authenticatorAttachment":"platform","clientExtensionResults":{{}},
                "response":{{"authenticatorData":"AAAA","clientDataJSON":"e30","signature":"AAAA"{handle}}}}}"#
        )
    }

    #[test]
    fn as_browsers_write_it() {
        let parse = |handle: &str| json("AQID", "AQID", "public-key", handle).parse::<AuthenticationResponse>();
        for absent in ["", r#","userHandle":null"#, r#","userHandle":"""#] {
            assert!(!parse(absent).unwrap().names_user(), "{absent}");
        }
        let other = parse(r#","userHandle":"AQID""#).unwrap();
        assert!(other.names_user() && other.user_handle().is_none());
        let own = UserHandle::from_slice(&[7; 32]).unwrap();
        assert_eq!(parse(&format!(r#","userHandle":"{own}""#)).unwrap().user_handle(), Some(own));
        assert_eq!(format!("{:?}", parse("").unwrap()), "AuthenticationResponse(..)");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (id, raw, kind, problem) in [
            ("AQIE", "AQID", "public-key", "its `id` and `rawId` differ"),
            ("AQID", "AQID", "password", "its `type` is not `public-key`"),
            ("", "", "public-key", "its `rawId` has no acceptable length"),
        ] {
            let error = json(id, raw, kind, "").parse::<AuthenticationResponse>().unwrap_err();
            assert_eq!(error.to_string(), format!("not a WebAuthn authentication response: {problem}"));
        }
        for bad in ["", "{}", "[]", "null"] {
            assert!(bad.parse::<AuthenticationResponse>().is_err() && bad.parse::<RegistrationResponse>().is_err());
        }
        assert!(" ".repeat(MAX_JSON + 1).parse::<RegistrationResponse>().unwrap_err().to_string().contains("64 KiB"));
    }
}
