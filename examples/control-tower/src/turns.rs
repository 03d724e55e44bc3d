//! Who changes what now.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

/// Whoever changes a thing waits here for those of this process who came first, so that none of them is in vain for the others' sake,
/// whatever their number. What is not of this process is kept apart by the guards of the commits.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for one's turn at what stands at this key of the store, which is over when the answer is dropped.
    pub async fn take(&self, key: String) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody has the others, or waits for them.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(key).or_default())
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context, task::Waker};

    use super::*;

    #[test]
    fn one_at_a_time_in_their_order_and_nothing_is_kept() {
        let turns = Turns::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(turns.take("a".to_owned()));
        let mut second = pin!(turns.take("a".to_owned()));
        let mut third = pin!(turns.take("a".to_owned()));
        let mut elsewhere = pin!(turns.take("b".to_owned()));
        let held = |poll: std::task::Poll<OwnedMutexGuard<()>>| match poll {
            std::task::Poll::Ready(guard) => Some(guard),
            std::task::Poll::Pending => None,
        };
        let one = held(first.as_mut().poll(&mut context)).unwrap();
        assert!(held(second.as_mut().poll(&mut context)).is_none());
        assert!(held(third.as_mut().poll(&mut context)).is_none());
        assert!(held(elsewhere.as_mut().poll(&mut context)).is_some());
        drop(one);
        assert!(held(third.as_mut().poll(&mut context)).is_none());
        drop(held(second.as_mut().poll(&mut context)).unwrap());
        drop(held(third.as_mut().poll(&mut context)).unwrap());
        drop(held(pin!(turns.take("c".to_owned())).poll(&mut context)).unwrap());
        assert_eq!(turns.0.lock().unwrap().keys().collect::<Vec<_>>(), ["c"]);
    }
}
