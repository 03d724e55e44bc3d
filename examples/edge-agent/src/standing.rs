//! Whether the tower still holds to the identity of this host.

use std::path::Path;
use std::time::Duration;

use keyward_base::clock::Clock;
use rand_core::CryptoRng;

use crate::client::{Client, Failure, Refusal};
use crate::error::Error;
use crate::state_dir::Files;

/// What a host may ask at any time with its identity.
pub(crate) const FIREWALL_PATH: &str = "/v1/host/firewall";
/// How often an agent asks, at least.
const SELDOM: Duration = Duration::from_secs(15 * 60);

/// What became of an identity that is good by itself.
#[derive(Debug)]
pub(crate) enum Standing {
    /// The tower said that it holds.
    Holds,
    /// The tower gave it up: the host was released, or removed.
    Ended(Refusal),
    /// The tower said neither.
    Unknown,
}

impl Standing {
    /// Asks with the identity in the state directory. Nothing is fetched by it: any document will do (RFC 9110 §13.1.2).
    pub(crate) async fn of(files: &Files, clock: &Clock) -> Self {
        Self::by(files.way(None, clock)).await
    }

    /// Asks on this way.
    pub(crate) async fn by(way: Result<Client, Error>) -> Self {
        let Ok(tower) = way else { return Self::Unknown };
        match tower.get(FIREWALL_PATH, Some("*")).await {
            Ok(_) => Self::Holds,
            Err(Failure::Refused(refusal)) if refusal.ends_identity() => Self::Ended(refusal),
            Err(_) => Self::Unknown,
        }
    }
}

/// The pause until it is asked again: hosts that came in together do not ask together.
pub(crate) fn pause(rng: &mut impl CryptoRng) -> Duration {
    SELDOM + SELDOM / 3 * (rng.next_u32() % 1000) / 1000
}

/// Whether an install script has left a certificate to call home with.
pub(crate) fn is_prepared(files: &Files) -> bool {
    let package = files.directory().join("call-home");
    ["key.pem", "certificate.pem"].iter().all(|name| Path::exists(&package.join(name)))
}
