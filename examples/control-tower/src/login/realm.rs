//! What every step of a login needs, made once.

use keyward_webauthn_login::{LoginSettings, Realm, RelyingParty, Secret};

use crate::{
    config::ExternalUrl,
    db::Db,
    layout, random,
    store::{Guard, Outcome},
};

/// What authenticators and applications for one-time passwords show.
const TITLE: &str = "Keyward";

/// The secret of the deployment's logins, made where there is none yet.
///
/// # Errors
/// Those of the store; damage.
pub async fn secret(db: &Db) -> anyhow::Result<Secret> {
    loop {
        if let Some(stored) = db.get(layout::LOGIN_SECRET).await? {
            let bytes = stored.value.as_slice().try_into();
            return Ok(Secret::from_bytes(
                bytes.map_err(|_| anyhow::anyhow!("the stored secret of logins is damaged"))?,
            ));
        }
        let secret = Secret::generate(&mut random::rng());
        let write = db.put(layout::LOGIN_SECRET.to_owned(), secret.as_bytes())?;
        let guard = Guard::Absent(layout::LOGIN_SECRET.to_owned());
        match db.store().commit(vec![guard], vec![write]).await? {
            Outcome::Committed(_) => return Ok(secret),
            // Another tower on the same store was first.
            Outcome::Conflict { .. } => {}
            Outcome::Unknown => anyhow::bail!("the store's answer was lost; start again"),
        }
    }
}

/// The realm of a tower: its passkeys are of the domain `relying_party`, by default of the host of its URL. Browsers make no
/// passkeys for an address: a tower that is reached by one has none.
///
/// # Errors
/// The URL is outside of the domain, or it is none.
pub fn realm(url: &ExternalUrl, relying_party: Option<&str>, secret: Secret) -> anyhow::Result<Realm> {
    let party = match (relying_party, url.address()) {
        (Some(id), _) => RelyingParty::new(id, TITLE, &[url.as_str()])?,
        (None, None) => RelyingParty::new(url.host(), TITLE, &[url.as_str()])?,
        (None, Some(_)) => {
            tracing::warn!(%url, "passkeys need a name: give the tower one with --external-url");
            RelyingParty::new("localhost", TITLE, &["https://localhost"])?
        }
    };
    Ok(Realm::new(party, secret, LoginSettings::default())?)
}
