//! Attacks on logins. The README's table names for each the defence that this shows, and advisories of others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::*;
use keyward_webauthn_login::*;
use serde_json::Value;

/// A user with a passkey, and a browser at the page where it is asked for.
fn at_passkey() -> (World, Identity, Soft, Value) {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let soft = world.give_passkey(&ann, 1);
    world.begin(Start::browser());
    let options = world.identify("ann@example.com", "b2").page()["passkey"].clone();
    (world, ann, soft, options)
}

fn refused(world: &mut World, response: &str) -> Reason {
    match world.passkey(response) {
        Reply::Page(_) => world.refused.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_response_is_taken_once() {
    let (mut world, _, mut soft, options) = at_passkey();
    let response = soft.get(&options);
    let cookie = world.cookie.clone();
    world.passkey(&response).logged_in();
    // The same cookie: its ceremony is gone.
    world.cookie = cookie;
    assert_eq!(world.resume(&world.cookie).unwrap_err(), Reason::Expired);
    // Another ceremony: another challenge.
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    assert_eq!(refused(&mut world, &response), Reason::WrongChallenge);
}

#[test]
fn a_response_that_failed_once_fails_for_good() {
    let (mut world, _, mut soft, options) = at_passkey();
    let other = Soft::new(9);
    let wrong = Wrong { raw_id: Some(other.id.clone()), ..Wrong::default() };
    refused(&mut world, &soft.get_wrong(&options, &wrong));
    // The challenge went with the failure.
    let late = soft.get(&options);
    assert_eq!(refused(&mut world, &late), Reason::WrongChallenge);
}

#[test]
fn of_parallel_finishes_one_succeeds() {
    let (mut world, ann, mut soft, options) = at_passkey();
    let response: AuthenticationResponse = soft.get(&options).parse().unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..8 {
        // Each reads the same ceremony and the same user before any has committed.
        let mut read = Read::default();
        let AnyFlow::Identified(flow) = world.flow() else { panic!() };
        let users = world.store.by_lookup(&mut read, flow.lookup());
        outcomes.push((read, flow.passkey(&world.realm, &response, users, &mut rng(), world.at()).unwrap()));
    }
    let sessions = world.store.sessions.len();
    let replies: Vec<Reply> = outcomes.into_iter().map(|(read, outcome)| world.take(&read, outcome)).collect();
    let logged_in = replies.iter().filter(|reply| matches!(reply, Reply::In(_))).count();
    let conflicts = replies.iter().filter(|reply| matches!(reply, Reply::Conflict(_))).count();
    assert_eq!((logged_in, conflicts), (1, 7));
    assert_eq!(world.store.sessions.len(), sessions + 1);
    assert!(world.store.user(&ann).last_login().is_some());
}

#[test]
fn an_expired_ceremony_and_one_of_another_browser() {
    let (mut world, _, mut soft, options) = at_passkey();
    let response = soft.get(&options);
    let taken = CeremonyRecord::decode(&world.store.ceremonies[&Key::of(&world.cookie)]).unwrap();
    assert_eq!(taken.resume("another cookie", world.at()).unwrap_err(), Reason::ForeignCeremony);
    // Just before the end it is read, and answered just after it.
    world.now += 599;
    let mut read = Read::default();
    let AnyFlow::Identified(flow) = world.flow() else { panic!() };
    let users = world.store.by_lookup(&mut read, flow.lookup());
    world.now += 1;
    let response: AuthenticationResponse = response.parse().unwrap();
    let outcome = flow.passkey(&world.realm, &response, users, &mut rng(), world.at()).unwrap();
    assert!(matches!(world.take(&read, outcome), Reply::Over(Reason::Expired)));
    let (mut world, _, mut soft, options) = at_passkey();
    let _ = soft.get(&options);
    world.now += 600;
    assert_eq!(world.resume(&world.cookie).unwrap_err(), Reason::Expired);
}

#[test]
fn a_response_for_another_origin_party_or_purpose() {
    let wrong = Wrong::default();
    let cases = [
        (Wrong { origin: Some("https://tower.example.com.evil.example"), ..wrong.clone() }, Reason::WrongOrigin),
        (Wrong { origin: Some("https://other.example.com"), ..wrong.clone() }, Reason::WrongOrigin),
        (Wrong { origin: Some("http://tower.example.com"), ..wrong.clone() }, Reason::WrongOrigin),
        (Wrong { origin: Some("https://tower.example.com:8443"), ..wrong.clone() }, Reason::WrongOrigin),
        (Wrong { rp_id: Some("evil.example"), ..wrong.clone() }, Reason::WrongRelyingParty),
        (Wrong { kind: Some("webauthn.create"), ..wrong.clone() }, Reason::WrongType),
        (Wrong { kind: Some("payment.get"), ..wrong.clone() }, Reason::WrongType),
        (Wrong { challenge: Some("AAAA".to_owned()), ..wrong.clone() }, Reason::WrongChallenge),
        (Wrong { cross_origin: true, ..wrong.clone() }, Reason::CrossOrigin),
        (Wrong { top_origin: Some("https://evil.example"), ..wrong.clone() }, Reason::CrossOrigin),
        (Wrong { not_verified: true, ..wrong.clone() }, Reason::NotVerified),
        (Wrong { not_present: true, ..wrong.clone() }, Reason::NotVerified),
        (Wrong { signature: true, ..wrong.clone() }, Reason::WrongSignature),
        (Wrong { backed_up_without_being_eligible: true, ..wrong.clone() }, Reason::BackupState),
    ];
    for (wrong, reason) in cases {
        let (mut world, _, mut soft, options) = at_passkey();
        assert_eq!(refused(&mut world, &soft.get_wrong(&options, &wrong)), reason);
    }
    let (mut world, _, mut soft, options) = at_passkey();
    world.passkey(&soft.get(&options)).logged_in();
}

#[test]
fn a_registration_for_another_origin_party_or_purpose() {
    let wrong = Wrong::default();
    let cases = [
        (Wrong { origin: Some("https://evil.example"), ..wrong.clone() }, Reason::WrongOrigin),
        (Wrong { rp_id: Some("evil.example"), ..wrong.clone() }, Reason::WrongRelyingParty),
        (Wrong { kind: Some("webauthn.get"), ..wrong.clone() }, Reason::WrongType),
        (Wrong { cross_origin: true, ..wrong.clone() }, Reason::CrossOrigin),
        (Wrong { top_origin: Some("https://evil.example"), ..wrong.clone() }, Reason::CrossOrigin),
        (Wrong { not_verified: true, ..wrong.clone() }, Reason::NotVerified),
        (Wrong { raw_id: Some(vec![1; 20]), ..wrong.clone() }, Reason::BadResponse),
    ];
    for (wrong, reason) in cases {
        let mut world = World::with("ann@example.com", "b2");
        world.begin(Start::browser());
        world.identify("ann@example.com", "");
        world.password(PASSWORD);
        let options = world.set_up(Method::Passkey).page()["options"].clone();
        world.register(&Soft::new(1).create_wrong(&options, &wrong), "x");
        assert_eq!(world.refused, Some(reason));
        assert_eq!(world.flow().told(reason), "the passkey was not made; try again, or with another device");
        assert!(!world.store.user(&identity("ann@example.com", "b2")).has().passkey);
    }
}

#[test]
fn the_same_passkey_is_not_registered_twice() {
    let (mut world, ann, mut soft, options) = at_passkey();
    let session = world.passkey(&soft.get(&options)).logged_in().session;
    let fresh = session.fresh("5m".parse().unwrap(), world.at()).unwrap();
    let mut read = Read::default();
    let user = world.store.read(&mut read, &ann).unwrap();
    let next = NextPath::default();
    let begun = world.realm.set_up(&session, fresh, &user, Method::Passkey, next, &mut rng(), world.at()).unwrap();
    let page = world.take(&read, begun);
    // By a page that does not pass on which ones are excluded.
    world.register(&soft.create(&page.page()["options"].clone()), "x");
    assert_eq!(world.refused, Some(Reason::AlreadyRegistered));
    assert_eq!(world.store.user(&ann).passkeys().count(), 1);
}

#[test]
fn never_into_another_tenant() {
    let mut world = World::with("ann@example.com", "b2");
    world.add("ann@example.com", "c3", &[]);
    let mut in_c3 = world.give_passkey(&identity("ann@example.com", "c3"), 2);
    // The first page of a login URL of b2, and the browser offers the passkey of c3.
    let start = Start { tenant: Some("b2".parse().unwrap()), ..Start::browser() };
    let options = world.begin(start).page()["autofill"].clone();
    assert_eq!(refused(&mut world, &in_c3.get(&options)), Reason::CrossTenant);
    // The same after the address was named.
    let options = world.begin_at("/login/b2/ann@example.com").page()["passkey"].clone();
    assert_eq!(refused(&mut world, &in_c3.get(&options)), Reason::UnknownUser);
    // What is typed does not leave the tenant of the URL either.
    let start = Start { tenant: Some("b2".parse().unwrap()), ..Start::browser() };
    world.begin(start);
    let options = world.identify("ann@example.com", "c3").page()["passkey"].clone();
    assert_eq!(refused(&mut world, &in_c3.get(&options)), Reason::UnknownUser);
    // Where no tenant is named, the passkey says which.
    let options = world.begin(Start::browser()).page()["autofill"].clone();
    assert_eq!(world.passkey(&in_c3.get(&options)).logged_in().session.identity().tenant, "c3");
}

#[test]
fn what_the_embedder_passes_is_not_believed() {
    // Users of another tenant, or with another address.
    let mut world = World::with("ann@example.com", "b2");
    let other = world.add("ann@example.com", "c3", &[]);
    let bob = world.add("bob@example.com", "b2", &[]);
    let mut in_c3 = world.give_passkey(&other, 2);
    for passed in [&other, &bob] {
        world.begin(Start::browser());
        let options = world.identify("ann@example.com", "b2").page()["passkey"].clone();
        let mut read = Read::default();
        let user = world.store.read(&mut read, passed).unwrap();
        let AnyFlow::Identified(flow) = world.flow() else { panic!() };
        let (job, attempt) =
            flow.password(&world.realm, vec![user.clone()], Password::new(PASSWORD.into()), admitted());
        let outcome = attempt.finish(&world.realm, job.run().unwrap(), &mut rng(), world.at()).unwrap();
        assert_eq!(outcome.refused, Some(Reason::UnknownUser));
        let AnyFlow::Identified(flow) = world.flow() else { panic!() };
        let response = in_c3.get(&options).parse().unwrap();
        let outcome = flow.passkey(&world.realm, &response, vec![user], &mut rng(), world.at()).unwrap();
        assert_eq!(outcome.refused, Some(Reason::UnknownUser));
    }
    // A user whom nobody named.
    let options = world.begin(Start::browser()).page()["autofill"].clone();
    let response = in_c3.get_wrong(&options, &Wrong { user_handle: Some(None), ..Wrong::default() }).parse().unwrap();
    let mut read = Read::default();
    let user = world.store.read(&mut read, &other);
    let AnyFlow::Begun(flow) = world.flow() else { panic!() };
    let outcome = flow.passkey(&world.realm, &response, user, &mut rng(), world.at()).unwrap();
    assert_eq!(outcome.refused, Some(Reason::UnknownPasskey));
}

#[test]
fn a_swapped_user_handle() {
    let mut world = World::with("ann@example.com", "b2");
    world.add("bob@example.com", "b2", &[]);
    let (ann, bob) = (identity("ann@example.com", "b2"), identity("bob@example.com", "b2"));
    let mut soft = world.give_passkey(&ann, 1);
    let bobs = world.give_passkey(&bob, 2);
    let swapped = Wrong { user_handle: Some(bobs.user_handle.clone()), ..Wrong::default() };
    // Offered by the browser: Bob is looked up, whose passkey it is not.
    let options = world.begin(Start::browser()).page()["autofill"].clone();
    assert_eq!(refused(&mut world, &soft.get_wrong(&options, &swapped)), Reason::UnknownPasskey);
    // After Ann was named: her own passkey, somebody else's handle.
    world.begin(Start::browser());
    let options = world.identify("ann@example.com", "b2").page()["passkey"].clone();
    assert_eq!(refused(&mut world, &soft.get_wrong(&options, &swapped)), Reason::WrongUserHandle);
    // A handle that is none of ours.
    let other = Wrong { user_handle: Some(Some("AQID".to_owned())), ..Wrong::default() };
    let options = world.begin(Start::browser()).page()["autofill"].clone();
    assert_eq!(refused(&mut world, &soft.get_wrong(&options, &other)), Reason::UnknownPasskey);
    // None at all: good enough after somebody was named, not before.
    let none = Wrong { user_handle: Some(None), ..Wrong::default() };
    let options = world.begin(Start::browser()).page()["autofill"].clone();
    assert_eq!(refused(&mut world, &soft.get_wrong(&options, &none)), Reason::UnknownPasskey);
    assert!(matches!(world.signal, Some(Signal::SignalUnknownCredential { .. })));
    world.begin(Start::browser());
    let options = world.identify("ann@example.com", "b2").page()["passkey"].clone();
    world.passkey(&soft.get_wrong(&options, &none)).logged_in();
}

#[test]
fn a_counter_that_goes_back() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let mut soft = world.give_passkey(&ann, 1);
    soft.counts = true;
    soft.counter = 40;
    for (counter, good) in [(None, true), (Some(41), false), (Some(7), false), (Some(0), false), (Some(42), true)] {
        world.begin(Start::browser());
        let options = world.identify("ann@example.com", "b2").page()["passkey"].clone();
        let response = soft.get_wrong(&options, &Wrong { counter, ..Wrong::default() });
        if good {
            world.passkey(&response).logged_in();
        } else {
            assert_eq!(refused(&mut world, &response), Reason::CounterWentBack, "{counter:?}");
        }
    }
}

#[test]
fn a_passkey_that_does_not_count_is_none_that_goes_back() {
    // Also at a second place that has seen other logins: sites that log in by themselves.
    let mut tower = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let mut soft = tower.give_passkey(&ann, 1);
    let mut site = World::new();
    site.store.users = tower.store.users.clone();
    site.now = tower.now;
    for at_site in [true, false, true, false] {
        let world = if at_site { &mut site } else { &mut tower };
        let options = world.begin(Start::browser()).page()["autofill"].clone();
        world.passkey(&soft.get(&options)).logged_in();
    }
}

/// A user for whom passkeys are enforced, who has one, a one-time password and recovery codes.
fn enforced() -> (World, Identity, Soft, totp_rs::Totp) {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let totp = world.give_totp(&ann);
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    let code = world.totp_now(&totp);
    world.code(&code);
    let options = world.set_up(Method::Passkey).page()["options"].clone();
    let mut soft = Soft::new(1);
    let page = world.register(&soft.create(&options), "x");
    world.passkey(&soft.get(&page.page()["passkey"].clone())).logged_in();
    world.store.change(&ann, |user| user.enforce([Method::Passkey].into()));
    world.now += 60;
    (world, ann, soft, totp)
}

#[test]
fn nothing_leads_around_an_enforced_passkey() {
    // A password and a one-time password: the passkey is still asked for, whatever is posted.
    let (mut world, ann, mut soft, totp) = enforced();
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    assert_eq!(world.password(PASSWORD).page()["wanted"], "totp");
    let code = world.totp_now(&totp);
    assert_eq!(world.code(&code).page()["wanted"], "passkey");
    world.now += 60;
    let code = world.totp_now(&totp);
    world.code(&code);
    assert_eq!(world.refused, Some(Reason::NotOffered));
    let codes = world.codes.clone();
    world.recovery_code(&codes[0]);
    assert_eq!(world.refused, Some(Reason::NotOffered));
    world.password(PASSWORD);
    assert_eq!(world.refused, Some(Reason::NotOffered));
    world.skip();
    assert_eq!(world.refused, Some(Reason::NotOffered));
    let AnyFlow::Second(_) = world.flow() else { panic!() };
    let options = serde_json::to_value(world.flow().prompt(&world.realm, Vec::new())).unwrap()["passkey"].clone();
    world.passkey(&soft.get(&options)).logged_in();

    // A recovery code stands in for the one-time password alone.
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    assert_eq!(world.recovery_code(&codes[1]).page()["wanted"], "passkey");

    // A program has no passkey, and gets nothing without.
    world.begin(Start::client());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    world.now += 60;
    let code = world.totp_now(&totp);
    assert!(matches!(world.code(&code), Reply::Over(Reason::NotOffered)));

    // An enrolment link sets up what is missing, and stands in for nothing that is there.
    let link = world.link(&ann, &[Method::Passkey, Method::Password]);
    let page = world.open_link(&link);
    assert_eq!((page.step(), &page.page()["wanted"]), ("proof", &Value::from("password")));

    // A provider neither.
    let reply = by_provider(&mut world, &ann);
    assert_eq!(reply.page()["wanted"], "totp");
}

/// Where that provider sends browsers back to.
const BACK: &str = "https://tower.example.com/login/oidc/b2/entra/callback";

fn provider() -> Provider {
    let text = |text: &str| text.to_owned();
    let name = "entra".parse().unwrap();
    let redirect = text(BACK);
    let endpoint = text("https://issuer.example/authorize");
    Provider::new(name, text("https://issuer.example"), text("tower"), endpoint, redirect, true).unwrap()
}

fn bind(world: &mut World, identity: &Identity) {
    let binding = Binding {
        provider: "entra".parse().unwrap(),
        issuer: "https://issuer.example".to_owned(),
        subject: "42".to_owned(),
    };
    world.store.change(identity, |user| user.set_bindings(vec![binding]));
}

fn query(url: &str, name: &str) -> String {
    let (_, query) = url.split_once('?').unwrap();
    let pair = query.split('&').find(|pair| pair.starts_with(&format!("{name}="))).unwrap();
    pair.split_once('=').unwrap().1.to_owned()
}

/// At the page of the provider; what comes back is its URL.
fn sent_to_provider(world: &mut World, email: &str, tenant: &str) -> String {
    world.begin(Start::browser());
    world.identify(email, tenant);
    let AnyFlow::Identified(flow) = world.flow() else { panic!() };
    let outcome = flow.external(provider(), None, &mut rng(), world.at());
    let page = world.take(&Read::default(), outcome);
    page.page()["url"].as_str().unwrap().to_owned()
}

fn came_back(world: &mut World, callback: &Callback, claims: &VerifiedClaims, user: &Identity) -> Reply {
    came_back_to(world, BACK, callback, claims, user)
}

fn came_back_to(world: &mut World, at: &str, callback: &Callback, claims: &VerifiedClaims, user: &Identity) -> Reply {
    let AnyFlow::AtProvider(flow) = world.flow() else { panic!() };
    let mut read = Read::default();
    let outcome = match flow.callback(callback, at, world.at()) {
        Err(outcome) => *outcome,
        Ok((code, request, exchange)) => {
            assert_eq!((code.as_str(), request.code_verifier().len()), ("code", 43));
            let user = world.store.read(&mut read, user);
            exchange.verified(&world.realm, claims, user, &mut rng(), world.at()).unwrap()
        }
    };
    world.take(&read, outcome)
}

fn good(url: &str) -> (Callback, VerifiedClaims) {
    let issuer = "https://issuer.example".to_owned();
    let callback = Callback::new(query(url, "state"), "code".to_owned(), Some(issuer.clone()));
    (callback, VerifiedClaims { issuer, subject: "42".to_owned(), nonce: query(url, "nonce"), auth_time: None })
}

fn by_provider(world: &mut World, identity: &Identity) -> Reply {
    bind(world, identity);
    let url = sent_to_provider(world, identity.email.as_str(), identity.tenant.as_str());
    let (callback, claims) = good(&url);
    came_back(world, &callback, &claims, identity)
}

#[test]
fn answers_of_providers_that_are_mixed_up() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    assert_eq!(by_provider(&mut world, &ann).logged_in().session.authenticator().to_string(), "entra");
    type Change = fn(&mut Callback, &mut VerifiedClaims);
    let cases: [(Change, Reason); 8] = [
        (|callback, _| callback.state = "guessed".to_owned(), Reason::MixUp),
        (|callback, _| callback.state = String::new(), Reason::MixUp),
        (|callback, _| callback.iss = Some("https://evil.example".to_owned()), Reason::MixUp),
        (|callback, _| callback.iss = None, Reason::MixUp), // it says that it always sends it
        (|_, claims| claims.issuer = "https://evil.example".to_owned(), Reason::MixUp),
        (|_, claims| claims.nonce = "of another login".to_owned(), Reason::MixUp),
        (|_, claims| claims.subject = "43".to_owned(), Reason::NotBound),
        (|callback, _| callback.error = Some("access_denied".to_owned()), Reason::Declined),
    ];
    for (change, reason) in cases {
        let url = sent_to_provider(&mut world, "ann@example.com", "b2");
        let (mut callback, mut claims) = good(&url);
        change(&mut callback, &mut claims);
        assert!(matches!(came_back(&mut world, &callback, &claims, &ann), Reply::Over(found) if found == reason));
    }
    // A provider that says nothing of itself is known by where it sends the browser: to the address of another one.
    let elsewhere = BACK.replace("entra", "evil");
    let url = sent_to_provider(&mut world, "ann@example.com", "b2");
    let (callback, claims) = good(&url);
    let over = came_back_to(&mut world, &elsewhere, &callback, &claims, &ann);
    assert!(matches!(over, Reply::Over(Reason::MixUp)));
}

