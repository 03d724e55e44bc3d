//! The work of hashing, as a value that the embedder runs where it has room.

use core::fmt;

use argon2::Block;
use zeroize::Zeroizing;

use super::hash::Recipe;
use super::{Password, PasswordHash};
use crate::Error;

/// Reserved for each hash, which touches no more of it than it needs. Memory of more than 32 MiB glibc takes from the system by
/// itself and gives back as soon as it is free (mallopt(3), `M_MMAP_THRESHOLD`); of less it would keep a piece for every thread
/// that ever hashed a password.
const RESERVED: usize = 33 << 20;

/// More recipes than this are not tried for one password.
const MOST_RECIPES: usize = 4;

/// One password and how to hash it. Running it takes tens of milliseconds and 19 MiB, so it belongs on a pool of a fixed
/// number of threads, with the rest waiting or turned away; no step of a login does it by itself.
#[must_use = "a password is checked by running the job"]
pub struct HashJob {
    password: Password,
    recipes: Vec<Recipe>,
}

impl HashJob {
    /// The recipe that new hashes are made with comes first, so that an unknown user costs exactly what a known one does.
    pub(crate) fn new(password: Password, current: Recipe, stored: impl IntoIterator<Item = Recipe>) -> Self {
        let mut recipes: Vec<Recipe> = Vec::new();
        for recipe in stored {
            if !recipes.contains(&recipe) && recipes.len() < MOST_RECIPES {
                recipes.push(recipe);
            }
        }
        if recipes.is_empty() {
            recipes.push(current);
        }
        Self { password, recipes }
    }

    /// How many hashes it takes: one, unless stored hashes of one address were brought along from elsewhere.
    #[must_use]
    pub fn hashes(&self) -> usize {
        self.recipes.len()
    }

    /// Does the work.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] when a hash cannot be made.
    pub fn run(self) -> Result<Hashed, Error> {
        let too_long = self.password.as_bytes().len() > Password::MAX_LEN;
        let mut outputs = Vec::with_capacity(self.recipes.len());
        for recipe in self.recipes {
            // A password that is too long costs the same as another one, and is never right.
            let input = if too_long { &b""[..] } else { self.password.as_bytes() };
            let output = digest(&recipe, input)?;
            if !too_long {
                outputs.push((recipe, output));
            }
        }
        Ok(Hashed { password: self.password, outputs })
    }
}

impl fmt::Debug for HashJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashJob(..)")
    }
}

/// What came out of a [`HashJob`].
pub struct Hashed {
    pub(crate) password: Password,
    outputs: Vec<(Recipe, Zeroizing<Vec<u8>>)>,
}

impl Hashed {
    /// Whether the password is the one that was stored.
    pub(crate) fn is(&self, stored: &PasswordHash) -> bool {
        self.outputs.iter().any(|(recipe, output)| *recipe == stored.recipe && stored.is(output))
    }

    /// What to store for a new password.
    pub(crate) fn to_store(&self) -> Option<PasswordHash> {
        self.outputs.first().map(|(recipe, output)| PasswordHash::new(recipe.clone(), output.to_vec()))
    }
}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashed(..)")
    }
}

fn digest(recipe: &Recipe, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = Error::Internal { what: "hashing a password" };
    let argon2 = recipe.argon2()?;
    let blocks = argon2.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(RESERVED / Block::SIZE));
    memory.resize(blocks, Block::new());
    let mut output = Zeroizing::new(vec![0; recipe.output_len]);
    argon2.hash_password_into_with_memory(password, &recipe.salt, &mut output, &mut memory).map_err(|_| failed)?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(password: &str, stored: &[&PasswordHash]) -> HashJob {
        let stored: Vec<Recipe> = stored.iter().map(|hash| hash.recipe.clone()).collect();
        HashJob::new(Password::new(password.to_owned()), Recipe::current([1; 16]), stored)
    }

    fn weak(password: &str, salt: u8) -> PasswordHash {
        let recipe = Recipe { memory: 64, passes: 1, ..Recipe::current([salt; 16]) };
        let output = digest(&recipe, password.as_bytes()).unwrap().to_vec();
        PasswordHash::new(recipe, output)
    }

    #[test]
    fn an_unknown_user_costs_one_hash_and_so_do_many_with_one_salt() {
        assert_eq!(job("x", &[]).hashes(), 1);
        let (one, two, other) = (weak("a", 1), weak("b", 1), weak("c", 2));
        assert_eq!(job("a", &[&one, &two]).hashes(), 1);
        assert_eq!(job("a", &[&one, &other]).hashes(), 2);
        let many: Vec<PasswordHash> = (0..9).map(|salt| weak("a", salt)).collect();
        assert_eq!(job("a", &many.iter().collect::<Vec<_>>()).hashes(), 4);
    }

    #[test]
    fn the_right_password_and_no_other() {
        let stored = weak("open sesame", 1);
        let other = weak("open sesame", 2);
        assert!(job("open sesame", &[&stored]).run().unwrap().is(&stored));
        assert!(!job("open sesamE", &[&stored]).run().unwrap().is(&stored));
        assert!(!job("open sesame", &[&stored]).run().unwrap().is(&other), "of another salt");
        assert!(!job(&"x".repeat(1025), &[&weak("", 1)]).run().unwrap().is(&weak("", 1)), "too long is never right");
    }

    #[test]
    fn new_hashes_have_the_full_work() {
        let stored = job("open sesame", &[]).run().unwrap().to_store().unwrap();
        assert!(stored.to_string().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(!stored.needs_rehash());
        assert_eq!(format!("{:?}", job("open sesame", &[])), "HashJob(..)");
    }
}
