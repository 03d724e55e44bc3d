//! What protects the key-encryption keys, and where it comes from: a key file, a systemd credential, or a passphrase. Every
//! secret at rest is sealed under those keys, so whoever has the seal's key and the store has everything, and whoever lost
//! it has nothing.
//!
//! A key is a file of one line, `version:64 hex digits`; a credential may also be the bare 32 bytes or 64 hex digits.

use std::{
    fs,
    path::{Path, PathBuf},
};

use keyward_transit::{Argon2id, Kek, KekSet, Passphrase, RecordError, SealKey, SealKind, WeakPassphrase};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    config::{PassphraseSource, SealChoice},
    data_dir::{self, DataDirError},
    keyring::{Keyring, KeyringError},
    random,
    store::Write,
};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// The file is gone, but there is something that it sealed.
    #[error(
        "the key file `{path}` is missing, and without it the store cannot be opened: bring it back, or restore a backup"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A directory, a pipe, a device.
    #[error("`{path}` is not a regular file, as a key file has to be")]
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// systemd gave the service no such credential.
    #[error(
        "there is no systemd credential `{name}`: make one with `head -c 32 /dev/urandom | systemd-creds encrypt \
         --name={name} - /etc/credstore.encrypted/{name}` and add `LoadCredentialEncrypted={name}` to the unit"
    )]
    NoCredential {
        /// Its name.
        name: String,
    },
    /// The file holds something else.
    #[error("`{path}` is not a key file: {problem} in line {line}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Too easy to guess.
    #[error(transparent)]
    Weak(#[from] WeakPassphrase),
    /// The data is sealed by something else than the setting says.
    #[error(
        "the data is sealed by {data}, but --seal says `{choice}`: start with what sealed it, or change that with \
         `control-tower reseal --to {choice}`"
    )]
    OtherKind {
        /// What it is sealed by.
        data: &'static str,
        /// The setting.
        choice: SealChoice,
    },
    /// Another key or passphrase.
    #[error("the store does not open with `{choice}`: another key or passphrase sealed it")]
    DoesNotOpen {
        /// The setting.
        choice: SealChoice,
    },
    /// A passphrase that is given by call is chosen before.
    #[error(
        "nothing is sealed yet, and a passphrase that is given by call has to be chosen first: run `control-tower init \
         --seal passphrase:file:FILE` (`-` is standard input)"
    )]
    NotInitialised,
    /// A command needs the passphrase, and there is nobody to ask.
    #[error("the seal's passphrase is needed: give it with --seal passphrase:file:FILE (`-` is standard input)")]
    NeedsPassphrase,
    /// The keys cannot be used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The key cannot be used.
    #[error("the seal's key cannot be used: {0}")]
    Key(#[from] RecordError),
}

/// A key of 256 bits that somebody keeps for the tower.
pub struct KeptKey {
    key: SealKey,
    /// The file, or what would be in it.
    text: Zeroizing<Vec<u8>>,
    /// Before there were keyrings, the lines of a key file were the key-encryption keys themselves.
    keks: KekSet,
}

impl std::fmt::Debug for KeptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptKey(…)")
    }
}

impl KeptKey {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &SealKey {
        &self.key
    }

    /// What a key file with this key holds.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The key that a setting names, if it names one that is kept; `None` where a key file does not exist.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn read(choice: &SealChoice) -> Result<Option<Self>, SealError> {
        match choice {
            SealChoice::KeyFile(path) => {
                if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
                    return Err(SealError::NotAFile { path: path.clone() });
                }
                data_dir::read_private(path)?.map(|text| Self::parse(path, text)).transpose()
            }
            SealChoice::SystemdCredential { name, directory } => {
                let missing = || SealError::NoCredential { name: name.clone() };
                let path = directory.as_ref().ok_or_else(missing)?.join(name);
                let bytes = data_dir::read_credential(&path)?.ok_or_else(missing)?;
                Self::from_credential(&path, bytes).map(Some)
            }
            SealChoice::Passphrase(_) => Ok(None),
        }
    }

    /// Makes a key file, mode 0600, synced with its directory before this returns: a key that seals anything is never lost to a
    /// power cut. An existing one is left alone.
    ///
    /// # Errors
    /// The file exists, or the system refuses.
    pub fn create(path: &Path, rng: &mut impl CryptoRng) -> Result<Self, SealError> {
        let text = line(&Kek::generate(1, rng)?);
        data_dir::create_private(path, &text)?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: Zeroizing<Vec<u8>>) -> Result<Self, SealError> {
        let keks = parse(path, &text)?;
        let secret: &[u8; 32] = keks.current().as_bytes().try_into().map_err(|_| RecordError::Refused)?;
        Ok(Self { key: SealKey::from_secret(secret)?, text, keks })
    }

    fn from_credential(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Self, SealError> {
        let bare: Option<Zeroizing<[u8; 32]>> = match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(bare) => Some(Zeroizing::new(bare)),
            Err(_) => hex(bytes.trim_ascii()),
        };
        match bare {
            Some(bare) => Self::parse(path, line(&Kek::from_bytes(1, &bare)?)),
            None => Self::parse(path, bytes),
        }
    }
}

