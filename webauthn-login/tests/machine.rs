//! Whatever happens in whatever order, nobody is logged in who has not proved what their policy enforces.
//!
//! The model does not know how the machine decides. It keeps a ledger of what was really shown for whom, and looks at it when
//! the machine says that somebody is in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use keyward_webauthn_login::*;
use proptest::prelude::*;
use serde_json::Value;

#[derive(Debug, Clone)]
enum Event {
    Begin { at_url: Option<usize>, program: bool },
    Identify { tenant: Option<usize> },
    Password { right: bool },
    Choose(usize),
    Code { whose: usize, fresh: bool },
    RecoveryCode { whose: usize },
    Passkey { whose: usize, honest: bool },
    SetUp(Method),
    Register,
    Confirm { right: bool },
    NewPassword,
    Skip,
    Finish,
    OpenLink { whose: usize, methods: Vec<Method> },
    StaleCookie,
    Lock(usize),
    Unlock(usize),
    Enforce(usize, Vec<Method>),
    Reset(usize),
    Wait(i64),
}

fn methods() -> impl Strategy<Value = Vec<Method>> {
    proptest::sample::subsequence(vec![Method::Password, Method::Totp, Method::Passkey], 0..=3)
}

fn event() -> impl Strategy<Value = Event> {
    let whose = 0usize..2;
    prop_oneof![
        3 => (proptest::option::weighted(0.3, 0usize..2), proptest::bool::weighted(0.1))
            .prop_map(|(at_url, program)| Event::Begin { at_url, program }),
        4 => proptest::option::weighted(0.7, 0usize..2).prop_map(|tenant| Event::Identify { tenant }),
        6 => proptest::bool::weighted(0.9).prop_map(|right| Event::Password { right }),
        2 => whose.clone().prop_map(Event::Choose),
        4 => (whose.clone(), proptest::bool::weighted(0.8)).prop_map(|(whose, fresh)| Event::Code { whose, fresh }),
        2 => whose.clone().prop_map(|whose| Event::RecoveryCode { whose }),
        6 => (whose.clone(), proptest::bool::weighted(0.9)).prop_map(|(whose, honest)| Event::Passkey { whose, honest }),
        3 => prop_oneof![Just(Method::Passkey), Just(Method::Totp)].prop_map(Event::SetUp),
        3 => Just(Event::Register),
        3 => proptest::bool::weighted(0.8).prop_map(|right| Event::Confirm { right }),
        2 => Just(Event::NewPassword),
        2 => Just(Event::Skip),
        4 => Just(Event::Finish),
        1 => (whose.clone(), methods()).prop_map(|(whose, methods)| Event::OpenLink { whose, methods }),
        1 => Just(Event::StaleCookie),
        1 => whose.clone().prop_map(Event::Lock),
        2 => whose.clone().prop_map(Event::Unlock),
        2 => (whose.clone(), methods()).prop_map(|(whose, methods)| Event::Enforce(whose, methods)),
        1 => whose.prop_map(Event::Reset),
        2 => (0i64..400).prop_map(Event::Wait),
    ]
}

const TENANTS: [&str; 2] = ["b2", "c3"];

struct Model {
    world: World,
    users: [Identity; 2],
    /// What was shown for whom since this login began and since anything last ended it.
    ledger: BTreeMap<Identity, BTreeSet<Proof>>,
    url: Option<usize>,
    passkeys: BTreeMap<Identity, Vec<Soft>>,
    totps: BTreeMap<Identity, totp_rs::Totp>,
    codes: BTreeMap<Identity, Vec<String>>,
    page: Value,
    stale: Vec<String>,
    logins: usize,
}

impl Model {
    fn new(enforced: &[Vec<Method>]) -> Self {
        let mut world = World::new();
        let users = [0, 1].map(|at| world.add("ann@example.com", TENANTS[at], &enforced[at]));
        Self {
            world,
            users,
            ledger: BTreeMap::new(),
            url: None,
            passkeys: BTreeMap::new(),
            totps: BTreeMap::new(),
            codes: BTreeMap::new(),
            page: Value::Null,
            stale: Vec::new(),
            logins: 0,
        }
    }

    fn shown(&mut self, identity: &Identity, proof: Proof) {
        self.ledger.entry(identity.clone()).or_default().insert(proof);
    }

    fn flow(&self) -> Option<AnyFlow> {
        self.world.resume(&self.world.cookie).ok()
    }

    fn look(&mut self, reply: Reply) {
        match reply {
            Reply::Page(page) => self.page = page,
            Reply::In(logged_in) => self.judge(&logged_in),
            Reply::Over(_) | Reply::Conflict(_) => {}
        }
    }

