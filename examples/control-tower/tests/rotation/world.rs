//! A world around towers: a workload that logs in, verifiers with copies of the key set, and a clock that one hand moves.
//!
//! Two times are told apart. *True* time passes; by it copies of the key set grow old. The *clock* is what towers and
//! verifiers read; it is the true time until a test makes it jump.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use control_tower::{
    clock::Clock,
    identity,
    store::{SharedStore, Sqlite},
    tasks,
};
use keyward_svid::{JwkSet, JwtBundle, KeyUse, UnverifiedJwtSvid, Verifier, VerifyOptions};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::task::{JoinSet, yield_now};

use crate::{
    flaky::Flaky,
    support::{START, Tower, WALK},
};

const AUDIENCE: &str = "sts.amazonaws.com";
/// How old a copy of the key set may be: just under 23 hours.
const OLDEST_COPY: Duration = Duration::hours(23).saturating_sub(Duration::SECOND);
/// How old the copies of the one verifier are that keeps them too long; it shows that the others would notice.
const TOO_OLD: Duration = Duration::hours(25);
/// Verifiers that renew their copies, each at another time of the day.
const VERIFIERS: i32 = 4;
/// Every so many verifications another library verifies as well.
const SAMPLE: u64 = 50;

/// The whole of a long test, rather than a part of it: `KEYWARD_FULL=1`.
#[allow(clippy::disallowed_methods, reason = "a test reads its own switch")]
pub(crate) fn full() -> bool {
    std::env::var("KEYWARD_FULL").is_ok_and(|value| value == "1")
}

/// The walk's configuration with keys that are quick to make.
pub(crate) fn quick() -> String {
    WALK.replace("cipher: rsa-2048", "cipher: ecdsa-p256")
}

/// Where the towers keep their records.
enum Storage {
    Memory(SharedStore),
    /// A file, opened anew by each generation of towers.
    File(PathBuf),
}

/// A copy of the key set in the hands of a verifier.
struct Copy {
    bundle: JwtBundle,
    json: Vec<u8>,
    kids: Vec<String>,
    /// In true time.
    fetched: OffsetDateTime,
    /// In true time; then it is renewed, or thrown away.
    until: OffsetDateTime,
    holder: Holder,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// Renews its copy when it is just under 23 hours old.
    Regular,
    /// Fetched at the worst moment and keeps it for as long.
    Passing,
    /// Keeps copies for longer than anybody may.
    Careless,
}

struct Token {
    text: String,
    kid: String,
    expires: OffsetDateTime,
}

/// What happened.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) tokens: u64,
    pub(crate) verifications: u64,
    /// Of these by another library.
    pub(crate) foreign: u64,
    pub(crate) expired: u64,
    pub(crate) fetches: u64,
    pub(crate) restarts: u64,
    /// Runs of the tasks that were cut off in the middle.
    pub(crate) cut_off: u64,
    /// Of verifiers that keep to the rules.
    pub(crate) failures: Vec<String>,
    /// Of the one that does not.
    pub(crate) careless_failures: u64,
}

pub(crate) struct World {
    pub(crate) towers: Vec<Arc<Tower>>,
    pub(crate) clock: Clock,
    pub(crate) figures: Figures,
    /// Whether the towers do what is due by itself.
    pub(crate) awake: bool,
    /// Whether towers are restarted and their tasks cut off at random.
    pub(crate) unrest: bool,
    tasks_may_fail: bool,
    /// The store, where it lets others go first.
    pub(crate) polite: Option<Arc<Flaky>>,
    /// The keys that may sign.
    pub(crate) rings: Vec<&'static str>,
    /// The most keys that a key set may have.
    pub(crate) most_keys: usize,
    /// Every key ID that signed, in the order of its first token.
    pub(crate) signers: Vec<String>,
    /// How the clock differs from true time.
    jumped: Duration,
    seed: u64,
    rng: StdRng,
    storage: Storage,
    directory: Arc<tempfile::TempDir>,
    generations: usize,
    administrator: (String, String),
    operator: Option<(String, OffsetDateTime)>,
    tenant: String,
    workload: (String, String),
    every: Duration,
    /// In true time.
    next_login: OffsetDateTime,
    copies: Vec<Copy>,
    tokens: Vec<Token>,
    verifier: Verifier,
}

