//! Passwords: what is typed, what is stored, and the work between the two.

mod hash;
mod job;

use core::fmt;

use zeroize::Zeroizing;

pub use self::hash::PasswordHash;
use self::hash::Recipe;
pub use self::job::{HashJob, Hashed};
use crate::{Email, Error, Secret};

/// How the password of that address is hashed by this release.
pub(crate) fn recipe_for(email: &str, secret: &Secret) -> Recipe {
    Recipe::current(secret.salt(email))
}

/// A password as it was typed.
pub struct Password(Zeroizing<String>);

impl Password {
    /// The most bytes that are hashed; a longer one is wrong.
    pub const MAX_LEN: usize = 1024;
    /// The fewest characters of a new one.
    pub const MIN_CHARS: usize = 12;

    /// What was typed. Nothing is trimmed or folded, so that what was set is what has to be typed.
    #[must_use]
    pub fn new(typed: String) -> Self {
        Self(Zeroizing::new(typed))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it may become the password of that user: 12 characters or more, at most 1024 bytes, not the address, and not
    /// a few characters over and over. No rule asks for kinds of characters (NIST SP 800-63B-4 §3.1.1.2).
    ///
    /// # Errors
    ///
    /// [`Error::NewPassword`], which says what to do.
    pub fn check_new(&self, email: &Email) -> Result<(), Error> {
        let problem = |problem| Err(Error::NewPassword { problem });
        if self.0.chars().count() < Self::MIN_CHARS {
            return problem("write at least 12 characters; a few words are fine");
        }
        if self.0.len() > Self::MAX_LEN {
            return problem("write at most 1024 bytes");
        }
        let lower = self.0.to_lowercase();
        if lower.contains(email.as_str()) || (email.local().len() >= 4 && lower.contains(email.local())) {
            return problem("it holds the email address; choose something else");
        }
        let mut kinds: Vec<char> = lower.chars().collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.len() < 5 {
            return problem("it is a few characters over and over; choose something else");
        }
        Ok(())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(password: &str) -> Option<String> {
        let email = "hansolo@example.com".parse().unwrap();
        Password::new(password.to_owned()).check_new(&email).err().map(|error| error.to_string())
    }

    #[test]
    fn new_passwords() {
        assert_eq!(refusal("kessel run in twelve"), None);
        assert_eq!(refusal("größer als zwölf"), None);
        assert_eq!(
            refusal("short").unwrap(),
            "the password is not accepted: write at least 12 characters; a few words are fine"
        );
        assert!(refusal("HanSolo-12345678").unwrap().contains("email address"));
        assert!(refusal("abababababababab").unwrap().contains("over and over"));
        assert!(refusal(&"long enough ".repeat(100)).unwrap().contains("1024 bytes"));
        assert_eq!(format!("{:?}", Password::new("open sesame".into())), "Password(..)");
    }
}
