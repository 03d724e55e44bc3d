//! Whatever a role says and a caller asks: no login and no refresh gives a token, or an SVID, a life
//! that the role does not allow, nor one that the schedule of the signing key was not checked for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_types, reason = "a test is a caller, and brings the randomness")]

use getrandom::SysRng;
use keyward_approle::{
    Limits, MAX_SVID_TTL, Owner, Pepper, Reason, Role, RoleConfig, SpiffeJwtConfig, TokenParameters, TokenRecord, check,
};
use keyward_config_values::Duration;
use proptest::prelude::*;
use rand_core::UnwrapErr;
use time::OffsetDateTime;

const START: OffsetDateTime = time::macros::datetime!(2027-01-15 08:00 UTC);

fn duration() -> impl Strategy<Value = Option<Duration>> {
    proptest::option::of(prop_oneof![1_u64..120, 3_000_u64..100_000, 1_000_000_u64..10_000_000])
        .prop_map(|seconds| seconds.map(|seconds| Duration::from_secs(seconds).unwrap()))
}

prop_compose! {
    fn config()(
        ttl in duration(),
        period in duration(),
        max_ttl in duration(),
        explicit in duration(),
        svid in proptest::option::of(duration()),
        renewable in prop_oneof![4 => Just(true), 1 => Just(false)],
    ) -> RoleConfig {
        let mut config = RoleConfig::new("payments".parse().unwrap());
        config.token_ttl = ttl;
        config.token_period = period;
        config.token_max_ttl = max_ttl;
        config.token_explicit_max_ttl = explicit;
        config.token_renewable = renewable;
        config.token_spiffe_jwt = svid.map(|ttl| {
            let mut jwt = SpiffeJwtConfig::new(["sts.amazonaws.com"]);
            jwt.ttl = ttl;
            jwt
        });
        config
    }
}

fn within(record: &TokenRecord, config: &RoleConfig, limits: &Limits, now: OffsetDateTime) {
    let life = record.expires() - now;
    assert!(life <= config.longest_token_life(limits).to_time());
    assert!(life <= limits.max_ttl.to_time());
    for cap in [config.token_period, config.token_max_ttl, config.token_explicit_max_ttl].into_iter().flatten() {
        assert!(life <= cap.to_time());
    }
    if let Some(jwt) = &config.token_spiffe_jwt {
        assert!(life <= MAX_SVID_TTL.to_time());
        assert!(jwt.ttl.is_none_or(|ttl| life <= ttl.to_time()));
    }
    assert_eq!(record.jwt_svid().is_some(), config.token_spiffe_jwt.is_some());
    assert!(record.jwt_svid().is_none_or(|svid| svid.expires == record.expires()));
    if let Some(explicit) = config.token_explicit_max_ttl {
        assert!(record.expires() <= START + explicit.to_time());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_life_is_longer_than_the_role_allows(
        config in config(),
        refreshes in proptest::collection::vec((0_i64..50_000, duration()), 0..20),
    ) {
        prop_assume!(config.validate().is_ok());
        let mut rng = UnwrapErr(SysRng);
        let (limits, pepper, source) = (Limits::default(), Pepper::generate(&mut rng), [192, 0, 2, 1].into());
        let role = Role::create("default".parse().unwrap(), config.clone(), &mut rng).unwrap();
        let parameters = TokenParameters::for_role(&role, source);
        let (_, mut record) = TokenRecord::issue(parameters, &limits, &pepper, &mut rng, START);
        within(&record, &config, &limits, START);
        prop_assert!(record.expires() > START);

        let mut now = START;
        for (later, increment) in refreshes {
            now += time::Duration::seconds(later);
            let before = record.clone();
            let checked = check(record.key(), Some(&record), source, now);
            prop_assert_eq!(checked.is_ok(), now < before.expires());
            let Ok(checked) = checked else { break };
            match checked.refresh(Owner::Role(&role), increment, &limits, now) {
                Ok(renewed) => record = renewed,
                Err(reason) => {
                    prop_assert_eq!(reason, Reason::NotRenewable);
                    prop_assert!(!config.token_renewable);
                    break;
                }
            }
            within(&record, &config, &limits, now);
            prop_assert!(record.expires() > now);
            prop_assert_eq!(record.renewal_time(), now);
            prop_assert_eq!(record.creation_time(), START);
            prop_assert!(increment.is_none_or(|asked| record.expires() - now <= asked.to_time()));
            prop_assert_eq!(TokenRecord::decode(&record.encode().unwrap()).unwrap(), record.clone());
        }
    }
}
