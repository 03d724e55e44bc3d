//! What is proven of whoever has a token comes from the secret-id, and nobody who makes tokens from it can say otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_types, reason = "a test is a caller, and brings the randomness")]

use std::{collections::BTreeMap, net::IpAddr};

use getrandom::SysRng;
use keyward_approle::{
    Attempt, Authenticated, ChildRequest, Limits, LoginDecision, Owner, Pepper, Reason, Role, SecretIdRecord, Token,
    TokenParameters, TokenRecord, check, check_child, login, open_batch,
};
use rand_core::UnwrapErr;
use time::OffsetDateTime;

const NOW: OffsetDateTime = time::macros::datetime!(2027-01-15 08:00 UTC);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

struct World {
    pepper: Pepper,
    role: Role,
}

impl World {
    fn new(role: &str) -> Self {
        let mut rng = UnwrapErr(SysRng);
        let config = serde_json::from_str(role).unwrap();
        let role = Role::create("default".parse().unwrap(), config, &mut rng).unwrap();
        Self { pepper: Pepper::generate(&mut rng), role }
    }

    fn secret_id(&self, request: &str) -> Result<(String, SecretIdRecord), String> {
        let request = serde_json::from_str(request).unwrap();
        let made = SecretIdRecord::issue(&self.role, request, &self.pepper, &mut UnwrapErr(SysRng), NOW);
        made.map(|(secret, record)| (secret.expose().to_owned(), record)).map_err(|error| error.to_string())
    }

    fn log_in(&self, secret: &str, record: &SecretIdRecord) -> (Token, TokenRecord) {
        let attempt = Attempt::new(self.role.role_id().as_str(), secret, &self.pepper);
        let LoginDecision::Granted(grant) = login(&attempt, Some(&self.role), Some(record), HERE, NOW) else {
            panic!("refused")
        };
        TokenRecord::issue(grant.parameters, &Limits::default(), &self.pepper, &mut UnwrapErr(SysRng), NOW)
    }

    fn token(&self, request: &str) -> (Token, TokenRecord) {
        let (secret, record) = self.secret_id(request).unwrap();
        self.log_in(&secret, &record)
    }

    fn child(&self, parent: &Authenticated, request: &str) -> Result<(Token, TokenRecord), String> {
        let request: ChildRequest = serde_json::from_str(request).unwrap();
        let made = parent.make_child(&request, &Limits::default(), &self.pepper, &mut UnwrapErr(SysRng), NOW);
        made.map_err(|error| error.to_string())
    }
}