#[test]
fn a_provider_that_did_not_ask_again_proves_nothing_inside_a_session() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let mut session = by_provider(&mut world, &ann).logged_in().session;
    let minutes = time::Duration::minutes;
    // When it says that it asked, of a login that began at zero: not, before, in the future; clocks differ a little.
    for (asked, good_enough) in [
        (None, false),
        (Some(minutes(-60)), false),
        (Some(minutes(-2)), false),
        (Some(minutes(30)), false),
        (Some(time::Duration::seconds(-30)), true),
        (Some(minutes(2)), true),
    ] {
        world.now += 600;
        let (began, user) = (world.at(), world.store.user(&ann));
        let flow = world.realm.step_up(&session, &user, NextPath::default(), began).unwrap();
        let outcome = flow.external(provider(), None, &mut rng(), world.at());
        let page = world.take(&Read::default(), outcome);
        let url = page.page()["url"].as_str().unwrap().to_owned();
        assert!(url.contains("&prompt=login&max_age=300"), "{url}");
        world.now += 120;
        let (callback, mut claims) = good(&url);
        claims.auth_time = asked.map(|asked| began + asked);
        match came_back(&mut world, &callback, &claims, &ann) {
            Reply::In(logged_in) if good_enough => session = logged_in.session,
            Reply::Over(Reason::NotAsked) if !good_enough => {}
            other => panic!("{asked:?}: {other:?}"),
        }
    }
}

