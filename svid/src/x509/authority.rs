//! Authorities that issue X.509-SVIDs: root or intermediate, their rotation, and requests for certificates.
//!
//! ```
//! use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
//! use keyward_svid::x509::authority::{Authority, AuthorityRequest, LeafRequest, Subject, SubjectField};
//! use time::{Duration, OffsetDateTime};
//! # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
//! # let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
//!
//! // The authority: a key, and a self-signed certificate for it.
//! let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256)?, Algorithm::Es256, None)?;
//! let public_key = signer.public_key().clone();
//! let subject = Subject::default().with(SubjectField::Organization, "Example")?;
//! let request = AuthorityRequest::new("example.org".parse()?, subject, now + Duration::days(90));
//! let authority = Authority::self_signed(signer, &public_key, &request, &mut rng, now)?;
//!
//! // A workload: its key, an ID and a life.
//! let key = PrivateKey::generate(KeyType::EcdsaP256)?;
//! let request = LeafRequest::new("spiffe://example.org/payments".parse()?, key.public_key(), Duration::HOUR)?
//!     .with_dns_names(["payments.example.org"])?;
//! let svid = authority.issue(&request, &mut rng, now)?;
//! assert_eq!(svid.chain().len(), 1); // the root is not presented
//! assert_eq!(svid.not_after(), now + Duration::HOUR);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which keys
//!
//! Every key type of `keyward-keys`, for authorities and leaves alike: neither the standard nor RFC 5280 excludes one.
//! Ed25519 (RFC 8410) is among them, although some TLS stacks and clouds do not verify it: who has such peers chooses
//! another type, and the default is ECDSA on P-256.

mod algorithm;
#[cfg(any(feature = "config", feature = "transit"))]
mod config;
mod dns_name;
mod error;
mod intermediate;
mod issuer;
mod leaf;
mod request;
mod revocation_list;
#[cfg(feature = "transit")]
mod ring;
mod root;
mod signing;
mod subject;
mod tbs;
mod unsigned;
mod validity;

#[cfg(any(feature = "config", feature = "transit"))]
pub use config::CaConfig;
pub use dns_name::MAX_DNS_NAMES;
pub use error::Error;
pub use intermediate::{IntermediateRequest, LONGEST_DELEGATION};
pub use issuer::{Issuer, subject_der};
pub use leaf::{DEFAULT_LONGEST_TTL, IssuedSvid, KeyedSvid, LeafRequest, UnsignedSvid};
pub use request::CertificateRequest;
pub use revocation_list::{RevocationList, RevokedSerial};
#[cfg(feature = "transit")]
pub use ring::{AuthorityRing, AuthorityVersion, IssuingAuthorities, LONGEST_CLIENT_TTL, MIN_CLIENT_AUTHORITY_TTL};
pub use root::AuthorityRequest;
pub use signing::Authority;
pub use subject::{Subject, SubjectField, SubjectProblem};
pub use unsigned::UnsignedCertificate;
pub use validity::BACKDATE;
