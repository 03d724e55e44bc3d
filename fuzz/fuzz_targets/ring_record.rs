//! Whatever a sealed record holds: it is a ring, which is the same when stored and loaded again, or a typed error.
#![no_main]

use keyward_transit::{Kek, KekSet, Ring, open, seal};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

fuzz_target!(|content: &[u8]| {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let keks = KekSet::new(Kek::from_bytes(1, &[7; 32]).unwrap());
    let record = seal(keks.current(), "path", content, &mut rng).unwrap();
    assert_eq!(open(&keks, "path", &record).unwrap().as_slice(), content);
    assert!(Ring::from_sealed(&keks, "path", content).is_err());
    if let Ok(ring) = Ring::from_sealed(&keks, "path", &record) {
        let now = OffsetDateTime::UNIX_EPOCH;
        let again = ring.to_sealed(keks.current(), "path", &mut rng).unwrap();
        let again = Ring::from_sealed(&keks, "path", &again).unwrap();
        assert_eq!(again.view(now), ring.view(now));
        assert_eq!(again.next_deadline(now), ring.next_deadline(now));
    }
});