#[test]
fn a_login_at_a_provider_that_knows_the_browser_is_no_recent_one() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    bind(&mut world, &ann);
    // As after a log-out at a browser that somebody left: the provider lets in whoever sits there.
    for (asked, is_recent) in [(Some(-3600), false), (Some(-1), true), (Some(30), true), (None, false)] {
        world.now += 600;
        let url = sent_to_provider(&mut world, "ann@example.com", "b2");
        let (callback, mut claims) = good(&url);
        claims.auth_time = asked.map(|asked| world.at() + time::Duration::seconds(asked));
        let session = came_back(&mut world, &callback, &claims, &ann).logged_in().session;
        assert_eq!(session.authenticated(), world.at());
        assert_eq!(session.fresh("5m".parse().unwrap(), world.at()).is_ok(), is_recent, "{asked:?}");
        assert!(session.check(Some(&world.store.user(&ann)), world.realm.settings(), world.at()).is_ok());
    }
}

#[test]
fn an_email_address_binds_nobody_and_no_tenant_is_switched() {
    let mut world = World::with("ann@example.com", "b2");
    world.add("ann@example.com", "c3", &[]);
    world.add("bob@example.com", "b2", &[]);
    let (here, there) = (identity("ann@example.com", "b2"), identity("ann@example.com", "c3"));
    let bob = identity("bob@example.com", "b2");
    // The same address, not bound.
    let url = sent_to_provider(&mut world, "ann@example.com", "b2");
    let (callback, claims) = good(&url);
    assert!(matches!(came_back(&mut world, &callback, &claims, &here), Reply::Over(Reason::NotBound)));
    // Bound in another tenant, or another address of this one.
    bind(&mut world, &there);
    bind(&mut world, &bob);
    for other in [there, bob] {
        let url = sent_to_provider(&mut world, "ann@example.com", "b2");
        let (callback, claims) = good(&url);
        assert!(matches!(came_back(&mut world, &callback, &claims, &other), Reply::Over(Reason::CrossTenant)));
    }
}

