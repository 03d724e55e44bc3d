//! What the unit tests share: randomness that is the same in every run.

use rand::{SeedableRng as _, rngs::StdRng};

/// A generator for tests.
pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
