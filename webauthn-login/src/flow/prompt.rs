//! What a page shows, wherever a login stands.

use std::fmt;

use keyward_config_values::Name;
use serde::Serialize;

use super::states::AnyFlow;
use crate::method::Method;
use crate::passkey::{CreationOptions, RequestOptions};
use crate::{Authenticator, Offered, Realm};

/// What a page shows, and what a program that brings its own pages reads. Whoever draws pages matches all of it: a login that
/// stands where no page is would be stuck.
#[derive(Serialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Prompt {
    /// Step 1: an address, and a tenant if it is not the only one. Passkeys are offered by autofill.
    Identity {
        /// For the autofill.
        autofill: RequestOptions,
        /// The tenant that is fixed already.
        tenant: Option<Name>,
    },
    /// Steps 2 and 3: an authenticator and a method. The same for everybody.
    Method {
        /// Who it was said to be.
        email: String,
        /// The tenant, if it was named.
        tenant: Option<Name>,
        /// For a passkey.
        passkey: RequestOptions,
        /// Whom to be verified by, as [`crate::offered`] says.
        authenticators: Vec<Offered>,
    },
    /// Which tenant, after the password.
    Tenant {
        /// Those to choose from.
        tenants: Vec<Name>,
    },
    /// A further proof.
    Proof {
        /// Which one.
        wanted: Method,
        /// Whether a recovery code will do.
        recovery_code: bool,
        /// Whether the login could go on without.
        optional: bool,
        /// For a passkey, where the user has one.
        passkey: Option<RequestOptions>,
    },
    /// A passkey is to be made.
    MakePasskey {
        /// For the browser.
        options: CreationOptions,
        /// Whether the login could go on without.
        optional: bool,
    },
    /// A one-time password is to be set up.
    SetUpTotp {
        /// For a QR code.
        uri: String,
        /// For typing.
        secret: String,
        /// Whether the login could go on without.
        optional: bool,
    },
    /// A password is to be set.
    SetPassword {
        /// The fewest characters.
        min_length: usize,
    },
    /// The browser is to be sent to a provider.
    Provider {
        /// What people call it.
        title: String,
        /// Where to.
        url: String,
    },
    /// Everything is proved; these may be set up.
    Offer {
        /// What the user has not.
        offers: Vec<Method>,
    },
}

/// The step alone: the secret of a one-time password is among what is shown.
impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity { .. } => "Identity",
            Self::Method { .. } => "Method",
            Self::Tenant { .. } => "Tenant",
            Self::Proof { .. } => "Proof",
            Self::MakePasskey { .. } => "MakePasskey",
            Self::SetUpTotp { .. } => "SetUpTotp",
            Self::SetPassword { .. } => "SetPassword",
            Self::Provider { .. } => "Provider",
            Self::Offer { .. } => "Offer",
        })
    }
}

impl AnyFlow {
    /// What the page shows; of the second step, and on the way to a provider, with the authenticators that [`crate::offered`] answered
    /// for [`AnyFlow::tenant`].
    #[must_use]
    pub fn prompt(&self, realm: &Realm, authenticators: Vec<Offered>) -> Prompt {
        let rp = &realm.relying_party;
        match self {
            Self::Begun(flow) => {
                Prompt::Identity { autofill: flow.state.passkey.options(rp), tenant: flow.common.tenant.clone() }
            }
            Self::Identified(flow) => Prompt::Method {
                email: flow.state.typed.clone(),
                tenant: flow.common.tenant.clone(),
                passkey: flow.state.passkey.options(rp),
                authenticators,
            },
            Self::Choosing(flow) => Prompt::Tenant { tenants: flow.tenants().cloned().collect() },
            Self::Second(flow) => Prompt::Proof {
                wanted: flow.state.wanted,
                recovery_code: flow.state.wanted == Method::Totp,
                optional: flow.state.optional,
                passkey: flow.state.passkey.as_ref().map(|passkey| passkey.options(rp)),
            },
            Self::EnrollingPasskey(flow) => {
                Prompt::MakePasskey { options: flow.state.pending.options.clone(), optional: flow.state.optional }
            }
            Self::EnrollingTotp(flow) => {
                let identity = &flow.state.who.identity;
                let issuer = format!("{} {}", realm.relying_party.name(), identity.tenant);
                let secret = &flow.state.secret.0;
                Prompt::SetUpTotp {
                    uri: secret.uri(&issuer, &identity.email).to_string(),
                    secret: secret.to_base32().to_string(),
                    optional: flow.state.optional,
                }
            }
            Self::SettingPassword(_) => Prompt::SetPassword { min_length: crate::Password::MIN_CHARS },
            Self::AtProvider(flow) => {
                let hint = flow.state.email.as_ref().map(crate::Email::as_str);
                // Inside a session the person is to prove who they are, and not the provider's cookie.
                let max_age = flow.common.step_up.is_some().then_some(realm.settings.step_up_age);
                let name = flow.state.pending.provider.name();
                let is_it =
                    |one: &Offered| matches!(&one.authenticator, Authenticator::External(found) if found == name);
                let title = authenticators.into_iter().find(is_it).map(|one| one.title);
                Prompt::Provider {
                    title: title.unwrap_or_else(|| name.to_string()),
                    url: flow.state.pending.url(hint, max_age),
                }
            }
            Self::Ready(flow) => Prompt::Offer { offers: flow.state.offers.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_a_one_time_password_is_not_shown() {
        let uri = "otpauth://totp/Example:ann?secret=JBSWY3DP".to_owned();
        let prompt = Prompt::SetUpTotp { uri, secret: "JBSWY3DP".to_owned(), optional: false };
        assert_eq!(format!("{prompt:?}"), "SetUpTotp");
    }
}
