//! What the tests share: a store in memory that keeps to the rules an embedder keeps to, and a browser.
#![allow(
    dead_code,
    unused_imports,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub(crate) mod authenticator;

use std::collections::BTreeMap;

use getrandom::SysRng;
use keyward_webauthn_login::*;
use rand_core::UnwrapErr;
use serde_json::Value;
use time::OffsetDateTime;

pub(crate) use authenticator::{ORIGIN, RP_ID, Soft, Wrong};

pub(crate) fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
}

pub(crate) fn realm() -> Realm {
    let rp = RelyingParty::new(RP_ID, "Example", &[ORIGIN]).unwrap();
    Realm::new(rp, Secret::from_bytes(&[7; 32]), LoginSettings::default()).unwrap()
}

pub(crate) fn identity(email: &str, tenant: &str) -> Identity {
    Identity::new(email.parse().unwrap(), tenant.parse().unwrap())
}

pub(crate) const PASSWORD: &str = "kessel run in twelve";
pub(crate) const OTHER_PASSWORD: &str = "never tell me the odds";

/// A hash that costs little, as if brought along from elsewhere.
pub(crate) fn cheap_hash(password: &str, salt: &[u8; 16]) -> PasswordHash {
    use argon2::password_hash::PasswordHasher as _;
    let params = argon2::Params::new(64, 1, 1, None).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    argon2.hash_password_with_salt(password.as_bytes(), salt).unwrap().to_string().parse().unwrap()
}

pub(crate) fn admitted() -> Admitted {
    let histories = Histories { address: History::default(), identity: History::default(), bucket: Bucket::Identity };
    admit(histories, at(0)).unwrap().0
}

/// A store: records as bytes with revisions.
#[derive(Default, Clone)]
pub(crate) struct Store {
    pub(crate) users: BTreeMap<Identity, (u64, Vec<u8>)>,
    pub(crate) ceremonies: BTreeMap<Key, Vec<u8>>,
    pub(crate) sessions: BTreeMap<Key, Vec<u8>>,
    pub(crate) links: BTreeMap<Key, Vec<u8>>,
}

/// What a step read, for the guards of its commit.
#[derive(Default, Clone)]
pub(crate) struct Read(BTreeMap<Identity, u64>);

impl Store {
    pub(crate) fn put(&mut self, user: &UserRecord) {
        let revision = self.users.get(user.identity()).map_or(1, |(revision, _)| revision + 1);
        self.users.insert(user.identity().clone(), (revision, user.encode().unwrap()));
    }

    pub(crate) fn user(&self, identity: &Identity) -> UserRecord {
        UserRecord::decode(&self.users[identity].1).unwrap()
    }

    pub(crate) fn change(&mut self, identity: &Identity, change: impl FnOnce(&mut UserRecord)) {
        let mut user = self.user(identity);
        change(&mut user);
        self.put(&user);
    }

    pub(crate) fn read(&self, read: &mut Read, identity: &Identity) -> Option<UserRecord> {
        let (revision, bytes) = self.users.get(identity)?;
        read.0.insert(identity.clone(), *revision);
        Some(UserRecord::decode(bytes).unwrap())
    }

    pub(crate) fn by_lookup(
        &self,
        read: &mut Read,
        lookup: Option<(&Email, Option<&keyward_config_values::Name>)>,
    ) -> Vec<UserRecord> {
        let Some((email, tenant)) = lookup else { return Vec::new() };
        let identities: Vec<Identity> = self
            .users
            .keys()
            .filter(|identity| identity.email == *email && tenant.is_none_or(|tenant| *tenant == identity.tenant))
            .cloned()
            .collect();
        identities.iter().map(|identity| self.read(read, identity).unwrap()).collect()
    }

    pub(crate) fn by_handle(&self, read: &mut Read, handle: Option<UserHandle>) -> Option<UserRecord> {
        let identity = self.users.keys().find(|identity| Some(self.user(identity).handle()) == handle)?.clone();
        self.read(read, &identity)
    }