#[test]
fn an_enrolment_link_works_once() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    world.store.change(&ann, |user| user.reset(&[Method::Password, Method::Totp, Method::Passkey].into()));
    let link = world.link(&ann, &[Method::Password, Method::Passkey]);
    // Two browsers open it at once.
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let mut read = Read::default();
        let record = EnrolmentLink::decode(&world.store.links[&Key::of(&link)]).unwrap();
        let user = world.store.read(&mut read, &ann);
        outcomes.push((read, world.realm.open_link(Some(&record), &link, user, &mut rng(), world.at()).unwrap()));
    }
    let mut replies: Vec<Reply> = outcomes.into_iter().map(|(read, outcome)| world.take(&read, outcome)).collect();
    assert!(matches!(replies.pop().unwrap(), Reply::Conflict("the link was taken")));
    assert_eq!(replies[0].step(), "set-password");
    let options = world.new_password(OTHER_PASSWORD).page()["options"].clone();
    let mut soft = Soft::new(3);
    let page = world.register(&soft.create(&options), "x");
    world.passkey(&soft.get(&page.page()["passkey"].clone())).logged_in();
    // Again, later.
    assert!(matches!(world.open_link(&link), Reply::Over(Reason::BadLink)));
    assert_eq!(world.refused, Some(Reason::BadLink));
}

