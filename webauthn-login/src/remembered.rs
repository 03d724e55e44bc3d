//! Logins that a browser remembers, and browsers that a login remembers.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_config_values::record::Format;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::secret::{Purpose, same};
use crate::{Authenticator, Identity, LoginUrl, Secret};

const FORMAT: u32 = 1;

/// One entry of the list "select login".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RememberedLogin {
    /// Who logged in.
    pub identity: Identity,
    /// With which authenticator.
    pub authenticator: Authenticator,
}

impl RememberedLogin {
    /// The login URL that choosing the entry leads to.
    #[must_use]
    pub fn url(&self) -> LoginUrl {
        LoginUrl { identity: self.identity.clone(), authenticator: Some(self.authenticator.clone()) }
    }
}

/// The logins that a browser remembers, newest first, in a cookie. They are hints: they fill in what would be typed, and
/// nothing is looked up for them. An entry gets in by a login that succeeded and whose user wanted it so. The cookie's value
/// is authenticated, and one that this deployment did not make is an empty list.
///
/// ```
/// # use keyward_webauthn_login::{Identity, RememberedLogin, RememberedLogins, Secret};
/// # let secret = Secret::from_bytes(&[7; 32]);
/// let identity = Identity::new("ann@example.com".parse()?, "b2".parse()?);
/// let mut logins = RememberedLogins::from_cookie("", &secret);
/// logins.remember(RememberedLogin { identity, authenticator: "strongbox".parse()? });
/// let cookie = logins.to_cookie(&secret);
/// assert_eq!(RememberedLogins::from_cookie(&cookie, &secret).iter().count(), 1);
/// assert_eq!(RememberedLogins::from_cookie(&cookie, &Secret::from_bytes(&[8; 32])).iter().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RememberedLogins(Vec<RememberedLogin>);

#[derive(Serialize, Deserialize)]
struct Stored {
    format: Format<FORMAT>,
    logins: Vec<RememberedLogin>,
}

impl RememberedLogins {
    /// The most entries; the oldest one goes.
    pub const MAX: usize = 10;
    /// The longest cookie that browsers keep (RFC 6265 §6.1), less room for its name and attributes.
    const MAX_COOKIE: usize = 3800;

    /// Reads a cookie. Whatever this deployment did not make is an empty list.
    #[must_use]
    pub fn from_cookie(value: &str, secret: &Secret) -> Self {
        Self::read(value, secret).unwrap_or_default()
    }

    fn read(value: &str, secret: &Secret) -> Option<Self> {
        if value.len() > Self::MAX_COOKIE {
            return None;
        }
        let (body, mac) = value.split_once('.')?;
        if !same(mac, &seal(body, secret)) {
            return None;
        }
        let stored: Stored = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        Some(Self(stored.logins.into_iter().take(Self::MAX).collect()))
    }

    /// The value of the cookie.
    #[must_use]
    pub fn to_cookie(&self, secret: &Secret) -> String {
        let mut logins = self.0.clone();
        loop {
            let stored = Stored { format: Format, logins };
            // Texts and nothing else: it can always be written.
            let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&stored).unwrap_or_default());
            let value = format!("{body}.{}", seal(&body, secret));
            logins = stored.logins;
            if value.len() <= Self::MAX_COOKIE || logins.pop().is_none() {
                return value;
            }
        }
    }

    /// The entries, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &RememberedLogin> {
        self.0.iter()
    }

    /// Puts an entry first.
    pub fn remember(&mut self, login: RememberedLogin) {
        self.0.retain(|other| *other != login);
        self.0.insert(0, login);
        self.0.truncate(Self::MAX);
    }

    /// Takes an entry out.
    pub fn forget(&mut self, login: &RememberedLogin) {
        self.0.retain(|other| other != login);
    }
}

fn seal(body: &str, secret: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(secret.derive(Purpose::Remembered, &[body.as_bytes()]))
}

/// What a browser holds that has logged in as somebody: its guesses are counted apart from those of strangers
/// ([`crate::Bucket::Device`]), so that strangers who guess keep nobody out. It lets nobody in.
pub struct DeviceToken(String);

impl DeviceToken {
    pub(crate) fn issue(identity: &Identity, secret: &Secret, rng: &mut impl CryptoRng) -> Self {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let nonce = URL_SAFE_NO_PAD.encode(nonce);
        let mac = Self::mac(&nonce, identity, secret);
        Self(format!("{nonce}.{mac}"))
    }

