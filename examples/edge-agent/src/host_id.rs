//! The id of the machine, where the operator gives none.

use std::fs;
use std::io;
use std::path::Path;

use keyward_base::bounded;
use keyward_base::data_dir::DataDirError;
use keyward_callhome_cert::HostName;
use keyward_config_values::config::HostId;

use crate::error::Error;

/// The UUID of the product (SMBIOS, System Information), which its maker gave it; readable by root alone.
const PRODUCT: &str = "/sys/class/dmi/id/product_uuid";
/// The id of the installation (machine-id(5)).
const MACHINE: &str = "/etc/machine-id";

/// How long these are at most, in bytes.
const LONGEST: u64 = 4096;

/// What makers write who give none: all of their machines would be one.
const PLACEHOLDERS: [&str; 4] = [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
];

/// The product UUID, or the machine id where there is none.
///
/// # Errors
/// There is neither, or only root may read it.
pub(crate) fn of_this_machine() -> Result<HostId, Error> {
    choose(&read(PRODUCT)?, &read(MACHINE)?)
}

/// What the host calls itself, for operators to see.
pub(crate) fn name() -> Option<HostName> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    name.trim().parse().ok()
}

fn choose(product: &str, machine: &str) -> Result<HostId, Error> {
    let product = product.trim().to_ascii_lowercase();
    let known = !product.is_empty() && !PLACEHOLDERS.contains(&product.as_str());
    let found = if known { product.as_str() } else { machine.trim() };
    found.parse().map_err(|_| {
        Error::usage(
            "this machine has no id: neither a product UUID nor /etc/machine-id",
            "give one with --host-id-file",
        )
    })
}

/// The text of a file; empty where there is none.
fn read(path: &str) -> Result<String, Error> {
    match bounded::text(Path::new(path), LONGEST) {
        Ok(text) => Ok(text),
        // Another id would be found by another user.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Error::usage(
            format!("only root may read the id of this machine, `{path}`"),
            "run as root, or give a host-id with --host-id-file",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        // Firmware without the table, for one.
        Err(_) if path == PRODUCT => Ok(String::new()),
        Err(source) => Err(DataDirError::Io { path: Path::new(path).to_owned(), source }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_comes_first_unless_it_is_everybodys() {
        let machine = "0123456789abcdef0123456789abcdef\n";
        let chosen = |product: &str| choose(product, machine).unwrap().as_str().to_owned();
        assert_eq!(chosen("4C4C4544-0051-3010-8052-B4C04F4D3232\n"), "4c4c4544-0051-3010-8052-b4c04f4d3232");
        for nothing in ["", "\n", "03000200-0400-0500-0006-000700080009\n", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"] {
            assert_eq!(chosen(nothing), machine.trim());
        }
        assert_eq!(
            choose("", "").unwrap_err().to_string(),
            "this machine has no id: neither a product UUID nor /etc/machine-id"
        );
    }
}
