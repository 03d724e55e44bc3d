//! The token that a login of a program gives.

use keyward_approle::{Token, TokenParameters, TokenRecord};
use keyward_config_values::Name;
use time::OffsetDateTime;

use crate::{app::App, random, user::User};

/// A token that a login gave.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub token: Token,
    /// Its record, which is stored.
    pub record: TokenRecord,
    /// When.
    pub now: OffsetDateTime,
}

/// A token for a user who logged in.
pub fn grant(app: &App, tenant: &Name, user: &User, now: OffsetDateTime) -> Granted {
    let now = user.dated(app.dated(now));
    let record = user.record();
    let policies = record.policies().to_vec();
    let parameters = TokenParameters::for_user(tenant.clone(), record.identity().email.to_string(), policies);
    let (token, record) = TokenRecord::issue(parameters, &app.limits, &app.pepper, &mut random::rng(), now);
    Granted { token, record, now }
}
