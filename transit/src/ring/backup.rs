//! A ring as text, to be kept elsewhere and brought back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_config_values::Name;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::Ring;
use super::record::encode;
use crate::{Error, Kek, KekSet, RecordError, open, seal};

impl Ring {
    /// The ring with all of its keys, readable by whoever has the text: base64 of the record that is otherwise sealed.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] unless the ring is `exportable` and has `allow-plaintext-backup`, [`Error::SignsJwts`] when
    /// it signs JWTs, [`Error::Record`] when it cannot be written.
    pub fn to_plaintext_backup(&self) -> Result<Zeroizing<String>, Error> {
        let operation = "go into a plaintext backup";
        self.refuse_unless_exportable(operation)?;
        if !self.config.allow_plaintext_backup {
            return Err(Error::NotAllowed { field: "allow-plaintext-backup", operation });
        }
        Ok(encode(&self.to_record()?))
    }

    /// The ring in a plaintext backup, under its own name or another. Its options, its versions and their times are
    /// those of the backup.
    ///
    /// # Errors
    /// [`RecordError::Malformed`], [`RecordError::UnknownFormat`] and [`RecordError::Keys`] when the text holds no ring.
    pub fn from_plaintext_backup(backup: &str, name: Option<Name>) -> Result<Self, RecordError> {
        Ok(Self::from_record(&decode(backup)?)?.renamed(name))
    }

    /// The ring with all of its keys as text that opens with the same key-encryption key and `binding` alone, for
    /// example the tenant's: any ring can be backed up this way.
    ///
    /// # Errors
    /// Those of [`to_sealed`](Self::to_sealed).
    pub fn to_sealed_backup(&self, kek: &Kek, binding: &str, rng: &mut impl CryptoRng) -> Result<String, RecordError> {
        Ok(STANDARD.encode(seal(kek, &path(binding), &self.to_record()?, rng)?))
    }

    /// The ring in a sealed backup, under its own name or another.
    ///
    /// # Errors
    /// Those of [`from_sealed`](Self::from_sealed), [`RecordError::Malformed`] when the text is not base64.
    pub fn from_sealed_backup(
        keks: &KekSet,
        binding: &str,
        backup: &str,
        name: Option<Name>,
    ) -> Result<Self, RecordError> {
        Ok(Self::from_record(&open(keks, &path(binding), &decode(backup)?)?)?.renamed(name))
    }

    /// The ring in a backup of either kind, under its own name or another.
    ///
    /// # Errors
    /// Those of [`from_plaintext_backup`](Self::from_plaintext_backup) and [`from_sealed_backup`](Self::from_sealed_backup).
    pub fn from_backup(keks: &KekSet, binding: &str, backup: &str, name: Option<Name>) -> Result<Self, RecordError> {
        let bytes = decode(backup)?;
        // A sealed record begins with the number of its format.
        let ring = match bytes.first() {
            Some(b'{') => Self::from_record(&bytes)?,
            _ => Self::from_record(&open(keks, &path(binding), &bytes)?)?,
        };
        Ok(ring.renamed(name))
    }

    fn renamed(mut self, name: Option<Name>) -> Self {
        if let Some(name) = name {
            self.config.name = name;
        }
        self
    }
}

/// No record in a store has such a path, so neither is taken for the other.
fn path(binding: &str) -> String {
    format!("backup of a ring: {binding}")
}

fn decode(backup: &str) -> Result<Zeroizing<Vec<u8>>, RecordError> {
    STANDARD
        .decode(backup)
        .map(Zeroizing::new)
        .map_err(|_| RecordError::Malformed { expected: "backup of a ring", reason: "it is not base64" })
}