#[test]
fn an_enrolment_link_ends_by_time_and_with_what_ends_sessions() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let link = world.link(&ann, &[Method::Password]);
    world.now += 3600;
    assert!(matches!(world.open_link(&link), Reply::Over(Reason::BadLink)));
    let link = world.link(&ann, &[Method::Password]);
    world.store.change(&ann, |user| user.lock(at(1)));
    assert!(matches!(world.open_link(&link), Reply::Over(Reason::BadLink)));
    assert_eq!(world.refused, Some(Reason::Changed), "for the audit log");
    world.store.change(&ann, |user| user.unlock());
    world.open_link(&link);
    assert_eq!(world.refused, Some(Reason::Changed), "for good");
    assert!(matches!(world.open_link("guessed"), Reply::Over(Reason::BadLink)));
}

#[test]
fn what_is_lost_is_not_set_up_again_by_what_is_left() {
    let mut world = World::new();
    let ann = world.add("ann@example.com", "b2", &[Method::Passkey]);
    world.store.change(&ann, |user| {
        user.reset(&[Method::Password, Method::Totp, Method::Passkey].into());
        user.import_password(cheap_hash(PASSWORD, b"0123456789abcdef"));
    });
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    assert!(matches!(world.password(PASSWORD), Reply::Over(Reason::EnrolmentNeeded)));
}

