//! mTLS by SPIFFE ID, for rustls: who may be the other side is said in IDs and patterns, and host names mean nothing.
//!
//! The verifiers are thin over [`X509Verifier`](crate::X509Verifier) and must move in step with it, which is why they are
//! a feature of this crate and no crate of their own. This module alone shows rustls's types, which are re-exported as
//! [`rustls`].
//!
//! ```
//! use std::sync::Arc;
//! use keyward_svid::tls::{Peers, SvidSource, client_config, server_config};
//! # let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
//!
//! // One source for all configurations of a program: what is set there, now or later, counts from the next handshake on.
//! let source = SvidSource::new(provider);
//! let servers = client_config(&source, Peers::ids(["spiffe://example.org/db".parse()?]))?;
//! let clients = server_config(&source, Peers::matching(["spiffe://example.org/web/*".parse()?]))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! - Every handshake verifies the other side anew: no session is resumed, on neither side, and no early data is taken. A
//!   resumed session would skip the check, and outlive the SVID and the bundle that it was made under.
//! - TLS 1.3 only, save for [`open_server_config`], which verifies nobody. A program that needs 1.2 makes its own configuration of [`PeerVerifier`] and [`SvidSource`], which do
//!   both, and switches resumption off as [`client_config`] and [`server_config`] do.
//! - A peer is verified with the bundle of its own trust domain, and none of the others.
//! - Chain and authorization are judged in the handshake, so that nothing is said to a peer that was refused. The time is
//!   that of the configuration's `time_provider`.
//!
//! # What it does not do
//!
//! It looks at no host name: the server name that a client connects with is for routing (SNI). It fetches nothing; who
//! keeps a [`SvidSource`] current also says when. It knows no revocation but by bundle.

mod config;
mod deferred;
mod error;
mod peers;
mod possession;
mod source;
mod verifier;

pub use config::{client_config, open_server_config, server_config};
pub use deferred::DeferredVerifier;
pub use error::Error;
pub use peers::Peers;
pub use rustls;
pub use source::SvidSource;
pub use verifier::{PeerVerifier, peer_id};
