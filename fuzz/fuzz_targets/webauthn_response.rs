//! What a browser sends logs nobody in and registers nothing, and never breaks anything.
#![no_main]

use std::sync::OnceLock;

use keyward_webauthn_login::*;
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

fn world() -> &'static (Realm, UserRecord) {
    static WORLD: OnceLock<(Realm, UserRecord)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let rp = RelyingParty::new("example.com", "Example", &["https://example.com"]).unwrap();
        let realm = Realm::new(rp, Secret::from_bytes(&[7; 32]), LoginSettings::default()).unwrap();
        let identity = Identity::new("ann@example.com".parse().unwrap(), "b2".parse().unwrap());
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let enforced = [Method::Passkey].into();
        (realm, UserRecord::create(identity, enforced, Vec::new(), &mut rng, OffsetDateTime::UNIX_EPOCH))
    })
}

fuzz_target!(|json: &str| {
    let (realm, user) = world();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let now = OffsetDateTime::UNIX_EPOCH;
    if let Ok(response) = json.parse::<AuthenticationResponse>() {
        assert_eq!(response.passkey().to_string().parse::<PasskeyId>().unwrap(), response.passkey());
        let flow = realm.begin(Start::browser(), now).unwrap();
        let outcome = flow.passkey(realm, &response, Some(user.clone()), &mut rng, now).unwrap();
        assert!(outcome.refused.is_some() && !matches!(outcome.next, Next::LoggedIn(_)));
    }
    if let Ok(response) = json.parse::<RegistrationResponse>() {
        let settings = LoginSettings::default();
        let lasts = "1h".parse().unwrap();
        let (token, link) = EnrolmentLink::issue(user, [Method::Passkey].into(), lasts, &settings, &mut rng, now);
        let opened = realm.open_link(Some(&link), token.expose(), Some(user.clone()), &mut rng, now).unwrap();
        let Next::Continue(AnyFlow::EnrollingPasskey(flow)) = opened.next else { panic!() };
        let outcome = flow.register(realm, Some(user.clone()), &response, PasskeyName::default(), now).unwrap();
        assert!(outcome.refused.is_some());
    }
});