/// A key or a passphrase, as somebody sends it to a sealed tower: 64 hex digits for a kept key, or the line of a key file.
///
/// # Errors
/// [`SealError::Weak`], [`SealError::Malformed`]: it cannot be right.
pub fn derive(kind: &SealKind, text: Zeroizing<Vec<u8>>) -> Result<SealKey, SealError> {
    match kind {
        SealKind::Passphrase(parameters) => Ok(Passphrase::new(text)?.derive(parameters)?),
        _ => Ok(KeptKey::from_credential(Path::new("key"), text)?.key),
    }
}

/// The first line of a private file, or of standard input where the path is `-`, as a passphrase.
///
/// # Errors
/// The file cannot be read, is not private, or its line is too short.
pub fn read_passphrase(path: &Path) -> Result<Passphrase, SealError> {
    let io = |source| DataDirError::Io { path: path.to_owned(), source };
    let bytes = if path == Path::new("-") {
        let mut line = Zeroizing::new(Vec::with_capacity(1024));
        std::io::BufRead::read_until(&mut std::io::stdin().lock(), b'\n', &mut line).map_err(io)?;
        line
    } else {
        data_dir::read_private(path)?.ok_or_else(|| io(std::io::ErrorKind::NotFound.into()))?
    };
    first_line(bytes)
}

fn first_line(mut bytes: Zeroizing<Vec<u8>>) -> Result<Passphrase, SealError> {
    if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        bytes.truncate(end);
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Passphrase::new(bytes)?)
}

impl PassphraseSource {
    /// The passphrase, unless somebody is to send it.
    ///
    /// # Errors
    /// It cannot be read, or is too short.
    pub fn read(&self) -> Result<Option<Passphrase>, SealError> {
        match self {
            Self::Call => Ok(None),
            Self::File(path) => read_passphrase(path).map(Some),
            Self::SystemdCredential { name, directory } => {
                let missing = || SealError::NoCredential { name: name.clone() };
                let path = directory.as_ref().ok_or_else(missing)?.join(name);
                first_line(data_dir::read_credential(&path)?.ok_or_else(missing)?).map(Some)
            }
        }
    }
}

/// What a setting gives. It is read once: standard input says a passphrase only once.
#[derive(Debug)]
pub enum Presented {
    /// A kept key; none where a key file does not exist.
    Key(Option<KeptKey>),
    /// A passphrase; none where somebody is to send it.
    Passphrase(Option<Passphrase>),
}

impl Presented {
    /// Reads it.
    ///
    /// # Errors
    /// [`SealError`]: it cannot be read, or is nothing that seals.
    pub fn read(choice: &SealChoice) -> Result<Self, SealError> {
        match choice {
            SealChoice::Passphrase(source) => source.read().map(Self::Passphrase),
            _ => KeptKey::read(choice).map(Self::Key),
        }
    }

    /// Reads it for a store that is to be begun.
    ///
    /// # Errors
    /// Those of [`read`](Self::read); a passphrase that somebody is to send has to be chosen first.
    pub fn read_to_begin(choice: &SealChoice) -> Result<Self, SealError> {
        match Self::read(choice)? {
            Self::Passphrase(None) => Err(SealError::NotInitialised),
            presented => Ok(presented),
        }
    }
}

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

fn line(kek: &Kek) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(80));
    text.extend_from_slice(kek.version().to_string().as_bytes());
    text.push(b':');
    for byte in kek.as_bytes() {
        for digit in [byte >> 4, byte & 15] {
            text.push(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
        }
    }
    text.push(b'\n');
    text
}

fn parse(path: &Path, bytes: &[u8]) -> Result<KekSet, SealError> {
    let mut keks: Vec<Kek> = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let refuse = |problem| SealError::Malformed { path: path.to_owned(), line: number + 1, problem };
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| refuse("no `version:key`"))?;
        let (version, digits) = line.split_at(colon);
        let version = std::str::from_utf8(version).ok().and_then(|version| version.parse().ok());
        let version = version.ok_or_else(|| refuse("the version is not a number"))?;
        let key = hex(digits.get(1..).unwrap_or_default()).ok_or_else(|| refuse("the key is not 64 hex digits"))?;
        if keks.iter().any(|kek| kek.version() == version) {
            return Err(refuse("a second key of the same version"));
        }
        keks.push(Kek::from_bytes(version, &key)?);
    }
    let current = keks.pop().ok_or(SealError::Malformed { path: path.to_owned(), line: 1, problem: "no key" })?;
    let mut set = KekSet::new(current);
    keks.into_iter().for_each(|former| set.add_former(former));
    Ok(set)
}

fn hex(digits: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let mut key = Zeroizing::new([0; 32]);
    if pairs.len() != key.len() {
        return None;
    }
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::store::{Memory, SharedStore};

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
            ("", "no key in line 1"),
            ("secret", "no `version:key` in line 1"),
            ("x:00", "the version is not a number in line 1"),
            ("1:00", "the key is not 64 hex digits in line 1"),
            (&format!("1:{}", "zz".repeat(32)), "the key is not 64 hex digits in line 1"),
            (&format!("1:{0}\n1:{0}", "00".repeat(32)), "a second key of the same version in line 2"),
        ]
        .into_iter()
        .enumerate()
        {
            let path = dir.path().join(n.to_string());
            data_dir::create_private(&path, text.as_bytes()).unwrap();
            assert_eq!(
                at(&store, &format!("key-file:{}", path.display()), false).await.unwrap_err().to_string(),
                format!("`{}` is not a key file: {problem}", path.display())
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
