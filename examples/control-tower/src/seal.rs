//! What protects the key-encryption keys, and where it comes from: a key file, a systemd credential, or a passphrase. Every
//! secret at rest is sealed under those keys, so whoever has the seal's key and the store has everything, and whoever lost
//! it has nothing.

use keyward_transit::{Argon2id, Kek, KekSet, RecordError, SealKey, SealKind};

use crate::{
    config::SealChoice,
    keyring::{Keyring, KeyringError},
    random,
    store::Write,
};

mod error;
mod kept;
mod presented;

pub use self::{
    error::{LineProblem, SealError},
    kept::KeptKey,
    presented::{Presented, derive, read_passphrase},
};

/// What came of opening the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsealing {
    /// The keys are there.
    Open,
    /// The keys are there, and the key file was made just now: the operator should be told to keep a copy.
    Created,
    /// Somebody has to send the passphrase.
    Sealed,
}

/// Opens the keyring of a store with what the setting gives; where there is none and nothing that it would have sealed, makes it.
///
/// # Errors
/// [`SealError`]: there is no key, it is another one, or the setting is not what sealed the data.
pub async fn open(
    keyring: &Keyring,
    choice: &SealChoice,
    presented: Presented,
    sealed_before: bool,
) -> Result<Unsealing, SealError> {
    let stored = keyring.stored().await?;
    let kind = stored.as_ref().map(|stored| stored.kind());
    let other = |data| Err(SealError::OtherKind { data, choice: choice.clone() });
    let passphrase = match presented {
        Presented::Key(kept) => return open_kept(keyring, choice, kind, kept, sealed_before).await,
        Presented::Passphrase(passphrase) => passphrase,
    };
    match (kind, passphrase) {
        (Some(SealKind::Passphrase(parameters)), Some(passphrase)) => {
            unlock(keyring, choice, passphrase.derive(parameters)?).await
        }
        (Some(SealKind::Passphrase(_)), None) => Ok(Unsealing::Sealed),
        (Some(_), _) => other("a key"),
        (None, _) if sealed_before => other("a key file"),
        (None, None) => Err(SealError::NotInitialised),
        (None, Some(passphrase)) => {
            let parameters = Argon2id::generate(&mut random::rng());
            let key = passphrase.derive(&parameters)?;
            keyring
                .create(&KekSet::new(Kek::generate(1, &mut random::rng())?), key, SealKind::Passphrase(parameters))
                .await?;
            Ok(Unsealing::Open)
        }
    }
}

async fn open_kept(
    keyring: &Keyring,
    choice: &SealChoice,
    kind: Option<&SealKind>,
    kept: Option<KeptKey>,
    sealed_before: bool,
) -> Result<Unsealing, SealError> {
    let other = |data| Err(SealError::OtherKind { data, choice: choice.clone() });
    if let Some(kind) = kind {
        return match (kind, kept, choice) {
            (SealKind::Key, Some(kept), _) => unlock(keyring, choice, kept.key).await,
            (SealKind::Passphrase(_), ..) => other("a passphrase"),
            (_, None, SealChoice::KeyFile(path)) => Err(SealError::Missing { path: path.clone() }),
            _ => other("a key"),
        };
    }
    let (kept, made) = match (kept, choice) {
        (Some(kept), _) => (kept, Unsealing::Open),
        (None, SealChoice::KeyFile(path)) if sealed_before => {
            return Err(SealError::Missing { path: path.clone() });
        }
        (None, SealChoice::KeyFile(path)) => (KeptKey::create(path, &mut random::rng())?, Unsealing::Created),
        (None, _) => return other("a key"),
    };
    // What a former release sealed is sealed under the lines of the key file themselves.
    let keks = if sealed_before { kept.keks } else { KekSet::new(Kek::generate(1, &mut random::rng())?) };
    keyring.create(&keks, kept.key, SealKind::Key).await?;
    Ok(made)
}

