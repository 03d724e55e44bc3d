//! When to fetch a document again, and how long the last one serves.
//!
//! One machine without I/O for every document that is fetched again and again: bundles of other trust domains, key
//! sets of issuers. It says when to fetch, remembers the last good document, and stops serving it when it is too old.
//!
//! ```
//! use keyward_svid::refresh::{Due, RefreshOptions, Refresher};
//! use time::{Duration, OffsetDateTime};
//!
//! let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
//! let mut keys: Refresher<&str> = Refresher::new(RefreshOptions::default(), now)?;
//!
//! // Nothing is there yet, so it is due at once; while one fetch is under way there is no second one.
//! let Due::Fetch(ticket) = keys.poll(now) else { unreachable!() };
//! assert!(matches!(keys.poll(now), Due::Wait(_)));
//!
//! // The document says: come again in ten minutes.
//! keys.succeeded(ticket, "the document", Some(Duration::minutes(10)), now);
//! assert_eq!(keys.current(now), Some(&"the document"));
//! assert_eq!(keys.poll(now), Due::Wait(now + Duration::minutes(10)));
//!
//! // A day without an answer, and it is not served any more.
//! assert_eq!(keys.current(now + Duration::days(1)), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Time
//!
//! Ages and waits are measured by how far the clock went *forward* between two calls. A clock that is set back
//! therefore neither makes an old document young nor starts a storm of fetches: what was waited stays waited, and the
//! rest of it is counted from the new time on. A reading of the clock that is behind by less than a minute does not
//! count: callers come in any order.

mod options;
mod stored;

use time::{Duration, OffsetDateTime};

pub use options::{RefreshError, RefreshOptions};
pub(crate) use stored::Record;

/// Callers that read the clock at the same time come in any order, and clocks of several machines differ: a reading that
/// is behind by no more than this is one of the last time seen.
const DISORDER: Duration = Duration::MINUTE;

/// How many characters of the reason of a failure are kept.
const MAX_REASON: usize = 512;

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Due<F = Ticket> {
    /// Fetch, and tell the machine how that went.
    Fetch(F),
    /// Nothing before this time; a caller whose fetches should not all fall on one moment comes a little later.
    Wait(OffsetDateTime),
}

/// Names one fetch, so that the answer to one that was given up, or was meant for another configuration, is told apart.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "tell the machine how the fetch went"]
pub struct Ticket(u64);

/// Why the last fetch brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// When that was known.
    pub at: OffsetDateTime,
    /// The reason, for people; shortened to 512 characters.
    pub reason: String,
    /// How many fetches failed in a row, this one included.
    pub count: u32,
}

/// A document that is fetched again and again, see the [module](self).
///
/// It has to be [polled](Self::poll) about when it asks for it: that is how it sees time pass.
#[derive(Debug)]
pub struct Refresher<T> {
    options: RefreshOptions,
    steady: Steady,
    held: Option<Held<T>>,
    /// When to fetch next, on the steady time.
    due: Duration,
    flight: Option<Flight>,
    /// When the last fetch began, on the steady time.
    began: Option<Duration>,
    tickets: u64,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Held<T> {
    value: T,
    fetched_at: OffsetDateTime,
    /// The same on the steady time.
    since: Duration,
    interval: Duration,
}

#[derive(Debug)]
struct Flight {
    number: u64,
    since: Duration,
}

/// Counts how far the clock went forward.
#[derive(Debug)]
struct Steady {
    seen: OffsetDateTime,
    elapsed: Duration,
}

impl Steady {
    fn at(&self, now: OffsetDateTime) -> Duration {
        self.elapsed.saturating_add((now - self.seen).max(Duration::ZERO))
    }

    fn advance(&mut self, now: OffsetDateTime) -> Duration {
        self.elapsed = self.at(now);
        if now > self.seen || self.seen - now > DISORDER {
            self.seen = now;
        }
        self.elapsed
    }
}

impl<T> Refresher<T> {
    /// A machine that holds nothing yet and wants to fetch at once.
    ///
    /// # Errors
    /// When the options contradict themselves.
    pub fn new(options: RefreshOptions, now: OffsetDateTime) -> Result<Self, RefreshError> {
        options.validate()?;
        Ok(Self {
            options,
            steady: Steady { seen: now, elapsed: Duration::ZERO },
            held: None,
            due: Duration::ZERO,
            flight: None,
            began: None,
            tickets: 0,
            failure: None,
        })
    }

    /// The options.
    pub fn options(&self) -> &RefreshOptions {
        &self.options
    }

    /// Other options for the same document. What is held stays; the next fetch comes no later than the new options
    /// would have it.
    ///
    /// # Errors
    /// When they contradict themselves; then the old ones stay.
    pub fn set_options(&mut self, options: RefreshOptions, now: OffsetDateTime) -> Result<(), RefreshError> {
        options.validate()?;
        let at = self.steady.advance(now);
        self.options = options;
        if let Some(held) = &mut self.held {
            held.interval = self.options.interval(Some(held.interval));
        }
        self.due = self.due.min(at.saturating_add(self.wait(at)));
        Ok(())
    }

    /// What to do now. A fetch that it asks for is under way from then on, until [`succeeded`](Self::succeeded) or
    /// [`failed`](Self::failed) is told its ticket, or [`RefreshOptions::timeout`] is over, which counts as a failure.
    pub fn poll(&mut self, now: OffsetDateTime) -> Due {
        let at = self.steady.advance(now);
        self.give_up(at, now);
        if self.flight.is_none() && at >= self.due {
            self.tickets += 1;
            self.flight = Some(Flight { number: self.tickets, since: at });
            self.began = Some(at);
            return Due::Fetch(Ticket(self.tickets));
        }
        Due::Wait(self.next_poll(now))
    }

