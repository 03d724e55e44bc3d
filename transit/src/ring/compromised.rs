//! Replacing a key that became known.

use time::OffsetDateTime;

use super::{Command, Material, Ring};
use crate::{Error, Phase, Transitions};

/// Which keys became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compromised {
    /// The active one. A pending one goes with it: it lay beside it and never signed.
    #[default]
    Active,
    /// All: no version but the new one verifies.
    All,
}

/// What a rotation for a compromised key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// The new version. It is active.
    pub version: u32,
    /// The versions that verify nothing from now on, oldest first.
    pub dropped: Vec<u32>,
    /// Until when verifiers may go on accepting the dropped ones, because they hold a key set from before: as long as it
    /// may be cached, and the time for distribution and skew. Until then they may also refuse what the new version
    /// signs. `None` where the ring publishes no keys.
    pub cached_until: Option<OffsetDateTime>,
    /// Until when sites that hear nothing of this may sign with a dropped version; who fetches the key set refuses it.
    pub sites_sign_until: Option<OffsetDateTime>,
}

impl Ring {
    /// Asks for the rotation that ends a compromised key, even where every other one comes from elsewhere: the command to generate the next version, whose
    /// [`install_compromised`](Self::install_compromised) performs it. Unlike [`rotate`](Self::rotate) it is never in
    /// conflict with a pending version.
    pub fn rotate_compromised(&self) -> Command {
        self.generate()
    }

    /// Takes in the key that [`rotate_compromised`](Self::rotate_compromised) asked for. By the commit that stores the
    /// ring the new version is published and active, and the compromised ones neither sign nor verify: this alone
    /// changes times that were fixed before. In a ring that signs only, their keys are destroyed; where a ring encrypts,
    /// they go on decrypting until a trim, so that nothing is lost and everything can be rewrapped.
    ///
    /// Nothing is overlapped, which is the price: what the dropped versions signed is refused, and verifiers with a
    /// cached key set notice.
    ///
    /// # Errors
    /// Those of [`install`](Self::install) but for [`Error::Pending`].
    pub fn install_compromised(
        &mut self,
        version: u32,
        material: Material,
        compromised: Compromised,
        now: OffsetDateTime,
    ) -> Result<Replaced, Error> {
        let at = self.effective(now);
        let of = |number: u32, phase: Phase| match compromised {
            Compromised::Active => (phase <= Phase::Active).then_some(number),
            Compromised::All => (phase != Phase::Invalid).then_some(number),
        };
        let dropped: Vec<u32> = self.versions.iter().filter_map(|v| of(v.number, v.times.phase(at))).collect();
        let published = self.versions.iter().any(|v| dropped.contains(&v.number) && self.is_published(v, at));
        self.add(version, material, false, Transitions::new(at, at), None)?;
        for number in &dropped {
            let keep = self.version(*number).is_some_and(|v| self.may_have_encrypted(v));
            if let Some(version) = self.versions.iter_mut().find(|v| v.number == *number) {
                version.times.end(at);
                if !keep {
                    version.destroy();
                }
            }
        }
        self.highest = at;
        let overlap = self.overlap().unwrap_or_default();
        // What an earlier schedule promised counts where it lasts longer: who did not hear of the edit goes by it.
        let after = |duration: keyward_config_values::Duration, promise: Option<OffsetDateTime>| {
            at.saturating_add(duration.to_time()).max(promise.unwrap_or(at))
        };
        Ok(Replaced {
            version,
            dropped,
            cached_until: published.then(|| after(overlap.stale_copies(), self.promises.activates)),
            sites_sign_until: published.then(|| after(overlap.cut_off_allowance(), self.promises.deprecated)),
        })
    }
}
