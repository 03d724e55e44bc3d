//! What the unit tests share: randomness that repeats, and short ways to make values.

use keyward_config_values::Name;
use rand::{SeedableRng as _, rngs::StdRng};
use time::OffsetDateTime;

pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// `seconds` after a fixed moment.
pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap()
}
