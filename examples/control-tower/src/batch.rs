//! Collecting what callers hand to a thread, so that many of them share one sync to disk.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use crate::clock;

/// How long the first caller of a batch waits for company at most.
const WINDOW: Duration = Duration::from_millis(3);
/// How long nobody may come before a batch is closed.
const GAP: Duration = Duration::from_millis(1);
/// How many batches go at once after waiting was in vain; doubles up to [`MAX_PATIENCE`].
const MIN_PATIENCE: u32 = 2;
const MAX_PATIENCE: u32 = 8;
/// The most one batch holds.
const MAX: usize = 512;

/// Forms batches. Under load it waits a moment for company; a lone caller is served at once, but for a rare try whether it
/// still is alone.
#[derive(Debug)]
pub(crate) struct Gather {
    /// Batches still to be served without waiting.
    skip: u32,
    patience: u32,
}

impl Default for Gather {
    fn default() -> Self {
        Self { skip: 0, patience: MIN_PATIENCE }
    }
}

impl Gather {
    /// Adds to `batch`, which holds the first of it, what belongs to the same batch.
    pub(crate) fn fill<T>(&mut self, batch: &mut Vec<T>, queue: &Receiver<T>) {
        batch.extend(queue.try_iter().take(MAX.saturating_sub(batch.len())));
        if batch.len() == 1 && self.skip > 0 {
            self.skip -= 1;
            return;
        }
        let end = clock::monotonic() + WINDOW;
        while batch.len() < MAX {
            let left = end.saturating_duration_since(clock::monotonic());
            match queue.recv_timeout(left.min(GAP)) {
                Ok(item) => batch.push(item),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        if batch.len() > 1 {
            *self = Self::default();
        } else {
            self.skip = self.patience;
            self.patience = (self.patience * 2).min(MAX_PATIENCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_is_queued_comes_together() {
        let (sender, queue) = mpsc::channel();
        for n in 1..=1000 {
            sender.send(n).unwrap();
        }
        drop(sender);
        let mut gather = Gather::default();
        let mut sizes = Vec::new();
        let mut seen = Vec::new();
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            gather.fill(&mut batch, &queue);
            sizes.push(batch.len());
            seen.extend(batch);
        }
        assert_eq!(sizes, [512, 488]);
        assert_eq!(seen, (1..=1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_lone_caller_waits_ever_more_rarely() {
        let (sender, queue) = mpsc::channel();
        let mut gather = Gather::default();
        let mut waits = 0;
        for n in 0..1000 {
            sender.send(n).unwrap();
            let mut batch = vec![queue.recv().unwrap()];
            let skipping = gather.skip > 0;
            gather.fill(&mut batch, &queue);
            assert_eq!(batch, [n]);
            waits += u32::from(!skipping);
        }
        assert!(waits < 130, "{waits}");
    }
}
