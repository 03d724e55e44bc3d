//! An expression cut into characters and variables.

use keyward_config_values::{Piece, Template, VariableName, excerpt};

use super::error::{At, Problem};
use super::parse::Variable;

/// The smallest piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Atom {
    Char(char),
    Variable(Variable),
}

/// A piece, and the byte at which it begins.
pub(super) type Placed = (usize, Atom);

/// Cuts a text at its variables.
pub(super) fn atoms(text: &str) -> Result<Vec<Placed>, At> {
    if text.len() > super::MAX_LENGTH {
        return Err(Problem::TooLong.at(0));
    }
    let mut atoms = Vec::new();
    for piece in Template::pieces(text) {
        match piece {
            Piece::Literal { text, offset } => atoms.extend(characters(text, offset)),
            Piece::Braces { inner, closed, offset } => {
                let variable = variable(inner, offset).filter(|_| closed);
                let variable = variable.ok_or_else(|| Problem::Variable { found: excerpt(inner) }.at(offset))?;
                atoms.push((offset, Atom::Variable(variable)));
            }
        }
    }
    Ok(atoms)
}

/// A text without variables, in which `$` is a character as any other.
pub(super) fn characters(text: &str, offset: usize) -> impl Iterator<Item = Placed> + '_ {
    text.char_indices().map(move |(at, c)| (offset + at, Atom::Char(c)))
}

/// `name`, `name + 1` or `name - 1`.
fn variable(inner: &str, offset: usize) -> Option<Variable> {
    let (name, add) = match inner.split_once(' ') {
        None => (inner, 0),
        Some((name, rest)) => {
            let rest = rest.trim_start_matches(' ');
            let (sign, number) = match rest.strip_prefix('+') {
                Some(number) => (1, number),
                None => (-1, rest.strip_prefix('-')?),
            };
            let digits = number.trim_start_matches(' ');
            let plain = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            (name, sign * plain.then(|| digits.parse::<i64>().ok()).flatten()?)
        }
    };
    Some(Variable { name: name.parse::<VariableName>().ok()?, add, offset })
}

/// The parts between the separators, each with the byte at which it begins; an empty one begins at the separator behind it, or,
/// being the last, at the one before it.
pub(super) fn split(atoms: &[Placed], separator: char, begin: usize) -> Vec<(usize, &[Placed])> {
    let mut next = begin;
    let mut rest = atoms;
    atoms
        .split(|(_, atom)| *atom == Atom::Char(separator))
        .map(|part| {
            let at = part.first().or_else(|| rest.first()).map_or(next, |(at, _)| *at);
            next = rest.get(part.len()).map_or(next, |(at, _)| *at);
            rest = rest.get(part.len() + 1..).unwrap_or_default();
            (at, part)
        })
        .collect()
}

/// The text of a part without variables.
pub(super) fn literal(atoms: &[Placed]) -> Option<String> {
    atoms
        .iter()
        .map(|(_, atom)| match atom {
            Atom::Char(c) => Some(*c),
            Atom::Variable(_) => None,
        })
        .collect()
}