    /// The law.
    fn judge(&mut self, logged_in: &LoggedIn) {
        self.logins += 1;
        let identity = logged_in.session.identity();
        let user = self.world.store.user(identity);
        let shown = self.ledger.get(identity).cloned().unwrap_or_default();
        assert_eq!(user.locked(), None, "a locked user is in");
        assert!(logged_in.session.proofs().is_subset(&shown), "{:?} of {shown:?}", logged_in.session.proofs());
        for method in user.enforced() {
            let proved = match method {
                Method::Password => shown.contains(&Proof::Password),
                Method::Totp => shown.contains(&Proof::Totp) || shown.contains(&Proof::RecoveryCode),
                Method::Passkey => shown.contains(&Proof::Passkey),
            };
            assert!(proved, "{method} is enforced for {identity}, shown was {shown:?}");
        }
        let first = [Proof::Password, Proof::Passkey];
        assert!(first.iter().any(|proof| shown.contains(proof)), "{shown:?}");
        if user.has().totp && !shown.contains(&Proof::Passkey) {
            assert!(shown.contains(&Proof::Totp) || shown.contains(&Proof::RecoveryCode), "{shown:?}");
        }
        if let Some(url) = self.url {
            assert_eq!(identity.tenant, TENANTS[url], "another tenant than that of the URL");
        }
        assert!(logged_in.session.check(Some(&user), self.world.realm.settings(), self.world.at()).is_ok());
        assert!(self.world.resume(&self.world.cookie).is_err(), "the ceremony is over");
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Begin { at_url, program } => {
                self.ledger.clear();
                self.url = *at_url;
                let audience = if *program { Audience::Client } else { Audience::Browser };
                let tenant = at_url.map(|at| TENANTS[at].parse().unwrap());
                let reply = self.world.begin(Start { audience, tenant, ..Start::browser() });
                self.look(reply);
            }
            Event::StaleCookie => {
                // One that was used before is no way back.
                assert!(self.stale.iter().all(|cookie| self.world.resume(cookie).is_err()));
            }
            Event::Lock(at) => self.ended(*at, |user| user.lock(common::at(1))),
            Event::Unlock(at) => self.world.store.change(&self.users[*at].clone(), UserRecord::unlock),
            Event::Enforce(at, methods) => {
                let set: BTreeSet<Method> = methods.iter().copied().collect();
                self.world.store.change(&self.users[*at].clone(), |user| user.enforce(set));
            }
            Event::Reset(at) => {
                self.ended(*at, |user| {
                    user.reset(&[Method::Password, Method::Totp, Method::Passkey].into());
                    user.import_password(cheap_hash(PASSWORD, b"0123456789abcdef"));
                });
                let identity = self.users[*at].clone();
                self.passkeys.remove(&identity);
                self.totps.remove(&identity);
                self.codes.remove(&identity);
            }
            Event::Wait(seconds) => self.world.now += seconds,
            Event::OpenLink { whose, methods } => {
                let identity = self.users[*whose].clone();
                let link = self.world.link(&identity, methods);
                let reply = self.world.open_link(&link);
                // One that does not open leaves the browser in the login that it was in.
                if matches!(reply, Reply::Page(_)) {
                    self.ledger.clear();
                    self.url = None;
                    self.shown(&identity, Proof::EnrolmentLink);
                }
                self.look(reply);
            }
            in_flow => {
                if let Some(flow) = self.flow() {
                    let before = self.world.cookie.clone();
                    self.apply_in(in_flow, flow);
                    if self.world.cookie != before {
                        self.stale.push(before);
                    }
                }
            }
        }
    }

    /// What was shown before that is worth nothing any more.
    fn ended(&mut self, at: usize, change: impl FnOnce(&mut UserRecord)) {
        let identity = self.users[at].clone();
        self.ledger.remove(&identity);
        self.world.store.change(&identity, change);
    }

    fn apply_in(&mut self, event: &Event, flow: AnyFlow) {
        let identity = flow.identity().cloned();
        let reply = match (event, flow) {
            (Event::Identify { tenant }, AnyFlow::Begun(_)) => {
                self.world.identify("ann@example.com", tenant.map_or("", |at| TENANTS[at]))
            }
            (Event::Password { right }, AnyFlow::Identified(_) | AnyFlow::Second(_)) => {
                if *right {
                    for user in self.users.clone() {
                        // After the first step it is shown for the one user alone; both have the same password.
                        if identity.as_ref().is_none_or(|one| *one == user) {
                            self.shown(&user, Proof::Password);
                        }
                    }
                }
                self.world.password(if *right { PASSWORD } else { "wrong" })
            }
            (Event::Choose(at), AnyFlow::Choosing(_)) => self.world.choose(TENANTS[*at]),
            (Event::Code { whose, fresh }, AnyFlow::Second(_)) => {
                let whose = self.users[*whose].clone();
                let Some(totp) = self.totps.get(&whose) else { return };
                if *fresh {
                    self.world.now += 31;
                }
                let code = self.world.totp_now(totp);
                if self.flow().is_none() {
                    return;
                }
                if identity.as_ref() == Some(&whose) {
                    self.shown(&whose, Proof::Totp);
                }
                self.world.code(&code)
            }
            (Event::RecoveryCode { whose }, AnyFlow::Second(_)) => {
                let whose = self.users[*whose].clone();
                let Some(code) = self.codes.get_mut(&whose).and_then(Vec::pop) else { return };
                if identity.as_ref() == Some(&whose) {
                    self.shown(&whose, Proof::RecoveryCode);
                }
                self.world.recovery_code(&code)
            }
            (Event::Passkey { whose, honest }, AnyFlow::Begun(_) | AnyFlow::Identified(_) | AnyFlow::Second(_)) => {
                let whose = self.users[*whose].clone();
                let options = ["autofill", "passkey"].iter().map(|name| &self.page[name]).find(|v| v.is_object());
                let (Some(options), Some(soft)) =
                    (options.cloned(), self.passkeys.get_mut(&whose).and_then(|s| s.last_mut()))
                else {
                    return;
                };
                let wrong = Wrong { not_verified: !honest, ..Wrong::default() };
                let json = soft.get_wrong(&options, &wrong);
                if *honest && identity.as_ref().is_none_or(|one| *one == whose) {
                    self.shown(&whose, Proof::Passkey);
                }
                self.world.passkey(&json)
            }
            (Event::SetUp(method), AnyFlow::Ready(_)) => self.world.set_up(*method),
            (Event::Register, AnyFlow::EnrollingPasskey(_)) => {
                let identity = identity.unwrap();
                let mut soft = Soft::new(u8::try_from(self.stale.len() % 256).unwrap_or_default());
                let json = soft.create(&self.page["options"]);
                let reply = self.world.register(&json, "x");
                if self.world.refused.is_none() {
                    self.passkeys.entry(identity).or_default().push(soft);
                }
                reply
            }
            (Event::Confirm { right }, AnyFlow::EnrollingTotp(_)) => {
                let identity = identity.unwrap();
                let totp = totp(self.page["secret"].as_str().unwrap());
                let code = if *right { self.world.totp_now(&totp) } else { "000000".to_owned() };
                if *right {
                    self.shown(&identity, Proof::Totp);
                }
                let reply = self.world.code(&code);
                if *right && self.world.refused.is_none() {
                    self.totps.insert(identity.clone(), totp);
                    self.codes.insert(identity, self.world.codes.clone());
                }
                reply
            }
            (Event::NewPassword, AnyFlow::SettingPassword(_)) => {
                self.shown(&identity.unwrap(), Proof::Password);
                self.world.new_password(PASSWORD)
            }
            (Event::Skip, AnyFlow::Second(_) | AnyFlow::EnrollingPasskey(_) | AnyFlow::EnrollingTotp(_)) => {
                self.world.skip()
            }
            (Event::Finish, AnyFlow::Ready(_)) => self.world.finish(),
            _ => return,
        };
        self.look(reply);
    }
}

