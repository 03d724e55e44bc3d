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

    /// Whether it may become the password of that user: 12 characters or more, at most 1024 bytes, without the address or what stands
    /// before its `@` (of four characters or more), and not a few characters over and over. No rule asks for kinds of characters (NIST SP 800-63B-4 §3.1.1.2).
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
        let (all, local) = (email.as_str(), email.local());
        if all != local && lower.contains(all) {
            return problem("it holds your email address; choose something else");
        }
        if local.len() >= 4 && lower.contains(local) {
            return problem(match all == local {
                true => "it holds your user name; choose something else",
                false => "it holds what stands before the @ of your email address; choose something else",
            });
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
        refusal_of("hansolo@example.com", password)
    }

    fn refusal_of(email: &str, password: &str) -> Option<String> {
        Password::new(password.to_owned()).check_new(&email.parse().unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn new_passwords() {
        assert_eq!(refusal("kessel run in twelve"), None);
        assert_eq!(refusal("größer als zwölf"), None);
        assert_eq!(
            refusal("short").unwrap(),
            "the password is not accepted: write at least 12 characters; a few words are fine"
        );
        assert!(
            refusal("HanSolo-12345678").unwrap().contains("it holds what stands before the @ of your email address;")
        );
        assert!(refusal("I am hansolo@Example.com").unwrap().contains("it holds your email address;"));
        assert!(refusal_of("admin", "the administrators").unwrap().contains("it holds your user name;"));
        assert_eq!(refusal_of("ann", "planned in twelve"), None, "too short to say anything");
        assert!(refusal("abababababababab").unwrap().contains("over and over"));
        assert!(refusal(&"long enough ".repeat(100)).unwrap().contains("1024 bytes"));
        assert_eq!(format!("{:?}", Password::new("open sesame".into())), "Password(..)");
    }
}