impl World {
    /// Towers that share a store in memory, configured; a workload logs in every so often.
    pub(crate) async fn with_towers(count: usize, yaml: &str, every: Duration) -> Self {
        let store = Arc::new(Flaky::polite(1));
        let mut world = Self::start(Storage::Memory(store.clone()), count, yaml, every, 1).await;
        world.polite = Some(store);
        world
    }

    /// Towers over a store of the test's own, whose key rings may be hard to change.
    pub(crate) async fn over(store: SharedStore, count: usize, yaml: &str, every: Duration, seed: u64) -> Self {
        let mut world = Self::start(Storage::Memory(store), count, yaml, every, seed).await;
        world.tasks_may_fail = true;
        world
    }

    /// One tower over a database file, so that it can be restarted.
    pub(crate) async fn on_disk(yaml: &str, every: Duration, seed: u64) -> Self {
        Self::start(Storage::File("keyward.db".into()), 1, yaml, every, seed).await
    }

    async fn start(storage: Storage, count: usize, yaml: &str, every: Duration, seed: u64) -> Self {
        let clock = Clock::fixed(START);
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let towers = open(&storage, count, &clock, &directory).await;
        let first = &towers[0];
        let credentials = first.credentials.as_ref().unwrap();
        let administrator = (credentials.username.clone(), credentials.password.as_str().to_owned());
        let admin = first.administrator().await;
        first.bulk(&admin, yaml).await.ok();
        let workload = first.secret(&admin, "payments", json!({})).await;
        let mut world = Self {
            tenant: first.tenant(),
            towers,
            clock,
            figures: Figures::default(),
            awake: true,
            unrest: false,
            tasks_may_fail: false,
            polite: None,
            rings: vec!["spiffe-jwt"],
            most_keys: 2,
            signers: Vec::new(),
            jumped: Duration::ZERO,
            seed,
            rng: StdRng::seed_from_u64(seed),
            storage,
            directory,
            generations: 1,
            administrator,
            operator: None,
            workload,
            every,
            next_login: START,
            copies: Vec::new(),
            tokens: Vec::new(),
            verifier: Verifier::new([AUDIENCE], VerifyOptions::default()).unwrap(),
        };
        for nth in 0..VERIFIERS {
            // Each has had its copy for another part of its life.
            let until = START + OLDEST_COPY * (nth + 1) / VERIFIERS;
            world.fetch(until, Holder::Regular).await;
        }
        world.fetch(START + TOO_OLD, Holder::Careless).await;
        world
    }

    /// Lives through so much time.
    pub(crate) async fn live(&mut self, time: Duration) {
        let end = self.true_now() + time;
        if self.next_login <= self.true_now() {
            self.moment().await;
        }
        while self.true_now() < end {
            let next = self.next_event().await.map_or(end, |next| next.min(end));
            assert!(self.clock.advance(next - self.true_now()));
            self.moment().await;
        }
    }

    /// So much time passes in which nothing happens: all computers were off.
    pub(crate) fn sleep(&mut self, time: Duration) {
        assert!(self.clock.advance(time));
        self.next_login = self.true_now();
    }

    /// The clock jumps, for everybody.
    pub(crate) fn jump(&mut self, by: Duration) {
        assert!(self.clock.advance(by));
        self.jumped += by;
    }

    /// Every tower is dropped and opened anew.
    pub(crate) async fn restart(&mut self) {
        let count = self.towers.len();
        let store = Arc::downgrade(self.towers[0].app.db.store());
        let apps: Vec<_> = self.towers.drain(..).map(|tower| Arc::downgrade(&tower.app)).collect();
        assert!(apps.iter().all(|app| app.strong_count() == 0), "nothing else holds a tower");
        if let Storage::File(_) = self.storage {
            // A commit that was begun is ended, though nobody waits for it.
            while store.strong_count() > 0 {
                yield_now().await;
            }
        }
        self.towers = open(&self.storage, count, &self.clock, &self.directory).await;
        self.generations += 1;
        self.figures.restarts += 1;
    }

