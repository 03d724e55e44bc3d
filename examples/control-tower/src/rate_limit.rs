//! How much each client may ask for, decided without a clock: from what is remembered of it and the time.
//!
//! What costs the tower is counted where it comes from: an address (of IPv6 the /64 that a site has, RFC 4291 §2.5.4), a token, an
//! identity that is logged in as. Three rules keep one client from shutting out another:
//!
//! - Failed logins count, successful ones hardly do. A credential that was good a while ago is never held up by failures of others, even
//!   from the same address.
//! - An identity whose logins fail everywhere is held up only where they have just failed: somebody who begins elsewhere is let
//!   in at once.
//! - Nobody waits longer than a full allowance takes to come back, however much was tried before.
//!
//! The memory is of a fixed size; see [`Table`]. It is the process's own: nothing of it is stored.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::network::Network;

mod bucket;
mod limits;
mod table;

pub use self::{
    bucket::{Bucket, Rate, Verdict},
    limits::{Limits, LimitsError, RateLimit},
    table::{Key, Table},
};

/// Rows of each table: 65,536 clients, 1 MiB.
const ROWS: usize = 8192;

/// A successful login costs one point, a failed one so many.
const FAILURE: u32 = 1000;
/// A token that does not count costs so many requests.
const BAD_TOKEN: u32 = 10;

/// Failures of one identity from one address …
const PAIR: Rate = Rate::fixed(5, 100);
/// … and from everywhere: beyond that an address that has just failed waits until that is forgiven.
const IDENTITY: Rate = Rate::fixed(5, 200);
/// A credential that was good is remembered so many seconds.
const DAY: u32 = 86_400;
const MEMORY: Rate = Rate::fixed(1, DAY);
/// One record a minute for each address, and no more than this for all.
const REPORT_EVERY: u32 = 60;
const REPORTS: Rate = Rate::fixed(1, 60);

/// Somebody who wants to log in.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    address: Key,
    identity: Key,
    pair: Key,
    /// What was good if this login succeeds; whether whoever has it is let in whatever else failed.
    good: Key,
    decisive: bool,
}

/// Who asks for something: an address, and the token that was presented, if any.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    address: Key,
    token: Option<Key>,
}

/// What is remembered.
struct State {
    logins: Table,
    pairs: Table,
    identities: Table,
    good: Table,
    requests: Table,
    tokens: Table,
    reports: Table,
    all_reports: Bucket,
}

/// The limits, and what every client has used up of them.
pub struct Limiter {
    limits: Option<Limits>,
    hash: RandomState,
    state: Mutex<State>,
}

impl Limiter {
    /// With nothing remembered. `hash` is the secret that keeps clients from choosing whose memory they share.
    #[must_use]
    pub fn new(limit: RateLimit, hash: RandomState) -> Self {
        let limits = limit.limits();
        let rows = if limits.is_some() { ROWS } else { 1 };
        let table = || Table::new(rows);
        let state = State {
            logins: table(),
            pairs: table(),
            identities: table(),
            good: table(),
            requests: table(),
            tokens: table(),
            reports: table(),
            all_reports: Bucket::default(),
        };
        Self { limits, hash, state: Mutex::new(state) }
    }

    /// Whether nothing is limited.
    pub fn is_off(&self) -> bool {
        self.limits.is_none()
    }

    /// A login as `identity` with a credential that nobody guesses, known by its hash.
    pub fn login(&self, from: IpAddr, identity: impl Hash, credential: impl Hash) -> Login {
        let good = self.hash.hash_one(("credential", credential));
        Login { good, decisive: true, ..self.login_by_password(from, identity) }
    }

    /// A login as `identity` with a password: what people choose is not remembered, not even as a hash, but where it was good.
    pub fn login_by_password(&self, from: IpAddr, identity: impl Hash) -> Login {
        let (address, identity) = (self.address(from), self.hash.hash_one(("identity", identity)));
        let pair = self.hash.hash_one(("pair", address, identity));
        Login { address, identity, pair, good: pair, decisive: false }
    }