#[test]
fn a_locked_user_is_kept_out_by_every_method_and_at_every_point() {
    let lock = |world: &mut World, ann: &Identity| world.store.change(ann, |user| user.lock(at(1)));
    // Before.
    let (mut world, ann, mut soft, options) = at_passkey();
    lock(&mut world, &ann);
    assert_eq!(refused(&mut world, &soft.get(&options)), Reason::Locked);
    world.password(PASSWORD);
    assert_eq!(world.refused, Some(Reason::Locked));
    let options = world.begin(Start::browser()).page()["autofill"].clone();
    assert_eq!(refused(&mut world, &soft.get(&options)), Reason::Locked);
    world.store.change(&ann, |user| user.unlock());
    bind(&mut world, &ann);
    let url = sent_to_provider(&mut world, "ann@example.com", "b2");
    let (callback, claims) = good(&url);
    lock(&mut world, &ann);
    assert!(matches!(came_back(&mut world, &callback, &claims, &ann), Reply::Over(Reason::Locked)));
    // A link that was made for a locked user.
    let link = world.link(&ann, &[Method::Password]);
    assert!(matches!(world.open_link(&link), Reply::Over(Reason::Locked)));

    // Between the password and what follows: a one-time password, a passkey, setting one up, going on.
    for point in ["code", "skip", "register", "finish"] {
        let mut world = World::with("ann@example.com", "b2");
        let ann = identity("ann@example.com", "b2");
        let totp = (point == "code").then(|| world.give_totp(&ann));
        world.begin(Start::browser());
        world.identify("ann@example.com", "b2");
        world.password(PASSWORD);
        let page = if matches!(point, "register" | "skip") { Some(world.set_up(Method::Passkey)) } else { None };
        lock(&mut world, &ann);
        let reply = match point {
            "code" => {
                let code = world.totp_now(&totp.unwrap());
                world.code(&code)
            }
            "register" => {
                let response = Soft::new(1).create(&page.unwrap().page()["options"].clone());
                world.register(&response, "x")
            }
            "skip" => world.skip(),
            _ => world.finish(),
        };
        assert!(matches!(reply, Reply::Over(Reason::Locked)), "{point}");
        assert_eq!(world.store.user(&ann).locked(), Some(at(1)));
    }
}

#[test]
fn a_lock_or_a_policy_in_the_last_moment_makes_the_commit_fail() {
    for change in
        [|user: &mut UserRecord| user.lock(at(1)), |user: &mut UserRecord| user.enforce([Method::Totp].into())]
    {
        let mut world = World::with("ann@example.com", "b2");
        let ann = identity("ann@example.com", "b2");
        world.begin(Start::browser());
        world.identify("ann@example.com", "b2");
        world.password(PASSWORD);
        let mut read = Read::default();
        let user = world.user_of(&mut read);
        let AnyFlow::Ready(flow) = world.flow() else { panic!() };
        let outcome = flow.finish(&world.realm, user, &mut rng(), world.at()).unwrap();
        world.store.change(&ann, change);
        assert!(matches!(world.take(&read, outcome), Reply::Conflict("the user was changed")));
        assert!(world.store.sessions.is_empty());
        // And asked again it is refused.
        assert!(matches!(world.finish(), Reply::Over(Reason::Locked | Reason::Changed)));
    }
}