    /// Runs the tasks of every tower: at the same time, or those of the others while the first is about to commit.
    pub(crate) async fn run_tasks(&mut self) {
        let apps: Vec<_> = self.towers.iter().map(|tower| Arc::clone(&tower.app)).collect();
        if let [first, others @ ..] = apps.as_slice()
            && !others.is_empty()
            && let Some(store) = &self.polite
            && self.rng.random_bool(0.5)
        {
            let mut run = Box::pin(tasks::run_due(first));
            let begun = store.begun.load(Ordering::SeqCst);
            let mut ended = false;
            while !ended && store.begun.load(Ordering::SeqCst) == begun {
                ended = tokio::select! {
                    biased;
                    () = &mut run => true,
                    () = yield_now() => false,
                };
            }
            for other in others {
                tasks::run_due(other).await;
            }
            if !ended {
                run.await;
            }
        } else {
            let mut runs = JoinSet::new();
            for app in apps {
                runs.spawn(async move { tasks::run_due(&app).await });
            }
            runs.join_all().await;
        }
        for tower in &self.towers {
            for (name, status) in tower.app.tasks.status() {
                assert!(status.error.is_none() || self.tasks_may_fail, "{name}: {:?}", status.error);
            }
        }
    }

    /// The state of a key, by one of the towers, for an administrator.
    pub(crate) async fn ring(&mut self, name: &str) -> Value {
        let admin = self.admin().await;
        let tower = self.pick();
        self.towers[tower].get(&format!("/v1/state/strongbox/transit-keys/{name}"), &admin).await.ok()
    }

    /// The key IDs of the key set as it is served now.
    pub(crate) async fn published(&mut self) -> Vec<String> {
        let until = self.true_now() + OLDEST_COPY;
        self.fetch(until, Holder::Passing).await;
        self.copies.last().unwrap().kids.clone()
    }

    /// The records of all audit logs, each with the number of its log.
    pub(crate) fn audit_records(&self) -> Vec<(usize, Value)> {
        let mut records = Vec::new();
        for nth in 1..=self.towers.len() {
            let directory = self.directory.path().join(format!("audit-{nth}"));
            for name in control_tower::audit::file_names(&directory).unwrap() {
                let text = std::fs::read_to_string(directory.join(name)).unwrap();
                records.extend(text.lines().map(|line| (nth, serde_json::from_str(line).unwrap())));
            }
        }
        records
    }

    /// An administrator's token.
    pub(crate) async fn admin(&mut self) -> String {
        let now = self.clock.now();
        if let Some((token, until)) = &self.operator
            && now < *until
        {
            return token.clone();
        }
        let tower = &self.towers[0];
        let body = json!({"username": self.administrator.0, "password": self.administrator.1});
        let login = tower.call("POST", "/v1/login", None, Some(body)).await.ok();
        let token = login["token"].as_str().unwrap().to_owned();
        tower.post("/v1/state/strongbox/token/refresh", &token, json!({"increment": "30d"})).await.ok();
        // The token of before a jump of the clock lives longer.
        self.operator = Some((token.clone(), now + Duration::days(15)));
        token
    }

    /// Fails if anything went wrong, and says what was done.
    #[track_caller]
    #[allow(clippy::print_stderr, reason = "the figures of a run")]
    pub(crate) fn assert_sound(&self, name: &str) {
        let Figures {
            tokens,
            verifications,
            foreign,
            expired,
            fetches,
            restarts,
            cut_off,
            failures,
            careless_failures,
        } = &self.figures;
        eprintln!(
            "{name}: {tokens} tokens by {} keys, {verifications} verifications ({foreign} by another library), \
             {expired} refused once expired, {fetches} key sets, {restarts} restarts, {cut_off} tasks cut off, \
             {} failures ({careless_failures} with copies that were too old), seed {}",
            self.signers.len(),
            failures.len(),
            self.seed
        );
        assert!(
            failures.is_empty(),
            "{} failures, the first: {:#?}",
            failures.len(),
            &failures[..failures.len().min(5)]
        );
        assert!(*tokens > 0 && *verifications > *tokens && *foreign > 0);
    }

