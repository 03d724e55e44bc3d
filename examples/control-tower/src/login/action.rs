//! What a person, or a program for one, does where a login stands.

use keyward_config_values::Name;
use keyward_webauthn_login::{AuthenticationResponse, Callback, Method, PasskeyName, RegistrationResponse};
use zeroize::Zeroizing;

/// What a person, or a program for one, does where a login stands.
pub enum Action {
    /// Says who they are.
    Identify {
        /// As it was typed.
        email: String,
        /// As it was typed; empty where none was.
        tenant: String,
    },
    /// A password, to prove or to set it.
    Password(Zeroizing<String>),
    /// A passkey that was used.
    Passkey(Box<AuthenticationResponse>),
    /// A one-time password, to prove it or to confirm a new application.
    Code(Zeroizing<String>),
    /// A recovery code in its place.
    RecoveryCode(Zeroizing<String>),
    /// Which tenant.
    Choose(Name),
    /// Which provider.
    External(Name),
    /// What a provider sent the browser back with.
    Callback {
        /// The address that it came to, without the query.
        at: String,
        /// The query.
        callback: Callback,
    },
    /// What is to be set up, of what is offered.
    SetUp(Method),
    /// A passkey that was made.
    Register(Box<RegistrationResponse>, PasskeyName),
    /// Goes on without.
    Skip,
    /// Sets nothing up.
    Finish,
}