/// Puts the keys of an opened keyring under another seal, with the note that records it. A key file that does not exist is made first.
///
/// # Errors
/// [`SealError`]: the other seal has no key as yet; somebody else changed the keyring.
pub async fn change(keyring: &Keyring, to: &SealChoice, note: Option<Write>) -> Result<(), SealError> {
    let (key, kind) = match (to, KeptKey::read(to)?) {
        (_, Some(kept)) => (kept.key, SealKind::Key),
        (SealChoice::KeyFile(path), None) => (KeptKey::create(path, &mut random::rng())?.key, SealKind::Key),
        (SealChoice::Passphrase(source), None) => {
            let passphrase = source.read()?.ok_or(SealError::NeedsPassphrase)?;
            let parameters = Argon2id::generate(&mut random::rng());
            (passphrase.derive(&parameters)?, SealKind::Passphrase(parameters))
        }
        (SealChoice::SystemdCredential { name, .. }, None) => {
            return Err(SealError::NoCredential { name: name.clone() });
        }
    };
    Ok(keyring.reseal(key, kind, note).await?)
}

async fn unlock(keyring: &Keyring, choice: &SealChoice, key: SealKey) -> Result<Unsealing, SealError> {
    match keyring.unlock(key).await {
        Ok(()) => Ok(Unsealing::Open),
        Err(KeyringError::Record(RecordError::Refused)) => Err(SealError::DoesNotOpen { choice: choice.clone() }),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{
        data_dir,
        store::{Memory, SharedStore},
    };

    async fn at(store: &Memory, choice: &str, sealed_before: bool) -> Result<(Unsealing, Keyring), SealError> {
        let keyring = Keyring::new(Arc::new(store.clone()) as SharedStore);
        let choice = choice.parse().unwrap();
        let unsealing = open(&keyring, &choice, Presented::read(&choice)?, sealed_before).await?;
        Ok((unsealing, keyring))
    }

    fn current(keyring: &Keyring) -> Vec<u8> {
        keyring.opened().unwrap().keks().current().as_bytes().to_vec()
    }

    #[tokio::test]
    async fn the_key_is_made_once() {
        let (dir, store) = (tempfile::tempdir().unwrap(), Memory::new());
        let path = dir.path().join("kek.key");
        let choice = format!("key-file:{}", path.display());
        let (unsealing, first) = at(&store, &choice, false).await.unwrap();
        assert_eq!(unsealing, Unsealing::Created);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let (unsealing, again) = at(&store, &choice, true).await.unwrap();
        assert_eq!((unsealing, current(&first)), (Unsealing::Open, current(&again)));
        let secret = format!("{first:?}{again:?}{:?}", KeptKey::read(&choice.parse().unwrap()).unwrap());
        assert!(!secret.contains(std::str::from_utf8(&fs::read(&path).unwrap()[2..66]).unwrap()), "{secret}");
        // The key in the file seals the keys and nothing else.
        let kept = KeptKey::read(&choice.parse().unwrap()).unwrap().unwrap();
        assert_ne!(kept.keks.current().as_bytes(), current(&first));
    }

    #[tokio::test]
    async fn a_lost_key_is_not_replaced() {
        let (dir, store) = (tempfile::tempdir().unwrap(), Memory::new());
        let path = dir.path().join("kek.key");
        let choice = format!("key-file:{}", path.display());
        let missing = format!(
            "the key file `{}` is missing, and without it the store cannot be opened: bring it back, or restore a backup",
            path.display()
        );
        assert_eq!(at(&store, &choice, true).await.unwrap_err().to_string(), missing);
        at(&store, &choice, false).await.unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(at(&store, &choice, true).await.unwrap_err().to_string(), missing);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_former_release_sealed_opens() {
        let (dir, store) = (tempfile::tempdir().unwrap(), Memory::new());
        let path = dir.path().join("kek.key");
        let text = format!("1:{}\n\n2:{}\n", "0a".repeat(32), "fF".repeat(32));
        data_dir::create_private(&path, text.as_bytes()).unwrap();
        let (_, keyring) = at(&store, &format!("key-file:{}", path.display()), true).await.unwrap();
        assert_eq!(current(&keyring), [255; 32]);
        let old = KekSet::new(Kek::from_bytes(1, &[10; 32]).unwrap());
        let record = keyward_transit::seal(old.current(), "a", b"secret", &mut StdRng::seed_from_u64(1)).unwrap();
        let opened = keyring.opened().unwrap();
        assert_eq!(keyward_transit::open(opened.keks(), "a", &record).unwrap().as_slice(), b"secret");
    }

    #[tokio::test]
    async fn what_is_no_key_file_is_refused_without_showing_it() {
        let (dir, store) = (tempfile::tempdir().unwrap(), Memory::new());
        for (n, (text, problem)) in [
            ("", "line 1 has no key"),
            ("secret", "line 1 has 6 bytes and no `:`"),
            ("x:00", "line 1 has something else than the number of a version before the `:`"),
            ("1:00", "line 1 has 2 characters behind the `:`"),
            (&format!("1:{}", "zz".repeat(32)), "line 1 has characters behind the `:` that are no hex digits"),
            (&format!("1:{0}\n1:{0}", "00".repeat(32)), "line 2 has a second key of the same version"),
        ]
        .into_iter()
        .enumerate()
        {
            let path = dir.path().join(n.to_string());
            data_dir::create_private(&path, text.as_bytes()).unwrap();
            assert_eq!(
                at(&store, &format!("key-file:{}", path.display()), false).await.unwrap_err().to_string(),
                format!(
                    "`{}` is not a key file: {problem}, where `1:` and 64 hex digits belong: bring back the copy that you keep of it",
                    path.display()
                )
            );
        }
        let path = dir.path().join("directory");
        fs::create_dir(&path).unwrap();
        assert_eq!(
            at(&store, &format!("key-file:{}", path.display()), false).await.unwrap_err().to_string(),
            format!("`{}` is not a regular file, as a key file has to be", path.display())
        );
    }

    #[tokio::test]
    async fn a_credential_is_a_key_in_any_of_three_forms() {
        let (dir, store) = (tempfile::tempdir().unwrap(), Memory::new());
        let choice: SealChoice = "systemd-credential:seal".parse().unwrap();
        let remedy = "there is no systemd credential `seal`: make one with `head -c 32 /dev/urandom | systemd-creds encrypt \
                      --name=seal - /etc/credstore.encrypted/seal` and add `LoadCredentialEncrypted=seal` to the unit";
        assert_eq!(Presented::read(&choice).unwrap_err().to_string(), remedy);
        let choice = choice.with_credentials(Some(dir.path()));
        assert_eq!(Presented::read(&choice).unwrap_err().to_string(), remedy);
        let key = |found: usize| {
            format!(
                "the systemd credential `seal` has {found} bytes, and a key has 32, or 64 hex digits, or is the line of a key file: \
                 load the one that sealed the data; a new tower's is made with `head -c 32 /dev/urandom | systemd-creds encrypt \
                 --name=seal - /etc/credstore.encrypted/seal`"
            )
        };
        for content in [&[0xab; 31][..], &[0xab; 33], b"", b"secret: is it", "AB".repeat(31).as_bytes()] {
            fs::write(dir.path().join("seal"), content).unwrap();
            assert_eq!(Presented::read(&choice).unwrap_err().to_string(), key(content.len()));
        }
        fs::write(dir.path().join("seal"), "1:abab").unwrap();
        let error = Presented::read(&choice).unwrap_err().to_string();
        assert!(
            error.contains("line 1 has 4 characters behind the `:`, where `1:` and 64 hex digits belong"),
            "{error}"
        );
        // A passphrase is asked for by another remedy, and its refusal says where it was read.
        let phrase: SealChoice = "passphrase:systemd-credential:phrase".parse().unwrap();
        let phrase = phrase.with_credentials(Some(dir.path()));
        let error = Presented::read(&phrase).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no systemd credential `phrase`: make one with `systemd-ask-password -n |"),
            "{error}"
        );
        fs::write(dir.path().join("phrase"), "too short\nand more than that").unwrap();
        assert_eq!(
            Presented::read(&phrase).unwrap_err().to_string(),
            "the systemd credential `phrase`: the passphrase has 9 characters, at least 12 are needed: choose a longer one"
        );
        for content in [vec![0xab; 32], "AB".repeat(32).into_bytes(), format!("1:{}\n", "ab".repeat(32)).into_bytes()] {
            fs::write(dir.path().join("seal"), content).unwrap();
            // systemd grants by access control lists, where the mode says more.
            fs::set_permissions(dir.path().join("seal"), fs::Permissions::from_mode(0o440)).unwrap();
            let keyring = Keyring::new(Arc::new(store.clone()));
            let presented = Presented::read(&choice).unwrap();
            let unsealing = open(&keyring, &choice, presented, true).await;
            assert_eq!(unsealing.unwrap_or(Unsealing::Sealed), Unsealing::Open);
            fs::remove_file(dir.path().join("seal")).unwrap();
        }
        // A key file with the same key opens it, too; another does not.
        let path = dir.path().join("kek.key");
        data_dir::create_private(&path, format!("1:{}\n", "ab".repeat(32)).as_bytes()).unwrap();
        at(&store, &format!("key-file:{}", path.display()), true).await.unwrap();
        let path = dir.path().join("other.key");
        data_dir::create_private(&path, format!("1:{}\n", "ac".repeat(32)).as_bytes()).unwrap();
        let choice = format!("key-file:{}", path.display());
        assert_eq!(
            at(&store, &choice, true).await.unwrap_err().to_string(),
            format!("the store does not open with `{choice}`: another key or passphrase sealed it")
        );
    }

    #[tokio::test]
    async fn a_seal_is_changed_by_its_command_alone() {
        let (dir, store) = (tempfile::tempdir().unwrap(), Memory::new());
        let file = format!("key-file:{}", dir.path().join("kek.key").display());
        let phrase = dir.path().join("phrase");
        data_dir::create_private(&phrase, b"correct horse battery\nand more").unwrap();
        let by_file = format!("passphrase:file:{}", phrase.display());

        let error = at(&store, "passphrase", false).await.unwrap_err();
        assert!(error.to_string().contains("`control-tower init --seal passphrase:file:FILE`"), "{error}");
        let (_, keyring) = at(&store, &file, false).await.unwrap();
        let kek = current(&keyring);
        for other in ["passphrase", &by_file] {
            let error = at(&store, other, true).await.unwrap_err().to_string();
            let expected = format!(
                "the data is sealed by a key, but --seal says `{other}`: start with what sealed it, or change that with \
                 `control-tower reseal --to {other}`"
            );
            assert_eq!(error, expected);
        }
        let error = change(&keyring, &"passphrase".parse().unwrap(), None).await.unwrap_err().to_string();
        assert!(error.contains("--seal passphrase:file:FILE"), "{error}");
        change(&keyring, &by_file.parse().unwrap(), None).await.unwrap();
        let error = at(&store, &file, true).await.unwrap_err().to_string();
        assert!(error.starts_with("the data is sealed by a passphrase, but --seal says `key-file:"), "{error}");
        let (unsealing, keyring) = at(&store, "passphrase", true).await.unwrap();
        assert_eq!(unsealing, Unsealing::Sealed);
        assert!(matches!(keyring.opened(), Err(KeyringError::Locked)));
        let (unsealing, keyring) = at(&store, &by_file, true).await.unwrap();
        assert_eq!((unsealing, current(&keyring)), (Unsealing::Open, kek.clone()));
        // Back to a file that is made for it.
        let second = format!("key-file:{}", dir.path().join("second.key").display());
        change(&keyring, &second.parse().unwrap(), None).await.unwrap();
        assert_eq!(current(&at(&store, &second, true).await.unwrap().1), kek);
        assert!(at(&store, &file, true).await.is_err());
    }
}