    /// Whether a login may be tried.
    pub fn decide_login(&self, login: &Login, now: Duration) -> Verdict {
        let Some(limits) = self.limits else { return Verdict::Allowed };
        let state = self.state();
        let is_good = state.good.knows(login.good, now);
        if is_good && login.decisive {
            return Verdict::Allowed;
        }
        let address = state.logins.get(login.address).decide(limits.login_points(), FAILURE, now);
        if let (Verdict::Refused(_), false) = (address, is_good) {
            return address;
        }
        let pair = state.pairs.get(login.pair);
        if let refused @ Verdict::Refused(_) = pair.decide(PAIR, 1, now) {
            return refused;
        }
        match state.identities.get(login.identity).decide(IDENTITY, 1, now) {
            Verdict::Refused(_) if !is_good => pair.decide(PAIR, PAIR.burst(), now),
            _ => Verdict::Allowed,
        }
    }

    /// Takes down how a login ended.
    pub fn note_login(&self, login: &Login, granted: bool, now: Duration) {
        let Some(limits) = self.limits else { return };
        let mut state = self.state();
        let points = if granted { 1 } else { FAILURE };
        state.logins.charge(login.address, limits.login_points(), points, now);
        if granted {
            state.good.charge(login.good, MEMORY, DAY, now);
        } else {
            state.pairs.charge(login.pair, PAIR, 1, now);
            state.identities.charge(login.identity, IDENTITY, 1, now);
            // Of a password that is mistyped it is the address that was good.
            if login.decisive {
                state.good.forget(login.good);
            }
        }
    }

    /// Somebody who asks for something.
    pub fn client(&self, from: IpAddr, token: Option<&str>) -> Client {
        Client { address: self.address(from), token: token.map(|token| self.hash.hash_one(("token", token))) }
    }

    /// Whether a request may go on, which counts it. A token that was good has an allowance of its own; everything else is its
    /// address's.
    pub fn request(&self, client: &Client, now: Duration) -> Verdict {
        let Some(limits) = self.limits else { return Verdict::Allowed };
        let mut state = self.state();
        let known = client.token.filter(|token| state.good.knows(*token, now));
        let (table, key, rate) = match known {
            Some(token) => (&mut state.tokens, token, limits.tokens),
            None => (&mut state.requests, client.address, limits.requests),
        };
        let verdict = table.get(key).decide(rate, 1, now);
        if verdict == Verdict::Allowed {
            table.charge(key, rate, 1, now);
        }
        verdict
    }

    /// Takes down whether the token of a request counted.
    pub fn note_token(&self, client: &Client, good: bool, now: Duration) {
        let (Some(limits), Some(token)) = (self.limits, client.token) else { return };
        let mut state = self.state();
        if good {
            state.good.charge(token, MEMORY, DAY, now);
        } else {
            state.good.forget(token);
            state.requests.charge(client.address, limits.requests, BAD_TOKEN - 1, now);
        }
    }

    /// Whether that an address is refused for this is worth a record: once in a while for each, and not too often for all together.
    pub fn is_reported(&self, from: IpAddr, what: &str, now: Duration) -> bool {
        let (mut state, key) = (self.state(), self.hash.hash_one(("report", self.address(from), what)));
        let each = Rate::fixed(1, REPORT_EVERY);
        let due = state.reports.get(key).decide(each, REPORT_EVERY, now) == Verdict::Allowed
            && state.all_reports.decide(REPORTS, 1, now) == Verdict::Allowed;
        if due {
            state.reports.charge(key, each, REPORT_EVERY, now);
            state.all_reports = state.all_reports.charge(REPORTS, 1, now);
        }
        due
    }

