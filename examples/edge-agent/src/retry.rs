//! When to try again.

use std::time::Duration;

use rand_core::CryptoRng;
use time::OffsetDateTime;

/// What the first pause is drawn from.
const FIRST: Duration = Duration::from_secs(1);
/// What no pause is longer than, unless the tower says so.
const LONGEST: Duration = Duration::from_secs(300);
/// How often a host asks whether it was claimed, where the tower does not say it.
const POLL: Duration = Duration::from_secs(10);
/// What a tower may ask for at most: what it says is no reason to stay away for ever.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// Pauses between tries: full jitter below a limit that doubles, so that hosts that failed together do not come back together.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after another failure. The tower may ask for a longer one; then the jitter comes on top of it.
    pub(crate) fn after_failure(&mut self, asked: Option<Duration>, rng: &mut impl CryptoRng) -> Duration {
        let limit = FIRST.saturating_mul(1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        asked.unwrap_or_default().min(LONGEST_ASKED) + up_to(limit, rng)
    }

    /// The pause after the answer that nobody has claimed the host yet; it counts as success.
    pub(crate) fn after_answer(&mut self, asked: Option<Duration>, rng: &mut impl CryptoRng) -> Duration {
        self.failures = 0;
        let asked = asked.unwrap_or(POLL).clamp(FIRST, LONGEST_ASKED);
        asked + up_to(asked / 4, rng)
    }
}

/// When an identity is renewed: from when the tower says, or in the middle of what is left of its life, within the next tenth of
/// what is left then, so that hosts that were claimed together do not come back together.
pub(crate) fn renewal(
    asked: Option<OffsetDateTime>,
    now: OffsetDateTime,
    expires: OffsetDateTime,
    rng: &mut impl CryptoRng,
) -> OffsetDateTime {
    let from = asked.unwrap_or(now + (expires - now).max(time::Duration::ZERO) / 2).min(expires);
    let spread = Duration::try_from((expires - from) / 10).unwrap_or_default();
    from + up_to(spread, rng)
}

/// A duration below this one, drawn evenly.
fn up_to(limit: Duration, rng: &mut impl CryptoRng) -> Duration {
    let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(rng.next_u64() % milliseconds)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn limits_double_up_to_five_minutes() {
        let mut rng = rand::rng();
        let most = |failures: u32| {
            let mut rng = rand::rng();
            (0..200).map(|_| Backoff { failures }.after_failure(None, &mut rng)).max().unwrap()
        };
        for (failures, limit) in [(0, 1), (1, 2), (3, 8), (8, 256), (9, 300), (40, 300)] {
            let limit = Duration::from_secs(limit);
            assert!(most(failures) < limit && most(failures) > limit / 2, "{failures}");
        }
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after_failure(None, &mut rng);
        }
        assert_eq!(backoff.failures, 5);
        backoff.after_answer(None, &mut rng);
        assert_eq!(backoff.failures, 0);
    }

    #[test]
    fn renewals_are_spread_and_before_the_end() {
        let now = datetime!(2026-03-01 00:00 UTC);
        let expires = now + time::Duration::DAY;
        let mut rng = rand::rng();
        for _ in 0..100 {
            let at = renewal(None, now, expires, &mut rng) - now;
            assert!(at >= time::Duration::hours(12) && at < time::Duration::minutes(13 * 60 + 12), "{at}");
            let asked = now + time::Duration::hours(20);
            let at = renewal(Some(asked), now, expires, &mut rng);
            assert!(at >= asked && at < asked + time::Duration::minutes(24), "{at}");
            // Nonsense is no reason to miss the end.
            assert!(
                renewal(Some(now + time::Duration::WEEK), now, expires, &mut rng)
                    <= expires + time::Duration::MILLISECOND
            );
        }
    }

    #[test]
    fn what_the_tower_asks_for_is_kept() {
        let mut rng = rand::rng();
        for _ in 0..100 {
            let asked = Duration::from_secs(40);
            let pause = Backoff::default().after_answer(Some(asked), &mut rng);
            assert!(pause >= asked && pause < asked + asked / 4);
            assert!(Backoff::default().after_failure(Some(asked), &mut rng) >= asked);
            let pause = Backoff::default().after_failure(Some(Duration::MAX), &mut rng);
            assert!(pause <= LONGEST_ASKED + FIRST);
        }
    }
}
