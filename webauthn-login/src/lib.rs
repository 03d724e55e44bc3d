//! Login as a state machine without I/O: `(email, tenant)` → authenticator → method.
//!
//! A person says who they are, chooses who verifies it, and proves it: with a password, a one-time password, a recovery code, a passkey,
//! or at an OpenID provider. What has to be proved is the user's policy. This crate says what each step comes to: what to
//! show, what to store, when the login is through. The embedder loads records, takes one step with the time and a random number
//! generator, commits what comes out in one commit, and answers:
//!
//! ```
//! use keyward_webauthn_login::*;
//! # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
//! # let now = time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
//!
//! // Made once.
//! let relying_party = RelyingParty::new("example.com", "Example", &["https://login.example.com"])?;
//! let realm = Realm::new(relying_party, Secret::generate(&mut rng), LoginSettings::default())?;
//!
//! // A user, with a password whose hash was made on a pool of threads.
//! let ann = Identity::new("ann@example.com".parse()?, "b2".parse()?);
//! let mut user = UserRecord::create(ann, [].into(), Vec::new(), &mut rng, now);
//! let password = Password::new("kessel run in twelve".into());
//! user.set_password(&hash_new_password(password, &user.identity().email, realm.secret())?.run()?);
//!
//! // Step 1: somebody says who they are. The page that comes next looks the same for everybody.
//! let flow = realm.begin(Start::browser(), now)?;
//! let typed = Typed::new("Ann@Example.com", "");
//! let outcome = flow.identify(&realm, typed, &[user.clone()], now)?;
//! let Next::Continue(AnyFlow::Identified(flow)) = outcome.next else { return Err("over".into()) };
//!
//! // Steps 2 and 3: this system, and a password. Every guess is counted before it is checked.
//! let none = History::default();
//! let histories = Histories { address: none, identity: none, bucket: Bucket::Identity };
//! let (admitted, _histories) = admit(histories, now)?;
//! let password = Password::new("kessel run in twelve".into());
//! let (job, attempt) = flow.password(&realm, vec![user.clone()], password, admitted);
//! let hashed = job.run()?; // on the pool
//! let outcome = attempt.finish(&realm, hashed, &mut rng, now)?;
//!
//! // Nothing more is enforced. A passkey is offered, and not wanted today.
//! let Next::Continue(AnyFlow::Ready(flow)) = outcome.next else { return Err("more is needed".into()) };
//! let outcome = flow.finish(&realm, Some(user), &mut rng, now)?;
//! let Next::LoggedIn(logged_in) = outcome.next else { return Err("refused".into()) };
//! // Commit outcome.writes, then set a cookie to logged_in.token.
//! assert_eq!(logged_in.session.proofs(), &[Proof::Password].into());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Between two requests a login is stored with [`AnyFlow::store`] and goes on with [`CeremonyRecord::resume`].
//!
//! What it does not do: it stores nothing, reads no clock, hashes no password by itself, speaks to no provider, sends no mail and
//! draws no page. Of randomness it draws the challenges of WebAuthn alone, inside `webauthn-rs-core`, which also reads the system's
//! clock for the validity of attestation certificates; none are asked for.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod authenticator;
mod base32;
mod client;
mod error;
mod external;
mod flow;
mod form;
mod identity;
mod limits;
mod link;
mod login_url;
mod method;
mod next;
mod passkey;
mod password;
mod percent;
mod readable;
mod reason;
mod recovery;
mod remembered;
mod replica;
mod secret;
mod session;
mod settings;
#[cfg(test)]
mod testing;
mod totp;
mod user;

pub use keyward_config_values::ErrorKind;

pub use crate::authenticator::{Authenticator, Connectivity, Offered, ProviderTitle, Unavailable, offered};
pub use crate::client::{BrowserFamily, Client, Platform};
pub use crate::error::Error;
pub use crate::external::{Callback, ExchangeRequest, Provider, VerifiedClaims};
pub use crate::flow::{
    AnyFlow, AtProvider, Audience, Begun, CeremonyRecord, Choosing, EnrollingPasskey, EnrollingTotp, Exchange, Flow,
    Identified, LoggedIn, NewPasswordAttempt, Next, Outcome, PasswordAttempt, Prompt, Ready, Second, SettingPassword,
    Start, Typed, Write,
};
pub use crate::form::{check_form, check_origin, form_token};
pub use crate::identity::{Email, Identity};
pub use crate::limits::{Admitted, Bucket, Histories, History, Wait, admit};
pub use crate::link::EnrolmentLink;
pub use crate::login_url::LoginUrl;
pub use crate::method::{Has, Method, Missing, Proof, Proofs, missing};
pub use crate::next::NextPath;
pub use crate::passkey::{
    AuthenticationResponse, CreationOptions, MAX_PASSKEYS, PasskeyId, PasskeyName, PasskeyView, RegistrationResponse,
    RelyingParty, RequestOptions, SLOTS, Signal, UserHandle,
};
pub use crate::password::{HashJob, Hashed, Password, PasswordHash};
pub use crate::reason::{LOGIN_REFUSED, Reason};
pub use crate::recovery::{RECOVERY_CODES, RecoveryCodes};
pub use crate::remembered::{DeviceToken, RememberedLogin, RememberedLogins};
pub use crate::replica::Replica;
pub use crate::secret::{Key, Secret, Token};
pub use crate::session::{Fresh, SessionRecord};
pub use crate::settings::{LoginSettings, Realm};
pub use crate::totp::TotpSecret;
pub use crate::user::{Binding, UserRecord, hash_new_password};
#[cfg(feature = "config")]
pub use crate::user::{ExternalConfig, InitialPassword, UserConfig};

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
