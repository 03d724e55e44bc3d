use std::iter::FusedIterator;

use super::{NodeId, ROOT, SegmentTrie, without_slash};

/// The values of the patterns that match a path, the most specific first.
///
/// The walk goes down by the literal, then by `*`, then takes `**`, and climbs back over the
/// nodes' parents. Where it is is all it remembers, so it needs neither a stack nor memory.
#[must_use]
pub struct Matches<'t, 'p, T> {
    trie: &'t SegmentTrie<T>,
    path: &'p str,
    node: NodeId,
    /// Where in the path the next segment starts; after the last one, one more than the length.
    start: usize,
    turn: Turn,
    #[cfg(test)]
    entered: usize,
}

/// What is next at the node.
#[derive(Clone, Copy)]
enum Turn {
    /// It was entered: its value if the path ends here, else its literal.
    Enter,
    /// Its literal is done: `*`.
    One,
    /// Its `*` is done: `**`.
    Rest,
    /// All of it is done.
    Leave,
}

impl<'t, 'p, T> Matches<'t, 'p, T> {
    pub(super) fn new(trie: &'t SegmentTrie<T>, path: &'p str) -> Self {
        let path = without_slash(path);
        Self {
            trie,
            path,
            node: ROOT,
            start: usize::from(path.is_empty()),
            turn: Turn::Enter,
            #[cfg(test)]
            entered: 1,
        }
    }

    /// The next segment.
    fn segment(&self) -> &'p str {
        let rest = self.path.get(self.start..).unwrap_or_default();
        let end = rest.bytes().position(|b| b == b'/').unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Goes down to a child over a segment.
    fn enter(&mut self, child: NodeId, segment: &str) {
        self.node = child;
        self.start += segment.len() + 1;
        self.turn = Turn::Enter;
        #[cfg(test)]
        {
            self.entered += 1;
        }
    }

    /// Where the segment before the next one starts.
    fn previous_start(&self) -> usize {
        let before = self.path.as_bytes().get(..self.start.saturating_sub(1)).unwrap_or_default();
        before.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1)
    }
}

impl<'t, T> Iterator for Matches<'t, '_, T> {
    type Item = &'t T;

    #[inline]
    fn next(&mut self) -> Option<&'t T> {
        loop {
            let node = self.trie.node(self.node)?;
            let mut found = None;
            match self.turn {
                Turn::Enter if self.start > self.path.len() => {
                    self.turn = Turn::Leave;
                    found = node.value;
                }
                Turn::Enter => {
                    self.turn = Turn::One;
                    let segment = self.segment();
                    if let Some(child) = self.trie.literal_child(self.node, segment) {
                        self.enter(child, segment);
                    }
                }
                Turn::One => {
                    self.turn = Turn::Rest;
                    if let Some(child) = node.one {
                        self.enter(child, self.segment());
                    }
                }
                Turn::Rest => {
                    self.turn = Turn::Leave;
                    found = node.rest;
                }
                Turn::Leave if self.node == ROOT => return None,
                Turn::Leave => {
                    self.start = self.previous_start();
                    self.turn = if node.literal.is_some() { Turn::One } else { Turn::Rest };
                    self.node = node.parent;
                }
            }
            if let Some(id) = found {
                return self.trie.values.get(id.index());
            }
        }
    }
}

impl<T> FusedIterator for Matches<'_, '_, T> {}

impl<T> Clone for Matches<'_, '_, T> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many nodes a whole match enters.
    fn entered<T>(trie: &SegmentTrie<T>, path: &str) -> usize {
        let mut matches = trie.matches(path);
        matches.by_ref().for_each(drop);
        matches.entered
    }

    #[test]
    fn unrelated_patterns_cost_nothing() {
        let trie: SegmentTrie<usize> = (0..10_000).map(|n| (format!("tenant-{n}/secrets/*/v{n}/**"), n)).collect();
        assert_eq!(trie.get("tenant-77/secrets/x/v77/y"), Some(&77));
        assert_eq!(entered(&trie, "tenant-77/secrets/x/v77/y"), 5);
        assert_eq!(entered(&trie, "nobody/secrets/x/v77/y"), 1);
    }

    #[test]
    fn cost_is_depth_times_placements_of_one() {
        // Two placements, `*` at the second or at the third segment, and many patterns of each.
        let mut trie = SegmentTrie::new();
        for n in 0..1000 {
            trie.insert(&format!("a/*/c/x{n}"), n);
            trie.insert(&format!("a/b/*/y{n}"), n);
        }
        let bound = 1 + 4 * 2;
        for path in ["a/b/c/x7", "a/b/c/y7", "a/b/c/z", "a/z/c/x7", "a/b/z/z"] {
            assert!(entered(&trie, path) <= bound, "{path}");
        }
    }

    #[test]
    fn the_worst_set_costs_at_most_each_node_once() {
        // Every mixture of `a` and `*` in twelve segments, so that every turn is a right one.
        let mut trie = SegmentTrie::new();
        for mixture in 0..1u32 << 12 {
            let pattern: Vec<&str> = (0..12).map(|bit| if mixture >> bit & 1 == 0 { "a" } else { "*" }).collect();
            trie.insert(&format!("{}/end", pattern.join("/")), mixture);
        }
        let path = "a/".repeat(12);
        assert_eq!(entered(&trie, &format!("{path}other")), (1 << 13) - 1);
        assert_eq!(trie.matches(&format!("{path}end")).count(), 1 << 12);
        assert_eq!(trie.get(&format!("{path}end")), Some(&0));
    }

    #[test]
    fn depth_needs_no_stack() {
        let deep = "a/".repeat(200_000);
        let mut trie = SegmentTrie::new();
        trie.insert(&format!("{deep}b"), 1);
        trie.insert(&format!("{}**", "*/".repeat(100_000)), 2);
        assert_eq!(trie.get(&format!("{deep}b")), Some(&1));
        assert_eq!(trie.get(&format!("{deep}c")), Some(&2));
        drop(trie);
    }
}
