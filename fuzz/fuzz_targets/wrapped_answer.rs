//! A record of a wrapped answer is written again as it was read, and shows its answer to nobody; and an answer that is wrapped is found by
//! its own token alone, and comes out as it was.
#![no_main]

use std::sync::LazyLock;

use keyward_approle::{Limits, Pepper, Wrapped, WrappedKind};
use keyward_config_values::Duration;
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

static PEPPER: LazyLock<Pepper> = LazyLock::new(|| Pepper::from_bytes(&[7; 32]));

fuzz_target!(|data: &[u8]| {
    let now = OffsetDateTime::UNIX_EPOCH;
    if let Ok(record) = Wrapped::decode(data) {
        let written = record.encode().unwrap();
        let again = Wrapped::decode(&written).unwrap();
        assert_eq!(*again.encode().unwrap(), *written);
        assert_eq!((again.answer(), again.key()), (record.answer(), record.key()));
        assert_eq!(format!("{record:?}"), format!("Wrapped {{ accessor: {:?}, .. }}", record.accessor()));
        let _ = record.check(record.key(), now);
    }
    let Ok(answer) = std::str::from_utf8(data) else { return };
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let what = (WrappedKind::Data, &answer.to_owned().into());
    let (tenant, limits) = ("default".parse().unwrap(), Limits::default());
    let (token, record) = Wrapped::wrap(tenant, answer, what, Duration::HOUR, &limits, &PEPPER, &mut rng, now);
    let record = Wrapped::decode(&record.encode().unwrap()).unwrap();
    assert_eq!((record.answer(), record.creation_path()), (answer, answer));
    assert!(record.check(&PEPPER.token_key(token.expose()), now).is_ok());
    assert!(record.check(&PEPPER.token_key(answer), now).is_err());
    assert!(record.check(record.key(), now + time::Duration::HOUR).is_err());
});
