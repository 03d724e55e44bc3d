//! The way of a user through the login, as a page would show it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::*;
use keyward_webauthn_login::*;

#[test]
fn a_new_user_makes_a_passkey_and_logs_in_with_it() {
    let mut world = World::with("hansolo@example.com", "b2");
    let han = identity("hansolo@example.com", "b2");
    // First login: the password, then the offer of a passkey.
    assert_eq!(world.begin(Start::browser()).step(), "identity");
    assert_eq!(world.identify("HanSolo@example.com", "").step(), "method");
    let offer = world.password(PASSWORD);
    assert_eq!((offer.step(), &offer.page()["offers"]), ("offer", &serde_json::json!(["passkey", "totp"])));
    // It is created …
    let page = world.set_up(Method::Passkey);
    let options = page.page()["options"].clone();
    let made = &options["publicKey"];
    assert_eq!(made["user"]["name"], "hansolo@example.com (b2)");
    assert_eq!(made["authenticatorSelection"]["residentKey"], "preferred");
    assert_eq!(made["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(made["attestation"], "none");
    let mut soft = Soft::new(1);
    let page = world.register(&soft.create(&options), "Han's telephone");
    assert!(matches!(world.signal, Some(Signal::SignalAllAcceptedCredentials { .. })));
    // … and used to log in.
    assert_eq!((page.step(), &page.page()["wanted"]), ("proof", &"passkey".into()));
    let logged_in = world.passkey(&soft.get(&page.page()["passkey"].clone())).logged_in();
    assert_eq!(logged_in.session.proofs(), &[Proof::Password, Proof::Passkey].into());
    let user = world.store.user(&han);
    let passkey = user.passkeys().next().unwrap();
    assert_eq!((passkey.name.as_str(), passkey.last_used), ("Han's telephone", Some(world.at())));

    // From now on by the login URL and the passkey alone.
    world.now += 3600;
    let url = logged_in.remember.url().to_string();
    assert_eq!(url, "/login/b2/hansolo@example.com/strongbox");
    let page = world.begin_at("/login/b2/hansolo@example.com/strongbox");
    let logged_in = world.passkey(&soft.get(&page.page()["passkey"].clone())).logged_in();
    assert_eq!(logged_in.session.proofs(), &[Proof::Passkey].into());
}

#[test]
fn a_passkey_by_autofill_on_the_first_page() {
    let mut world = World::with("ann@example.com", "b2");
    let mut soft = world.give_passkey(&identity("ann@example.com", "b2"), 1);
    let options = world.begin(Start::browser()).page()["autofill"].clone();
    assert_eq!(options["mediation"], "conditional");
    assert_eq!(options["publicKey"]["allowCredentials"], serde_json::json!([]));
    soft.backed_up = true;
    let logged_in = world.passkey(&soft.get(&options)).logged_in();
    assert_eq!(logged_in.session.identity().email.as_str(), "ann@example.com");
    let user = world.store.user(&identity("ann@example.com", "b2"));
    assert!(user.passkeys().next().unwrap().backed_up, "written back");
}

#[test]
fn a_passkey_enforced_at_creation() {
    let mut world = World::new();
    let ann = world.add("ann@example.com", "b2", &[Method::Passkey]);
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    let page = world.password(PASSWORD);
    assert_eq!((page.step(), &page.page()["optional"]), ("make-passkey", &false.into()));
    // There is no way around it.
    world.skip();
    assert_eq!(world.refused, Some(Reason::NotOffered));
    let options = serde_json::to_value(world.flow().prompt(&world.realm, Vec::new())).unwrap()["options"].clone();
    let mut soft = Soft::new(1);
    let page = world.register(&soft.create(&options), "x");
    world.passkey(&soft.get(&page.page()["passkey"].clone())).logged_in();
    assert!(world.store.user(&ann).open().is_empty());
    // Later a password alone is not enough, and makes no other passkey.
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    assert_eq!(world.password(PASSWORD).page()["wanted"], "passkey");
}

#[test]
fn both_methods_enforced_at_creation() {
    let mut world = World::new();
    world.add("ann@example.com", "b2", &[Method::Password, Method::Totp, Method::Passkey]);
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    let page = world.password(PASSWORD);
    assert_eq!(page.step(), "set-up-totp");
    let uri = page.page()["uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/Example%20b2:ann%40example.com?secret="), "{uri}");
    let totp = totp(page.page()["secret"].as_str().unwrap());
    assert!(matches!(world.code("000000"), Reply::Page(_)));
    assert_eq!(world.refused, Some(Reason::NotConfirmed));
    let code = world.totp_now(&totp);
    let page = world.code(&code);
    assert_eq!(world.codes.len(), RECOVERY_CODES);
    assert_eq!(page.step(), "make-passkey");
    let mut soft = Soft::new(1);
    let page = world.register(&soft.create(&page.page()["options"].clone()), "x");
    let logged_in = world.passkey(&soft.get(&page.page()["passkey"].clone())).logged_in();
    assert_eq!(logged_in.session.proofs(), &[Proof::Password, Proof::Totp, Proof::Passkey].into());
    // With the passkey first, the two others are asked for all the same: they are enforced.
    world.now += 60;
    let options = world.begin(Start::browser()).page()["autofill"].clone();
    assert_eq!(world.passkey(&soft.get(&options)).page()["wanted"], "password");
    assert_eq!(world.password(PASSWORD).page()["wanted"], "totp");
    let code = world.totp_now(&totp);
    world.code(&code).logged_in();
}

#[test]
fn a_one_time_password_and_recovery_codes() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let totp = world.give_totp(&ann);
    let codes = world.codes.clone();
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    let page = world.password(PASSWORD);
    assert_eq!((&page.page()["wanted"], &page.page()["recovery-code"]), (&"totp".into(), &true.into()));
    let code = world.totp_now(&totp);
    let page = world.code(&code);
    assert_eq!(page.page()["offers"], serde_json::json!(["passkey"]));
    world.finish().logged_in();
    // The telephone is lost.
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    let logged_in = world.recovery_code(&codes[2]).logged_in();
    assert_eq!(logged_in.session.proofs(), &[Proof::Password, Proof::RecoveryCode].into());
    assert_eq!(world.store.user(&ann).recovery_codes_left(), 9);
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    world.recovery_code(&codes[2]);
    assert_eq!(world.refused, Some(Reason::WrongRecoveryCode), "once");
}

