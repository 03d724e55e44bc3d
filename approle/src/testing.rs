//! What the unit tests share: randomness that repeats, and short ways to make values.

use keyward_config_values::{Duration, Name};
use rand::{SeedableRng as _, rngs::StdRng};
use time::OffsetDateTime;

use crate::{Pepper, Role};

pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub(crate) fn pepper() -> Pepper {
    Pepper::from_bytes(&[7; 32])
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn duration(text: &str) -> Duration {
    text.parse().unwrap()
}

pub(crate) fn role(json: &str) -> Role {
    Role::create(name("default"), serde_json::from_str(json).unwrap(), &mut rng(99)).unwrap()
}

/// `seconds` after a fixed moment.
pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
}
