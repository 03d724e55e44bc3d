//! One client's account: a number that says how much of its allowance is used up, and until when.

use std::time::Duration;

/// What a client may do: so much at once, and so much a second in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    burst: u32,
    /// Per second.
    per_second: u32,
}

impl Rate {
    /// `per_second` in the long run and `burst` at once; `None` where either is 0, which would shut everybody out.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Option<Self> {
        if per_second == 0 || burst == 0 { None } else { Some(Self { burst, per_second }) }
    }

    /// The same of numbers that are known not to be 0.
    pub(super) const fn fixed(per_second: u32, burst: u32) -> Self {
        Self { burst, per_second }
    }

    /// How much in the long run.
    #[must_use]
    pub fn per_second(self) -> u32 {
        self.per_second
    }

    /// How much at once.
    #[must_use]
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// What `cost` takes to be given back, in nanoseconds.
    fn worth(self, cost: u32) -> u64 {
        u64::from(cost) * 1_000_000_000 / u64::from(self.per_second)
    }
}

/// When all that a client used is given back, in nanoseconds since the limiter began: the generic cell rate algorithm of ITU-T
/// I.371, whose whole history of a client is this one number. 0 is a client that was never seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u64);

/// What is decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Allowed,
    /// It may not; it could after so long if nothing else is asked meanwhile.
    Refused(Duration),
}

impl Bucket {
    /// Whether something that costs `cost` may happen `now`. Nothing is taken.
    #[must_use]
    pub fn decide(self, rate: Rate, cost: u32, now: Duration) -> Verdict {
        let used = self.used(rate, now).saturating_add(rate.worth(cost.min(rate.burst)));
        match used.checked_sub(rate.worth(rate.burst)) {
            None | Some(0) => Verdict::Allowed,
            Some(wait) => Verdict::Refused(Duration::from_nanos(wait)),
        }
    }

    /// The account after something that cost `cost`. Nobody's is ever further down than a whole burst: whoever is refused waits as
    /// long as that takes at most, whatever happened before.
    #[must_use]
    pub fn charge(self, rate: Rate, cost: u32, now: Duration) -> Self {
        let used = self.used(rate, now).saturating_add(rate.worth(cost)).min(rate.worth(rate.burst));
        Self(nanos(now).saturating_add(used))
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_even(self, now: Duration) -> bool {
        self.0 <= nanos(now)
    }

    /// A clock that was set back makes no debt larger than a burst.
    fn used(self, rate: Rate, now: Duration) -> u64 {
        self.0.saturating_sub(nanos(now)).min(rate.worth(rate.burst))
    }
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let rate = Rate::new(2, 10).unwrap();
        let mut bucket = Bucket::default();
        for _ in 0..10 {
            assert_eq!(bucket.decide(rate, 1, seconds(5)), Verdict::Allowed);
            bucket = bucket.charge(rate, 1, seconds(5));
        }
        assert_eq!(bucket.decide(rate, 1, seconds(5)), Verdict::Refused(Duration::from_millis(500)));
        assert_eq!(bucket.decide(rate, 4, seconds(5)), Verdict::Refused(seconds(2)));
        // What costs more than there ever is waits until all is given back, and not for ever.
        assert_eq!(bucket.decide(rate, 1000, seconds(5)), Verdict::Refused(seconds(5)));
        assert_eq!(bucket.decide(rate, 1000, seconds(10)), Verdict::Allowed);
        assert!(bucket.is_even(seconds(10)) && !bucket.is_even(seconds(9)));
        // However often it was charged, and however far the clock goes back.
        let bucket = (0..1000).fold(bucket, |bucket, _| bucket.charge(rate, 10, seconds(5)));
        assert_eq!(bucket.decide(rate, 1, seconds(5)), Verdict::Refused(Duration::from_millis(500)));
        assert_eq!(bucket.decide(rate, 1, seconds(0)), Verdict::Refused(Duration::from_millis(500)));
        assert_eq!(Rate::new(0, 1), None);
        assert_eq!(Rate::new(1, 0), None);
    }

    proptest! {
        /// In no span of time does more happen than a burst and what the rate gives in it; and whoever waits as told is let in.
        #[test]
        fn never_more_than_burst_and_rate(
            per_second in 1_u32..50,
            burst in 1_u32..50,
            steps in proptest::collection::vec((0_u64..2000, 1_u32..5), 1..200),
        ) {
            let rate = Rate::new(per_second, burst).unwrap();
            let (mut bucket, mut now, mut taken) = (Bucket::default(), Duration::ZERO, Vec::new());
            for (wait, cost) in steps {
                now += Duration::from_millis(wait);
                let cost = cost.min(burst);
                match bucket.decide(rate, cost, now) {
                    Verdict::Allowed => {
                        bucket = bucket.charge(rate, cost, now);
                        taken.push((now, cost));
                    }
                    Verdict::Refused(wait) => {
                        prop_assert_eq!(bucket.decide(rate, cost, now + wait), Verdict::Allowed);
                        prop_assert!(wait <= Duration::from_secs(1) * burst / per_second + Duration::from_nanos(1));
                    }
                }
            }
            for (first, (begin, _)) in taken.iter().enumerate() {
                let mut sum = 0_u64;
                for (at, cost) in &taken[first..] {
                    sum += u64::from(*cost);
                    let most = f64::from(burst) + (*at - *begin).as_secs_f64() * f64::from(per_second);
                    prop_assert!(sum as f64 <= most + 0.001, "{sum} of {most}");
                }
            }
        }
    }
}
