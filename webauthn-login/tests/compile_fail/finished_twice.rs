use keyward_webauthn_login::{Flow, Outcome, Ready, Realm, UserRecord};

fn twice(flow: Flow<Ready>, realm: &Realm, user: UserRecord, now: time::OffsetDateTime) -> [Outcome; 2] {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let once = flow.finish(realm, Some(user.clone()), &mut rng, now).unwrap();
    let again = flow.finish(realm, Some(user), &mut rng, now).unwrap();
    [once, again]
}

fn main() {
    let _ = twice;
}
