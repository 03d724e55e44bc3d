//! The beginning of a connection: a header is read the same however much of the connection follows it, asks for more bytes as
//! long as it is not whole, and never for more than its limit.
#![no_main]

use keyward_callhome_cert::{MAX_PROXY_HEADER, read_proxy_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match read_proxy_header(bytes) {
    Ok(Some(header)) => {
        assert!(header.length <= bytes.len().min(MAX_PROXY_HEADER));
        assert_eq!(read_proxy_header(&bytes[..header.length]), Ok(Some(header)));
        assert_eq!(read_proxy_header(&bytes[..header.length - 1]), Ok(None));
    }
    Ok(None) => assert!(bytes.len() < MAX_PROXY_HEADER),
    // What follows does not mend it.
    Err(error) => assert_eq!(read_proxy_header(&[bytes, b"more"].concat()), Err(error)),
});
