//! `supctl unseal`: the one call that a sealed tower takes.

use serde::Serialize;
use zeroize::Zeroizing;

use super::Context;
use super::login::{Prompt, password_file};
use crate::cli::Unseal;
use crate::client::{Client, Payload};
use crate::error::Error;
use crate::path::Target;

#[derive(Serialize)]
struct Body<'a> {
    passphrase: &'a str,
}

/// Sends the passphrase, without any token: a sealed tower knows none.
pub(super) fn unseal(context: &Context<'_>, args: &Unseal) -> Result<(), Error> {
    let (tower, ca) = context.place(context.session()?.as_ref())?;
    let secret = match &args.passphrase_file {
        Some(path) => password_file(path)?,
        None => Prompt::new().secret(&format!("Passphrase of {}: ", tower.authority()), "the passphrase")?,
    };
    let body = Body { passphrase: secret.expose() };
    let body = Zeroizing::new(serde_json::to_vec(&body).map_err(|error| Error::Output(error.into()))?);
    let answer = Client::new(tower, ca.as_ref(), None)?
        .post(&Target::fixed("/v1/state/system/seal/unseal"), Payload::SecretJson(body))?;
    context.screen.answer(&answer)
}
