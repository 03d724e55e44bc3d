//! Batch tokens: what would be stored is sealed into the token itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use keyward_config_values::record::Format;
use keyward_config_values::{Cidr, Name};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::record::Said;
use super::{MAX_TOKEN_LENGTH, Subject, Token, TokenRecord};
use crate::{Accessor, Pepper, StorageKey, metadata};

/// What every batch token starts with.
const PREFIX: &str = "kwb.";
/// Tells these sealed bytes from others under the same key.
const PURPOSE: &[u8] = b"keyward batch token 1";
/// A random nonce of this length does not repeat (XChaCha20-Poly1305), however many tokens there are.
const NONCE: usize = 24;
/// The most bytes that the lists of a role may add to its batch tokens. With the longest SPIFFE ID and the most ancestors such a
/// token has less than [`MAX_TOKEN_LENGTH`].
pub(crate) const MAX_LISTS: usize = 2048;
/// The most bytes of metadata in a batch token.
pub(crate) const MAX_METADATA: usize = 1024;

/// What is in a batch token. Short names: it travels with every request.
#[derive(Serialize, Deserialize)]
struct Claims {
    f: Format<2>,
    a: Accessor,
    t: Name,
    s: Subject,
    p: Vec<Name>,
    /// Creation and end, in milliseconds since 1970.
    c: i64,
    e: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    b: Vec<Cidr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    h: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<Vec<StorageKey>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    m: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    w: Vec<Cidr>,
    #[serde(default, skip_serializing_if = "Said::is_empty")]
    d: Said,
}

/// The bytes that these lists take in a batch token.
pub(crate) fn lists_length(policies: &[Name], cidrs: &[Cidr]) -> usize {
    let policies: usize = policies.iter().map(|policy| policy.as_str().len() + 3).sum();
    cidrs.iter().map(|cidr| cidr.to_string().len() + 3).sum::<usize>() + policies
}

fn milliseconds(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

fn moment(milliseconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()
}

fn cipher(pepper: &Pepper) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*pepper.batch_key()))
}

impl TokenRecord {
    /// The token that the record is sealed into, and the record as it comes out of it again, but for the
    /// SVIDs that come with the login.
    pub(super) fn sealed(mut self, pepper: &Pepper, rng: &mut impl CryptoRng) -> (Token, Self) {
        // A role that was made one of batch tokens after the secret-id was made. A variable without a value allows nothing.
        if metadata::length(self.metadata()) > MAX_METADATA {
            self = self.without_metadata();
        }
        let (created, ends) = (milliseconds(self.creation_time()), milliseconds(self.expires()));
        let claims = Claims {
            f: Format,
            a: self.accessor(),
            t: self.tenant().clone(),
            s: self.subject().clone(),
            p: self.policies().to_vec(),
            c: created,
            e: ends,
            b: self.bound_cidrs().to_vec(),
            h: self.bound_host(),
            n: (self.is_made()).then(|| self.ancestors().to_vec()),
            m: self.metadata().clone(),
            w: self.own_cidrs().to_vec(),
            d: self.said().clone(),
        };
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        // Neither can fail: no map with odd keys, no message of 256 GiB. What opens to nothing would be refused.
        let message = Zeroizing::new(serde_json::to_vec(&claims).unwrap_or_default());
        let payload = Payload { msg: &message, aad: PURPOSE };
        let sealed = cipher(pepper).encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + (NONCE + sealed.len()) * 4 / 3 + 4));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string([nonce.as_slice(), &sealed].concat(), &mut text);
        let times = moment(created).unwrap_or(self.creation_time()).min(self.creation_time());
        self.set(pepper.token_key(&text), times, moment(ends).unwrap_or(self.expires()));
        (Token::of(text), self)
    }
}

/// The record in a batch token, or `None` for what is no batch token of this pepper, whole and unchanged.
///
/// It says nothing about whether the token is good: [`crate::check_child`] does, with the key that the
/// record has, and whether its owner is there is to be asked at each use
/// ([`crate::Authenticated::check_owner`]).
#[must_use]
pub fn open_batch(presented: &str, pepper: &Pepper) -> Option<TokenRecord> {
    let body = presented.strip_prefix(PREFIX).filter(|_| presented.len() <= MAX_TOKEN_LENGTH)?;
    // Strict: of several texts that would decode to the same bytes one is right.
    let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: sealed, aad: PURPOSE };
    let message = Zeroizing::new(cipher(pepper).decrypt(&XNonce::from(*nonce), payload).ok()?);
    let claims: Claims = serde_json::from_slice(&message).ok()?;
    Some(TokenRecord::of_batch(
        pepper.token_key(presented),
        (claims.a, claims.t, claims.s, claims.p),
        (moment(claims.c)?, moment(claims.e)?),
        (claims.b, claims.w, claims.h),
        claims.n,
        (claims.m, claims.d),
    ))
}
