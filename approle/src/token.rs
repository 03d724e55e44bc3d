//! Tokens: what a login gives and every later request presents.

mod batch;
mod check;
mod child;
mod grant;
mod id;
mod lifetime;
mod parameters;
mod record;
mod refresh;
mod view;

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

pub use batch::open_batch;
pub(crate) use batch::{MAX_LISTS, MAX_METADATA, lists_length};
pub use check::{Authenticated, check, check_child, check_found};
pub use child::{ChildRequest, MAX_ANCESTORS};
pub use grant::{JwtSvidGrant, X509SvidGrant};
pub use id::TokenId;
pub(crate) use lifetime::Lifetime;
pub(crate) use parameters::policies;
pub use parameters::{Subject, TokenParameters};
pub use record::TokenRecord;
pub use refresh::Owner;
pub use view::{TokenView, X509SvidView};

/// What every token starts with, so that a leaked one can be recognised.
const PREFIX: &str = "kw.";

/// No token is longer, in bytes. Service tokens have 46; batch tokens grow with what they carry.
pub const MAX_TOKEN_LENGTH: usize = 8192;

/// A token in clear: `kw.` and 256 random bits in base64url. It exists while it is handed over; only
/// its HMAC is kept.
///
/// Comparison is in constant time, the memory is wiped when it is dropped, and `Debug` shows nothing.
pub struct Token(Zeroizing<String>);

impl Token {
    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        // Reserved in full, so that no shorter copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        Self(text)
    }

    /// A token that is not random but sealed, or chosen.
    fn of(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The token itself, to hand it over.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Token {}

impl Zeroize for Token {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The type of a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TokenType {
    /// Stored, renewable, revocable. `default` means this one.
    #[default]
    #[serde(alias = "default")]
    Service,
    /// Sealed instead of stored: a login writes nothing, and the token is as long as what it carries. It
    /// cannot be refreshed, its uses are not counted, it makes no other tokens, and nothing ends it before
    /// its time but the end of its role or user or of a token that it was made from.
    Batch,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn tokens_have_a_prefix_and_256_bits_and_differ() {
        let mut rng = rng(1);
        let one = Token::generate(&mut rng);
        let two = Token::generate(&mut rng);
        assert_ne!(one, two);
        let body = one.expose().strip_prefix("kw.").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(body).unwrap().len(), 32);
    }

    #[test]
    fn debug_and_zeroize() {
        let mut token = Token::generate(&mut rng(1));
        assert_eq!(format!("{token:?}"), "Token(..)");
        token.zeroize();
        assert_eq!(token.expose(), "");
    }
}
