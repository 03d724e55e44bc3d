//! One trust domain's bundle, kept fresh.

use keyward_spiffe_id::TrustDomain;
use time::{Duration, OffsetDateTime};

use super::{Anchors, Authentication, Endpoint, Error, Fetch, Profile};
use crate::bundle::{self, Bundle, Change};
use crate::jwks::Skipped;
use crate::refresh::{Due, Failure, RefreshOptions, Refresher, Ticket};
use crate::x509::X509Bundle;

/// What one end of a federation does: it fetches the bundle of a foreign trust domain, again and again, and knows the
/// latest (SPIFFE Federation §6). Trust in the other direction is a relationship of the other end.
///
/// It has to be [polled](Self::poll) about when it asks for it. It has a stored form, so that a restart resumes:
/// [`to_json`](Self::to_json) after every fetch, [`resume`](Self::resume) at start.
#[derive(Debug)]
pub struct Relationship {
    pub(super) endpoint: Endpoint,
    pub(super) bundles: Refresher<Bundle>,
    /// When the content last changed.
    pub(super) changed_at: Option<OffsetDateTime>,
    /// The highest sequence number taken since the relationship began, or an operator replaced the bundle.
    pub(super) highest: Option<u64>,
    /// The content last changed without its sequence number.
    pub(super) unannounced: bool,
    /// The sequence number that the last answer had, if that was too low.
    pub(super) rolled_back_to: Option<u64>,
}

/// Whether there is a bundle to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// None was fetched yet.
    Waiting,
    /// There is one.
    Current,
    /// There is one that is too old: nothing of the trust domain is accepted.
    Expired,
}

/// How a relationship is, for people and gauges.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status<'r> {
    /// Whether there is a bundle to verify with.
    pub state: State,
    /// The sequence number of the latest bundle.
    pub sequence: Option<u64>,
    /// The hint of the latest bundle when to come again, in seconds.
    pub refresh_hint: Option<u64>,
    /// When the latest bundle was fetched.
    pub fetched_at: Option<OffsetDateTime>,
    /// How old it is.
    pub age: Option<Duration>,
    /// When its content last changed.
    pub changed_at: Option<OffsetDateTime>,
    /// Whether a fetch is under way.
    pub fetching: bool,
    /// When there is something to do next.
    pub next_poll: OffsetDateTime,
    /// Why the last fetch failed; `None` once one succeeded.
    pub last_error: Option<&'r Failure>,
    /// The sequence number of the bundle refused by the last fetch because it is older than one taken before.
    pub rolled_back_to: Option<u64>,
    /// Whether the publisher last changed the bundle without its sequence number, see [`Change::Unannounced`] and
    /// [`Change::Unnumbered`].
    pub unannounced: bool,
    /// Whether the latest bundle has no key at all: everything is revoked.
    pub revoked: bool,
    /// The entries of the latest bundle that could not be used, and why.
    pub skipped: &'r [Skipped],
}

impl Relationship {
    /// A relationship that has no bundle yet and wants to fetch at once.
    ///
    /// # Errors
    /// [`Error::Refresh`] when they contradict themselves.
    pub fn new(endpoint: Endpoint, options: RefreshOptions, now: OffsetDateTime) -> Result<Self, Error> {
        let bundles = Refresher::new(options, now).map_err(Error::Refresh)?;
        Ok(Self { endpoint, bundles, changed_at: None, highest: None, unannounced: false, rolled_back_to: None })
    }

    /// The relationship as it is configured now. With another endpoint it begins anew: the bundle is dropped, an answer
    /// under way does not count, and a fetch is due at once. The same endpoint with another bundle to begin with is
    /// another one, which is the remedy when the other end rotated all its keys while nobody listened.
    ///
    /// # Errors
    /// [`Error::Refresh`] when they contradict themselves; then nothing changes.
    pub fn configure(&mut self, endpoint: Endpoint, options: RefreshOptions, now: OffsetDateTime) -> Result<(), Error> {
        self.bundles.set_options(options, now).map_err(Error::Refresh)?;
        if self.endpoint != endpoint {
            self.endpoint = endpoint;
            self.bundles.clear(now);
            (self.changed_at, self.highest) = (None, None);
            (self.unannounced, self.rolled_back_to) = (false, None);
        }
        Ok(())
    }

