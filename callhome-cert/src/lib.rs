//! Certificates with which hosts call home: issued, verified, used up, without I/O.
//!
//! A host that nobody touched yet has to reach its control tower for the first time. What it brings is a host-id, and a
//! short-lived certificate that an operator issued for exactly this: for any host, for the hosts of a site, or for one host.
//! This crate issues such certificates, says which ones a tower accepts and why not, keeps count of their uses, and makes the
//! script that installs them.
//!
//! ```
//! use keyward_callhome_cert::{CallHomeVerifier, ClientCertificates, Granularity, HostHash, Order, Scope};
//! use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
//! use keyward_svid::{X509Bundle, x509::{Purpose, authority::{Authority, AuthorityRequest, Subject}}};
//! use time::{Duration, OffsetDateTime};
//! # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
//! # let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
//!
//! // The tower has an authority for nothing else.
//! let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256)?, Algorithm::Es256, None)?;
//! let public_key = signer.public_key().clone();
//! let mut request = AuthorityRequest::new("example.org".parse()?, Subject::default(), now + Duration::days(90));
//! request.purpose = Purpose::Client;
//! request.path_len = Some(0);
//! let authority = Authority::self_signed(signer, &public_key, &request, &mut rng, now)?;
//!
//! // An operator orders a certificate for one host.
//! let host = HostHash::of(&"4c4c4544-0051".parse()?);
//! let (certificate, mut entry) = Order::new(Scope::Host(host.clone())).issue_with_key(&authority, &mut rng, now)?;
//!
//! // The host presents it: it is verified, fits what the tower asks for, and is used up.
//! let bundle = X509Bundle::new("example.org".parse()?, [authority.certificate().clone()])?;
//! let presented = CallHomeVerifier::new(bundle).verify(certificate.svid().chain(), now)?;
//! Granularity::HostId.admit(Some(&presented), &host)?;
//! let key = PrivateKey::generate(KeyType::EcdsaP256)?; // the host's own, for the identity that it will get
//! entry.take(&host, &key.public_key().thumbprint(), now)?;
//! assert!(entry.take(&host, "another key", now).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! It opens no socket, reads no clock and stores nothing: what is to be stored is a record with a format number, and the
//! caller guards it, so that of two hosts one wins.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod about;
mod admission;
mod aws;
mod config;
mod error;
mod host;
mod identity;
mod ledger;
mod order;
mod package;
mod presentation;
mod protocol;
mod proxy;
mod refusal;
mod request;
mod ring;
mod scope;
mod script;
mod verify;

pub use about::{AgentVersion, HostName};
pub use admission::{Decision, HostState, Knock, OnRecord, decide};
pub use aws::{MAX_HEADER_BYTES, chain_from_header};
pub use config::{CallHomeSettings, ClientCertificates, Handshake, LbMode, ProxyProtocol, SettingsError};
pub use error::Error;
pub use host::{GivenIdentity, HostHash, HostRecord, News};
pub use identity::{HOST_TTL, HostPath};
pub use keyward_keys::ErrorKind;
pub use ledger::{Entry, Taken};
pub use order::{Batch, DEFAULT_TTL, LONGEST_TTL, MAX_USES, Order};
pub use package::Package;
pub use presentation::{HEADER, Presentation, presented};
pub use protocol::{
    CALL_HOME_PATH, CallHomeAnswer, CallHomeRequest, HostIdentity, RENEW_PATH, RefusalAnswer, RenewRequest, SvidPem,
    Waiting,
};
pub use proxy::{
    MAX_PROXY_HEADER, ProxyAddress, ProxyError, ProxyHeader, missing_proxy_bytes, proxied_source, read_proxy_header,
};
pub use refusal::Refusal;
pub use request::{IssueRequest, RevokeRequest};
pub use ring::{Occupant, Ring, Taking};
pub use scope::{Granularity, Scope};
pub use script::{InstallScript, ScriptRequest};
pub use verify::{CLOCK_SKEW, CallHomeCertificate, CallHomeVerifier, verify_presented};

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