#[test]
fn a_one_time_password_is_taken_once_inside_the_skew_and_in_parallel() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let totp = world.give_totp(&ann);
    let to_code = |world: &mut World| {
        world.begin(Start::browser());
        world.identify("ann@example.com", "b2");
        world.password(PASSWORD);
    };
    // Two logins of two browsers, one code, neither has committed.
    let code = world.totp_now(&totp);
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        to_code(&mut world);
        let mut read = Read::default();
        let user = world.user_of(&mut read);
        let AnyFlow::Second(flow) = world.flow() else { panic!() };
        outcomes.push((read, flow.totp(&world.realm, user, &code, admitted(), &mut rng(), world.at()).unwrap()));
    }
    let replies: Vec<Reply> = outcomes.into_iter().map(|(read, outcome)| world.take(&read, outcome)).collect();
    assert!(matches!(replies[1], Reply::Conflict("the user was changed")));
    assert_eq!(replies.iter().filter(|reply| matches!(reply, Reply::In(_) | Reply::Page(_))).count(), 1);
    // Later, while the code would still be inside the skew.
    to_code(&mut world);
    world.now += 20;
    world.code(&code);
    assert_eq!(world.refused, Some(Reason::CodeUsed));
}

#[test]
fn guessing_at_codes_is_slow() {
    // One login ends after a few wrong ones, and each has to be admitted.
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let totp = world.give_totp(&ann);
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    let right = world.totp_now(&totp);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let over = (0..20).position(|guess| {
        let reply = if guess % 2 == 0 { world.code(wrong) } else { world.recovery_code("aaaa-aaaa-aaaa-aaaa") };
        matches!(reply, Reply::Over(Reason::TooManyAttempts))
    });
    assert_eq!(over, Some(9));
    // And over many logins the history of the second factor decides.
    let mut histories =
        Histories { address: History::default(), identity: History::default(), bucket: Bucket::SecondFactor };
    let mut guesses = 0;
    for second in 0..86_400 {
        if let Ok((_, after)) = admit(histories, at(second)) {
            histories = after;
            guesses += 1;
        }
    }
    assert!(guesses <= 300, "{guesses} guesses a day at a million codes");
}

#[test]
fn a_session_is_none_that_the_browser_brought_along() {
    let mut world = World::with("ann@example.com", "b2");
    let mut seen = Vec::new();
    world.begin(Start::browser());
    seen.push(world.cookie.clone());
    world.identify("ann@example.com", "b2");
    seen.push(world.cookie.clone());
    world.password(PASSWORD);
    seen.push(world.cookie.clone());
    let logged_in = world.finish().logged_in();
    seen.push(logged_in.token.expose().to_owned());
    let distinct: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), 4, "another value at every step");
    for planted in &seen[..3] {
        assert!(!world.store.sessions.contains_key(&Key::of(planted)));
    }
    // A login inside the session ends the former token.
    let user = world.store.user(&identity("ann@example.com", "b2"));
    let flow = world.realm.step_up(&logged_in.session, &user, NextPath::default(), world.at()).unwrap();
    world.take(&Read::default(), outcome_of(flow.into()));
    let again = world.password(PASSWORD).logged_in();
    assert!(!world.store.sessions.contains_key(&logged_in.session.key()));
    assert!(world.store.sessions.contains_key(&again.token.key()));
}

#[test]
fn a_login_inside_a_session_is_of_its_user() {
    let mut world = World::with("ann@example.com", "b2");
    world.add("bob@example.com", "b2", &[]);
    let mut bobs = world.give_passkey(&identity("bob@example.com", "b2"), 2);
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    let session = world.finish().logged_in().session;
    let user = world.store.user(&identity("ann@example.com", "b2"));
    let flow = world.realm.step_up(&session, &user, NextPath::default(), world.at()).unwrap();
    let page = world.take(&Read::default(), outcome_of(flow.into()));
    assert_eq!(refused(&mut world, &bobs.get(&page.page()["passkey"].clone())), Reason::UnknownUser);
    assert!(world.store.sessions.contains_key(&session.key()));
    // Nor of a later user of the same name.
    let ann = identity("ann@example.com", "b2");
    world.add("ann@example.com", "b2", &[]);
    assert!(matches!(world.password(PASSWORD), Reply::Over(Reason::CrossTenant)));
    assert_eq!(world.store.user(&ann).last_login(), None);
}

#[test]
fn a_form_of_another_site() {
    let mut world = World::with("ann@example.com", "b2");
    world.begin(Start::browser());
    let secret = world.realm.secret();
    let field = form_token(&world.cookie, secret);
    assert_eq!(check_form(&field, &world.cookie, secret), Ok(()));
    // The attacker's own form for the attacker's own login, sent by the victim's browser.
    let mut attacker = World::new();
    attacker.begin(Start::browser());
    assert_eq!(check_form(&form_token(&attacker.cookie, secret), &world.cookie, secret), Err(Reason::ForgedForm));
    assert_eq!(check_origin(Some("https://evil.example"), Some("cross-site"), &[ORIGIN]), Err(Reason::ForgedForm));
    assert_eq!(check_origin(None, None, &[ORIGIN]), Err(Reason::ForgedForm));
    assert_eq!(check_origin(Some(ORIGIN), Some("same-origin"), &[ORIGIN]), Ok(()));
}

