use std::hash::{BuildHasher, RandomState};

use super::NodeId;

/// Where literals lead from nodes: a hash table with open addressing. It holds no texts; whoever
/// asks compares them.
#[derive(Clone)]
pub(super) struct Edges {
    /// A power of two of slots, at most half of them taken.
    slots: Vec<Option<Slot>>,
    taken: usize,
    /// Makes collisions unpredictable for whoever writes patterns. It changes no answer.
    seed: u64,
}

#[derive(Clone, Copy)]
struct Slot {
    /// More bits of the hash, so that nearly no other node is looked at.
    tag: u32,
    child: NodeId,
}

impl Edges {
    pub(super) fn new() -> Self {
        Self { slots: vec![None; 8], taken: 0, seed: RandomState::new().hash_one(()) }
    }

    /// The child with this hash that is the right one.
    pub(super) fn find(&self, hash: u64, is_right: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let mut at = self.home(hash);
        while let Some(slot) = self.slots.get(at).copied().flatten() {
            if slot.tag == tag(hash) && is_right(slot.child) {
                return Some(slot.child);
            }
            at = self.next(at);
        }
        None
    }

    /// Adds an edge that is not there yet.
    pub(super) fn insert(&mut self, parent: NodeId, text: &str, child: NodeId) {
        let hash = self.hash(parent, text);
        let mut at = self.home(hash);
        while let Some(Some(_)) = self.slots.get(at) {
            at = self.next(at);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(Slot { tag: tag(hash), child });
            self.taken += 1;
        }
    }

    /// Whether more than half of the slots are taken.
    pub(super) fn is_crowded(&self) -> bool {
        self.taken * 2 > self.slots.len()
    }

    /// Starts again with twice the slots and these edges.
    pub(super) fn rebuild<'n>(&mut self, edges: impl Iterator<Item = (NodeId, &'n str, NodeId)>) {
        self.slots = vec![None; self.slots.len() * 2];
        self.taken = 0;
        for (parent, text, child) in edges {
            self.insert(parent, text, child);
        }
    }

    /// The hash of an edge: eight bytes at a time multiplied to 128 bits, the halves folded.
    pub(super) fn hash(&self, parent: NodeId, text: &str) -> u64 {
        let bytes = text.as_bytes();
        let (chunks, tail) = bytes.as_chunks::<8>();
        let start = self.seed ^ fold(u64::from(parent.0.get()), bytes.len() as u64 ^ ODD[0]);
        let hash = chunks.iter().fold(start, |hash, chunk| fold(hash ^ u64::from_le_bytes(*chunk), ODD[1]));
        let tail = match bytes.last_chunk::<8>() {
            // Overlaps the last whole chunk; the length keeps texts apart.
            Some(last) => u64::from_le_bytes(*last),
            None => tail.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        fold(hash ^ tail, self.seed | 1)
    }

    fn home(&self, hash: u64) -> usize {
        // The mask drops what the conversion could.
        hash as usize & (self.slots.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

/// Odd numbers without a pattern: digits of the golden ratio and of the square root of two.
const ODD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909];

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::super::Id;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn edges_stay_found_while_the_table_grows() {
        let names: Vec<String> = (0..5000).map(|n| format!("service-{n}")).collect();
        let mut edges = Edges::new();
        for (n, name) in names.iter().enumerate() {
            edges.insert(Id::of(n % 7), name, Id::of(n));
            if edges.is_crowded() {
                edges.rebuild((0..=n).map(|n| (Id::of(n % 7), names[n].as_str(), Id::of(n))));
            }
        }
        for (n, name) in names.iter().enumerate() {
            let hash = edges.hash(Id::of(n % 7), name);
            assert!(edges.find(hash, |child| child == Id::of(n)).is_some());
            assert!(edges.find(hash, |_| false).is_none());
        }
        assert!(edges.taken == 5000 && !edges.is_crowded());
    }

    #[test]
    fn like_texts_have_unlike_hashes() {
        let edges = Edges::new();
        let mut texts = HashSet::new();
        for length in 0..40 {
            texts.insert("a".repeat(length));
            texts.insert("\0".repeat(length));
            for n in 0..200 {
                texts.insert(format!("{}{n}", "x".repeat(length)));
            }
        }
        for mask in [0xffff_ffff, 0xffff_ffff << 32] {
            let hashes: HashSet<u64> =
                texts.iter().flat_map(|text| (0..4).map(|n| edges.hash(Id::of(n), text) & mask)).collect();
            // By chance about 0.12 of these pairs collide in 32 bits; twenty would be a fault.
            assert!(hashes.len() + 20 > texts.len() * 4);
        }
    }
}
