//! X.509-SVIDs: reading and verifying, signing certificates, issuing (X509-SVID standard, RFC 5280).

pub mod authority;
mod bundle;
mod certificate;
mod constraints;
pub mod delegation;
mod der;
mod encoding;
mod error;
mod oid;
mod purpose;
mod rules;
mod signature;
mod svid;
mod verify;

pub use bundle::X509Bundle;
pub use encoding::{chain_from_der_concat, chain_from_pem, chain_to_pem, crl_to_pem};
pub use error::{CertificateProblem, Error, LeafProblem, SignerProblem};
pub use purpose::Purpose;
pub use svid::X509Svid;
pub use verify::{MAX_CHAIN, MAX_CHAIN_BYTES, X509Mode, X509Verifier, X509VerifyOptions, peek_id, peek_key};
