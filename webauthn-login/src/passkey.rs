//! Passkeys: what the core library leaves to its caller.
//!
//! `webauthn-rs-core` verifies attestations and assertions. It takes its state by reference, so that one response verifies
//! twice: here the state is part of a [`Flow`](crate::Flow) that a step consumes. It does not look at the user handle, the
//! identifier beside the raw one, the type, or a frame of another site at login: here these are checked. It knows `required`
//! and nothing or `discouraged` for discoverable credentials, and no conditional mediation: here `preferred` and `conditional`
//! are set. Counter and backup state come back here as a changed record.
//!
//! Challenges are drawn inside that library from the system's generator, and it reads the system's clock for the
//! validity of attestation certificates, which are not asked for here.

mod authentication;
mod client_data;
mod decoy;
mod handle;
mod options;
mod registration;
mod relying_party;
mod response;
mod signal;
mod stored;
#[cfg(test)]
mod vectors;

pub(crate) use self::authentication::{Allowed, PendingAuthentication};
pub use self::decoy::SLOTS;
pub(crate) use self::decoy::{allow_list, placeholder};
pub use self::handle::UserHandle;
pub use self::options::{CreationOptions, RequestOptions};
pub(crate) use self::registration::{PendingRegistration, Subject};
pub use self::relying_party::RelyingParty;
pub use self::response::{AuthenticationResponse, RegistrationResponse};
pub use self::signal::Signal;
pub(crate) use self::stored::StoredPasskey;
pub use self::stored::{MAX_PASSKEYS, PasskeyId, PasskeyName, PasskeyView};
