//! Keys from elsewhere.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_config_values::Name;
use keyward_keys::{HashFunction, PublicKey};
use keyward_transit::{Cipher, Material, Ring};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    super::{
        body::JsonBody,
        caller::Caller,
        error::{Answer, ApiError},
        params::Path,
    },
    call::Speech,
    named, versions,
};
use crate::{app::App, rings, wrapping_keys};

/// `GET /v1/state/strongbox/wrapping-key`: the public key for which keys are wrapped that are to be imported. The first one who
/// asks waits some seconds until it is made.
///
/// # Errors
/// Those of the store.
pub async fn wrapping_key(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    let key = wrapping_keys::of(&app, caller.tenant(), &caller.actor()).await?;
    Ok(Json(json!({ "public-key": key.public_key_pem() })).into_response())
}

/// A key from elsewhere, in one of three forms.
pub enum Incoming<'a> {
    /// Base64 of the bytes of a symmetric key, or of a PKCS #8 document.
    Plain(&'a str),
    /// The same wrapped for the tenant's wrapping key, base64.
    Wrapped(&'a str, HashFunction),
    /// A public key as PEM, whose private half stays where it is.
    Public(&'a str),
}

impl Incoming<'_> {
    /// The key, for a ring of this cipher.
    ///
    /// # Errors
    /// 400 and 422 for what is no such key.
    pub async fn material(&self, app: &App, caller: &Caller, cipher: Cipher) -> Answer<Material> {
        match self {
            Self::Plain(text) => Ok(Material::from_bytes(cipher, &decoded("key", text)?)?),
            Self::Wrapped(text, hash) => {
                let (wrapped, hash) = (decoded("wrapped", text)?, *hash);
                let key = wrapping_keys::of(app, caller.tenant(), &caller.actor()).await?;
                Ok(app.compute(move || key.unwrap(cipher, hash, &wrapped)).await??)
            }
            Self::Public(pem) => {
                let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes());
                let der = der.map_err(|_| ApiError::invalid("the public key is not PEM (RFC 7468 §13)"))?;
                let key = PublicKey::from_spki_der(&der).map_err(keyward_transit::Error::Keys)?;
                Ok(Material::from_public_key(cipher, key)?)
            }
        }
    }
}

fn decoded(field: &str, text: &str) -> Answer<Zeroizing<Vec<u8>>> {
    Speech::Own.base64(field, text)
}

/// A key from elsewhere.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImportBody {
    key: Option<Zeroizing<String>>,
    wrapped: Option<String>,
    hash_function: Option<HashFunction>,
    public_key: Option<String>,
}

impl ImportBody {
    fn incoming(&self) -> Answer<Incoming<'_>> {
        match (&self.key, &self.wrapped, &self.public_key) {
            (Some(key), None, None) => Ok(Incoming::Plain(key)),
            (None, Some(wrapped), None) => {
                Ok(Incoming::Wrapped(wrapped, self.hash_function.unwrap_or(HashFunction::Sha2_256)))
            }
            (None, None, Some(pem)) => Ok(Incoming::Public(pem)),
            _ => Err(ApiError::invalid("one of `key`, `wrapped` and `public-key` is needed")),
        }
    }
}

/// `POST …/<name>/import {key | wrapped, hash-function? | public-key}`: base64 of the bytes of a symmetric key, or of a PKCS #8
/// document, of the key's cipher; the same wrapped for the wrapping key (RSA-OAEP and AES-KWP), base64; or a public key as PEM,
/// which verifies, and encrypts if it is RSA. It becomes the next version; the private half of a public key completes that one.
///
/// # Errors
/// 404; 409 while a version is pending; 400 and 422 for what is no such key.
pub async fn import(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<ImportBody>,
) -> Answer {
    let stored = named(&app, &caller, &name).await?;
    let material = body.incoming()?.material(&app, &caller, stored.value.cipher()).await?;
    commit_import(&app, &caller, stored.value.name(), &material, None).await?;
    versions::view(&app, &caller, &name).await
}

/// Adds a version with a key from elsewhere, or completes the one that is named with its private half, on record.
///
/// # Errors
/// Those of the ring and of the store.
pub async fn commit_import(
    app: &App,
    caller: &Caller,
    name: &Name,
    material: &Material,
    completes: Option<u32>,
) -> Answer<()> {
    let change = |ring: &mut Ring, now| {
        match completes {
            Some(version) => ring.complete(version, material.share(), now).map(drop)?,
            None => ring.import(material.share(), now).map(drop)?,
        }
        Ok(caller.actor().did("key-import", now))
    };
    rings::change(app, caller.tenant(), name, change).await
}
