//! The control tower: what lies below its HTTP handlers, and the handlers.
//!
//! The program is `src/main.rs`; it is a library too so that tests and benches run the same parts inside their own process.
//!
//! From the outside in: [`config`] reads flags, environment and file; [`data_dir`] holds what is on the disk, locked and
//! private; [`seal`] has the key that secrets at rest are sealed under; [`store`] keeps them; [`audit`] keeps what happened;
//! [`tls`] and [`server`] carry requests to the router.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod audit;
mod batch;
pub mod clock;
pub mod config;
pub mod store;
