//! A load balancer's header: what is read is what was written, and written again it is read the same.
#![no_main]

use keyward_callhome_cert::chain_from_header;
use keyward_svid::x509::chain_to_pem;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let Ok(chain) = chain_from_header(value) else { return };
    let encoded: String = chain_to_pem(&chain).bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(chain_from_header(encoded.as_bytes()), Ok(chain));
});
