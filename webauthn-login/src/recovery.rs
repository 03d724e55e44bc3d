//! Recovery codes: ten, each good once, for the day the telephone is lost.

use core::fmt;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::base32;
use crate::passkey::UserHandle;

/// How many codes a set has.
pub const RECOVERY_CODES: usize = 10;

/// A fresh set of codes, shown once. Each has 80 random bits: four groups of four letters and digits.
pub struct RecoveryCodes(Vec<Zeroizing<String>>);

impl RecoveryCodes {
    /// The codes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|code| code.as_str())
    }
}

impl fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCodes(..)")
    }
}

/// What is stored: a hash for each code that is left. With 80 random bits one SHA-256 is enough; the user's handle is in it, so
/// that no two users share one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct StoredCodes(Vec<CodeHash>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct CodeHash([u8; 32]);

impl fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeHash(..)")
    }
}

impl TryFrom<String> for CodeHash {
    type Error = crate::Error;

    fn try_from(text: String) -> Result<Self, crate::Error> {
        base16ct::lower::decode(text, &mut [0; 32])
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(crate::Error::Key)
    }
}

impl From<CodeHash> for String {
    fn from(hash: CodeHash) -> Self {
        base16ct::lower::encode_string(&hash.0)
    }
}

impl StoredCodes {
    /// A fresh set, which takes the place of a former one.
    pub(crate) fn generate(handle: &UserHandle, rng: &mut impl CryptoRng) -> (Self, RecoveryCodes) {
        let codes: Vec<Zeroizing<String>> = (0..RECOVERY_CODES)
            .map(|_| {
                let mut bytes = Zeroizing::new([0; 10]);
                rng.fill_bytes(&mut *bytes);
                let text = Zeroizing::new(base32::encode(&*bytes).to_ascii_lowercase());
                let mut grouped = Zeroizing::new(String::with_capacity(19));
                for (at, character) in text.chars().enumerate() {
                    if at > 0 && at % 4 == 0 {
                        grouped.push('-');
                    }
                    grouped.push(character);
                }
                grouped
            })
            .collect();
        let stored = codes.iter().map(|code| hash(handle, code)).collect();
        (Self(stored), RecoveryCodes(codes))
    }

    /// What is left after that code was used; `None` when it is none of them.
    pub(crate) fn take(&self, handle: &UserHandle, code: &str) -> Option<Self> {
        let presented = hash(handle, code);
        let mut found = Choice::from(0);
        let mut left = Vec::with_capacity(self.0.len());
        for stored in &self.0 {
            let same = stored.0.ct_eq(&presented.0);
            found |= same;
            if !bool::from(same) {
                left.push(stored.clone());
            }
        }
        bool::from(found).then_some(Self(left))
    }

    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }
}

/// Case, spaces and hyphens do not matter.
fn hash(handle: &UserHandle, code: &str) -> CodeHash {
    let mut sha = Sha256::new();
    sha.update(b"recovery-code\0");
    sha.update(handle.as_bytes());
    for byte in code.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-').take(64) {
        sha.update([byte.to_ascii_lowercase()]);
    }
    CodeHash(sha.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn each_code_works_once_and_for_its_owner() {
        let handle = UserHandle::generate(&mut rng(1));
        let (stored, codes) = StoredCodes::generate(&handle, &mut rng(2));
        let all: Vec<String> = codes.iter().map(str::to_owned).collect();
        assert_eq!((all.len(), stored.left()), (10, 10));
        assert_eq!(all[0].len(), 19);
        let after = stored.take(&handle, &all[3]).unwrap();
        assert_eq!(after.left(), 9);
        assert_eq!(after.take(&handle, &all[3]), None);
        assert!(after.take(&handle, &all[4].to_uppercase().replace('-', " ")).is_some());
        assert_eq!(stored.take(&UserHandle::generate(&mut rng(9)), &all[0]), None);
        for bad in ["", "----", "aaaa-aaaa-aaaa-aaaa", &all[0][1..]] {
            assert_eq!(stored.take(&handle, bad), None, "{bad}");
        }
        assert_eq!(format!("{codes:?}"), "RecoveryCodes(..)");
        let json = serde_json::to_string(&stored).unwrap();
        assert_eq!(serde_json::from_str::<StoredCodes>(&json).unwrap(), stored);
    }
}
