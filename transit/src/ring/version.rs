//! One version of a ring.

use std::fmt;
use std::sync::Arc;

use keyward_keys::{AeadKey, HmacKey};

use super::material::{Key, Public, SigningKey};
use crate::Transitions;

/// One version: its number, its fixed times, its public key, and its secret until destroyed.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) times: Transitions,
    pub(crate) public: Option<Public>,
    pub(crate) key: Option<Key>,
    /// The key for HMACs; there is one where there is a secret.
    pub(crate) hmac: Option<Arc<HmacKey>>,
    /// Whether the key came from elsewhere.
    pub(crate) imported: bool,
}

impl Version {
    /// The key for signing.
    pub(crate) fn signing(&self) -> Option<&Arc<SigningKey>> {
        match self.key.as_ref()? {
            Key::Signing(key) => Some(key),
            Key::Aead(_) | Key::Hmac(_) | Key::Public(_) => None,
        }
    }

    /// Whether there is a public key alone, whose private half is elsewhere.
    pub(crate) fn is_public_alone(&self) -> bool {
        matches!(self.key, Some(Key::Public(_)))
    }

    /// The key for encrypting.
    pub(crate) fn aead(&self) -> Option<&AeadKey> {
        match self.key.as_ref()? {
            Key::Aead(key) => Some(key),
            Key::Signing(_) | Key::Hmac(_) | Key::Public(_) => None,
        }
    }

    /// Forgets the secrets.
    pub(crate) fn destroy(&mut self) {
        self.key = None;
        self.hmac = None;
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version")
            .field("number", &self.number)
            .field("times", &self.times)
            .field("kid", &self.public.as_ref().map(|public| &public.kid))
            .field("destroyed", &self.key.is_none())
            .finish_non_exhaustive()
    }
}