    fn true_now(&self) -> OffsetDateTime {
        self.clock.now() - self.jumped
    }

    fn pick(&mut self) -> usize {
        self.rng.random_range(0..self.towers.len())
    }

    /// When something happens next, in true time: a login, the second before it, when tokens have their last one, the end of
    /// a copy, and what the keys do, with the second before.
    async fn next_event(&self) -> Option<OffsetDateTime> {
        let now = self.true_now();
        let mut events = vec![self.next_login - Duration::SECOND, self.next_login];
        events.extend(self.copies.iter().map(|copy| copy.until));
        if let Some(deadline) = self.deadline().await {
            events.extend([deadline - Duration::SECOND, deadline]);
        }
        events.into_iter().filter(|event| *event > now).min()
    }

    /// When the keys do something next, in true time.
    async fn deadline(&self) -> Option<OffsetDateTime> {
        let app = &self.towers[0].app;
        let tenant = self.tenant.parse().unwrap();
        let mut deadlines = Vec::new();
        for name in &self.rings {
            if let Some(ring) = identity::ring(&app.db, &tenant, &name.parse().unwrap()).await.unwrap() {
                deadlines.extend(ring.value.next_deadline(self.clock.now()));
            }
        }
        let loaded = identity::Identity::load(&app.db, &tenant).await.unwrap();
        if let Some(issuing) = identity::issuing(&app.db, &tenant).await.unwrap() {
            deadlines.extend(issuing.value.next_deadline(|name| loaded.ring(name), self.clock.now()));
        }
        // Whatever is due already is no event: it waits for the tasks.
        deadlines
            .into_iter()
            .map(|deadline| deadline - self.jumped)
            .filter(|deadline| *deadline > self.true_now())
            .min()
    }

    /// Everything that happens at one moment, the tasks before or after the rest.
    async fn moment(&mut self) {
        let now = self.true_now();
        let rotates = self.deadline_is_near(now).await;
        if self.unrest {
            self.trouble(rotates).await;
        }
        let tasks_first = self.rng.random_bool(0.5);
        if self.awake && tasks_first {
            self.run_tasks().await;
        }
        self.renew_copies(now).await;
        if rotates {
            self.fetch(now + OLDEST_COPY, Holder::Passing).await;
            self.fetch(now + TOO_OLD, Holder::Careless).await;
        }
        if now >= self.next_login {
            self.next_login = now + self.every;
            self.log_in().await;
            self.check_keys().await;
        } else if rotates {
            self.log_in().await;
            self.check_keys().await;
        }
        if self.awake && !tasks_first {
            self.run_tasks().await;
        }
        if now + Duration::SECOND == self.next_login && !rotates {
            let last = self.clock.now() + Duration::SECOND;
            self.verify(|token| token.expires <= last);
        } else {
            self.verify(|_| true);
        }
        self.expire();
    }

    /// Whether a key does something now or in a second.
    async fn deadline_is_near(&self, now: OffsetDateTime) -> bool {
        // At the deadline itself the key has not been looked at yet, so it is found a second earlier and remembered.
        let next = self.deadline().await;
        next.is_some_and(|next| next - now <= Duration::SECOND)
            || self.copies.iter().any(|copy| copy.holder == Holder::Passing && copy.fetched + Duration::SECOND == now)
    }

    /// Restarts, and tasks that are cut off in the middle.
    async fn trouble(&mut self, rotates: bool) {
        let tries = if rotates { self.rng.random_range(0..4) } else { u32::from(self.rng.random_bool(0.05)) };
        for _ in 0..tries {
            if self.rng.random_bool(0.7) {
                let steps = self.rng.random_range(0..400);
                self.cut_tasks_off(steps).await;
            }
            self.restart().await;
        }
    }

