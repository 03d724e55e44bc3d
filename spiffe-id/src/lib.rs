//! SPIFFE IDs, trust domains and patterns: parse, match, authorize, without allocating.
//!
//! ```
//! use keyward_spiffe_id::{Pattern, PatternSet, SpiffeId, SpiffeIdRef, TrustDomain};
//!
//! // Borrowed: reads the text where it stands and allocates nothing.
//! let id = SpiffeIdRef::parse("spiffe://prod.example.org/payments/checkout")?;
//! assert_eq!(id.trust_domain().as_str(), "prod.example.org");
//! assert_eq!(id.path(), "/payments/checkout");
//!
//! // Owned: built from parts, each of them checked.
//! let prod: TrustDomain = "prod.example.org".parse()?;
//! assert_eq!(SpiffeId::from_segments(&prod, ["payments", "checkout"])?, id);
//!
//! // Authorization: the most specific pattern decides.
//! let mut rules = PatternSet::new();
//! rules.insert("spiffe://prod.example.org/**".parse::<Pattern>()?, "read");
//! rules.insert("spiffe://prod.example.org/payments/*".parse::<Pattern>()?, "write");
//! assert_eq!(rules.get(id).map(|(_, rule)| *rule), Some("write"));
//! # Ok::<(), keyward_spiffe_id::Error>(())
//! ```
//!
//! # What it follows
//!
//! [SPIFFE-ID.md] §2, strictly: lower-case scheme and trust domain, no percent-encoding, no query,
//! fragment, user information or port, no empty or dot segment, no trailing slash, at most 2048
//! bytes. Where §2.1 ("MUST be lowercase") and §2.4 ("case-insensitive") contradict each other the
//! strict reading is the default, and [`SpiffeId::parse_lenient`] is the other one.
//!
//! # What it does not do
//!
//! - It does not read documents: X.509-SVIDs and JWT-SVIDs are read, and believed or not, elsewhere.
//!   An ID that parsed says nothing about who may use it.
//! - It does not normalise: two IDs are equal when their bytes are.
//! - It knows no DNS: `a..b`, `-a` and `1.2.3.4` are trust domains, `[::1]` is not.
//!
//! # Features
//!
//! - `serde`: every type here as its string, checked on the way in.
//! - `spiffe`: conversions to and from the identity types of the crate `spiffe`.
//!
//! [SPIFFE-ID.md]: https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod error;
mod id;
mod id_ref;
mod path;
mod pattern;
mod pattern_set;
mod scan;
mod segment_trie;
#[cfg(feature = "serde")]
mod serde;
#[cfg(feature = "spiffe")]
mod spiffe_crate;
mod trust_domain;

pub use error::{Error, ErrorKind};
pub use id::SpiffeId;
pub use id_ref::SpiffeIdRef;
pub use path::{Path, Segments};
pub use pattern::Pattern;
pub use pattern_set::PatternSet;
pub use segment_trie::{Matches, PatternSegment, SegmentTrie};
#[cfg(feature = "spiffe")]
pub use spiffe;
pub use trust_domain::{TrustDomain, TrustDomainRef};