    fn mac(nonce: &str, identity: &Identity, secret: &Secret) -> String {
        let parts = [nonce.as_bytes(), identity.tenant.as_str().as_bytes(), identity.email.as_str().as_bytes()];
        URL_SAFE_NO_PAD.encode(secret.derive(Purpose::Device, &parts))
    }

    /// The value, for a cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the browser has logged in as that user: then the name of its own history, one for each browser.
    #[must_use]
    pub fn recognize<'a>(presented: &'a str, identity: &Identity, secret: &Secret) -> Option<&'a str> {
        let (nonce, mac) = presented.split_once('.')?;
        same(mac, &Self::mac(nonce, identity, secret)).then_some(nonce)
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    fn login(email: &str) -> RememberedLogin {
        let identity = Identity::new(email.parse().unwrap(), "b2".parse().unwrap());
        RememberedLogin { identity, authenticator: Authenticator::Strongbox }
    }

    fn secret() -> Secret {
        Secret::from_bytes(&[7; 32])
    }

    #[test]
    fn newest_first_each_once_and_removable() {
        let mut logins = RememberedLogins::default();
        for at in 0..12 {
            logins.remember(login(&format!("u{at}@example.com")));
        }
        logins.remember(login("u5@example.com"));
        assert_eq!(logins.0.len(), 10);
        assert_eq!(logins.0[0], login("u5@example.com"));
        assert_eq!(logins.0[1], login("u11@example.com"));
        logins.forget(&login("u11@example.com"));
        let read = RememberedLogins::from_cookie(&logins.to_cookie(&secret()), &secret());
        assert_eq!(read, logins);
        assert_eq!(read.0[0].url().to_string(), "/login/b2/u5@example.com/strongbox");
    }

    #[test]
    fn a_forged_one_is_an_empty_list() {
        let mut logins = RememberedLogins::default();
        logins.remember(login("ann@example.com"));
        let cookie = logins.to_cookie(&secret());
        let (body, mac) = cookie.split_once('.').unwrap();
        logins.remember(login("victim@example.com"));
        let other = logins.to_cookie(&Secret::from_bytes(&[8; 32]));
        let other_body = other.split_once('.').unwrap().0;
        for forged in [
            String::new(),
            body.to_owned(),
            format!("{body}."),
            format!("{other_body}.{mac}"),
            other.clone(),
            format!("{cookie}x"),
            format!("{body}.{}", mac.to_lowercase()),
            "x".repeat(5000),
        ] {
            assert_eq!(RememberedLogins::from_cookie(&forged, &secret()), RememberedLogins::default(), "{forged}");
        }
    }

    #[test]
    fn long_names_do_not_break_the_cookie() {
        let mut logins = RememberedLogins::default();
        for at in 0..10 {
            let domain = ["x".repeat(60), "y".repeat(60), "z".repeat(50)].join(".");
            logins.remember(login(&format!("{}{at}@{domain}", "l".repeat(60))));
        }
        let cookie = logins.to_cookie(&secret());
        assert!(cookie.len() <= RememberedLogins::MAX_COOKIE);
        let read = RememberedLogins::from_cookie(&cookie, &secret());
        assert!(read.0.len() > 5);
        assert_eq!(read.0[0], logins.0[0]);
    }

    #[test]
    fn a_device_is_recognized_for_its_own_user_alone() {
        let (ann, bob) = (login("ann@example.com").identity, login("bob@example.com").identity);
        let one = DeviceToken::issue(&ann, &secret(), &mut rng(1));
        let two = DeviceToken::issue(&ann, &secret(), &mut rng(2));
        let name = DeviceToken::recognize(one.expose(), &ann, &secret()).unwrap();
        assert_ne!(Some(name), DeviceToken::recognize(two.expose(), &ann, &secret()));
        assert_eq!(DeviceToken::recognize(one.expose(), &bob, &secret()), None);
        assert_eq!(DeviceToken::recognize("AAAA.AAAA", &ann, &secret()), None);
        assert_eq!(DeviceToken::recognize(one.expose(), &ann, &Secret::from_bytes(&[8; 32])), None);
        assert_eq!(format!("{one:?}"), "DeviceToken(..)");
    }
}
