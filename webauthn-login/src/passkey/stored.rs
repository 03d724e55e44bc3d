//! What is stored of a passkey.

use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use webauthn_rs_core::proto::{
    AttestationFormat, AttestationMetadata, COSEAlgorithm, COSEEC2Key, COSEKey, COSEKeyType, Credential, ECDSACurve,
    ParsedAttestation, ParsedAttestationData, RegisteredExtensions, UserVerificationPolicy,
};

use crate::Error;
use crate::readable::{cleared, is_readable};

/// The most passkeys of one user.
pub const MAX_PASSKEYS: usize = 8;

/// The identifier of a passkey, chosen by its authenticator. Written as base64url.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasskeyId(Vec<u8>);

impl PasskeyId {
    pub(crate) fn from_slice(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for PasskeyId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) if !bytes.is_empty() && bytes.len() <= 1023 => Ok(Self(bytes)),
            _ => Err(Error::NoSuchPasskey),
        }
    }
}

impl TryFrom<String> for PasskeyId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PasskeyId> for String {
    fn from(id: PasskeyId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for PasskeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl fmt::Debug for PasskeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasskeyId({self})")
    }
}

/// What a user calls a passkey: 1 to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasskeyName(String);

impl PasskeyName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for PasskeyName {
    fn default() -> Self {
        Self("Passkey".to_owned())
    }
}

impl FromStr for PasskeyName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if is_readable(text, 64) { Ok(Self(text.to_owned())) } else { Err(Error::PasskeyName) }
    }
}

impl PasskeyName {
    /// A name of a record, in which earlier releases may have left characters that are refused now.
    fn of_record<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(cleared(&String::deserialize(deserializer)?).map_or_else(Self::default, Self))
    }
}

impl TryFrom<String> for PasskeyName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PasskeyName> for String {
    fn from(name: PasskeyName) -> Self {
        name.0
    }
}

impl fmt::Display for PasskeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is stored of a passkey. Nothing in it is secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct StoredPasskey {
    pub(crate) credential: Credential,
    #[serde(deserialize_with = "PasskeyName::of_record")]
    pub(crate) name: PasskeyName,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(crate) last_used: Option<OffsetDateTime>,
}

/// The generator of P-256 (SEC 2 §2.4.2): a public key whose private key would be 1, at which nothing is ever let in.
const GENERATOR_X: [u8; 32] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d,
    0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
];
const GENERATOR_Y: [u8; 32] = [
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33,
    0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

impl StoredPasskey {
    /// What a response for an unknown passkey is checked against, so that the check takes as long. Its result is never used.
    pub(crate) fn nobodys(id: &PasskeyId, now: OffsetDateTime) -> Self {
        let key = COSEEC2Key { curve: ECDSACurve::SECP256R1, x: GENERATOR_X.to_vec(), y: GENERATOR_Y.to_vec() };
        let credential = Credential {
            cred_id: id.0.clone(),
            cred: COSEKey { type_: COSEAlgorithm::ES256, key: COSEKeyType::EC_EC2(key) },
            counter: 0,
            transports: None,
            user_verified: true,
            backup_eligible: true,
            backup_state: false,
            registration_policy: UserVerificationPolicy::Required,
            extensions: RegisteredExtensions::none(),
            attestation: ParsedAttestation { data: ParsedAttestationData::None, metadata: AttestationMetadata::None },
            attestation_format: AttestationFormat::None,
        };
        Self { credential, name: PasskeyName::default(), created: now, last_used: None }
    }

    pub(crate) fn id(&self) -> PasskeyId {
        PasskeyId::from_slice(&self.credential.cred_id)
    }

    pub(crate) fn is(&self, id: &PasskeyId) -> bool {
        self.credential.cred_id == id.0
    }

    pub(crate) fn view(&self) -> PasskeyView<'_> {
        PasskeyView {
            id: self.id(),
            name: &self.name,
            created: self.created,
            last_used: self.last_used,
            synchronized: self.credential.backup_eligible,
            backed_up: self.credential.backup_state,
        }
    }
}

/// A passkey as its owner sees it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct PasskeyView<'a> {
    /// By which it is renamed and removed.
    pub id: PasskeyId,
    /// What its owner calls it.
    pub name: &'a PasskeyName,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// When somebody last logged in with it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used: Option<OffsetDateTime>,
    /// Whether it can be on several devices.
    pub synchronized: bool,
    /// Whether it is backed up at the moment.
    pub backed_up: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_identifiers() {
        assert_eq!(" My key ".parse::<PasskeyName>().unwrap().as_str(), "My key");
        for bad in ["", "  ", "a\nb", "\u{202e}potpal", "a\u{200b}b", "\u{200d}", &"x".repeat(65)] {
            assert_eq!(bad.parse::<PasskeyName>(), Err(Error::PasskeyName), "{bad:?}");
            assert!(serde_json::from_value::<PasskeyName>(bad.into()).is_err(), "{bad:?}");
        }
        assert_eq!(
            Error::PasskeyName.to_string(),
            "the name of a passkey has 1 to 64 characters, each of which is seen as what it is: none of them controls, hides or turns text"
        );
        let id: PasskeyId = "AQID".parse().unwrap();
        assert_eq!((id.as_bytes(), id.to_string().as_str()), (&[1, 2, 3][..], "AQID"));
        assert!("".parse::<PasskeyId>().is_err() && "AQI=".parse::<PasskeyId>().is_err());
    }

    #[test]
    fn names_of_earlier_releases_are_read_without_what_is_refused_now() {
        let passkey = StoredPasskey::nobodys(&"AQID".parse().unwrap(), crate::testing::at(0));
        let mut stored = serde_json::to_value(&passkey).unwrap();
        for (name, read) in [("\u{202e}potpal", "potpal"), ("\u{202e}", "Passkey"), ("Laptop", "Laptop")] {
            stored["name"] = name.into();
            let passkey: StoredPasskey = serde_json::from_value(stored.clone()).unwrap();
            assert_eq!(passkey.name.as_str(), read);
        }
    }
}
