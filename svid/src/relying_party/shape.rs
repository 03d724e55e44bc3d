//! What is known of tokens.

use keyward_keys::Algorithm;
use time::Duration;

use crate::jwt::{EncodedJwtSvid, MintRequest};

/// What is known of the tokens to check. What is not known, and left at its default, is not judged; only a
/// missing issuer is, because every relying party here finds the keys by it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenShape<'a> {
    /// The signing algorithm.
    pub algorithm: Option<Algorithm>,
    /// `sub`.
    pub subject: Option<&'a str>,
    /// `aud`; empty means unknown.
    pub audiences: &'a [String],
    /// `exp` minus `iat`.
    pub lifetime: Option<Duration>,
    /// `iss`.
    pub issuer: Option<&'a str>,
    /// The issuer that the discovery document names.
    pub discovery_issuer: Option<&'a str>,
    /// Whether the header has `kid`; by default it has, as in every token minted here.
    pub kid: bool,
    /// Whether there is `iat`; by default there is, as in every token minted here.
    pub issued_at: bool,
    /// How many RSA keys the key set publishes.
    pub rsa_keys: usize,
    /// How many elliptic-curve keys the key set publishes.
    pub ec_keys: usize,
    /// The length of the token in bytes.
    pub token_bytes: Option<usize>,
}

impl Default for TokenShape<'_> {
    fn default() -> Self {
        Self {
            algorithm: None,
            subject: None,
            audiences: &[],
            lifetime: None,
            issuer: None,
            discovery_issuer: None,
            kid: true,
            issued_at: true,
            rsa_keys: 0,
            ec_keys: 0,
            token_bytes: None,
        }
    }
}

impl<'a> TokenShape<'a> {
    /// The shape of what a request asks for under an algorithm.
    pub fn of_request(request: &'a MintRequest, algorithm: Algorithm) -> Self {
        Self {
            algorithm: Some(algorithm),
            subject: Some(request.subject().as_str()),
            audiences: request.audiences(),
            lifetime: Some(request.lifetime()),
            issuer: request.issuer(),
            ..Self::default()
        }
    }

    /// The same, with the token that came out.
    #[must_use]
    pub fn with_token(mut self, token: &EncodedJwtSvid) -> Self {
        self.lifetime = Some(token.expires() - token.issued_at());
        self.token_bytes = Some(token.as_str().len());
        self
    }
}
