//! Mints a JWT-SVID with a key that this program never holds: it sends the bytes to sign away and attaches what comes back.

use std::error::Error;

use keyward_keys::{Algorithm, KeyType, PrivateKey};
use keyward_svid::{JwkSet, JwtBundle, KeyUse, MintRequest, VerificationKey, Verifier, VerifyOptions};
use time::{Duration, OffsetDateTime};

/// Stands for a KMS or an HSM: it knows nothing of tokens.
struct Vault(PrivateKey);

impl Vault {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        Ok(self.0.sign(Algorithm::Es256, message)?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let vault = Vault(PrivateKey::generate(KeyType::EcdsaP256)?);
    let public = vault.0.public_key().clone();
    let kid = public.thumbprint();
    let now = OffsetDateTime::now_utc();

    let request = MintRequest::new("spiffe://example.org/payments".parse()?, ["reports"], Duration::minutes(5))?;
    let input = request.signing_input(Algorithm::Es256, &kid, now)?;
    let signature = vault.sign(input.as_bytes())?;
    let token = input.attach(&signature)?;
    println!("{}", token.as_str());

    let keys = JwkSet::new(KeyUse::Signature, [VerificationKey::new(public, Algorithm::Es256, kid)?]);
    let bundle = JwtBundle::new("example.org".parse()?, keys);
    let svid = Verifier::new(["reports"], VerifyOptions::default())?.verify(token.as_str(), &bundle, now)?;
    assert_eq!(svid.id().path(), "/payments");
    Ok(())
}