#[test]
fn one_address_in_two_tenants() {
    let mut world = World::with("ann@example.com", "b2");
    world.add("ann@example.com", "c3", &[]);
    // Named: as if there were one.
    world.begin(Start::browser());
    world.identify("ann@example.com", "c3");
    world.password(PASSWORD);
    assert_eq!(world.finish().logged_in().session.identity().tenant, "c3");
    // Not named: the choice comes after the password.
    world.begin(Start::browser());
    assert_eq!(world.identify("ann@example.com", "").step(), "method");
    let page = world.password(PASSWORD);
    assert_eq!(page.page(), &serde_json::json!({ "step": "tenant", "tenants": ["b2", "c3"] }));
    world.choose("d4");
    assert_eq!(world.refused, Some(Reason::CrossTenant));
    world.choose("b2");
    assert_eq!(world.finish().logged_in().session.identity().tenant, "b2");
    // With different passwords there is nothing to choose.
    world.store.change(&identity("ann@example.com", "c3"), |user| {
        user.import_password(cheap_hash(OTHER_PASSWORD, b"fedcba9876543210"));
    });
    world.begin(Start::browser());
    world.identify("ann@example.com", "");
    assert_eq!(world.password(OTHER_PASSWORD).logged_in().session.identity().tenant, "c3");
}

#[test]
fn what_is_not_wanted_is_not_offered_again_for_a_while() {
    let again = LoginSettings::default().offer_again.as_secs() as i64;
    for declines in [World::finish, |world: &mut World| {
        assert_eq!(world.set_up(Method::Passkey).step(), "make-passkey");
        world.skip()
    }] {
        let mut world = World::with("ann@example.com", "b2");
        let log_in = |world: &mut World| {
            world.begin(Start::browser());
            world.identify("ann@example.com", "b2");
            world.password(PASSWORD)
        };
        assert_eq!(log_in(&mut world).step(), "offer");
        declines(&mut world).logged_in();
        world.now += again - 1;
        let session = log_in(&mut world).logged_in().session;
        // Whoever asks for it gets it all the same.
        let ann = identity("ann@example.com", "b2");
        let (fresh, user) = (session.fresh("5m".parse().unwrap(), world.at()).unwrap(), world.store.user(&ann));
        let next = NextPath::default();
        let begun = world.realm.set_up(&session, fresh, &user, Method::Passkey, next, &mut rng(), world.at()).unwrap();
        let Next::Continue(AnyFlow::EnrollingPasskey(_)) = begun.next else { panic!() };
        world.now += 1;
        assert_eq!(log_in(&mut world).step(), "offer");
    }
}

