//! SPIFFE Verifiable Identity Documents: mint and verify, without I/O.
//!
//! A JWT-SVID is a signed token that says which workload its bearer is (JWT-SVID standard). This crate mints them with
//! any [`Signer`](keyward_keys::Signer), verifies them with published keys, and reads and writes the documents around
//! them: key sets, OIDC discovery, and warnings about what a cloud would refuse. With the feature `x509`, a default,
//! `x509` verifies and issues X.509-SVIDs, `bundle` reads and writes all keys of a trust domain, and `federation` keeps
//! those of others, as [`refresh`] keeps any document that is fetched again and again.
//!
//! ```
//! use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
//! use keyward_svid::{JwkSet, JwtBundle, KeyUse, MintRequest, Minter, VerificationKey, Verifier, VerifyOptions};
//! use time::{Duration, OffsetDateTime};
//!
//! let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?; // the caller's clock, read once
//!
//! // The issuer: a key, a name for it, and a token for a workload.
//! let key = PrivateKey::generate(KeyType::EcdsaP256)?;
//! let signer = KeySigner::new(key, Algorithm::Es256, Some("2027-01".to_owned()))?;
//! let minter = Minter::new(&signer)?;
//! let request = MintRequest::new("spiffe://example.org/payments".parse()?, ["reports"], Duration::minutes(5))?;
//! let token = minter.mint(&request, now)?;
//!
//! // What it publishes.
//! let published = VerificationKey::new(signer.public_key().clone(), Algorithm::Es256, "2027-01")?;
//! let jwks = JwkSet::new(KeyUse::Signature, [published]).to_json();
//!
//! // The verifier: the published keys, bound to the trust domain they belong to.
//! let keys = JwkSet::from_json(jwks.as_bytes(), KeyUse::Signature)?;
//! let bundle = JwtBundle::new("example.org".parse()?, keys);
//! let verifier = Verifier::new(["reports"], VerifyOptions::default())?;
//! let svid = verifier.verify(token.as_str(), &bundle, now)?;
//! assert_eq!(svid.id().path(), "/payments");
//!
//! // At the second of `exp` it is over.
//! assert!(verifier.verify(token.as_str(), &bundle, now + Duration::minutes(5)).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! It fetches nothing, reads no clock, and remembers no token: a JWT-SVID that is shown twice is accepted twice. It
//! knows no encrypted tokens, no JSON serialization of JWS, no `HS*`, no `none`, no EdDSA in tokens.
//!
//! # Features
//!
//! - `aws-lc-rs` (default), `rust-crypto`: the backend of `keyward-keys`.
//! - `x509` (default): X.509-SVIDs, bundles, federation.
//! - `rustls`: mTLS by SPIFFE ID, in `tls`.
//! - `config`: `SpiffeSettings`, `CaConfig` and `FederationConfig`, documents that serde reads.
//! - `transit`: key sets from the rings of `keyward-transit`, which are signers by themselves.
//! - `jsonwebtoken`: [`JwkSet`] from and to that crate's.
//! - `wit` (incubating): WIT-SVIDs and workload proof tokens, in `wit`.
//! - `spiffe`: bundles and verified tokens from and to the types of the crate `spiffe`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

#[cfg(feature = "x509")]
pub mod bundle;
#[cfg(feature = "config")]
mod config;
#[cfg(feature = "x509")]
pub mod federation;
mod json;
pub mod jwks;
pub mod jwt;
mod moment;
pub mod oidc;
pub mod refresh;
pub mod relying_party;
#[cfg(feature = "spiffe")]
mod spiffe_crate;
#[cfg(feature = "rustls")]
pub mod tls;
mod url;
#[cfg(feature = "wit")]
pub mod wit;
#[cfg(feature = "x509")]
pub mod x509;

#[cfg(feature = "x509")]
pub use bundle::{Bundle, BundleSet};
#[cfg(feature = "config")]
pub use config::SpiffeSettings;
#[cfg(feature = "jsonwebtoken")]
pub use jsonwebtoken;
pub use jwks::{JwkSet, KeyUse, VerificationKey};
pub use jwt::{JwtBundle, JwtSvid, MintRequest, Minter, UnverifiedJwtSvid, Verifier, VerifyOptions, mint};
pub use keyward_keys::ErrorKind;
#[cfg(feature = "x509")]
pub use rustls_pki_types as pki_types;
#[cfg(feature = "spiffe")]
pub use spiffe;
#[cfg(feature = "spiffe")]
pub use spiffe_crate::BundleError;
pub use url::{HttpsUrl, UrlError};
#[cfg(feature = "x509")]
pub use x509::{X509Bundle, X509Svid, X509Verifier, X509VerifyOptions};

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
