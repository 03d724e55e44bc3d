//! What a page shows, wherever a login stands; for programs the same as JSON.

use keyward_webauthn_login::{AnyFlow, Method, Offered, Prompt, Unavailable};
use serde::Serialize;
use serde_json::Value;

use super::providers;
use crate::{
    app::App,
    http::error::{Answer, ApiError},
};

/// What a page shows. The secret of a one-time password is in it, so it has no `Debug`.
#[derive(Clone, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Page {
    /// Step 1: an address, and a tenant if it is not the only one. → `Identify`, `Passkey` (autofill)
    Identity {
        /// For `navigator.credentials.get` with `mediation: "conditional"`.
        autofill: Value,
        /// The tenant that is fixed already.
        tenant: Option<String>,
    },
    /// Steps 2 and 3: an authenticator and a method; the same for everybody. → `Password`, `Passkey`, `External`
    Method {
        /// Who it was said to be.
        email: String,
        /// The tenant, if it was named.
        tenant: Option<String>,
        /// For `navigator.credentials.get`.
        passkey: Value,
        /// Strongbox first.
        authenticators: Vec<Choice>,
    },
    /// Which tenant, after the password. → `Choose`
    Tenant {
        /// Those to choose from.
        tenants: Vec<String>,
    },
    /// A further proof. → `Code`, `RecoveryCode`, `Passkey`, `Password` as `wanted` says; `Skip` if `optional`
    Proof {
        /// `password`, `totp` or `passkey`.
        wanted: Method,
        /// Whether a recovery code will do.
        recovery_code: bool,
        /// Whether the login could go on without.
        optional: bool,
        /// For `navigator.credentials.get`, where the user has a passkey, which will always do.
        passkey: Option<Value>,
    },
    /// A passkey is to be made. → `Register`; `Skip` if `optional`
    MakePasskey {
        /// For `navigator.credentials.create`.
        options: Value,
        /// Whether the login could go on without.
        optional: bool,
    },
    /// A one-time password is to be set up. → `Code` from the application; `Skip` if `optional`
    SetUpTotp {
        /// For a QR code.
        uri: String,
        /// For typing.
        secret: String,
        /// Whether the login could go on without.
        optional: bool,
    },
    /// A password is to be set. → `Password`
    SetPassword {
        /// The fewest characters.
        min_length: usize,
    },
    /// The browser is to be sent to a provider, which sends it back to `/login/callback`. → `Callback`
    Provider {
        /// Where to.
        url: String,
    },
    /// Everything is proved; these may be set up. → `SetUp`, `Finish`
    Offer {
        /// What the user has not.
        offers: Vec<Method>,
    },
}

/// An authenticator of step 2.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Choice {
    /// `strongbox`, or the name of a provider.
    pub authenticator: String,
    /// What it is called.
    pub title: String,
    /// Why it cannot be chosen now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<&'static str>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<Offered> for Choice {
    fn from(offered: Offered) -> Self {
        let unavailable = offered.unavailable.map(|why| match why {
            Unavailable::Offline => "offline",
            _ => "not-answering",
        });
        Self {
            authenticator: offered.authenticator.to_string(),
            title: offered.title,
            unavailable,
            reason: offered.unavailable.map(|why| why.to_string()),
        }
    }
}

impl Page {
    /// Where a login stands.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn of(app: &App, flow: &AnyFlow) -> Answer<Self> {
        Ok(match flow.prompt(&app.realm) {
            Prompt::Identity { autofill, tenant } => {
                Self::Identity { autofill: value(&autofill)?, tenant: tenant.map(ToString::to_string) }
            }
            Prompt::Method { email, tenant, passkey } => Self::Method {
                email: email.to_owned(),
                tenant: tenant.map(ToString::to_string),
                passkey: value(&passkey)?,
                authenticators: providers::offered(app, tenant).await?.into_iter().map(Choice::from).collect(),
            },
            Prompt::Tenant { tenants } => Self::Tenant { tenants: tenants.iter().map(ToString::to_string).collect() },
            Prompt::Proof { wanted, recovery_code, optional, passkey } => {
                let passkey = passkey.map(|passkey| value(&passkey)).transpose()?;
                Self::Proof { wanted, recovery_code, optional, passkey }
            }
            Prompt::MakePasskey { options, optional } => Self::MakePasskey { options: value(options)?, optional },
            Prompt::SetUpTotp { uri, secret, optional } => Self::SetUpTotp { uri, secret, optional },
            Prompt::SetPassword { min_length } => Self::SetPassword { min_length },
            Prompt::Provider { url } => Self::Provider { url },
            Prompt::Offer { offers } => Self::Offer { offers: offers.to_vec() },
            _ => return Err(ApiError::internal("a login stands where no page is")),
        })
    }
}

/// Options of WebAuthn as JSON.
fn value(options: &impl Serialize) -> Answer<Value> {
    serde_json::to_value(options).map_err(ApiError::internal)
}
