//! JWT-SVIDs: minting and verification (JWT-SVID, RFC 7515, RFC 7519).

mod bundle;
mod claims;
mod error;
mod frame;
mod header;
mod mint;
mod registered;
mod signature;
mod signing_input;
mod times;
mod token;
mod unverified;
mod verify;
#[cfg(test)]
mod wycheproof;

#[cfg(feature = "wit")]
pub(crate) use {
    frame::{Frame, signing_text},
    header::{Header, Kind},
    mint::sign,
    registered::{OtherClaims, Registered, required},
    signature::authentic,
    signing_input::signed_text,
    times::{Validity, timely},
};

pub use bundle::JwtBundle;
pub use claims::{Claims, MAX_AUDIENCES};
pub use error::{ClaimProblem, HeaderProblem, MintError, Part, VerifierError, VerifyError};
pub use header::JWT_SVID_ALGORITHMS;
pub use mint::{DEFAULT_BACKDATE, MintRequest, Minter, mint};
pub use signing_input::SigningInput;
pub use token::EncodedJwtSvid;
pub use unverified::{MAX_TOKEN_BYTES, UnverifiedJwtSvid};
pub use verify::{JwtSvid, MAX_LEEWAY, Verifier, VerifyOptions};