    /// All or nothing, as an embedder's store.
    pub(crate) fn commit(&mut self, read: &Read, writes: &[Write]) -> Result<(), &'static str> {
        let mut next = self.clone();
        for write in writes {
            match write {
                Write::EndCeremony(key) => {
                    next.ceremonies.remove(key).ok_or("the ceremony was taken")?;
                }
                Write::EndLink(key) => {
                    next.links.remove(key).ok_or("the link was taken")?;
                }
                Write::PutUser(user) => {
                    let expected = read.0.get(user.identity()).expect("only what was read is written");
                    let (revision, _) = self.users.get(user.identity()).ok_or("the user is gone")?;
                    if revision != expected {
                        return Err("the user was changed");
                    }
                    next.users.insert(user.identity().clone(), (revision + 1, user.encode().unwrap()));
                }
                Write::BeginSession(session) => {
                    if next.sessions.insert(session.key(), session.encode().unwrap()).is_some() {
                        return Err("the session exists");
                    }
                }
                Write::EndSession(key) => {
                    next.sessions.remove(key);
                }
                other => panic!("{other:?}"),
            }
        }
        *self = next;
        Ok(())
    }
}

/// What a browser sees of a step.
#[derive(Debug)]
pub(crate) enum Reply {
    Page(Value),
    In(Box<LoggedIn>),
    Over(Reason),
    Conflict(&'static str),
}

impl Reply {
    pub(crate) fn page(&self) -> &Value {
        match self {
            Self::Page(page) => page,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn logged_in(self) -> Box<LoggedIn> {
        match self {
            Self::In(logged_in) => logged_in,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn step(&self) -> &str {
        self.page()["step"].as_str().unwrap()
    }
}

/// A browser and the embedder it talks to.
pub(crate) struct World {
    pub(crate) realm: Realm,
    pub(crate) store: Store,
    pub(crate) now: i64,
    pub(crate) cookie: String,
    pub(crate) refused: Option<Reason>,
    pub(crate) codes: Vec<String>,
    pub(crate) signal: Option<Signal>,
    pub(crate) rehash: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            realm: realm(),
            store: Store::default(),
            now: 0,
            cookie: String::new(),
            refused: None,
            codes: Vec::new(),
            signal: None,
            rehash: false,
        }
    }

    /// A user with a password.
    pub(crate) fn with(email: &str, tenant: &str) -> Self {
        let mut world = Self::new();
        world.add(email, tenant, &[]);
        world
    }

    pub(crate) fn add(&mut self, email: &str, tenant: &str, enforced: &[Method]) -> Identity {
        let identity = identity(email, tenant);
        let enforced = enforced.iter().copied().collect();
        let mut user = UserRecord::create(identity.clone(), enforced, Vec::new(), &mut rng(), at(self.now));
        user.import_password(cheap_hash(PASSWORD, b"0123456789abcdef"));
        self.store.put(&user);
        identity
    }

    pub(crate) fn at(&self) -> OffsetDateTime {
        at(self.now)
    }

    pub(crate) fn flow(&self) -> AnyFlow {
        self.resume(&self.cookie).unwrap()
    }

    pub(crate) fn resume(&self, cookie: &str) -> Result<AnyFlow, Reason> {
        let Some(bytes) = self.store.ceremonies.get(&Key::of(cookie)) else { return Err(Reason::Expired) };
        CeremonyRecord::decode(bytes).unwrap().resume(cookie, self.at())
    }

    /// Commits what a step came to, and shows what comes next.
    pub(crate) fn take(&mut self, read: &Read, outcome: Outcome) -> Reply {
        let Outcome { next, writes, refused, recovery_codes, signal, rehash, .. } = outcome;
        if let Err(conflict) = self.store.commit(read, &writes) {
            return Reply::Conflict(conflict);
        }
        self.refused = refused;
        self.signal = signal;
        self.rehash = rehash.is_some();
        if let Some(codes) = recovery_codes {
            self.codes = codes.iter().map(str::to_owned).collect();
        }
        match next {
            Next::Continue(flow) => {
                let page = serde_json::to_value(flow.prompt(&self.realm, offered(&[], Connectivity::Online))).unwrap();
                let (token, record) = flow.store(&mut rng());
                self.store.ceremonies.insert(record.key(), record.encode().unwrap());
                self.cookie = token.expose().to_owned();
                Reply::Page(page)
            }
            Next::LoggedIn(logged_in) => Reply::In(logged_in),
            Next::Over(reason) => Reply::Over(reason),
        }
    }

    pub(crate) fn begin(&mut self, start: Start) -> Reply {
        let flow = self.realm.begin(start, self.at()).unwrap();
        let outcome = outcome_of(flow.into());
        self.take(&Read::default(), outcome)
    }

    pub(crate) fn begin_at(&mut self, url: &str) -> Reply {
        let url: LoginUrl = url.parse().unwrap();
        let tenant = Some(url.identity.tenant.clone());
        self.begin(Start { tenant, ..Start::browser() });
        self.identify(url.identity.email.as_str(), "")
    }

    pub(crate) fn identify(&mut self, email: &str, tenant: &str) -> Reply {
        let AnyFlow::Begun(flow) = self.flow() else { panic!() };
        let typed = Typed::new(email, tenant);
        let mut read = Read::default();
        let users = self.store.by_lookup(&mut read, typed.lookup());
        let outcome = flow.identify(&self.realm, typed, &users, self.at()).unwrap();
        self.take(&read, outcome)
    }

    pub(crate) fn password(&mut self, password: &str) -> Reply {
        let mut read = Read::default();
        let password = Password::new(password.to_owned());
        let (job, attempt) = match self.flow() {
            AnyFlow::Identified(flow) => {
                let users = self.store.by_lookup(&mut read, flow.lookup());
                flow.password(&self.realm, users, password, admitted())
            }
            AnyFlow::Second(flow) => {
                let user = self.user_of(&mut read);
                flow.password(&self.realm, user, password, admitted())
            }
            other => panic!("{other:?}"),
        };
        let hashed = job.run().unwrap();
        let outcome = attempt.finish(&self.realm, hashed, &mut rng(), self.at()).unwrap();
        self.take(&read, outcome)
    }

    /// The user whom the login is of.
    pub(crate) fn user_of(&self, read: &mut Read) -> Option<UserRecord> {
        self.store.read(read, self.flow().identity().unwrap())
    }

    pub(crate) fn passkey(&mut self, json: &str) -> Reply {
        let response: AuthenticationResponse = json.parse().unwrap();
        self.passkey_response(&response)
    }

    pub(crate) fn passkey_response(&mut self, response: &AuthenticationResponse) -> Reply {
        let mut read = Read::default();
        let now = self.at();
        let outcome = match self.flow() {
            AnyFlow::Begun(flow) => {
                let user = self.store.by_handle(&mut read, response.user_handle());
                flow.passkey(&self.realm, response, user, &mut rng(), now)
            }
            AnyFlow::Identified(flow) => {
                let users = self.store.by_lookup(&mut read, flow.lookup());
                flow.passkey(&self.realm, response, users, &mut rng(), now)
            }
            AnyFlow::Second(flow) => {
                let user = self.user_of(&mut read);
                flow.passkey(&self.realm, response, user, &mut rng(), now)
            }
            other => panic!("{other:?}"),
        };
        self.take(&read, outcome.unwrap())
    }

    pub(crate) fn code(&mut self, code: &str) -> Reply {
        let mut read = Read::default();
        let user = self.user_of(&mut read);
        let now = self.at();
        let outcome = match self.flow() {
            AnyFlow::Second(flow) => flow.totp(&self.realm, user, code, admitted(), &mut rng(), now),
            AnyFlow::EnrollingTotp(flow) => flow.confirm(&self.realm, user, code, &mut rng(), now),
            other => panic!("{other:?}"),
        };
        self.take(&read, outcome.unwrap())
    }

    pub(crate) fn recovery_code(&mut self, code: &str) -> Reply {
        let mut read = Read::default();
        let user = self.user_of(&mut read);
        let AnyFlow::Second(flow) = self.flow() else { panic!() };
        let outcome = flow.recovery_code(&self.realm, user, code, admitted(), &mut rng(), self.at()).unwrap();
        self.take(&read, outcome)
    }

    pub(crate) fn register(&mut self, json: &str, name: &str) -> Reply {
        let mut read = Read::default();
        let user = self.user_of(&mut read);
        let AnyFlow::EnrollingPasskey(flow) = self.flow() else { panic!() };
        let (response, name) = (json.parse().unwrap_or_else(|error| panic!("{error}: {json}")), name.parse().unwrap());
        let outcome = flow.register(&self.realm, user, &response, name, self.at()).unwrap();
        self.take(&read, outcome)
    }

    pub(crate) fn choose(&mut self, tenant: &str) -> Reply {
        let mut read = Read::default();
        let AnyFlow::Choosing(flow) = self.flow() else { panic!() };
        let tenant = tenant.parse().unwrap();
        let user = self.store.read(&mut read, &Identity::new(flow.email().unwrap().clone(), Clone::clone(&tenant)));
        let outcome = flow.choose(&self.realm, &tenant, user, &mut rng(), self.at()).unwrap();
        self.take(&read, outcome)
    }

    pub(crate) fn set_up(&mut self, method: Method) -> Reply {
        let mut read = Read::default();
        let user = self.user_of(&mut read);
        let AnyFlow::Ready(flow) = self.flow() else { panic!() };
        let outcome = flow.set_up(&self.realm, method, user, &mut rng(), self.at()).unwrap();
        self.take(&read, outcome)
    }

    pub(crate) fn finish(&mut self) -> Reply {
        let mut read = Read::default();
        let user = self.user_of(&mut read);
        let AnyFlow::Ready(flow) = self.flow() else { panic!() };
        let outcome = flow.finish(&self.realm, user, &mut rng(), self.at()).unwrap();
        self.take(&read, outcome)
    }

    pub(crate) fn skip(&mut self) -> Reply {
        let mut read = Read::default();
        let user = self.user_of(&mut read);
        let now = self.at();
        let outcome = match self.flow() {
            AnyFlow::Second(flow) => flow.skip(&self.realm, user, &mut rng(), now),
            AnyFlow::EnrollingPasskey(flow) => flow.skip(&self.realm, user, &mut rng(), now),
            AnyFlow::EnrollingTotp(flow) => flow.skip(&self.realm, user, &mut rng(), now),
            other => panic!("{other:?}"),
        };
        self.take(&read, outcome.unwrap())
    }

    pub(crate) fn new_password(&mut self, password: &str) -> Reply {
        let mut read = Read::default();
        let user = self.user_of(&mut read);
        let AnyFlow::SettingPassword(flow) = self.flow() else { panic!() };
        let (job, attempt) = flow.password(&self.realm, Password::new(password.to_owned())).unwrap();
        let hashed = job.run().unwrap();
        let outcome = attempt.finish(&self.realm, user, &hashed, &mut rng(), self.at()).unwrap();
        self.take(&read, outcome)
    }

    pub(crate) fn link(&mut self, identity: &Identity, methods: &[Method]) -> String {
        let methods = methods.iter().copied().collect();
        let user = self.store.user(identity);
        let lasts = "1h".parse().unwrap();
        let (token, link) = EnrolmentLink::issue(&user, methods, lasts, self.realm.settings(), &mut rng(), self.at());
        self.store.links.insert(link.key(), link.encode().unwrap());
        token.expose().to_owned()
    }

    pub(crate) fn open_link(&mut self, presented: &str) -> Reply {
        let mut read = Read::default();
        let link = self.store.links.get(&Key::of(presented)).map(|bytes| EnrolmentLink::decode(bytes).unwrap());
        let user = link.as_ref().and_then(|link| self.store.read(&mut read, link.identity()));
        let outcome = self.realm.open_link(link.as_ref(), presented, user, &mut rng(), self.at()).unwrap();
        self.take(&read, outcome)
    }

    /// A passkey for a user, made and used in a login.
    pub(crate) fn give_passkey(&mut self, identity: &Identity, seed: u8) -> Soft {
        self.begin(Start::browser());
        self.identify(identity.email.as_str(), identity.tenant.as_str());
        self.password(PASSWORD);
        let options = self.set_up(Method::Passkey).page()["options"].clone();
        let mut soft = Soft::new(seed);
        let page = self.register(&soft.create(&options), "Test key");
        let options = page.page()["passkey"].clone();
        self.passkey(&soft.get(&options)).logged_in();
        self.now += 60;
        soft
    }

    /// A one-time password for a user; what comes back makes codes.
    pub(crate) fn give_totp(&mut self, identity: &Identity) -> totp_rs::Totp {
        self.begin(Start::browser());
        self.identify(identity.email.as_str(), identity.tenant.as_str());
        self.password(PASSWORD);
        let secret = self.set_up(Method::Totp).page()["secret"].as_str().unwrap().to_owned();
        let totp = totp(&secret);
        let code = self.totp_now(&totp);
        self.code(&code).logged_in();
        self.now += 60;
        totp
    }

    pub(crate) fn totp_now(&self, totp: &totp_rs::Totp) -> String {
        totp.generate(self.at().unix_timestamp() as u64).to_string()
    }
}

/// What a telephone makes of what it scanned.
pub(crate) fn totp(base32: &str) -> totp_rs::Totp {
    let mut bits = 0u64;
    let mut count = 0;
    let mut bytes = Vec::new();
    for c in base32.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|a| *a == c).unwrap();
        bits = bits << 5 | value as u64;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    let secret: [u8; 20] = bytes.try_into().unwrap();
    totp_rs::Builder::new().with_secret(secret).build_noncompliant()
}

/// As if a step had come to it.
pub(crate) fn outcome_of(flow: AnyFlow) -> Outcome {
    Outcome {
        next: Next::Continue(flow),
        writes: Vec::new(),
        refused: None,
        identity: None,
        recovery_codes: None,
        signal: None,
        rehash: None,
    }
}