    /// Begins to run the tasks and drops them after some steps, as a kill would.
    async fn cut_tasks_off(&mut self, steps: u32) {
        let app = Arc::clone(&self.towers[0].app);
        let mut run = Box::pin(tasks::run_due(&app));
        for _ in 0..steps {
            tokio::select! {
                biased;
                () = &mut run => return,
                () = yield_now() => {}
            }
        }
        self.figures.cut_off += 1;
    }

    async fn renew_copies(&mut self, now: OffsetDateTime) {
        let (ended, kept): (Vec<Copy>, _) =
            std::mem::take(&mut self.copies).into_iter().partition(|copy| copy.until <= now);
        self.copies = kept;
        let careless = self.copies.iter().any(|copy| copy.holder == Holder::Careless);
        for copy in ended {
            match copy.holder {
                Holder::Regular => self.fetch(now + OLDEST_COPY, Holder::Regular).await,
                Holder::Careless if !careless => self.fetch(now + TOO_OLD, Holder::Careless).await,
                Holder::Careless | Holder::Passing => {}
            }
        }
    }

    async fn fetch(&mut self, until: OffsetDateTime, holder: Holder) {
        let tower = self.pick();
        let answer = self.towers[tower].call("GET", &format!("/{}/jwks", self.tenant), None, None).await;
        answer.ok();
        assert_eq!(answer.headers["cache-control"], "public, max-age=3600");
        let keys = JwkSet::from_json(&answer.bytes, KeyUse::Signature).unwrap();
        let kids: Vec<String> = keys.keys().iter().map(|key| key.kid().unwrap().to_owned()).collect();
        assert!((1..=self.most_keys).contains(&kids.len()), "{kids:?} at {}", self.clock.now());
        self.figures.fetches += 1;
        self.copies.push(Copy {
            bundle: JwtBundle::new("tower.example".parse().unwrap(), keys),
            json: answer.bytes,
            kids,
            fetched: self.true_now(),
            until,
            holder,
        });
    }

    /// A login at every tower, at the same time: one key signs. One of the new tokens is refreshed at once, which mints too.
    async fn log_in(&mut self) {
        let mut logins = JoinSet::new();
        for tower in &self.towers {
            let (tower, (role_id, secret_id)) = (Arc::clone(tower), self.workload.clone());
            logins.spawn(async move { tower.log_in(&role_id, &secret_id).await.ok() });
        }
        let mut logins = logins.join_all().await;
        if self.rng.random_bool(0.1) {
            let (tower, own) = (self.pick(), logins[0]["token"].as_str().unwrap().to_owned());
            logins.push(self.towers[tower].post("/v1/state/strongbox/token/refresh", &own, json!({})).await.ok());
        }
        let now = self.clock.now();
        let mut kids = Vec::new();
        for login in logins {
            let text = login["jwt-svid"].as_str().unwrap().to_owned();
            let unverified = UnverifiedJwtSvid::parse(&text).unwrap();
            let kid = unverified.kid().unwrap().to_owned();
            let expires = unverified.unverified_claims().expires();
            assert_eq!(expires.unix_timestamp(), now.unix_timestamp() + 86_400, "tokens of a day");
            kids.push(kid.clone());
            self.figures.tokens += 1;
            self.tokens.push(Token { text, kid, expires });
        }
        kids.dedup();
        assert_eq!(kids.len(), 1, "one key signs at {now}");
        let kid = kids.remove(0);
        if self.signers.last() != Some(&kid) {
            let again = self.signers.contains(&kid);
            assert!(!again || self.jumped.is_negative(), "{kid} signs again at {now}");
            if !again {
                self.signers.push(kid);
            }
        }
    }

