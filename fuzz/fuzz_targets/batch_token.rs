//! Garbage never opens as a batch token, nor does a genuine one with a change; a genuine one opens to what was sealed.
#![no_main]

use std::{net::IpAddr, sync::LazyLock};

use keyward_approle::{Limits, Pepper, TokenParameters, TokenRecord, TokenType, open_batch};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

static PEPPER: LazyLock<Pepper> = LazyLock::new(|| Pepper::from_bytes(&[7; 32]));

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    // Nobody without the pepper makes one.
    assert!(open_batch(&text, &PEPPER).is_none());
    assert!(open_batch(&format!("kwb.{text}"), &PEPPER).is_none());
    let mut parameters = TokenParameters::for_user("default".parse().unwrap(), text.clone(), Vec::new());
    parameters.kind = TokenType::Batch;
    parameters.bound_host = data.first().map(|byte| IpAddr::from([10, 0, 0, *byte]));
    if let Some((key, value)) = text.split_once('=') {
        parameters.metadata.insert(key.to_owned(), value.to_owned());
    }
    let (now, mut rng) = (OffsetDateTime::UNIX_EPOCH, rand_core::UnwrapErr(getrandom::SysRng));
    let (token, record) = TokenRecord::issue(parameters, &Limits::default(), &PEPPER, &mut rng, now);
    let opened = open_batch(token.expose(), &PEPPER);
    if token.expose().len() <= keyward_approle::MAX_TOKEN_LENGTH {
        assert_eq!(opened.as_ref(), Some(&record));
    }
    assert!(open_batch(token.expose(), &Pepper::from_bytes(&[8; 32])).is_none());
    let mut changed = token.expose().to_owned().into_bytes();
    let place =
        data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte))) % changed.len();
    changed[place] ^= 1;
    assert!(open_batch(&String::from_utf8_lossy(&changed), &PEPPER).is_none());
});
