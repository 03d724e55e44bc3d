//! Keys and backups from elsewhere: whatever is taken in comes out as the same key or ring.
#![no_main]

use keyward_keys::ErrorKind;
use keyward_transit::{Cipher, Export, FirstActivation, Material, Ring, RingConfig};
use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;

fuzz_target!(|input: &[u8]| {
    let now = OffsetDateTime::UNIX_EPOCH;
    for cipher in Cipher::ALL {
        match Material::from_bytes(cipher, input) {
            Ok(material) => {
                let mut config = RingConfig::new("fuzz".parse().unwrap());
                (config.cipher, config.exportable, config.allow_plaintext_backup) = (cipher, true, true);
                let mut ring = Ring::new(config, FirstActivation::AtOnce, now).unwrap();
                ring.import(material, now).unwrap();
                let backup = ring.to_plaintext_backup().unwrap();
                let again = Ring::from_plaintext_backup(&backup, None).unwrap();
                let export = |ring: &Ring| ring.export(Export::HmacKey, None).unwrap()[0].key.to_text();
                assert_eq!((again.view(now), export(&again)), (ring.view(now), export(&ring)));
            }
            Err(error) => assert_ne!(error.kind(), ErrorKind::Unavailable),
        }
    }
    if let Ok(text) = str::from_utf8(input)
        && let Ok(ring) = Ring::from_plaintext_backup(text, None)
        && let Ok(backup) = ring.to_plaintext_backup()
    {
        assert_eq!(Ring::from_plaintext_backup(&backup, None).unwrap().view(now), ring.view(now));
    }
});
