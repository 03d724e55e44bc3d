//! Steps with a provider elsewhere.

use rand_core::CryptoRng;
use time::{Duration, OffsetDateTime};

use super::advance::advance;
use super::begin::Audience;
use super::outcome::{Next, Outcome};
use super::states::{AtProvider, Flow, Identified};
use crate::external::{Callback, ExchangeRequest, PendingExternal, Provider, VerifiedClaims};
use crate::method::Proof;
use crate::secret::same;
use crate::user::UserRecord;
use crate::{Authenticator, Error, Realm, Reason, Unavailable};

impl Flow<Identified> {
    /// Step 2: a provider is chosen. `unavailable` is what [`crate::offered`] said of it. The browser is sent to the address of the
    /// prompt.
    pub fn external(
        mut self,
        provider: Provider,
        unavailable: Option<Unavailable>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Outcome {
        if self.is_expired(now) {
            return self.over(Reason::Expired);
        }
        if unavailable.is_some() {
            return self.again(Reason::Unavailable);
        }
        if self.common.audience == Audience::Client {
            return self.over(Reason::NotOffered);
        }
        let writes = self.common.end();
        let state = AtProvider { email: self.state.email.clone(), pending: PendingExternal::begin(provider, rng) };
        Outcome::new(Next::Continue(self.to(state).into()), writes)
    }
}

/// A login whose provider sent the browser back, while the code is exchanged and the ID token verified.
#[must_use = "the provider's answer was taken"]
pub struct Exchange {
    flow: Flow<AtProvider>,
}

impl Flow<AtProvider> {
    /// The browser came back to the address `at`, without its query. Exchange the code with what comes out, verify the ID token (its
    /// signature by the provider's keys, its audience, its times), then [`Exchange::verified`].
    ///
    /// # Errors
    ///
    /// The outcome that ends the login: the answer is of another login, of another provider (RFC 9207), or a refusal.
    pub fn callback(
        self,
        callback: &Callback,
        at: &str,
        now: OffsetDateTime,
    ) -> Result<(String, ExchangeRequest, Exchange), Box<Outcome>> {
        if self.is_expired(now) {
            return Err(Box::new(self.over(Reason::Expired)));
        }
        if !same(&callback.state, &self.state.pending.state) {
            return Err(Box::new(self.over(Reason::MixUp)));
        }
        // RFC 9207 §2.4: compared exactly, and missed where the provider says it sends it.
        let provider = &self.state.pending.provider;
        let mixed_up = match &callback.iss {
            Some(issuer) => issuer != provider.issuer(),
            None => provider.names_issuer,
        };
        // RFC 9700 §4.4.2.2: one that says nothing is known by where it sent the browser.
        if mixed_up || at != provider.redirect_uri() {
            return Err(Box::new(self.over(Reason::MixUp)));
        }
        let Some(code) = callback.code.clone().filter(|_| callback.error.is_none()) else {
            return Err(Box::new(self.over(Reason::Declined)));
        };
        let request = self.state.pending.clone().into_request();
        Ok((code, request, Exchange { flow: self }))
    }
}

/// What clocks may differ by.
const LEEWAY: Duration = Duration::MINUTE;

/// Whether the provider has asked since the login inside the session began. A provider that was told to and does not say so has not
/// (OpenID Connect Core §3.1.2.1: where `max_age` is asked for, `auth_time` has to be there).
fn is_recent(asked: Option<OffsetDateTime>, began: OffsetDateTime, now: OffsetDateTime) -> bool {
    asked.is_some_and(|asked| began <= asked.saturating_add(LEEWAY) && asked <= now.saturating_add(LEEWAY))
}

impl Exchange {
    /// Decides, with the claims of the verified ID token. `user` is the one with a binding to issuer and subject in the tenant of the
    /// login; a user who is only known by the same email address is not the one.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`].
    pub fn verified(
        self,
        realm: &Realm,
        claims: &VerifiedClaims,
        user: Option<UserRecord>,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Outcome, Error> {
        let mut flow = self.flow;
        if flow.is_expired(now) {
            return Ok(flow.over(Reason::Expired));
        }
        let provider = &flow.state.pending.provider;
        if !same(&claims.nonce, &flow.state.pending.nonce) || claims.issuer != provider.issuer() {
            return Ok(flow.over(Reason::MixUp));
        }
        if flow.common.step_up.is_some() && !is_recent(claims.auth_time, flow.began(realm), now) {
            return Ok(flow.over(Reason::NotAsked));
        }
        let bound = |user: &UserRecord| {
            user.bindings().iter().any(|binding| {
                binding.provider == *provider.name()
                    && binding.issuer == claims.issuer
                    && binding.subject == claims.subject
            })
        };
        let Some(user) = user.filter(bound) else {
            return Ok(flow.over(Reason::NotBound));
        };
        let identity = user.identity().clone();
        // Whoever was named is who comes back. The tenant is asked for all methods alike.
        if flow.state.email.as_ref().is_some_and(|email| *email != identity.email) {
            return Ok(flow.over(Reason::CrossTenant).about(&identity));
        }
        flow.common.authenticator = Authenticator::External(provider.name().clone());
        flow.common.asked = claims.auth_time;
        let writes = flow.common.end();
        let mut outcome = advance(realm, flow.common, user, [Proof::External].into(), rng, now)?;
        outcome.prepend(writes);
        Ok(outcome)
    }
}
