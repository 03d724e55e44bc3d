//! A step of a login, without the hash of a password and without the signature of a passkey: those are beside it.
//!
//! Each step is what an embedder does for a request: read the records, take the step, encode what is to be stored. Where the hash is
//! left out, the user's is of a kilobyte in place of 19 megabytes (and would be made anew after the step), and it is made before the
//! clock starts. Where the signature is left out, the verification of the same signature is timed in turns with the step and taken off.
#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::panic,
    reason = "a bench may stop, and brings the randomness and the clock"
)]

use std::hint::black_box;
use std::time::{Duration as Span, Instant};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use criterion::{Criterion, criterion_group, criterion_main};
use getrandom::SysRng;
use keyward_webauthn_login::*;
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use rand_core::UnwrapErr;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

#[expect(dead_code, reason = "of an authenticator that can do wrong, an honest one is used")]
#[path = "../../webauthn-login/tests/common/authenticator.rs"]
mod authenticator;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const PASSWORD: &str = "kessel run in twelve";
/// Of that password, in no time.
const CHEAP: &str = "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$Sb0dnUD1BAgF1yeicXfYfl0BaKdG5HZo9sGb0MY1Oeg";

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

/// A login that a passkey answers.
struct Signed {
    login: (String, Vec<u8>),
    response: String,
    /// What is signed in it, by which key.
    message: Vec<u8>,
    signature: Vec<u8>,
    key: Vec<u8>,
}

/// A user who made a passkey, and a login that it answers.
fn passkey(realm: &Realm, ready: &(String, Vec<u8>), user: &[u8]) -> (Vec<u8>, Signed) {
    let load = || UserRecord::decode(user).unwrap();
    let (mut soft, origin) = (authenticator::Soft::new(1), Some("https://example.com"));
    let honest = authenticator::Wrong { origin, ..Default::default() };
    let AnyFlow::Ready(flow) = resume(ready) else { panic!() };
    let outcome = flow.set_up(realm, Method::Passkey, Some(load()), &mut rng(), NOW).unwrap();
    let Next::Continue(AnyFlow::EnrollingPasskey(flow)) = outcome.next else { panic!() };
    let flow = AnyFlow::from(flow);
    let page = serde_json::to_value(flow.prompt(realm, Vec::new())).unwrap();
    let made = soft.create_wrong(&page["options"], &honest);
    let AnyFlow::EnrollingPasskey(flow) = flow else { panic!() };
    let outcome = flow.register(realm, Some(load()), &made.parse().unwrap(), PasskeyName::default(), NOW).unwrap();
    let user = outcome.writes.iter().find_map(|write| match write {
        Write::PutUser(user) => Some(user.clone()),
        _ => None,
    });
    let user = user.unwrap();
    let flow = realm.begin(Start::browser(), NOW).unwrap();
    let outcome = flow.identify(realm, Typed::new("ann@example.com", "b2"), std::slice::from_ref(&user), NOW).unwrap();
    let Next::Continue(flow) = outcome.next else { panic!() };
    let page = serde_json::to_value(flow.prompt(realm, Vec::new())).unwrap();
    let response = soft.get_wrong(&page["passkey"], &honest);
    let parts: Value = serde_json::from_str(&response).unwrap();
    let part = |name: &str| B64.decode(parts["response"][name].as_str().unwrap()).unwrap();
    let mut message = part("authenticatorData");
    message.extend(Sha256::digest(part("clientDataJSON")));
    let (signature, key) = (part("signature"), soft.public_key());
    (user.encode().unwrap(), Signed { login: started(flow), response, message, signature, key })
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
    // The same with a hash that costs nothing.
    let mut cheap = UserRecord::decode(&user).unwrap();
    cheap.import_password(CHEAP.parse().unwrap());
    let cheap = cheap.encode().unwrap();
    let attempt = || {
        let AnyFlow::Identified(flow) = resume(&identified) else { panic!() };
        let none = History::default();
        let histories = Histories { address: none, identity: none, bucket: Bucket::Identity };
        let (admitted, _) = admit(histories, NOW).unwrap();
        let users = vec![UserRecord::decode(&cheap).unwrap()];
        flow.password(&realm, users, Password::new(PASSWORD.into()), admitted)
    };

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
        bencher.iter_custom(|count| {
            let mut took = Span::ZERO;
            for _ in 0..count {
                let begun = Instant::now();
                let (job, attempt) = attempt();
                took += begun.elapsed();
                let hashed = job.run().unwrap();
                let begun = Instant::now();
                drop(black_box(store(attempt.finish(&realm, hashed, &mut rng(), NOW).unwrap())));
                took += begun.elapsed();
            }
            took
        });
    });
    group.bench_function("password, besides its hash, which emptied the caches", |bencher| {
        bencher.iter_custom(|count| {
            // A hash takes a thousand times as long as what is measured.
            let some = count.min(8);
            let took: Span = (0..some)
                .map(|_| {
                    let hashed = job().run().unwrap();
                    let begun = Instant::now();
                    drop(black_box(password(hashed)));
                    begun.elapsed()
                })
                .sum();
            took.mul_f64(count as f64 / some as f64)
        });
    });
    let (with_passkey, signed) = passkey(&realm, &ready, &user);
    let by_passkey = || {
        let AnyFlow::Identified(flow) = resume(&signed.login) else { panic!() };
        let users = vec![UserRecord::decode(&with_passkey).unwrap()];
        let response: AuthenticationResponse = signed.response.parse().unwrap();
        store(flow.passkey(&realm, &response, users, &mut rng(), NOW).unwrap())
    };
    let verify = || {
        let key = VerifyingKey::from_sec1_bytes(&signed.key).unwrap();
        key.verify(&signed.message, &Signature::from_der(&signed.signature).unwrap()).unwrap();
    };
    group.bench_function("passkey, besides its signature", |bencher| {
        bencher.iter_custom(|count| {
            // Of both the shortest, which nothing else disturbed.
            let (mut step, mut raw) = (Span::MAX, Span::MAX);
            for _ in 0..count {
                let begun = Instant::now();
                drop(black_box(by_passkey()));
                step = step.min(begun.elapsed());
                let begun = Instant::now();
                verify();
                raw = raw.min(begun.elapsed());
            }
            step.saturating_sub(raw).max(Span::from_nanos(1)).mul_f64(count as f64)
        });
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
    group.bench_function("raw: the signature of a passkey", |bencher| bencher.iter(verify));
    group.sample_size(10);
    group.bench_function("raw: the hash of a password", |bencher| {
        bencher.iter_batched(job, |job| job.run().unwrap(), criterion::BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
