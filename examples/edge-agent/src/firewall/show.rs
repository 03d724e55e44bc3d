//! The table as it is.

use std::io::{self, Write as _};

use keyward_nft_marks::{Change, Transaction};

use super::nft::Nft;
use super::plan::differences;
use super::{SAME, Shown, pipe};
use crate::error::Error;

/// Shows it.
///
/// # Errors
/// There is none.
pub(crate) fn show(nft: &Nft, how: Shown) -> Result<u8, Error> {
    let none = || Error::usage("there is no table `inet keyward`", "load it with `edge-agent firewall apply`");
    let listing = nft.plain_listing()?.ok_or_else(none)?;
    let mut out = io::stdout().lock();
    let written = match how {
        Shown::Text => out.write_all(listing.as_bytes()),
        Shown::Json => {
            let table = listing.parse().map_err(super::nft::NftError::from)?;
            writeln!(out, "{}", Transaction::replacing(&table).json().to_string().trim_end())
        }
        Shown::Model => {
            let table = listing.parse().map_err(super::nft::NftError::from)?;
            differences(None, &table).iter().try_for_each(|change| {
                let (Change::Added(line) | Change::Removed(line)) = change;
                writeln!(out, "{line}")
            })
        }
    };
    pipe(written)?;
    Ok(SAME)
}
