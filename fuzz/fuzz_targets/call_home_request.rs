//! What a host says when it calls home: what is read is written and read the same, whatever its certificate request is, and the host-id is
//! shown by none of it.
#![no_main]

use keyward_callhome_cert::{CallHomeRequest, RefusalAnswer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = RefusalAnswer::read(body);
    let Ok(request) = serde_json::from_slice::<CallHomeRequest>(body) else { return };
    let written = serde_json::to_vec(&request).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<CallHomeRequest>(&written).expect("what was written can be read"), request);
    if let Ok(csr) = request.certificate_request() {
        assert_eq!(csr.public_key().thumbprint().len(), 43);
    }
    assert!(format!("{:?}", request.host_id) == "HostId(..)");
});