    /// The key that signed last is the active one of a ring, and each ring has one at most; every tower says so.
    async fn check_keys(&mut self) {
        let admin = self.admin().await;
        let (now, signer) = (self.clock.now(), self.tokens.last().unwrap().kid.clone());
        for tower in &self.towers {
            let mut active = Vec::new();
            for name in &self.rings {
                let state = tower.get(&format!("/v1/state/strongbox/transit-keys/{name}"), &admin).await.ok();
                let versions = state["versions"].as_array().unwrap();
                let of_ring: Vec<&Value> = versions.iter().filter(|version| version["phase"] == "active").collect();
                assert!(of_ring.len() <= 1, "{name} at {now}: {state}");
                for version in of_ring {
                    assert_eq!(version["version"], state["active-version"]);
                    active.push(version["kid"].as_str().unwrap().to_owned());
                }
            }
            assert!(active.contains(&signer), "{signer} signs at {now}, but {active:?} is active");
            assert!(self.rings.len() > 1 || active == [signer.as_str()], "{active:?} is active at {now}");
        }
    }

    /// Verifies tokens with every copy.
    fn verify(&mut self, which: impl Fn(&Token) -> bool) {
        let now = self.clock.now();
        for token in self.tokens.iter().filter(|token| token.expires > now && which(token)) {
            for copy in &self.copies {
                let verified = match self.verifier.verify(&token.text, &copy.bundle, now) {
                    // Before the clock jumped back it was minted.
                    Err(keyward_svid::jwt::VerifyError::NotYetValid { .. }) if self.jumped.is_negative() => continue,
                    verified => verified.map(drop).map_err(|error| error.to_string()),
                };
                if copy.holder == Holder::Careless {
                    self.figures.careless_failures += u64::from(verified.is_err());
                    continue;
                }
                self.figures.verifications += 1;
                let mut verified = verified;
                if self.figures.verifications.is_multiple_of(SAMPLE) {
                    self.figures.foreign += 1;
                    verified = verified.and(foreign(token, copy));
                }
                if let Err(error) = verified {
                    self.figures.failures.push(format!(
                        "{error}: at {now}, signed by {}, expires {}, copy of {} with {:?}",
                        token.kid, token.expires, copy.fetched, copy.kids
                    ));
                }
            }
        }
    }

    /// Tokens that have expired are refused, by every copy, and are forgotten.
    fn expire(&mut self) {
        let now = self.clock.now();
        let (expired, living): (Vec<Token>, _) =
            std::mem::take(&mut self.tokens).into_iter().partition(|token| token.expires <= now);
        self.tokens = living;
        for token in expired {
            for copy in &self.copies {
                self.figures.expired += 1;
                assert!(
                    self.verifier.verify(&token.text, &copy.bundle, now).is_err(),
                    "an expired token verifies at {now}"
                );
            }
        }
    }
}

/// The towers, each with an audit log of its own.
async fn open(storage: &Storage, count: usize, clock: &Clock, directory: &Arc<tempfile::TempDir>) -> Vec<Arc<Tower>> {
    let store: SharedStore = match storage {
        Storage::Memory(store) => Arc::clone(store),
        Storage::File(name) => Arc::new(Sqlite::open(&directory.path().join(name)).unwrap()),
    };
    let mut towers = Vec::new();
    for nth in 1..=count {
        let (store, clock, directory) = (Arc::clone(&store), clock.clone(), Arc::clone(directory));
        let audit = format!("audit-{nth}");
        towers.push(Arc::new(Tower::at(store, clock, directory, &audit, "https://tower.example").await));
    }
    towers
}

/// What the crate `jsonwebtoken` says, but for the times: it reads the system's clock.
fn foreign(token: &Token, copy: &Copy) -> Result<(), String> {
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&copy.json).map_err(|error| error.to_string())?;
    let header = jsonwebtoken::decode_header(&token.text).map_err(|error| error.to_string())?;
    let jwk = header.kid.and_then(|kid| set.find(&kid)).ok_or("jsonwebtoken finds no key")?;
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    let mut validation = jsonwebtoken::Validation::new(header.alg);
    validation.validate_exp = false;
    validation.set_audience(&[AUDIENCE]);
    let decoded = jsonwebtoken::decode::<Value>(&token.text, &key, &validation).map_err(|error| error.to_string())?;
    let expires = decoded.claims["exp"].as_i64();
    if expires == Some(token.expires.unix_timestamp()) {
        Ok(())
    } else {
        Err(format!("jsonwebtoken reads exp {expires:?}"))
    }
}