#[test]
fn the_way_after_a_login_stays_in_the_site() {
    for bad in
        ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/%2f%2fevil.example"]
    {
        assert!(bad.parse::<NextPath>().is_err(), "{bad}");
    }
    let mut world = World::with("ann@example.com", "b2");
    world.begin(Start { next: "/keys?name=x".parse().unwrap(), ..Start::browser() });
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    assert_eq!(world.finish().logged_in().next.as_str(), "/keys?name=x");
}

/// A page without what is random in it: the challenge, and the identifiers of passkeys.
fn without_random(page: &Value) -> Value {
    let mut page = page.clone();
    let options = &mut page["passkey"]["publicKey"];
    options["challenge"] = Value::Null;
    for allowed in options["allowCredentials"].as_array_mut().unwrap() {
        allowed["id"] = Value::Null;
    }
    page["email"] = Value::Null;
    page["tenant"] = Value::Null;
    page
}

#[test]
fn nothing_of_step_one_says_who_exists() {
    let mut world = World::with("ann@example.com", "b2");
    for tenant in ["c3", "d4"] {
        world.add("han@example.com", tenant, &[Method::Passkey]);
    }
    world.add("locked@example.com", "b2", &[]);
    world.store.change(&identity("locked@example.com", "b2"), |user| user.lock(at(0)));
    world.give_passkey(&identity("ann@example.com", "b2"), 1);
    let mut pages = Vec::new();
    for (email, tenant) in [
        ("ann@example.com", ""),
        ("ann@example.com", "b2"),
        ("ann@example.com", "nowhere"),
        ("han@example.com", ""),
        ("locked@example.com", ""),
        ("nobody@example.com", ""),
        ("nobody@example.com", "b2"),
        ("no address", ""),
        ("", ""),
        ("ann@example.com", "no tenant!"),
    ] {
        world.begin(Start::browser());
        let page = world.identify(email, tenant);
        assert_eq!(world.refused, None);
        let ids = page.page()["passkey"]["publicKey"]["allowCredentials"].as_array().unwrap().len();
        assert_eq!(ids, SLOTS);
        pages.push(without_random(page.page()));
        // What follows a wrong password is one page too.
        let after = world.password("a wrong password");
        assert_eq!(without_random(after.page()), pages[0], "{email} {tenant}");
        assert_eq!(world.refused.unwrap().told(), LOGIN_REFUSED);
    }
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]));
    // Asked twice it lists the same, so that two lists do not tell either.
    let mut list = |email: &str| {
        world.begin(Start::browser());
        let page = world.identify(email, "");
        page.page()["passkey"]["publicKey"]["allowCredentials"].clone()
    };
    assert_eq!(list("nobody@example.com"), list("nobody@example.com"));
    assert_eq!(list("Nobody@Example.com"), list("nobody@example.com"));
    assert_eq!(list("ann@example.com"), list("ann@example.com"));
}

#[test]
fn a_password_costs_one_hash_for_nobody_for_one_and_for_many() {
    let mut world = World::new();
    for tenant in ["b2", "c3", "d4"] {
        let user = UserRecord::create(identity("han@example.com", tenant), [].into(), Vec::new(), &mut rng(), at(0));
        world.store.put(&user);
        let email = "han@example.com".parse().unwrap();
        let job = hash_new_password(Password::new(PASSWORD.into()), &email, world.realm.secret()).unwrap();
        let hashed = job.run().unwrap();
        world.store.change(&identity("han@example.com", tenant), |user| user.set_password(&hashed));
    }
    for (email, tenant) in
        [("han@example.com", ""), ("han@example.com", "b2"), ("nobody@example.com", ""), ("no address", "")]
    {
        world.begin(Start::browser());
        world.identify(email, tenant);
        let AnyFlow::Identified(flow) = world.flow() else { panic!() };
        let users = world.store.by_lookup(&mut Read::default(), flow.lookup());
        let (job, _attempt) = flow.password(&world.realm, users, Password::new("guess".into()), admitted());
        assert_eq!(job.hashes(), 1, "{email} {tenant}");
    }
}

#[test]
fn a_forged_list_of_remembered_logins_is_no_list() {
    let world = World::with("ann@example.com", "b2");
    let mut logins = RememberedLogins::default();
    let authenticator = Authenticator::Strongbox;
    logins.remember(RememberedLogin { identity: identity("ann@example.com", "b2"), authenticator });
    let forged = logins.to_cookie(&Secret::from_bytes(&[8; 32]));
    assert_eq!(RememberedLogins::from_cookie(&forged, world.realm.secret()), RememberedLogins::default());
    let own = logins.to_cookie(world.realm.secret());
    assert_eq!(RememberedLogins::from_cookie(&own, world.realm.secret()), logins);
}