#[test]
fn logins_that_are_remembered() {
    let mut world = World::with("ann@example.com", "b2");
    world.begin(Start::browser());
    world.identify("ann@example.com", "");
    world.password(PASSWORD);
    let logged_in = world.finish().logged_in();
    // The box is ticked.
    let mut logins = RememberedLogins::from_cookie("", world.realm.secret());
    logins.remember(logged_in.remember);
    let cookie = logins.to_cookie(world.realm.secret());
    let mut logins = RememberedLogins::from_cookie(&cookie, world.realm.secret());
    let login = logins.iter().next().unwrap().clone();
    assert_eq!(login.url().to_string(), "/login/b2/ann@example.com/strongbox");
    // Chosen, it fills in what would be typed; nothing is proved by it.
    assert_eq!(world.begin_at(&login.url().to_string()).step(), "method");
    logins.forget(&login);
    assert_eq!(logins.iter().count(), 0);
    // This browser's guesses are told from strangers'.
    let ann = identity("ann@example.com", "b2");
    assert!(DeviceToken::recognize(logged_in.device.expose(), &ann, world.realm.secret()).is_some());
}

#[test]
fn the_account_page() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    world.give_passkey(&ann, 1);
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    let logged_in = world.password(PASSWORD).logged_in();
    let settings = world.realm.settings().clone();
    let id = world.store.user(&ann).passkeys().next().unwrap().id;
    let mut user = world.store.user(&ann);
    user.rename_passkey(&id, "Desk".parse().unwrap()).unwrap();
    assert!(matches!(user.current_details(world.realm.relying_party()), Signal::SignalCurrentUserDetails { .. }));
    // Removing one needs a recent login, and ends the other sessions.
    let late = logged_in.session.fresh(settings.step_up_age, at(world.now + 300)).unwrap_err();
    assert_eq!(late.to_string(), "this needs a login of the last 300 seconds; log in again");
    let fresh = logged_in.session.fresh(settings.step_up_age, world.at()).unwrap();
    let signal = user.remove_passkey(&id, world.realm.relying_party(), &fresh).unwrap();
    let json = serde_json::to_value(&signal).unwrap();
    assert_eq!(
        (&json["method"], &json["allAcceptedCredentialIds"]),
        (&"signalAllAcceptedCredentials".into(), &serde_json::json!([]))
    );
    assert_eq!(logged_in.session.check(Some(&user), &settings, world.at()), Err(Reason::SessionEnded));
    let (_, rotated) = logged_in.session.rotate(&user, &mut rng());
    assert_eq!(rotated.check(Some(&user), &settings, world.at()), Ok(None));
    // The password: the present one, then another.
    let job = user.check_password(Password::new(PASSWORD.into()), world.realm.secret());
    assert!(user.password_is(&job.run().unwrap()));
    let job = hash_new_password(Password::new(OTHER_PASSWORD.into()), &ann.email, world.realm.secret()).unwrap();
    user.set_password(&job.run().unwrap());
    world.store.put(&user);
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    assert_eq!(world.refused, Some(Reason::WrongPassword));
    world.password(OTHER_PASSWORD);
    world.finish().logged_in();
}

#[test]
fn the_last_way_in_is_not_removed() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let mut soft = world.give_passkey(&ann, 1);
    let options = world.begin(Start::browser()).page()["autofill"].clone();
    let session = world.passkey(&soft.get(&options)).logged_in().session;
    let fresh = session.fresh("5m".parse().unwrap(), world.at()).unwrap();
    let mut user = world.store.user(&ann);
    let id = user.passkeys().next().unwrap().id;
    user.enforce([Method::Passkey].into());
    assert_eq!(user.remove_passkey(&id, world.realm.relying_party(), &fresh), Err(Error::Enforced));
}

#[test]
fn locked_and_unlocked() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    world.store.change(&ann, |user| user.lock(at(0)));
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    assert_eq!(world.refused.unwrap().told(), LOGIN_REFUSED);
    world.store.change(&ann, |user| user.unlock());
    world.password(PASSWORD);
    world.finish().logged_in();
}

#[test]
fn a_program_logs_in_in_one_request() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let totp = world.give_totp(&ann);
    // Nothing is stored in between: each step takes what the one before left.
    let mut read = Read::default();
    let typed = Typed::new("ann@example.com", "b2");
    let users = world.store.by_lookup(&mut read, typed.lookup());
    let flow = world.realm.begin(Start::client(), world.at()).unwrap();
    let Next::Continue(AnyFlow::Identified(flow)) =
        flow.identify(&world.realm, typed, &users, world.at()).unwrap().next
    else {
        panic!()
    };
    let (job, attempt) = flow.password(&world.realm, users, Password::new(PASSWORD.into()), admitted());
    let outcome = attempt.finish(&world.realm, job.run().unwrap(), &mut rng(), world.at()).unwrap();
    let Next::Continue(AnyFlow::Second(flow)) = outcome.next else { panic!() };
    let user = world.store.read(&mut read, &ann);
    let code = world.totp_now(&totp);
    let outcome = flow.totp(&world.realm, user, &code, admitted(), &mut rng(), world.at()).unwrap();
    assert!(!outcome.writes.iter().any(|write| matches!(write, Write::EndCeremony(_))));
    world.take(&read, outcome).logged_in();
}

