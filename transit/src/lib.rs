//! Rotating key rings whose rotation never breaks a verifier, without I/O.
//!
//! A [`Ring`] holds the versions of a key. Each version is published before it signs and verifies after it signed,
//! long enough for every cached key set and every cut-off site: a [`Schedule`] that would not keep that promise is
//! refused with the computed [`Timeline`].
//!
//! ```
//! use keyward_keys::Signer;
//! use keyward_transit::{FirstActivation, Kek, KekSet, Material, Ring, RingConfig};
//! use time::macros::datetime;
//! # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
//!
//! let config: RingConfig = serde_json::from_str(r#"{
//!     "name": "spiffe-jwt", "cipher": "ecdsa-p256",
//!     "auto-rotate": {"rotate-after": "30d", "activate-after": "1d",
//!                     "deprecate-after": "2d", "invalidate-after": "2d"}}"#)?;
//! let now = datetime!(2026-03-01 00:00 UTC);
//! let mut ring = Ring::new(config, FirstActivation::AtOnce, now)?;
//! ring.install(1, Material::generate(ring.cipher(), &mut rng)?, now)?;
//!
//! // What is stored is sealed, and bound to the place where it is kept.
//! let keks = KekSet::new(Kek::generate(1, &mut rng)?);
//! let record = ring.to_sealed(keks.current(), "rings/spiffe-jwt", &mut rng)?;
//! let ring = Ring::from_sealed(&keks, "rings/spiffe-jwt", &record)?;
//!
//! let signer = ring.signer(now)?;
//! let signature = signer.sign(b"message")?;
//! ring.verify_by_kid(signer.kid(), b"message", &signature, now)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this crate does not do
//! It reads no clock, stores nothing and starts no task: `now` and randomness are arguments, [`Ring::advance`] says
//! what to do and [`Ring::next_deadline`] when. It knows no tokens (that is `keyward-svid`) and makes no guess about
//! time: whoever calls it sees to a clock that is right to a minute.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod cipher;
mod config;
mod error;
mod issuing;
mod keyring;
pub mod operation;
#[cfg(feature = "passphrase")]
mod passphrase;
mod phase;
mod rewrap;
mod ring;
mod schedule;
mod seal;
#[cfg(test)]
mod testing;
mod wrapping;

pub use cipher::{Cipher, CipherError};
pub use config::{AutoRotate, OptionError, RingConfig};
pub use error::Error;
pub use issuing::Issuing;
pub use keyring::{Argon2id, Keyring, SealKey, SealKind};
pub use keyward_keys::{ErrorKind, HashFunction};
pub use operation::{Marshaling, SignOptions};
#[cfg(feature = "passphrase")]
pub use passphrase::{Passphrase, WeakPassphrase};
pub use phase::{Phase, Transitions};
pub use rewrap::{Rewrap, RewrapStage, RewrapStep};
pub use ring::{
    Command, Compromised, Export, Exported, ExportedKey, FirstActivation, Material, Published, Replaced, Ring,
    RingSigner, RingView, VaultFormat, VersionView,
};
pub use schedule::{CLOCK_SKEW, DISTRIBUTION_DELAY, Overlap, Schedule, ScheduleError, Timeline};
pub use seal::{Kek, KekSet, RecordError, check_format, open, reseal, seal, sealed_under};
pub use wrapping::WrappingKey;