    /// Where the bundle comes from.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whose bundle it is.
    pub fn trust_domain(&self) -> &TrustDomain {
        self.endpoint.trust_domain()
    }

    /// What to do now.
    pub fn poll(&mut self, now: OffsetDateTime) -> Due<Fetch> {
        let ticket = match self.bundles.poll(now) {
            Due::Fetch(ticket) => ticket,
            Due::Wait(until) => return Due::Wait(until),
        };
        match self.authentication() {
            Some(authentication) => Due::Fetch(Fetch::new(ticket, self.endpoint.url().clone(), authentication)),
            None => {
                let reason = "the latest bundle has no X.509 authority to verify the endpoint with";
                self.bundles.failed(ticket, reason, now);
                Due::Wait(self.bundles.next_poll(now))
            }
        }
    }

    /// Whom to believe to be the endpoint; `None` when nobody can be it.
    fn authentication(&self) -> Option<Authentication> {
        let Profile::HttpsSpiffe { endpoint_id, .. } = self.endpoint.profile() else {
            return Some(Authentication::WebPki);
        };
        let anchors = if endpoint_id.is_member_of(self.trust_domain()) {
            // "The latest available bundle MUST be used to validate any subsequent connections" (§5.2.2.4): also one that
            // is too old to verify SVIDs with, or else an outage could never end.
            Anchors::Bundle(self.reference().map(Bundle::x509).filter(|x509| !x509.is_empty())?.clone())
        } else {
            Anchors::Of(endpoint_id.trust_domain().to_owned())
        };
        Some(Authentication::Spiffe { endpoint_id: endpoint_id.clone(), anchors })
    }

    /// What the next bundle has to follow.
    fn reference(&self) -> Option<&Bundle> {
        self.bundles.latest().or(self.endpoint.bootstrap())
    }

    /// The highest sequence number known. A bundle without any does not lower it.
    fn highest(&self) -> Option<u64> {
        self.highest.max(self.reference().and_then(Bundle::sequence))
    }

    /// What it would mean to take this bundle, with regard to all that were taken before.
    fn change_to(&self, bundle: &Bundle) -> Result<Change, bundle::Error> {
        let highest = self.highest();
        if let (Some(held), Some(offered)) = (highest, bundle.sequence())
            && offered < held
        {
            return Err(bundle::Error::Rollback { trust_domain: self.trust_domain().clone(), held, offered });
        }
        let change = self.reference().map_or(Ok(Change::Newer), |held| held.change_to(bundle))?;
        let lost = bundle.sequence().is_none() && highest.is_some();
        Ok(if change == Change::Newer && lost { Change::Unnumbered } else { change })
    }

    /// The fetch brought this body. Answers how the bundle changed. One without a sequence number is taken, and does not
    /// make the numbers before it forgotten.
    ///
    /// # Errors
    /// [`Error::Bundle`] when it is no bundle, or one with a lower sequence number than the highest that was taken; the
    /// latest stays, and this counts as a failed fetch. [`Error::Late`] when another fetch is awaited.
    pub fn fetched(&mut self, ticket: Ticket, body: &[u8], now: OffsetDateTime) -> Result<Change, Error> {
        let taken = Bundle::from_json(self.trust_domain().clone(), body).and_then(|bundle| {
            let change = self.change_to(&bundle)?;
            Ok((bundle, change))
        });
        match taken {
            Ok((bundle, change)) => {
                let first = self.bundles.latest().is_none();
                let hint = bundle.refresh_hint().map(seconds);
                let highest = self.highest().max(bundle.sequence());
                if !self.bundles.succeeded(ticket, bundle, hint, now) {
                    return Err(Error::Late);
                }
                (self.highest, self.rolled_back_to) = (highest, None);
                // A first bundle is one, be it the same as the one to begin with.
                let change = if first { Change::Newer } else { change };
                if change != Change::None {
                    self.changed_at = Some(now);
                    self.unannounced = matches!(change, Change::Unannounced | Change::Unnumbered);
                }
                Ok(change)
            }
            Err(error) => {
                if !self.bundles.failed(ticket, error.to_string(), now) {
                    return Err(Error::Late);
                }
                self.rolled_back_to = match &error {
                    bundle::Error::Rollback { offered, .. } => Some(*offered),
                    _ => None,
                };
                Err(Error::Bundle(error))
            }
        }
    }