    /// When [`poll`](Self::poll) will next have something to say.
    pub fn next_poll(&self, now: OffsetDateTime) -> OffsetDateTime {
        let next = match &self.flight {
            Some(flight) => flight.since.saturating_add(self.options.timeout),
            None => self.due,
        };
        now.saturating_add((next - self.steady.at(now)).max(Duration::ZERO))
    }

    /// The fetch brought this document, which asks to be fetched again after `hint`. Answers whether it was taken:
    /// the answer to a fetch that was given up is not, nor what was fetched before the machine was
    /// [cleared](Self::clear).
    pub fn succeeded(&mut self, ticket: Ticket, value: T, hint: Option<Duration>, now: OffsetDateTime) -> bool {
        let at = self.steady.advance(now);
        if !self.land(&ticket) {
            return false;
        }
        self.hold(value, hint, at, now);
        true
    }

    /// The fetch brought nothing usable. The next one comes after a whole interval (SPIFFE Federation §6.2), or after
    /// [`RefreshOptions::min_interval`] while there is nothing to serve. Answers whether that was noted, as
    /// [`succeeded`](Self::succeeded).
    pub fn failed(&mut self, ticket: Ticket, reason: impl Into<String>, now: OffsetDateTime) -> bool {
        let at = self.steady.advance(now);
        if !self.land(&ticket) {
            return false;
        }
        self.note(reason.into(), at, now);
        true
    }

    /// Takes a document that came by another way, such as from an operator. A fetch under way is given up.
    pub fn replace(&mut self, value: T, hint: Option<Duration>, now: OffsetDateTime) {
        let at = self.steady.advance(now);
        self.flight = None;
        self.hold(value, hint, at, now);
    }

    /// Forgets the document and every failure, gives up a fetch under way, and wants to fetch at once: for when it
    /// comes from elsewhere from now on.
    pub fn clear(&mut self, now: OffsetDateTime) {
        self.due = self.steady.advance(now);
        self.held = None;
        self.flight = None;
        self.began = None;
        self.failure = None;
    }

    /// Somebody showed a key that the document does not have: perhaps it is new. Answers whether to
    /// [`poll`](Self::poll) now, which is so at most once per [`RefreshOptions::cooldown`], counted from the last
    /// fetch of any kind, and never while one is under way.
    pub fn on_unknown_key(&mut self, now: OffsetDateTime) -> bool {
        let at = self.steady.advance(now);
        self.give_up(at, now);
        let cooled = self.began.is_none_or(|began| at - began >= self.options.cooldown);
        if self.flight.is_some() || !cooled {
            return false;
        }
        self.due = self.due.min(at);
        true
    }

    /// The document, unless it is too old to be served: fail closed.
    pub fn current(&self, now: OffsetDateTime) -> Option<&T> {
        self.latest().filter(|_| !self.is_expired(now))
    }

    /// The document, however old.
    pub fn latest(&self) -> Option<&T> {
        self.held.as_ref().map(|held| &held.value)
    }

    /// Whether there is a document that is too old to be served.
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.age(now).is_some_and(|age| age >= self.options.max_age)
    }

    /// How old the document is: how far the clock went forward since it was fetched.
    pub fn age(&self, now: OffsetDateTime) -> Option<Duration> {
        self.held.as_ref().map(|held| self.steady.at(now) - held.since)
    }

    /// What the clock showed when it was fetched.
    pub fn fetched_at(&self) -> Option<OffsetDateTime> {
        self.held.as_ref().map(|held| held.fetched_at)
    }

    /// Why the last fetch failed; `None` once one succeeded.
    pub fn last_error(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether a fetch is under way.
    pub fn is_fetching(&self) -> bool {
        self.flight.is_some()
    }

    /// Ends the flight that the ticket names.
    fn land(&mut self, ticket: &Ticket) -> bool {
        self.flight.take_if(|flight| flight.number == ticket.0).is_some()
    }

    /// A fetch that nobody answered for counts as failed.
    fn give_up(&mut self, at: Duration, now: OffsetDateTime) {
        let timeout = self.options.timeout;
        if self.flight.take_if(|flight| at - flight.since >= timeout).is_some() {
            self.note(format!("no answer within {} seconds", timeout.whole_seconds()), at, now);
        }
    }

    fn hold(&mut self, value: T, hint: Option<Duration>, at: Duration, now: OffsetDateTime) {
        let interval = self.options.interval(hint);
        self.held = Some(Held { value, fetched_at: now, since: at, interval });
        self.due = at.saturating_add(interval);
        self.failure = None;
    }

    fn note(&mut self, reason: String, at: Duration, now: OffsetDateTime) {
        let count = self.failure.as_ref().map_or(0, |failure| failure.count).saturating_add(1);
        let reason = reason.chars().take(MAX_REASON).collect();
        self.failure = Some(Failure { at: now, reason, count });
        self.due = at.saturating_add(self.wait(at));
    }

    /// How long to wait for the next fetch.
    fn wait(&self, at: Duration) -> Duration {
        match &self.held {
            Some(held) if at - held.since < self.options.max_age => held.interval,
            _ => self.options.min_interval,
        }
    }
}

#[cfg(test)]
mod tests;
