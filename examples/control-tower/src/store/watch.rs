//! Following changes: past ones from the history, then new ones as they are committed.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Event, Fut, Revision, StoreError};

/// Where an engine keeps its history.
pub(crate) trait History: Send + Sync {
    /// The changes under `prefix` of the revisions `from..=to`, in order of revision, then key.
    fn changes<'a>(&'a self, prefix: &'a str, from: Revision, to: Revision) -> Fut<'a, Vec<Event>>;
}

/// The changes under one prefix, see [`Store::watch`](super::Store::watch).
pub struct Watch {
    history: Arc<dyn History>,
    latest: watch::Receiver<Revision>,
    prefix: String,
    next: Revision,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("prefix", &self.prefix).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Watch {
    /// Revisions looked at per step, so that one call stays small; a commit is never torn apart.
    const STEP: u64 = 256;

    pub(crate) fn new(
        history: Arc<dyn History>,
        latest: watch::Receiver<Revision>,
        prefix: &str,
        from: Revision,
    ) -> Self {
        Self { history, latest, prefix: prefix.to_owned(), next: from.max(1) }
    }

    /// The next changes, at least one; waits while there are none. All changes of one commit come together. Cancelling loses
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when the next revision's history is gone: read the range afresh and watch from there.
    /// [`StoreError::Closed`] when the store is.
    pub async fn next(&mut self) -> Result<Vec<Event>, StoreError> {
        loop {
            let latest = *self.latest.borrow_and_update();
            if self.next > latest {
                self.latest.changed().await.map_err(|_| StoreError::Closed)?;
                continue;
            }
            let to = latest.min(self.next.saturating_add(Self::STEP - 1));
            let events = self.history.changes(&self.prefix, self.next, to).await?;
            self.next = to.saturating_add(1);
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// The revision to resume from after a restart: everything before it was answered by [`next`](Self::next).
    #[must_use]
    pub fn position(&self) -> Revision {
        self.next
    }
}