    fn address(&self, from: IpAddr) -> Key {
        self.hash.hash_one(("address", Network::from(from)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn limiter(text: &str) -> Limiter {
        Limiter::new(text.parse().unwrap(), RandomState::new())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of so many attempts in a row may be tried, all of them failing.
    fn failing(limiter: &Limiter, login: &Login, attempts: usize, now: Duration) -> usize {
        let attempt = |_: &usize| {
            let allowed = limiter.decide_login(login, now) == Verdict::Allowed;
            if allowed {
                limiter.note_login(login, false, now);
            }
            allowed
        };
        (0..attempts).filter(attempt).count()
    }

    #[test]
    fn successes_are_not_held_up() {
        let limiter = limiter("");
        for n in 0..100_000 {
            let login = limiter.login(ip("192.0.2.1"), "role", n);
            assert_eq!(limiter.decide_login(&login, NOW), Verdict::Allowed, "{n}");
            limiter.note_login(&login, true, NOW);
        }
    }

    #[test]
    fn failures_are_by_address_and_by_identity() {
        let limiter = limiter("failed-logins=2/s:150");
        let guess = |from: &str, identity: &str, secret: u32| limiter.login(ip(from), identity, secret);
        assert_eq!(failing(&limiter, &guess("192.0.2.1", "a", 1), 1000, NOW), 100, "one identity");
        assert_eq!(failing(&limiter, &guess("192.0.2.1", "b", 1), 1000, NOW), 50, "one address");
        let wait = Verdict::Refused(Duration::from_millis(500));
        assert_eq!(limiter.decide_login(&guess("192.0.2.1", "c", 1), NOW), wait);
        assert_eq!(failing(&limiter, &guess("192.0.2.1", "c", 1), 1000, NOW + Duration::from_secs(3)), 6);
        // Another address, another /64.
        assert_eq!(limiter.decide_login(&guess("192.0.2.2", "c", 1), NOW), Verdict::Allowed);
        failing(&limiter, &guess("2001:db8::1", "d", 1), 1000, NOW);
        failing(&limiter, &guess("2001:db8::2", "e", 1), 1000, NOW);
        assert!(matches!(limiter.decide_login(&guess("2001:db8::3", "f", 1), NOW), Verdict::Refused(_)));
        assert_eq!(limiter.decide_login(&guess("2001:db8:0:1::1", "f", 1), NOW), Verdict::Allowed);
        assert_eq!(
            limiter.decide_login(&guess("::ffff:192.0.2.1", "c", 2), NOW),
            wait,
            "an IPv4 address in another form"
        );
    }

    #[test]
    fn nobody_shuts_out_another() {
        let limiter = limiter("failed-logins=1/s:150");
        let owner = limiter.login(ip("192.0.2.1"), "role", "secret");
        limiter.note_login(&owner, true, NOW);
        // Whoever guesses from the same address does not hold up a credential that was good.
        failing(&limiter, &limiter.login(ip("192.0.2.1"), "role", "guess"), 1000, NOW);
        failing(&limiter, &limiter.login(ip("192.0.2.1"), "x", "guess"), 1000, NOW);
        assert!(matches!(limiter.decide_login(&limiter.login(ip("192.0.2.1"), "y", "z"), NOW), Verdict::Refused(_)));
        assert_eq!(limiter.decide_login(&owner, NOW), Verdict::Allowed);
        // Guesses from a great many addresses: where none has just failed there is no wait.
        for n in 0..50_000_u32 {
            let from = IpAddr::V4((0x0a00_0000 + n).into());
            failing(&limiter, &limiter.login(from, "role", n), 3, NOW);
        }
        assert_eq!(failing(&limiter, &limiter.login(ip("10.0.195.79"), "role", 7), 100, NOW), 0);
        assert_eq!(limiter.decide_login(&limiter.login(ip("198.51.100.1"), "role", "new"), NOW), Verdict::Allowed);
        assert_eq!(limiter.decide_login(&limiter.login_by_password(ip("198.51.100.1"), "role"), NOW), Verdict::Allowed);
        // And where one has failed, a short one.
        let again = limiter.login(ip("198.51.100.1"), "role", "typo");
        limiter.note_login(&again, false, NOW);
        let Verdict::Refused(wait) = limiter.decide_login(&again, NOW) else { panic!("it should wait") };
        assert!(wait <= Duration::from_millis(200), "{wait:?}");
    }

    #[test]
    fn a_password_that_was_good_frees_from_the_address_and_not_from_guessing() {
        let limiter = limiter("failed-logins=1/s:150");
        let admin = limiter.login_by_password(ip("192.0.2.1"), "admin");
        limiter.note_login(&admin, true, NOW);
        for other in ["x", "y", "z"] {
            failing(&limiter, &limiter.login_by_password(ip("192.0.2.1"), other), 1000, NOW);
        }
        assert_eq!(failing(&limiter, &admin, 1000, NOW), 100);
        let Verdict::Refused(wait) = limiter.decide_login(&admin, NOW) else { panic!("it should wait") };
        assert!(wait <= Duration::from_millis(200), "{wait:?}");
    }

    #[test]
    fn tokens_that_were_good_have_an_allowance_of_their_own() {
        let limiter = limiter("requests=1/s:30,tokens=1/s:5");
        let (stranger, bad) = (limiter.client(ip("192.0.2.1"), None), limiter.client(ip("192.0.2.1"), Some("bad")));
        let good = limiter.client(ip("192.0.2.1"), Some("good"));
        assert_eq!(limiter.request(&good, NOW), Verdict::Allowed);
        limiter.note_token(&good, true, NOW);
        let mut tried = 0;
        while limiter.request(&bad, NOW) == Verdict::Allowed {
            limiter.note_token(&bad, false, NOW);
            tried += 1;
        }
        assert_eq!(tried, 3);
        assert!(matches!(limiter.request(&stranger, NOW), Verdict::Refused(_)));
        let allowed = (0..100).filter(|_| limiter.request(&good, NOW) == Verdict::Allowed).count();
        assert_eq!(allowed, 5);
        assert_eq!(limiter.request(&limiter.client(ip("192.0.2.2"), None), NOW), Verdict::Allowed);
    }

    #[test]
    fn what_was_good_and_is_no_longer_is_like_any_other() {
        let limiter = limiter("failed-logins=1/s:150,requests=1/s:30,tokens=1000/s:1000");
        let revoked = limiter.login(ip("192.0.2.1"), "role", "secret");
        limiter.note_login(&revoked, true, NOW);
        assert_eq!(failing(&limiter, &revoked, 1000, NOW), 100);
        let ended = limiter.client(ip("192.0.2.2"), Some("token"));
        limiter.note_token(&ended, true, NOW);
        let mut tried = 0;
        while limiter.request(&ended, NOW) == Verdict::Allowed {
            limiter.note_token(&ended, false, NOW);
            tried += 1;
        }
        assert_eq!(tried, 4);
    }

    #[test]
    fn refusals_are_recorded_once_a_minute_and_never_too_many() {
        let limiter = limiter("");
        let from = |n: u32| IpAddr::V4((0x0a00_0000 + n).into());
        assert!(limiter.is_reported(from(0), "a", NOW));
        assert!(!limiter.is_reported(from(0), "a", NOW + Duration::from_secs(59)));
        assert!(limiter.is_reported(from(0), "b", NOW + Duration::from_secs(59)), "something else");
        assert!(limiter.is_reported(from(0), "a", NOW + Duration::from_secs(61)));
        let later = NOW + Duration::from_secs(1000);
        assert_eq!((0..100_000).filter(|n| limiter.is_reported(from(*n), "a", later)).count(), 60);
    }

    #[test]
    fn switched_off_it_refuses_nothing() {
        let limiter = limiter("off");
        let login = limiter.login_by_password(ip("192.0.2.1"), "admin");
        assert_eq!(failing(&limiter, &login, 10_000, NOW), 10_000);
    }
}
