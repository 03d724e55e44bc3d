//! Whatever is asked, refreshed and revoked in whatever order: a token that was made from another one has no
//! policy, no address and no moment that one of its ancestors has not, and once one of them is gone it is
//! refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_types, reason = "a test is a caller, and brings the randomness")]

use std::{collections::BTreeMap, net::IpAddr};

use getrandom::SysRng;
use keyward_approle::{
    Authenticated, ChildRequest, Limits, Owner, Pepper, Reason, Role, RoleConfig, StorageKey, TokenParameters,
    TokenRecord, check_child,
};
use keyward_config_values::{Duration, Name};
use proptest::prelude::*;
use rand_core::UnwrapErr;
use time::OffsetDateTime;

const START: OffsetDateTime = time::macros::datetime!(2027-01-15 08:00 UTC);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

/// Of the policies `p0` to `p3`, those whose bits are set.
fn policies(bits: u8) -> Vec<Name> {
    (0..4).filter(|bit| bits & (1 << bit) != 0).map(|bit| format!("p{bit}").parse().unwrap()).collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// The nth token makes a child, or an orphan.
    Make {
        from: usize,
        policies: Option<u8>,
        ttl: Option<u64>,
        orphan: bool,
    },
    Refresh {
        which: usize,
        increment: Option<u64>,
    },
    Revoke(usize),
    Wait(u64),
    /// The role has other policies and another ttl from now on, perhaps only from here.
    Configure {
        policies: u8,
        ttl: u64,
        bound: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let seconds = || 1_u64..4000;
    prop_oneof![
        4 => (any::<usize>(), proptest::option::of(0_u8..16), proptest::option::of(seconds()), prop::bool::weighted(0.2))
            .prop_map(|(from, policies, ttl, orphan)| Step::Make { from, policies, ttl, orphan }),
        3 => (any::<usize>(), proptest::option::of(seconds()))
            .prop_map(|(which, increment)| Step::Refresh { which, increment }),
        1 => any::<usize>().prop_map(Step::Revoke),
        2 => (1_u64..900).prop_map(Step::Wait),
        1 => (0_u8..16, seconds(), any::<bool>())
            .prop_map(|(policies, ttl, bound)| Step::Configure { policies, ttl, bound }),
    ]
}

fn config(bits: u8, ttl: u64, bound: bool) -> RoleConfig {
    let mut config = RoleConfig::new("payments".parse().unwrap());
    config.token_policies = policies(bits);
    config.token_ttl = Some(Duration::from_secs(ttl).unwrap());
    if bound {
        config.token_bound_cidrs = vec!["192.0.2.0/24".parse().unwrap()];
    }
    config
}

/// What a store holds, and the tokens that were ever made.
#[derive(Default)]
struct World {
    stored: BTreeMap<StorageKey, TokenRecord>,
    keys: Vec<StorageKey>,
}

impl World {
    fn add(&mut self, record: TokenRecord) {
        self.keys.push(*record.key());
        self.stored.insert(*record.key(), record);
    }

    fn ask(&self, key: &StorageKey, source: IpAddr, now: OffsetDateTime) -> Result<Authenticated, Reason> {
        let record = self.stored.get(key);
        let ancestors: Vec<_> =
            record.iter().flat_map(|record| record.ancestors()).map(|key| self.stored.get(key)).collect();
        check_child(key, record, &ancestors, source, now)
    }

    /// The laws, for every token that there is.
    fn hold(&self, now: OffsetDateTime) {
        for (key, record) in &self.stored {
            let answer = self.ask(key, HERE, now);
            let ancestors: Vec<_> = record.ancestors().iter().map(|key| self.stored.get(key)).collect();
            let all_live = ancestors.iter().all(|ancestor| ancestor.is_some_and(|ancestor| now < ancestor.expires()));
            assert_eq!(answer.is_ok(), all_live && now < record.expires(), "{answer:?}");
            let Ok(token) = answer else { continue };
            for ancestor in ancestors.into_iter().flatten() {
                assert!(token.record().expires() <= ancestor.expires());
                assert!(token.policies().iter().all(|policy| ancestor.policies().contains(policy)));
                assert!(self.ask(ancestor.key(), HERE, now).is_ok(), "what it was made from is good itself");
                if !ancestor.bound_cidrs().is_empty() {
                    assert_eq!(self.ask(key, ELSEWHERE, now), Err(Reason::WrongAddress));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_child_has_more_or_lives_longer_than_any_ancestor(steps in proptest::collection::vec(step(), 1..60)) {
        let mut rng = UnwrapErr(SysRng);
        let (limits, pepper) = (Limits::default(), Pepper::generate(&mut rng));
        let mut role = Role::create("default".parse().unwrap(), config(15, 3600, false), &mut rng).unwrap();
        let mut world = World::default();
        let mut now = START;
        for _ in 0..2 {
            world.add(TokenRecord::issue(TokenParameters::for_role(&role, HERE), &limits, &pepper, &mut rng, now).1);
        }
        for step in steps {
            let nth = |n: usize| world.keys[n % world.keys.len()];
            match step {
                Step::Make { from, policies: bits, ttl, orphan } => {
                    let Ok(parent) = world.ask(&nth(from), HERE, now) else { continue };
                    let mut request = ChildRequest::default();
                    request.policies = bits.map(policies);
                    request.ttl = ttl.map(|ttl| Duration::from_secs(ttl).unwrap());
                    let made = if orphan {
                        parent.make_orphan(&request, &limits, &pepper, &mut rng, now)
                    } else {
                        parent.make_child(&request, &limits, &pepper, &mut rng, now)
                    };
                    let held = |policy: &Name| parent.policies().contains(policy);
                    let may = request.policies.iter().flatten().all(held) && (orphan || parent.record().ancestors().len() < 8);
                    prop_assert_eq!(made.is_ok(), may);
                    if let Ok((_, record)) = made {
                        prop_assert!(record.policies().iter().all(held));
                        prop_assert!(orphan || record.expires() <= parent.record().expires());
                        world.add(record);
                    }
                }
                Step::Refresh { which, increment } => {
                    let Ok(token) = world.ask(&nth(which), HERE, now) else { continue };
                    let increment = increment.map(|seconds| Duration::from_secs(seconds).unwrap());
                    let renewed = token.refresh(Owner::Role(&role), increment, &limits, now).unwrap();
                    if renewed.is_made() {
                        prop_assert!(renewed.policies().iter().all(|policy| token.policies().contains(policy)));
                    }
                    prop_assert_eq!(&TokenRecord::decode(&renewed.encode().unwrap()).unwrap(), &renewed);
                    world.stored.insert(*renewed.key(), renewed);
                }
                Step::Revoke(which) => {
                    world.stored.remove(&nth(which));
                }
                Step::Wait(seconds) => now += time::Duration::seconds(i64::try_from(seconds).unwrap()),
                Step::Configure { policies, ttl, bound } => {
                    role = role.reconfigure(config(policies, ttl, bound)).unwrap();
                }
            }
            world.hold(now);
        }
    }
}
