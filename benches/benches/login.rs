//! A step of a login, without the hash of a password and without the signature of a passkey: those are beside it.
//!
//! Each step is what an embedder does for a request: read the records, take the step, encode what is to be stored.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::panic,
    reason = "a bench may stop, and brings the randomness"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use getrandom::SysRng;
use keyward_webauthn_login::*;
use rand_core::UnwrapErr;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const PASSWORD: &str = "kessel run in twelve";

fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

fn store(outcome: Outcome) -> (String, Vec<u8>) {
    for write in &outcome.writes {
        match write {
            Write::PutUser(user) => drop(black_box(user.encode().unwrap())),
            Write::BeginSession(session) => drop(black_box(session.encode().unwrap())),
            _ => {}
        }
    }
    match outcome.next {
        Next::Continue(flow) => {
            let (token, record) = flow.store(&mut rng());
            (token.expose().to_owned(), record.encode().unwrap())
        }
        Next::LoggedIn(logged_in) => (logged_in.token.expose().to_owned(), Vec::new()),
        Next::Over(reason) => panic!("{reason}"),
    }
}

fn resume(stored: &(String, Vec<u8>)) -> AnyFlow {
    CeremonyRecord::decode(&stored.1).unwrap().resume(&stored.0, NOW).unwrap()
}

fn started(flow: AnyFlow) -> (String, Vec<u8>) {
    let (token, record) = flow.store(&mut rng());
    (token.expose().to_owned(), record.encode().unwrap())
}

fn steps(criterion: &mut Criterion) {
    let rp = RelyingParty::new("example.com", "Example", &["https://example.com"]).unwrap();
    let realm = Realm::new(rp, Secret::generate(&mut rng()), LoginSettings::default()).unwrap();
    let identity = Identity::new("ann@example.com".parse().unwrap(), "b2".parse().unwrap());
    let mut user = UserRecord::create(identity.clone(), [].into(), Vec::new(), &mut rng(), NOW);
    let job = || hash_new_password(Password::new(PASSWORD.into()), &identity.email, realm.secret()).unwrap();
    user.set_password(&job().run().unwrap());
    let user = user.encode().unwrap();
    let load = || UserRecord::decode(&user).unwrap();

    let begun = started(realm.begin(Start::browser(), NOW).unwrap().into());
    let identify = || {
        let AnyFlow::Begun(flow) = resume(&begun) else { panic!() };
        store(flow.identify(&realm, Typed::new("ann@example.com", "b2"), &[load()], NOW).unwrap())
    };
    let identified = identify();
    let password = |hashed: Hashed| {
        let AnyFlow::Identified(flow) = resume(&identified) else { panic!() };
        let none = History::default();
        let histories = Histories { address: none, identity: none, bucket: Bucket::Identity };
        let (admitted, _) = admit(histories, NOW).unwrap();
        let (_, attempt) = flow.password(&realm, vec![load()], Password::new(PASSWORD.into()), admitted);
        store(attempt.finish(&realm, hashed, &mut rng(), NOW).unwrap())
    };
    let ready = password(job().run().unwrap());

    let mut group = criterion.benchmark_group("login");
    group.bench_function("begin", |bencher| {
        bencher.iter(|| started(realm.begin(Start::browser(), NOW).unwrap().into()));
    });
    group.bench_function("identify", |bencher| bencher.iter(identify));
    group.bench_function("identify, unknown", |bencher| {
        bencher.iter(|| {
            let AnyFlow::Begun(flow) = resume(&begun) else { panic!() };
            store(flow.identify(&realm, Typed::new("bob@example.com", "b2"), &[], NOW).unwrap())
        });
    });
    group.bench_function("password, besides its hash", |bencher| {
        let hashes = std::cell::RefCell::new((0..64).map(|_| job().run().unwrap()).collect::<Vec<_>>());
        bencher.iter_batched(
            || hashes.borrow_mut().pop().unwrap_or_else(|| job().run().unwrap()),
            password,
            criterion::BatchSize::SmallInput,
        );
    });
    group.bench_function("finish", |bencher| {
        bencher.iter(|| {
            let AnyFlow::Ready(flow) = resume(&ready) else { panic!() };
            store(flow.finish(&realm, Some(load()), &mut rng(), NOW).unwrap())
        });
    });
    group.bench_function("check a session", |bencher| {
        let AnyFlow::Ready(flow) = resume(&ready) else { panic!() };
        let outcome = flow.finish(&realm, Some(load()), &mut rng(), NOW).unwrap();
        let Next::LoggedIn(logged_in) = outcome.next else { panic!() };
        let session = logged_in.session.encode().unwrap();
        bencher.iter(|| {
            let session = SessionRecord::decode(&session).unwrap();
            session.check(Some(&load()), realm.settings(), NOW + Duration::SECOND).unwrap()
        });
    });
    group.sample_size(10);
    group.bench_function("raw: the hash of a password", |bencher| {
        bencher.iter_batched(job, |job| job.run().unwrap(), criterion::BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
