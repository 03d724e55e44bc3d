//! Makes every call that `vaultrs`, a client of Vault in Rust, has to keys, AppRoles and tokens: as it comes, against a tower that is there
//! for this alone. Prints a line for each, and ends with the first that is answered otherwise than it is to be.
//!
//! `VAULT_ADDR`, `VAULT_CACERT` and `VAULT_TOKEN` (an administrator's) say where, as they do for any program with that client.

mod approle;
mod calls;
mod token;
mod transit;

use std::{error::Error, process::ExitCode};

use calls::Calls;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What the tower does not serve, and why. Each of these is called too, and is to be answered as any path that there is not.
const NOT_SERVED: [(&str, &str); 8] = [
    ("transit::cache::read", CACHE),
    ("transit::cache::configure", CACHE),
    ("token::new_role", TOKEN_ROLES),
    ("token::role::set", TOKEN_ROLES),
    ("token::role::read", TOKEN_ROLES),
    ("token::role::list", TOKEN_ROLES),
    ("token::role::delete", TOKEN_ROLES),
    ("token::revoke_orphan", "the end of a token is the end of all that was made from it, without exception"),
];
const CACHE: &str = "the memory for parsed keys is of a fixed size, and each is read anew when its record changes";
const TOKEN_ROLES: &str = "there are no token roles: AppRoles and the policies of who asks say what a token may be";

/// All that `vaultrs` 0.8 has in `transit`, `auth::approle` and `token`.
const EVERY: [&str; 57] = [
    "transit::key::create",
    "transit::key::read",
    "transit::key::list",
    "transit::key::update",
    "transit::key::delete",
    "transit::key::rotate",
    "transit::key::import",
    "transit::key::import_version",
    "transit::key::export",
    "transit::key::backup",
    "transit::key::restore",
    "transit::key::trim",
    "transit::data::encrypt",
    "transit::data::decrypt",
    "transit::data::rewrap",
    "transit::data::sign",
    "transit::data::verify",
    "transit::generate::data_key",
    "transit::generate::random_bytes",
    "transit::generate::hash",
    "transit::generate::hmac",
    "transit::cache::read",
    "transit::cache::configure",
    "transit::wrapping_key::get",
    "approle::login",
    "approle::tidy",
    "approle::role::list",
    "approle::role::read",
    "approle::role::set",
    "approle::role::delete",
    "approle::role::read_id",
    "approle::role::update_id",
    "approle::role::secret::custom",
    "approle::role::secret::delete",
    "approle::role::secret::delete_accessor",
    "approle::role::secret::generate",
    "approle::role::secret::list",
    "approle::role::secret::read",
    "approle::role::secret::read_accessor",
    "token::lookup",
    "token::lookup_accessor",
    "token::lookup_self",
    "token::new",
    "token::new_orphan",
    "token::new_role",
    "token::renew",
    "token::renew_accessor",
    "token::renew_self",
    "token::revoke",
    "token::revoke_accessor",
    "token::revoke_orphan",
    "token::revoke_self",
    "token::tidy",
    "token::role::delete",
    "token::role::list",
    "token::role::read",
    "token::role::set",
];

/// A client, with the token given or else that of the environment.
fn client(token: Option<&str>) -> Outcome<VaultClient> {
    let mut settings = VaultClientSettingsBuilder::default();
    if let Some(token) = token {
        settings.token(token);
    }
    Ok(VaultClient::new(settings.build()?)?)
}

async fn run() -> Outcome {
    let (client, mut calls) = (client(None)?, Calls::default());
    transit::keys(&client, &mut calls).await?;
    transit::out_and_in(&client, &mut calls).await?;
    transit::use_of_keys(&client, &mut calls).await?;
    transit::generated(&client, &mut calls).await?;
    approle::run(&client, &mut calls).await?;
    token::run(&client, &mut calls).await?;
    calls.every(&EVERY)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