fn good(record: &TokenRecord) -> Authenticated {
    check(record.key(), Some(record), HERE, NOW).unwrap()
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_login_carries_the_metadata_of_its_secret_id_for_the_life_of_the_token() {
    let world = World::new(r#"{"name":"a","token-period":"1d"}"#);
    let (_, record) = world.token(r#"{"metadata":{"site":"north"}}"#);
    assert_eq!(*record.metadata(), texts(&[("site", "north")]));
    assert_eq!(TokenRecord::decode(&record.encode().unwrap()).unwrap(), record);
    let renewed = good(&record).refresh(Owner::Role(&world.role), None, &Limits::default(), NOW).unwrap();
    assert_eq!(renewed.metadata(), record.metadata());
    assert!(world.token("{}").1.metadata().is_empty());
}

#[test]
fn what_a_maker_says_is_noted_and_proves_nothing() {
    let world = World::new(r#"{"name":"a"}"#);
    let (_, parent) = world.token(r#"{"metadata":{"site":"north"}}"#);
    let asks = r#"{"metadata":{"site":"south","more":"x"},"display-name":"for tests"}"#;
    let (_, child) = world.child(&good(&parent), asks).unwrap();
    assert_eq!(*child.metadata(), texts(&[("site", "north")]), "neither another value nor another key");
    assert_eq!(*child.notes(), texts(&[("site", "south"), ("more", "x")]));
    assert_eq!(child.display_name(), Some("for tests"));
    assert_eq!(TokenRecord::decode(&child.encode().unwrap()).unwrap(), child);
    let checked = check_child(child.key(), Some(&child), &[Some(&parent)], HERE, NOW).unwrap();
    let (_, grandchild) = world.child(&checked, r#"{"type":"batch","metadata":{"site":"south"}}"#).unwrap();
    assert_eq!((grandchild.metadata(), grandchild.display_name()), (parent.metadata(), None));

    let user = TokenParameters::for_user("default".parse().unwrap(), "joe", vec!["administrator".parse().unwrap()]);
    let (_, user) = TokenRecord::issue(user, &Limits::default(), &world.pepper, &mut UnwrapErr(SysRng), NOW);
    let (_, given) = world.child(&good(&user), r#"{"metadata":{"site":"south"},"policies":["reader"]}"#).unwrap();
    assert_eq!(*given.metadata(), texts(&[("site", "south")]), "an administrator may do everything anyway");
    let checked = check_child(given.key(), Some(&given), &[Some(&user)], HERE, NOW).unwrap();
    let (_, inherits) = world.child(&checked, r#"{"metadata":{"site":"north"}}"#).unwrap();
    assert_eq!(*inherits.metadata(), texts(&[("site", "south")]));
}

#[test]
fn too_much_is_refused_by_its_field() {
    let world = World::new(r#"{"name":"a"}"#);
    let (_, parent) = world.token("{}");
    for (request, text) in [
        (r#"{"metadata":{"a":""}}"#, "`metadata` must be 1 to 512 bytes without control characters"),
        (r#"{"display-name":"a\u0000"}"#, "`display-name` must be 1 to 256 bytes without control characters"),
    ] {
        assert_eq!(world.child(&good(&parent), request).unwrap_err(), text);
    }
    let long = format!(r#"{{"metadata":{{"a":"{0}","b":"{0}"}}}}"#, "x".repeat(512));
    assert!(world.secret_id(&long).is_ok());
    let batch = World::new(r#"{"name":"a","token-type":"batch"}"#);
    assert_eq!(
        batch.secret_id(&long).unwrap_err(),
        "`metadata` would put 1039 bytes of policies, ranges and metadata into each token, at most 1024 are allowed"
    );
}

#[test]
fn a_batch_token_carries_it_and_leaves_out_what_does_not_fit() {
    let before = World::new(r#"{"name":"a"}"#);
    let long =
        format!(r#"{{"metadata":{{"a":"{0}","b":"{0}"}},"token-bound-cidrs":["192.0.2.0/28"]}}"#, "x".repeat(512));
    let (secret, record) = before.secret_id(&long).unwrap();
    let config = serde_json::from_str(r#"{"name":"a","token-type":"batch"}"#).unwrap();
    let world = World { role: before.role.reconfigure(config).unwrap(), ..before };
    let (token, _) = world.log_in(&secret, &record);
    let opened = open_batch(token.expose(), &world.pepper).unwrap();
    assert!(opened.metadata().is_empty(), "a variable without a value allows nothing");
    assert_eq!(opened.own_cidrs().len(), 1);
    let (token, issued) = world.token(r#"{"metadata":{"site":"north"}}"#);
    let opened = open_batch(token.expose(), &world.pepper).unwrap();
    assert_eq!((&opened, opened.metadata()), (&issued, &texts(&[("site", "north")])));
}

#[test]
fn a_secret_id_can_bind_its_tokens_more_closely_than_the_role() {
    let world = World::new(r#"{"name":"a","token-period":"1d","token-bound-cidrs":["192.0.2.0/24"]}"#);
    assert_eq!(
        world.secret_id(r#"{"token-bound-cidrs":["192.0.0.0/16"]}"#).unwrap_err(),
        "`token-bound-cidrs` names `192.0.0.0/16`, which is not inside the role's `token-bound-cidrs`"
    );
    let (_, record) = world.token(r#"{"token-bound-cidrs":["192.0.2.0/28"]}"#);
    let from = |record: &TokenRecord, last| check(record.key(), Some(record), [192, 0, 2, last].into(), NOW).map(drop);
    assert_eq!((from(&record, 15), from(&record, 16)), (Ok(()), Err(Reason::WrongAddress)));
    // A refresh takes the role's ranges as they are now, and leaves the secret-id's.
    let wider = serde_json::from_str(r#"{"name":"a","token-period":"1d"}"#).unwrap();
    let wider = world.role.reconfigure(wider).unwrap();
    let renewed = good(&record).refresh(Owner::Role(&wider), None, &Limits::default(), NOW).unwrap();
    assert_eq!((from(&renewed, 15), from(&renewed, 16)), (Ok(()), Err(Reason::WrongAddress)));
    let (_, child) = world.child(&good(&renewed), "{}").unwrap();
    let from =
        |last: u8| check_child(child.key(), Some(&child), &[Some(&renewed)], [192, 0, 2, last].into(), NOW).map(drop);
    assert_eq!((from(15), from(16)), (Ok(()), Err(Reason::WrongAddress)));
}

#[test]
fn an_administrator_alone_chooses_a_token() {
    let world = World::new(r#"{"name":"a"}"#);
    let chosen = r#"{"id":"a-token-of-our-own"}"#;
    let (_, parent) = world.token("{}");
    assert_eq!(world.child(&good(&parent), chosen).unwrap_err(), "`id` can be chosen by an administrator alone");
    let user = TokenParameters::for_user("default".parse().unwrap(), "joe", vec!["administrator".parse().unwrap()]);
    let (_, user) = TokenRecord::issue(user, &Limits::default(), &world.pepper, &mut UnwrapErr(SysRng), NOW);
    let (token, record) = world.child(&good(&user), chosen).unwrap();
    assert_eq!((token.expose(), record.key()), ("a-token-of-our-own", &world.pepper.token_key("a-token-of-our-own")));
    let batch = world.child(&good(&user), r#"{"id":"a-token-of-our-own","type":"batch"}"#);
    assert_eq!(batch.unwrap_err(), "`id` cannot be set together with `type: batch`");
}
