//! What can go wrong in a store.

use super::Revision;

/// Why a store could not answer. A refused guard is not an error but [`Outcome::Conflict`](super::Outcome::Conflict).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The history of a revision is gone.
    #[error("revision {requested} is compacted, the oldest one kept is {oldest}")]
    Compacted {
        /// The revision asked for.
        requested: Revision,
        /// The oldest one that can be read.
        oldest: Revision,
    },
    /// A revision that no commit has made yet.
    #[error("revision {requested} has not happened yet, the latest one is {latest}")]
    Future {
        /// The revision asked for.
        requested: Revision,
        /// The latest one.
        latest: Revision,
    },
    /// A commit can leave an outbox one note; nothing was changed.
    #[error("a commit leaves two notes in the outbox `{outbox}`, which keeps one of each")]
    TwoNotes {
        /// The outbox.
        outbox: String,
    },
    /// No space is left; nothing was changed.
    #[error("the disk of the store is full, nothing was changed")]
    Full,
    /// An earlier sync failed: what the disk holds is only known after a restart.
    #[error("a sync of the store to disk failed, no change is accepted until a restart")]
    Broken,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The tower was sealed: no record can be sealed any more.
    #[error("the tower is sealed")]
    Sealed,
    /// Written by a newer version of the program.
    #[error("the store has format {found}, this program knows formats up to {known}: start the newer program")]
    NewerFormat {
        /// The number in the file.
        found: i64,
        /// The newest known one.
        known: i64,
    },
    /// A database, but not one of ours.
    #[error("`{path}` is a database of another program")]
    Foreign {
        /// The file.
        path: String,
    },
    /// The file contradicts itself.
    #[error("the store is damaged ({detail}): restore a backup")]
    Damaged {
        /// What the check found.
        detail: String,
    },
    /// The engine failed in another way; nothing was changed.
    #[error("store engine: {0}")]
    Engine(#[from] rusqlite::Error),
    /// A file beside the engine's own.
    #[error("store file: {0}")]
    Io(#[from] std::io::Error),
}
