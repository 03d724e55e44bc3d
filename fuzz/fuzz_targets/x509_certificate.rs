//! A certificate: what names one workload is read as the same from PEM, DER and a list; what could be an authority is
//! kept as it is.
#![no_main]

use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{X509Bundle, chain_from_der_concat, chain_from_pem, chain_to_pem, peek_id};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    let certificate = CertificateDer::from(der);
    if let Ok(id) = peek_id(&certificate) {
        let list = chain_from_der_concat(&[der, der].concat()).unwrap();
        assert_eq!(list, [certificate.clone().into_owned(), certificate.clone().into_owned()]);
        let pem = chain_from_pem(&chain_to_pem(&list)).unwrap();
        assert!(pem == list && pem.iter().all(|one| peek_id(one).as_ref() == Ok(&id)));
        assert!(id.workload_path().is_ok());
    }
    if let Ok(bundle) = X509Bundle::new("td.example".parse().unwrap(), [certificate.clone().into_owned()]) {
        assert_eq!(bundle.authorities(), [certificate.into_owned()]);
        assert_eq!(X509Bundle::from_pem("td.example".parse().unwrap(), &bundle.to_pem()), Ok(bundle));
    }
});