#[test]
fn hashes_of_elsewhere_are_made_anew() {
    let mut world = World::with("ann@example.com", "b2");
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    assert!(world.rehash);
    let ann = identity("ann@example.com", "b2");
    let email = &ann.email;
    let hashed = hash_new_password(Password::new(PASSWORD.into()), email, world.realm.secret()).unwrap().run().unwrap();
    let epoch = world.store.user(&ann).epoch();
    world.store.change(&ann, |user| user.set_rehashed(&hashed));
    assert_eq!(world.store.user(&ann).epoch(), epoch, "nothing ends by it");
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    world.password(PASSWORD);
    assert!(!world.rehash);
}

#[test]
fn a_site_that_is_cut_off() {
    // It has the users and nothing else, not even the tower's secret.
    let mut tower = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let totp = tower.give_totp(&ann);
    let rp = RelyingParty::new(RP_ID, "Example", &["https://site-1.example.com"]).unwrap();
    let mut site = World::new();
    site.realm = Realm::new(rp, Secret::from_bytes(&[9; 32]), LoginSettings::default()).unwrap();
    site.store.users = tower.store.users.clone();
    site.now = tower.now;
    let entra = ProviderTitle { name: "entra".parse().unwrap(), title: "Entra".into(), answering: true };
    let shown = offered(&[entra], Connectivity::Offline);
    assert_eq!(shown[1].unavailable, Some(Unavailable::Offline));
    site.begin(Start::browser());
    site.identify("ann@example.com", "b2");
    site.password(PASSWORD);
    let code = site.totp_now(&totp);
    site.code(&code);
    site.finish().logged_in();
}

#[test]
fn a_provider_that_cannot_be_reached_is_not_chosen() {
    let mut world = World::with("ann@example.com", "b2");
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    let AnyFlow::Identified(flow) = world.flow() else { panic!() };
    let text = |text: &str| text.to_owned();
    let provider = Provider::new(
        "entra".parse().unwrap(),
        text("https://issuer.example"),
        text("tower"),
        text("https://issuer.example/authorize"),
        text("https://tower.example.com/callback"),
        false,
    )
    .unwrap();
    let outcome = flow.external(provider, Some(Unavailable::Offline), &mut rng(), world.at());
    assert_eq!(outcome.refused, Some(Reason::Unavailable));
    assert_eq!(world.take(&Read::default(), outcome).step(), "method");
    world.password(PASSWORD);
    world.finish().logged_in();
}

#[test]
fn more_passkeys_from_the_account_page_up_to_the_most() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    world.give_passkey(&ann, 0);
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    let mut session = world.password(PASSWORD).logged_in().session;
    for seed in 1..=MAX_PASSKEYS as u8 {
        let fresh = session.fresh("5m".parse().unwrap(), world.at()).unwrap();
        let mut read = Read::default();
        let user = world.store.read(&mut read, &ann).unwrap();
        let next = NextPath::default();
        let begun = world.realm.set_up(&session, fresh, &user, Method::Passkey, next, &mut rng(), world.at()).unwrap();
        let options = world.take(&read, begun).page()["options"].clone();
        assert_eq!(options["publicKey"]["excludeCredentials"].as_array().unwrap().len(), usize::from(seed));
        let mut soft = Soft::new(seed);
        let page = world.register(&soft.create(&options), "another");
        if usize::from(seed) == MAX_PASSKEYS {
            assert_eq!(world.refused, Some(Reason::TooManyPasskeys));
            break;
        }
        let former = session.key();
        session = world.passkey(&soft.get(&page.page()["passkey"].clone())).logged_in().session;
        assert!(!world.store.sessions.contains_key(&former), "the session goes on under another token");
    }
    assert_eq!(world.store.user(&ann).passkeys().count(), MAX_PASSKEYS);
}

#[test]
fn a_forgotten_password() {
    let mut world = World::with("ann@example.com", "b2");
    let ann = identity("ann@example.com", "b2");
    let totp = world.give_totp(&ann);
    world.store.change(&ann, |user| user.reset(&[Method::Password].into()));
    let link = world.link(&ann, &[Method::Password]);
    // What the user still has is proved first.
    assert_eq!(world.open_link(&link).page()["wanted"], "totp");
    let code = world.totp_now(&totp);
    assert_eq!(world.code(&code).step(), "set-password");
    let AnyFlow::SettingPassword(flow) = world.flow() else { panic!() };
    assert!(flow.check(&Password::new("short".into())).is_err());
    world.new_password(OTHER_PASSWORD).logged_in();
    world.now += 60;
    world.begin(Start::browser());
    world.identify("ann@example.com", "b2");
    assert_eq!(world.password(OTHER_PASSWORD).page()["wanted"], "totp");
}
