//! Laws: only what was signed verifies, and reading never panics.

use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::{X509Bundle, X509Verifier, chain_from_der_concat, chain_from_pem, chain_to_pem, peek_id};
use proptest::prelude::*;
use std::sync::LazyLock;

use crate::support::*;

/// A leaf, an intermediate with constraints of every kind that is checked here, and the bundle.
static CHAIN: LazyLock<(Vec<CertificateDer<'static>>, X509Bundle)> = LazyLock::new(|| {
    let root = Ca::root(|_| {});
    let middle = root.intermediate("middle", |params| {
        params.custom_extensions.push(name_constraints(&[(6, b"td.example")], &[(6, b".other.example")]));
    });
    let lower = middle.delegate("lower", &["spiffe://td.example/*"]);
    (vec![lower.leaf(|_| {}), lower.der, middle.der], root.bundle())
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// (The other signature that ECDSA has for the same, with n - s, is not found by chance.)
    #[test]
    fn a_changed_chain_does_not_verify(index in 0_usize..3, place: prop::sample::Index, change in 1_u8..) {
        let (chain, bundle) = &*CHAIN;
        prop_assert!(both(chain, bundle).is_ok());
        let mut der = chain[index].to_vec();
        *place.get_mut(&mut der) ^= change;
        let mut changed = chain.clone();
        changed[index] = der.into();
        prop_assert!(strict(&changed, bundle).is_err());
        prop_assert!(standard(&changed, bundle).is_err());
    }

    #[test]
    fn a_cut_certificate_is_refused(index in 0_usize..3, place: prop::sample::Index) {
        let (chain, bundle) = &*CHAIN;
        let cut = place.index(chain[index].len());
        let mut changed = chain.clone();
        changed[index] = chain[index][..cut].to_vec().into();
        prop_assert!(both(&changed, bundle).is_err());
    }

    #[test]
    fn the_order_of_intermediates_is_of_no_matter(order in Just(vec![1_usize, 2]).prop_shuffle()) {
        let (chain, bundle) = &*CHAIN;
        let shuffled: Vec<_> = [0].into_iter().chain(order).map(|index| chain[index].clone()).collect();
        let svid = both(&shuffled, bundle).unwrap();
        prop_assert_eq!(svid.chain(), chain);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let certificate = CertificateDer::from(bytes.clone());
        prop_assert!(peek_id(&certificate).is_err());
        prop_assert!(X509Bundle::new("td".parse().unwrap(), [certificate.clone()]).is_err());
        prop_assert!(X509Verifier::default().verify(&[certificate], &bundle([]), now()).is_err());
        if let Ok(list) = chain_from_der_concat(&bytes) {
            prop_assert_eq!(list.iter().flat_map(|one| one.iter().copied()).collect::<Vec<u8>>(), bytes);
            prop_assert_eq!(chain_from_pem(&chain_to_pem(&list)).unwrap(), list);
        }
    }

    #[test]
    fn within_its_life_and_not_outside(offset in -90_000_i64..2_700_000) {
        let (chain, bundle) = &*CHAIN;
        let at = now() + time::Duration::seconds(offset);
        let verdict = X509Verifier::default().verify(chain, bundle, at);
        prop_assert_eq!(verdict.is_ok(), (-60..=3600).contains(&offset));
    }
}
