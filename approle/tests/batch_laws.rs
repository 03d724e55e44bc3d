//! A batch token says what was sealed into it and nothing else, is no longer than it may be, and no change of it opens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_types, reason = "a test is a caller, and brings the randomness")]

use std::net::IpAddr;

use getrandom::SysRng;
use keyward_approle::{
    ChildRequest, Error, Limits, MAX_TOKEN_LENGTH, Owner, Pepper, Reason, Role, RoleConfig, Token, TokenParameters,
    TokenRecord, TokenType, check, check_child, open_batch,
};
use proptest::prelude::*;
use rand_core::UnwrapErr;
use time::OffsetDateTime;

const NOW: OffsetDateTime = time::macros::datetime!(2027-01-15 08:00:00.123456789 UTC);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn config(json: &str) -> RoleConfig {
    serde_json::from_str(json).unwrap()
}

fn issue(role: &Role, pepper: &Pepper) -> (Token, TokenRecord) {
    TokenRecord::issue(TokenParameters::for_role(role, HERE), &Limits::default(), pepper, &mut UnwrapErr(SysRng), NOW)
}

fn world(json: &str) -> (Pepper, Role) {
    let mut rng = UnwrapErr(SysRng);
    let role = Role::create("default".parse().unwrap(), config(json), &mut rng).unwrap();
    (Pepper::generate(&mut rng), role)
}

#[test]
fn it_is_good_until_its_time_and_for_its_role_alone() {
    let (pepper, role) = world(
        r#"{"name":"a","token-type":"batch","token-ttl":"10m","token-policies":["b"],"token-auto-bound-cidrs":"host"}"#,
    );
    let (token, issued) = issue(&role, &pepper);
    let record = open_batch(token.expose(), &pepper).unwrap();
    assert_eq!(record, issued);
    assert_eq!((record.kind(), record.is_renewable()), (TokenType::Batch, false));
    assert!(record.expires() <= NOW + time::Duration::minutes(10), "rounded down");
    let good = check(&pepper.token_key(token.expose()), Some(&record), HERE, NOW).unwrap();
    assert_eq!(good.check_owner(Owner::Role(&role)), Ok(()));
    let again = Role::create("default".parse().unwrap(), role.config().clone(), &mut UnwrapErr(SysRng)).unwrap();
    assert_eq!(good.check_owner(Owner::Role(&again)), Err(Reason::Disabled), "it ends with its role");
    let refresh = good.refresh(Owner::Role(&role), None, &Limits::default(), NOW);
    assert_eq!(refresh, Err(Reason::NotRenewable));
    let child = good.make_child(&ChildRequest::default(), &Limits::default(), &pepper, &mut UnwrapErr(SysRng), NOW);
    assert_eq!(child.unwrap_err().to_string(), "a batch token makes no other tokens");
    let ask = |source, now| check(record.key(), Some(&record), source, now).map(drop);
    assert_eq!(ask([198, 51, 100, 1].into(), NOW), Err(Reason::WrongAddress));
    assert_eq!(ask(HERE, record.expires()), Err(Reason::Expired));
    assert!(open_batch(token.expose(), &Pepper::generate(&mut UnwrapErr(SysRng))).is_none());
}

#[test]
fn a_child_of_a_service_token_ends_with_it_and_is_no_orphan() {
    let (pepper, role) = world(r#"{"name":"a","token-ttl":"10m"}"#);
    let mut rng = UnwrapErr(SysRng);
    let (_, parent) = issue(&role, &pepper);
    let good = check(parent.key(), Some(&parent), HERE, NOW).unwrap();
    let request: ChildRequest = serde_json::from_str(r#"{"type":"batch","ttl":"5m"}"#).unwrap();
    let (token, made) = good.make_child(&request, &Limits::default(), &pepper, &mut rng, NOW).unwrap();
    let record = open_batch(token.expose(), &pepper).unwrap();
    assert_eq!(record, made);
    assert_eq!(record.ancestors(), [*parent.key()]);
    assert!(check_child(record.key(), Some(&record), &[Some(&parent)], HERE, NOW).is_ok());
    for ancestors in [&[][..], &[None]] {
        let refused = check_child(record.key(), Some(&record), ancestors, HERE, NOW);
        assert_eq!(refused, Err(Reason::ParentEnded));
    }
    let orphan = good.make_orphan(&request, &Limits::default(), &pepper, &mut rng, NOW);
    assert_eq!(orphan, Err(Error::Orphan));
    let counted = serde_json::from_str(r#"{"type":"batch","num-uses":1,"period":"1m"}"#).unwrap();
    let counted = good.make_child(&counted, &Limits::default(), &pepper, &mut rng, NOW).unwrap_err();
    assert_eq!(
        counted.to_string(),
        "`period` cannot be set together with `type: batch`; `num-uses` cannot be set together with `type: batch`"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_change_opens(bit in any::<usize>(), cut in any::<usize>()) {
        let (pepper, role) = world(r#"{"name":"a","token-type":"batch"}"#);
        let (token, _) = issue(&role, &pepper);
        let text = token.expose();
        let mut changed = text.as_bytes().to_vec();
        let bit = bit % (changed.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = String::from_utf8(changed) {
            prop_assert!(open_batch(&changed, &pepper).is_none(), "{changed}");
        }
        prop_assert!(open_batch(&text[..cut % text.len()], &pepper).is_none());
        for longer in [format!("{text}A"), format!("{text}="), format!(" {text}"), format!("{text} ")] {
            prop_assert!(open_batch(&longer, &pepper).is_none());
        }
    }

    #[test]
    fn what_a_valid_role_puts_into_it_fits(
        policies in proptest::collection::btree_set("[a-z]{1,60}", 0..60),
        cidrs in proptest::collection::vec((any::<u32>(), 0_u8..33), 0..60),
    ) {
        let mut config = config(r#"{"name":"payments","token-type":"batch","token-auto-bound-cidrs":"host"}"#);
        config.token_policies = policies.iter().map(|policy| policy.parse().unwrap()).collect();
        config.token_bound_cidrs = cidrs
            .iter()
            .map(|(address, length)| format!("{}/{length}", std::net::Ipv4Addr::from(address & (!0_u32).checked_shl(32 - u32::from(*length)).unwrap_or(0))).parse().unwrap())
            .collect();
        prop_assume!(config.validate().is_ok());
        let mut rng = UnwrapErr(SysRng);
        let (pepper, role) = (Pepper::generate(&mut rng), Role::create("default".parse().unwrap(), config, &mut rng).unwrap());
        let (token, issued) = issue(&role, &pepper);
        // Room is left for the longest SPIFFE ID and for eight ancestors.
        prop_assert!(token.expose().len() + (2048 + 8 * 70) * 4 / 3 < MAX_TOKEN_LENGTH);
        prop_assert_eq!(open_batch(token.expose(), &pepper).unwrap(), issued);
    }
}
