//! Federation: the bundles of other trust domains, fetched and kept (SPIFFE Federation), without I/O.
//!
//! A [`Relationship`] with one trust domain says when to fetch from where and whom to believe there; its owner fetches
//! and hands over what came. It keeps the last good bundle, refuses older ones, and serves none that is too old.
//!
//! ```
//! use keyward_svid::federation::{Authentication, Endpoint, Relationship};
//! use keyward_svid::refresh::{Due, RefreshOptions};
//! use time::{Duration, OffsetDateTime};
//!
//! let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
//! let endpoint = Endpoint::web("partner.example".parse()?, "https://partner.example/bundle".parse()?);
//! let mut partner = Relationship::new(endpoint, RefreshOptions::default(), now)?;
//!
//! let Due::Fetch(mut fetch) = partner.poll(now) else { unreachable!() };
//! assert_eq!(fetch.authentication, Authentication::WebPki);
//! // The answer may be a redirect: for this fetch only.
//! fetch.redirected(307, Some("https://cdn.example/partner"))?;
//! assert_eq!(fetch.url.as_str(), "https://cdn.example/partner");
//!
//! let body = br#"{"spiffe_sequence": 12, "spiffe_refresh_hint": 600, "keys": []}"#;
//! partner.fetched(fetch.ticket, body, now)?;
//! assert_eq!(partner.bundle(now).and_then(|bundle| bundle.sequence()), Some(12));
//! assert_eq!(partner.poll(now), Due::Wait(now + Duration::minutes(10)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "config")]
mod config;
mod endpoint;
mod error;
mod fetch;
mod publish;
mod record;
mod relationship;

#[cfg(feature = "config")]
pub use config::{BootstrapBundle, ConfigError, EndpointProfile, FederationConfig};
pub use endpoint::{Endpoint, Profile};
pub use error::Error;
pub use fetch::{Anchors, Authentication, Fetch, MAX_REDIRECTS};
pub use publish::{PublishWarning, hint_fits, suggested_hint};
pub use relationship::{Relationship, State, Status};