    /// The fetch brought nothing: no connection, nobody that could be believed, a status other than 200. It is repeated
    /// after a whole interval, not at once (SPIFFE Federation §6.2).
    pub fn failed(&mut self, ticket: Ticket, reason: impl Into<String>, now: OffsetDateTime) {
        if self.bundles.failed(ticket, reason, now) {
            self.rolled_back_to = None;
        }
    }

    /// Takes a bundle from an operator, whatever its sequence number: it is the latest until the next fetch (SPIFFE
    /// Federation §4.2), and the numbers before it are forgotten.
    ///
    /// # Errors
    /// [`Error::Bundle`] when it belongs to another trust domain.
    pub fn replace(&mut self, bundle: Bundle, now: OffsetDateTime) -> Result<(), Error> {
        if bundle.trust_domain() != self.trust_domain() {
            let (expected, found) = (self.trust_domain().clone(), bundle.trust_domain().clone());
            return Err(Error::Bundle(bundle::Error::TrustDomain { expected, found }));
        }
        let hint = bundle.refresh_hint().map(seconds);
        (self.changed_at, self.highest) = (Some(now), bundle.sequence());
        (self.unannounced, self.rolled_back_to) = (false, None);
        self.bundles.replace(bundle, hint, now);
        Ok(())
    }

    /// An SVID came whose key the bundle does not have. Answers whether to [`poll`](Self::poll) now and verify again
    /// after that, which is so at most once per cooldown.
    pub fn on_unknown_key(&mut self, now: OffsetDateTime) -> bool {
        self.bundles.on_unknown_key(now)
    }

    /// The bundle to verify SVIDs of the trust domain with. `None` before the first fetch, and when the latest one is too
    /// old: then none is accepted.
    pub fn bundle(&self, now: OffsetDateTime) -> Option<&Bundle> {
        self.bundles.current(now)
    }

    /// The X.509 authorities that verify bundle endpoints of the trust domain, however old: what
    /// [`Anchors::Of`] asks for.
    pub fn anchors(&self) -> Option<&X509Bundle> {
        self.reference().map(Bundle::x509).filter(|x509| !x509.is_empty())
    }

    /// How it is.
    pub fn status(&self, now: OffsetDateTime) -> Status<'_> {
        let latest = self.bundles.latest();
        Status {
            state: match latest {
                None => State::Waiting,
                Some(_) if self.bundles.is_expired(now) => State::Expired,
                Some(_) => State::Current,
            },
            sequence: latest.and_then(Bundle::sequence),
            refresh_hint: latest.and_then(Bundle::refresh_hint),
            fetched_at: self.bundles.fetched_at(),
            age: self.bundles.age(now),
            changed_at: self.changed_at,
            fetching: self.bundles.is_fetching(),
            next_poll: self.bundles.next_poll(now),
            last_error: self.bundles.last_error(),
            rolled_back_to: self.rolled_back_to,
            unannounced: self.unannounced,
            revoked: latest.is_some_and(Bundle::is_empty),
            skipped: latest.map(Bundle::skipped).unwrap_or_default(),
        }
    }
}

fn seconds(hint: u64) -> Duration {
    Duration::seconds(i64::try_from(hint).unwrap_or(i64::MAX))
}
