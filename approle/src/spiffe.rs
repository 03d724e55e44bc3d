//! Logins by SVID: which SPIFFE IDs get which tokens.

mod auth;
mod login;
mod rule;

pub use auth::SpiffeAuth;
pub use login::{SPIFFE_LOGIN_REFUSED, SpiffeGrant, spiffe_login};
pub use rule::SpiffeRule;
