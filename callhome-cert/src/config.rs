//! The document with which calling home is configured.

use keyward_config_values::Cidr;
use keyward_keys::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::Granularity;

/// `system/call-home/settings`.
///
/// ```
/// use keyward_callhome_cert::{CallHomeSettings, Granularity};
///
/// let settings: CallHomeSettings = serde_json::from_str(r#"{
///     "client-certificate": {"verify": "site", "lb-mode": "aws-passthrough", "lb-addresses": ["10.0.0.0/16"]}
/// }"#)?;
/// settings.validate()?;
/// assert_eq!(settings.client_certificate.verify, Granularity::Site);
/// assert_eq!(settings.max_unclaimed, 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct CallHomeSettings {
    /// Which certificates are asked for, and who may pass them on.
    pub client_certificate: ClientCertificates,
    /// Whether hosts that no site lists may call home and wait to be claimed; true by default.
    pub enable_unclaimed: bool,
    /// How many of them are kept: 1 to 1000, 20 by default.
    pub max_unclaimed: u32,
    /// How many duplicates are kept: 1 to 1000, 20 by default.
    pub max_duplicates: u32,
}

impl Default for CallHomeSettings {
    fn default() -> Self {
        Self {
            client_certificate: ClientCertificates::default(),
            enable_unclaimed: true,
            max_unclaimed: 20,
            max_duplicates: 20,
        }
    }
}

/// Which certificates are asked for, and who may pass them on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct ClientCertificates {
    /// How narrow a certificate has to be; by default any will do.
    pub verify: Granularity,
    /// How a load balancer passes certificates on.
    pub lb_mode: LbMode,
    /// Where load balancers connect from. A header and a PROXY header count from there alone.
    pub lb_addresses: Vec<Cidr>,
    /// Whether connections begin with a PROXY header (version 2); never guessed.
    pub proxy_protocol: ProxyProtocol,
}

/// How a load balancer passes certificates on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LbMode {
    /// Not at all: hosts speak TLS with the tower.
    #[default]
    None,
    /// In the header `X-Amzn-Mtls-Clientcert`, as AWS application load balancers do in mTLS passthrough mode.
    AwsPassthrough,
}

/// Whether connections begin with a PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Forbidden,
    /// All do.
    Required,
}

/// What is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct SettingsError {
    field: &'static str,
    problem: &'static str,
}

impl SettingsError {
    /// The field to change.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }
}

impl CallHomeSettings {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`SettingsError`] naming the field.
    pub fn validate(&self) -> Result<(), SettingsError> {
        const MOST: u32 = 1000;
        let certificates = &self.client_certificate;
        let through_lb = certificates.lb_mode != LbMode::None || certificates.proxy_protocol == ProxyProtocol::Required;
        let problem = |field, problem| Err(SettingsError { field, problem });
        if through_lb && certificates.lb_addresses.is_empty() {
            return problem(
                "client-certificate.lb-addresses",
                "is empty: name the networks that the load balancer connects from",
            );
        }
        if !through_lb && !certificates.lb_addresses.is_empty() {
            return problem(
                "client-certificate.lb-addresses",
                "names load balancers, but `lb-mode` is `none` and `proxy-protocol` is `forbidden`",
            );
        }
        if certificates.lb_mode != LbMode::None && certificates.verify == Granularity::Never {
            return problem("client-certificate.lb-mode", "passes certificates on, but `verify` is `never`");
        }
        if !(1..=MOST).contains(&self.max_unclaimed) {
            return problem("max-unclaimed", "is out of its bounds: 1 to 1000 are allowed");
        }
        if !(1..=MOST).contains(&self.max_duplicates) {
            return problem("max-duplicates", "is out of its bounds: 1 to 1000 are allowed");
        }
        Ok(())
    }
}
