//! Rotates a key ring through a year whose records are kept in a map: any store that can compare and swap will do.

use std::{collections::BTreeMap, error::Error};

use keyward_keys::Signer as _;
use keyward_transit::{Command, FirstActivation, Kek, KekSet, Material, Ring, RingConfig};
use time::{Duration, OffsetDateTime};

const KEY: &str = "rings/tokens";

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let keks = KekSet::new(Kek::generate(1, &mut rng)?);
    let mut storage: BTreeMap<&str, Vec<u8>> = BTreeMap::new();

    let start = OffsetDateTime::now_utc();
    let config: RingConfig = serde_json::from_str(
        r#"{"name": "tokens", "cipher": "ecdsa-p256", "auto-rotate":
            {"rotate-after": "30d", "activate-after": "1d", "deprecate-after": "2d", "invalidate-after": "2d"}}"#,
    )?;
    let ring = Ring::new(config, FirstActivation::AtOnce, start)?;
    storage.insert(KEY, ring.to_sealed(keks.current(), KEY, &mut rng)?);

    let mut now = start;
    while now < start + Duration::days(365) {
        // Everything from the store at each step, as after a restart.
        let mut ring = Ring::from_sealed(&keks, KEY, &storage[KEY])?;
        for command in ring.advance(now) {
            match command {
                Command::Generate { cipher, version } => {
                    ring.install(version, Material::generate(cipher, &mut rng)?, now)?;
                }
                Command::Destroy { version } => ring.destroy(version, now)?,
                _ => {}
            }
        }
        storage.insert(KEY, ring.to_sealed(keks.current(), KEY, &mut rng)?);
        let signer = ring.signer(now)?;
        ring.verify_by_kid(signer.kid(), b"message", &signer.sign(b"message")?, now)?;
        now = ring.next_deadline(now).ok_or("a rotating ring always has a deadline")?.max(now + Duration::SECOND);
    }
    let ring = Ring::from_sealed(&keks, KEY, &storage[KEY])?;
    println!("{} versions in a year, {} published now", ring.newest_version(), ring.published(now).len());
    assert!((12..=14).contains(&ring.newest_version()));
    Ok(())
}
