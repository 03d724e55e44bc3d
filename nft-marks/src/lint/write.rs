//! Which bits of a mark a rule writes.

use crate::mark::number;

/// A write of a mark.
pub(super) struct Write {
    /// The bits that may become others, where packet and connection have the same mark.
    pub(super) bits: u32,
    /// Whether the connection's mark gets that of the packet.
    pub(super) saves: bool,
}

/// The writes of a rule: `meta mark set …` and `ct mark set …`, as nft and its translation of iptables put them.
pub(super) fn writes(rule: &str) -> impl Iterator<Item = Write> {
    let words: Vec<&str> = words(rule);
    let found: Vec<Write> = (0..words.len())
        .filter_map(|place| match words.get(place..)? {
            [mark @ ("meta" | "ct"), "mark", "set", value @ ..] => {
                let saves = *mark == "ct" && matches!(value, ["mark", ..] | ["meta", "mark", ..]);
                Some(Write { bits: bits(value), saves })
            }
            _ => None,
        })
        .collect();
    found.into_iter()
}

/// Whether the number stands in the value of a write and in no comparison.
pub(super) fn is_written(rule: &str, mask: &str) -> bool {
    let words = words(rule);
    let set = words.iter().position(|word| *word == "set");
    let place = words.iter().position(|word| *word == mask);
    set.zip(place).is_some_and(|(set, place)| set < place)
}

/// The words that are no comment.
fn words(rule: &str) -> Vec<&str> {
    rule.split_whitespace().take_while(|word| *word != "comment").collect()
}

/// The bits that a value changes: of a mark those that it says, of anything else all.
fn bits(value: &[&str]) -> u32 {
    let mut rest = match value {
        ["meta" | "ct", "mark", rest @ ..] | ["mark", rest @ ..] => rest,
        _ => return u32::MAX,
    };
    let (mut kept, mut changed) = (u32::MAX, 0);
    while let [operator, operand, behind @ ..] = rest {
        let Some(operand) = number(operand) else { break };
        match *operator {
            "&" | "and" => {
                kept &= operand;
                changed &= operand;
            }
            "|" | "or" | "^" | "xor" => changed |= operand,
            _ => break,
        }
        rest = behind;
    }
    !kept | changed
}
