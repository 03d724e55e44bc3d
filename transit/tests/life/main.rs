//! The laws of a key version's life, in virtual time: over random schedules, clocks that jump, restarts at any point
//! and several towers on one store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod days;
mod handover;
mod invariants;
mod sites;
mod towers;
mod world;
