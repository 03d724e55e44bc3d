//! Says whose X.509-SVID a PEM file holds, verified with the SPIFFE bundle of a trust domain.
//! usage: verify-x509 CHAIN.pem TRUST_DOMAIN BUNDLE.json
use keyward_svid::X509Verifier;
use keyward_svid::bundle::Bundle;
use keyward_svid::x509::{X509Svid, X509VerifyOptions, chain_from_pem};
use std::{env, error::Error, fs, process::ExitCode};
use time::OffsetDateTime;

fn verify(chain: &str, trust_domain: &str, bundle: &[u8], now: OffsetDateTime) -> Result<X509Svid, Box<dyn Error>> {
    let bundle = Bundle::from_json(trust_domain.parse()?, bundle)?;
    let verifier = X509Verifier::new(X509VerifyOptions::default());
    Ok(verifier.verify(&chain_from_pem(chain)?, bundle.x509(), now)?)
}

fn main() -> ExitCode {
    let [chain, trust_domain, bundle] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        eprintln!("usage: verify-x509 CHAIN.pem TRUST_DOMAIN BUNDLE.json");
        return ExitCode::from(2);
    };
    let verified = fs::read_to_string(chain).and_then(|chain| Ok((chain, fs::read(bundle)?)));
    match verified.map_err(Into::into).and_then(|(c, b)| verify(&c, trust_domain, &b, OffsetDateTime::now_utc())) {
        Ok(svid) => println!("{} until {}", svid.id(), svid.not_after()),
        Err(error) => {
            eprintln!("refused: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests;