fn cases() -> u32 {
    if std::env::var_os("KEYWARD_FULL").is_some() { 4000 } else { 100 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nobody_is_in_without_what_is_enforced(
        enforced in [methods(), methods()],
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut model = Model::new(&enforced);
        for event in &events {
            model.apply(event);
        }
    }
}

/// The law would hold of a machine that lets nobody in: this one does, by every way.
#[test]
fn the_model_sees_logins() {
    let mut model = Model::new(&[Vec::new(), vec![Method::Passkey]]);
    let ways: [&[Event]; 4] = [
        &[Event::Identify { tenant: Some(0) }, Event::Password { right: true }, Event::Finish],
        &[
            Event::Identify { tenant: Some(0) },
            Event::Password { right: true },
            Event::SetUp(Method::Totp),
            Event::Confirm { right: true },
        ],
        &[
            Event::Identify { tenant: Some(1) },
            Event::Password { right: true },
            Event::Register,
            Event::Passkey { whose: 1, honest: true },
        ],
        &[Event::Passkey { whose: 1, honest: true }],
    ];
    for (at, way) in ways.iter().enumerate() {
        model.apply(&Event::Begin { at_url: None, program: false });
        for event in *way {
            model.apply(event);
        }
        assert_eq!(model.logins, at + 1, "{way:?}");
    }
}
