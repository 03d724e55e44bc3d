//! How fast work in the background goes, so that nobody who waits for an answer notices it.

use std::time::Duration;

use crate::clock;

/// A step should take about so long, its place in the store's queue included: whoever comes behind it waits as long.
const STEP: Duration = Duration::from_millis(6);
const LEAST: usize = 16;
const MOST: usize = 256;
/// For each unit of time that a step takes, so many are left to others.
const REST: u32 = 1;
/// What takes no longer than this needs no rest.
const UNNOTICED: Duration = Duration::from_micros(500);
const LONGEST_REST: Duration = Duration::from_millis(200);

/// Sizes the steps by how long the last one took, and rests between them.
#[derive(Debug)]
pub(super) struct Pace {
    size: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { size: 64 }
    }
}

impl Pace {
    /// How much the next step may do.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Does a step, and then leaves the store to others for a while.
    pub(super) async fn step<T>(&mut self, step: impl Future<Output = T>) -> T {
        let begun = clock::monotonic();
        let done = step.await;
        let took = clock::monotonic().saturating_duration_since(begun);
        let rest = self.note(took);
        if rest.is_zero() {
            tokio::task::yield_now().await
        } else {
            tokio::time::sleep(rest).await
        }
        done
    }

    /// Takes in how long a step took; answers how long to rest.
    fn note(&mut self, took: Duration) -> Duration {
        if took > STEP {
            self.size = (self.size / 2).max(LEAST);
        } else if took < STEP / 2 {
            self.size = (self.size + self.size / 4 + 1).min(MOST);
        }
        if took <= UNNOTICED { Duration::ZERO } else { (took * REST).min(LONGEST_REST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_shrink_while_they_take_long_and_grow_again() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            assert_eq!(pace.note(Duration::from_millis(20)), Duration::from_millis(20));
        }
        assert_eq!(pace.size(), LEAST);
        for _ in 0..40 {
            assert_eq!(pace.note(Duration::from_micros(100)), Duration::ZERO);
        }
        assert_eq!(pace.size(), MOST);
        assert_eq!(pace.note(Duration::from_secs(9)), LONGEST_REST);
        let before = pace.size();
        assert_eq!(pace.note(Duration::from_millis(4)), Duration::from_millis(4));
        assert_eq!(pace.size(), before, "as it should be");
    }
}
