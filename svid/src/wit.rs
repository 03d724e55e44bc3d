//! WIT-SVIDs: tokens that are bound to a key of their holder, and the proofs of holding it. **Incubating.**
//!
//! A JWT-SVID works for whoever has it. A WIT-SVID names a public key (`cnf`) and works only together with a proof made
//! with the private one, a workload proof token (WPT) for one recipient, for seconds.
//!
//! ```
//! # use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
//! use keyward_svid::wit::{self, ProofContext, Prover, WitBundle, WitRequest, WitVerifier, WitVerifyOptions};
//! use keyward_svid::{JwkSet, KeyUse, VerificationKey};
//! use time::{Duration, OffsetDateTime};
//! # let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
//! # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
//!
//! // The issuer confirms the public key of a workload.
//! let issuer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256)?, Algorithm::Es256, Some("2027-01".to_owned()))?;
//! let workload = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256)?, Algorithm::Es256, None)?;
//! let id = "spiffe://example.org/payments".parse()?;
//! let request = WitRequest::new(id, workload.public_key(), Algorithm::Es256, Duration::hours(1))?;
//! let token = wit::mint(&issuer, &request, now)?;
//!
//! // The workload proves, for one request, that the key is its own.
//! let context = ProofContext::new("https://reports.example/monthly");
//! let prover = Prover::new(workload, token.as_str())?;
//! let proof = prover.prove(&context, Duration::seconds(30), &mut rng, now)?;
//!
//! // The recipient verifies both.
//! let key = VerificationKey::new(issuer.public_key().clone(), Algorithm::Es256, "2027-01")?;
//! let bundle = WitBundle::new("example.org".parse()?, JwkSet::new(KeyUse::WitSvid, [key]))?;
//! let verifier = WitVerifier::new(WitVerifyOptions::default())?;
//! let wit = verifier.verify(token.as_str(), &bundle, now)?;
//! let proven = verifier.verify_proof(proof.as_str(), &wit, &context, now)?;
//! assert_eq!(proven.id().path(), "/payments");
//!
//! // The same proof says nothing elsewhere.
//! let elsewhere = ProofContext::new("https://payroll.example/");
//! assert!(verifier.verify_proof(proof.as_str(), &wit, &elsewhere, now).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which texts
//!
//! SPIFFE's WIT-SVID as of July 2026 (stability: incubating), draft-ietf-wimse-workload-creds-02 and
//! draft-ietf-wimse-wpt-02. They will change, and this module with them, in minor versions too.
//!
//! # What it does not do
//!
//! It remembers no proof: [`WorkloadProof::replay_id`] is for the caller to keep until
//! [`WorkloadProof::forget_after`]. It reads no HTTP header and knows no HTTP message signatures, the other proof that
//! WIMSE defines. Of the algorithms of the drafts it takes the nine that WIT-SVID §2.3 and §3.2 allow, which leaves
//! Ed25519 out.

mod bundle;
mod claims;
mod confirmation;
mod error;
mod mint;
mod proof;
mod prove;
mod verify;

pub use bundle::WitBundle;
pub use claims::WitClaims;
pub use confirmation::Confirmation;
pub use error::{BindingProblem, ConfirmationProblem, MintError, VerifierError, VerifyError};
pub use mint::{EncodedWitSvid, WitRequest, mint};
pub use proof::{MAX_PROOF_LIFETIME, ProofContext, ReplayId, WorkloadProof};
pub use prove::{EncodedProof, Prover};
pub use verify::{UnverifiedWitSvid, WitSvid, WitVerifier, WitVerifyOptions};
