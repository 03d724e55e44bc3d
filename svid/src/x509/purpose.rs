//! What certificates are for.

use serde::{Deserialize, Serialize};

/// What an authority and the leaves below it are for (ExtendedKeyUsage, RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Purpose {
    /// X.509-SVIDs: their leaves serve servers and clients alike (X509-SVID §4.4), and their authorities are not
    /// restricted.
    #[default]
    Svid,
    /// Clients of TLS and nothing else: `clientAuth` alone stands in the authority and in the leaf, so that no server can
    /// be impersonated with it. The leaf looks like an X.509-SVID in everything else.
    Client,
}
