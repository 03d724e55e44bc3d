mod edges;
mod matches;

use std::fmt;
use std::num::NonZeroU32;

use edges::Edges;
pub use matches::Matches;

/// Values under patterns of `/`-separated segments, found by path, the most specific pattern first.
///
/// In a pattern `*` stands for exactly one segment, and `**`, at the end only, for the rest, which
/// is one segment or more: `a/**` matches `a/b` and `a/b/c` but not `a`. Everything else stands for
/// itself, `**` elsewhere and `a*` included: what is not a wildcard never widens a pattern.
///
/// One slash in front means nothing, so that `/a` and `a` are the same; otherwise segments are
/// taken as they stand, empty ones too. This type checks no syntax; [`Pattern`](crate::Pattern)
/// does.
///
/// Of two patterns the more specific one is found by comparing their segments from the left: a
/// literal comes before `*`, `*` before `**`. All patterns that match one path are so ordered, and
/// no two are equal.
///
/// ```
/// use keyward_spiffe_id::SegmentTrie;
///
/// let mut rules = SegmentTrie::new();
/// rules.insert("secrets/**", "audit");
/// rules.insert("secrets/*/public", "allow");
/// rules.insert("secrets/payments/**", "deny");
///
/// assert_eq!(rules.get("secrets/web/public"), Some(&"allow"));
/// assert_eq!(rules.get("secrets/payments/public"), Some(&"deny"));
/// assert_eq!(rules.get("/secrets/web/key"), Some(&"audit"));
/// assert_eq!(rules.get("secrets"), None);
///
/// let all: Vec<_> = rules.matches("secrets/payments/public").collect();
/// assert_eq!(all, [&"deny", &"allow", &"audit"]);
/// ```
///
/// # Cost
///
/// Matching allocates nothing, does not recurse, and never looks at a pattern whose literals differ
/// from the path before its first wildcard. It enters each node of the trie at most once; and of
/// the nodes at one depth it enters at most one for each distinct placement of `*` among the
/// patterns' segments up to there. So the cost is the length of the path times the number of
/// placements in use (`a/*/c` and `x/*/z` share one), however many patterns there are, and
/// patterns with many placements cost at most one visit of the whole trie, never
/// exponential time. Where strangers write patterns, bound how many `*` each may have.
///
/// Edges are kept in a hash table that is seeded for each trie, so that patterns cannot be chosen
/// to collide; the seed changes no answer.
#[derive(Clone)]
pub struct SegmentTrie<T> {
    nodes: Vec<Node>,
    edges: Edges,
    values: Vec<T>,
}

/// One segment of a pattern, for patterns that are put together instead of written: here the text
/// `*` can be a literal.
///
/// ```
/// use keyward_spiffe_id::{PatternSegment, SegmentTrie};
///
/// let user_input = "*";
/// let mut rules = SegmentTrie::new();
/// rules.insert_segments([PatternSegment::Literal("home"), PatternSegment::Literal(user_input)], ());
///
/// assert!(rules.get("home/*").is_some());
/// assert!(rules.get("home/someone").is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PatternSegment<'a> {
    /// This text. One that holds a `/` matches nothing.
    Literal(&'a str),
    /// Any one segment: `*`.
    One,
    /// The rest, one segment or more: `**`. Where it is not the last it counts as the literal `**`.
    Rest,
}

/// A place in the trie: some segments of some patterns.
#[derive(Clone)]
struct Node {
    /// The last of these segments; `None` for `*`, and for no segment at all.
    literal: Option<Box<str>>,
    /// Where the segments before are.
    parent: NodeId,
    /// Where `*` leads from here.
    one: Option<NodeId>,
    /// The value of the pattern that ends here.
    value: Option<ValueId>,
    /// The value of the pattern that ends here with `**`.
    rest: Option<ValueId>,
}

/// Which node.
type NodeId = Id;
/// Which value.
type ValueId = Id;

/// An index, counted from 1 so that its absence takes no room.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id(NonZeroU32);

const ROOT: NodeId = Id(NonZeroU32::MIN);

impl Id {
    /// Four billion nodes do not fit into memory; were there more, they would not be found.
    fn of(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl<T> SegmentTrie<T> {
    /// A trie without patterns.
    #[must_use]
    pub fn new() -> Self {
        Self { nodes: vec![Node::new(ROOT, None)], edges: Edges::new(), values: Vec::new() }
    }

    /// Puts a value under a pattern and answers the value that was there.
    pub fn insert(&mut self, pattern: &str, value: T) -> Option<T> {
        self.insert_segments(PatternSegment::split(pattern), value)
    }

    /// Puts a value under a pattern given by its segments and answers the value that was there.
    pub fn insert_segments<'p>(
        &mut self,
        segments: impl IntoIterator<Item = PatternSegment<'p>>,
        value: T,
    ) -> Option<T> {
        let end = self.grow(segments);
        match self.value_at(end) {
            Some(id) => self.values.get_mut(id.index()).map(|old| std::mem::replace(old, value)),
            None => {
                self.add_value(end, value);
                None
            }
        }
    }

    /// The value under a pattern given by its segments, made when there is none.
    ///
    /// ```
    /// use keyward_spiffe_id::{PatternSegment, SegmentTrie};
    ///
    /// let mut rules: SegmentTrie<Vec<&str>> = SegmentTrie::new();
    /// for (pattern, rule) in [("a/*", "first"), ("a/*", "second")] {
    ///     rules.get_or_insert_with(PatternSegment::split(pattern), Vec::new).push(rule);
    /// }
    /// assert_eq!(rules.get("a/b"), Some(&vec!["first", "second"]));
    /// ```
    #[expect(clippy::indexing_slicing, reason = "an id is made from the length, and none is taken away")]
    pub fn get_or_insert_with<'p>(
        &mut self,
        segments: impl IntoIterator<Item = PatternSegment<'p>>,
        make: impl FnOnce() -> T,
    ) -> &mut T {
        let end = self.grow(segments);
        let id = match self.value_at(end) {
            Some(id) => id,
            None => self.add_value(end, make()),
        };
        &mut self.values[id.index()]
    }

    /// The value of the most specific pattern that matches the path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&T> {
        self.matches(path).next()
    }

    /// The values of all patterns that match the path, the most specific first, without allocating.
    pub fn matches<'t, 'p>(&'t self, path: &'p str) -> Matches<'t, 'p, T> {
        Matches::new(self, path)
    }

    /// Calls `f` with the value of every pattern that matches the path, the most specific first.
    pub fn for_each_match<'t>(&'t self, path: &str, f: impl FnMut(&'t T)) {
        self.matches(path).for_each(f);
    }

    /// The values in the order in which their patterns were first put in.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> + DoubleEndedIterator {
        self.values.iter()
    }

    /// How many patterns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.index())
    }

    /// Where a literal leads from a node.
    fn literal_child(&self, parent: NodeId, text: &str) -> Option<NodeId> {
        self.edges.find(self.edges.hash(parent, text), |child| {
            self.node(child).is_some_and(|n| n.parent == parent && n.literal.as_deref() == Some(text))
        })
    }

    /// Makes room for a pattern and answers where it ends.
    fn grow<'p>(&mut self, segments: impl IntoIterator<Item = PatternSegment<'p>>) -> End {
        let mut at = ROOT;
        let mut segments = segments.into_iter().peekable();
        while let Some(segment) = segments.next() {
            at = match segment {
                PatternSegment::Rest if segments.peek().is_none() => {
                    return End { node: at, rest: true };
                }
                PatternSegment::Rest => self.grow_literal(at, REST),
                PatternSegment::One => self.grow_one(at),
                PatternSegment::Literal(text) => self.grow_literal(at, text),
            };
        }
        End { node: at, rest: false }
    }

    fn grow_one(&mut self, parent: NodeId) -> NodeId {
        let new = Id::of(self.nodes.len());
        let Some(node) = self.nodes.get_mut(parent.index()) else {
            return parent;
        };
        let child = *node.one.get_or_insert(new);
        if child == new {
            self.nodes.push(Node::new(parent, None));
        }
        child
    }

    fn grow_literal(&mut self, parent: NodeId, text: &str) -> NodeId {
        if let Some(child) = self.literal_child(parent, text) {
            return child;
        }
        let child = Id::of(self.nodes.len());
        self.nodes.push(Node::new(parent, Some(text)));
        self.edges.insert(parent, text, child);
        if self.edges.is_crowded() {
            self.edges.rebuild(
                self.nodes
                    .iter()
                    .enumerate()
                    .filter_map(|(index, node)| Some((node.parent, node.literal.as_deref()?, Id::of(index)))),
            );
        }
        child
    }

    fn value_at(&self, end: End) -> Option<ValueId> {
        let node = self.node(end.node)?;
        if end.rest { node.rest } else { node.value }
    }

    fn add_value(&mut self, end: End, value: T) -> ValueId {
        let id = Id::of(self.values.len());
        self.values.push(value);
        if let Some(node) = self.nodes.get_mut(end.node.index()) {
            *if end.rest { &mut node.rest } else { &mut node.value } = Some(id);
        }
        id
    }
}

/// Where a pattern ends: at a node, or with `**` behind it.
#[derive(Clone, Copy)]
struct End {
    node: NodeId,
    rest: bool,
}

impl Node {
    fn new(parent: NodeId, literal: Option<&str>) -> Self {
        Self { literal: literal.map(Into::into), parent, one: None, value: None, rest: None }
    }
}

const ONE: &str = "*";
const REST: &str = "**";

impl<'a> PatternSegment<'a> {
    /// The segments of a written pattern, without one slash in front.
    pub fn split(pattern: &'a str) -> impl Iterator<Item = PatternSegment<'a>> {
        let pattern = without_slash(pattern);
        // No text is no segment, not an empty one.
        let segments = (!pattern.is_empty()).then(|| pattern.split('/'));
        segments.into_iter().flatten().map(|text| match text {
            ONE => Self::One,
            REST => Self::Rest,
            _ => Self::Literal(text),
        })
    }
}

/// A pattern or path without its one slash in front.
fn without_slash(text: &str) -> &str {
    text.strip_prefix('/').unwrap_or(text)
}

impl<T> Default for SegmentTrie<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: AsRef<str>, T> FromIterator<(P, T)> for SegmentTrie<T> {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(patterns: I) -> Self {
        let mut trie = Self::new();
        trie.extend(patterns);
        trie
    }
}

impl<P: AsRef<str>, T> Extend<(P, T)> for SegmentTrie<T> {
    fn extend<I: IntoIterator<Item = (P, T)>>(&mut self, patterns: I) {
        for (pattern, value) in patterns {
            self.insert(pattern.as_ref(), value);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for SegmentTrie<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentTrie").field("nodes", &self.nodes.len()).field("values", &self.values).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(patterns: &[&'static str]) -> SegmentTrie<&'static str> {
        patterns.iter().map(|p| (p, *p)).collect()
    }

    #[test]
    fn every_match_comes_and_the_most_specific_first() {
        let patterns = ["**", "*/**", "a/**", "*/*", "*/b", "a/*", "a/b", "a/b/**", "a", "*", ""];
        let trie = trie(&patterns);
        let all = |path| trie.matches(path).copied().collect::<Vec<_>>();
        assert_eq!(all("a/b"), ["a/b", "a/*", "a/**", "*/b", "*/*", "*/**", "**"]);
        assert_eq!(all("a"), ["a", "*", "**"]);
        assert_eq!(all("a/b/c"), ["a/b/**", "a/**", "*/**", "**"]);
        assert_eq!(all("x/y"), ["*/*", "*/**", "**"]);
        assert_eq!(all(""), [""]);
        assert_eq!(all("/"), [""]);
        let mut seen = Vec::new();
        trie.for_each_match("x", |value| seen.push(*value));
        assert_eq!(seen, ["*", "**"]);
    }

    #[test]
    fn one_slash_in_front_means_nothing() {
        let trie = trie(&["/a/*", "b"]);
        assert_eq!(trie.get("a/x"), Some(&"/a/*"));
        assert_eq!(trie.get("/a/x"), Some(&"/a/*"));
        assert_eq!(trie.get("/b"), Some(&"b"));
        assert_eq!(trie.get("//b"), None);
    }

    #[test]
    fn the_rest_is_one_segment_or_more() {
        let trie = trie(&["a/**"]);
        assert_eq!(trie.get("a"), None);
        assert_eq!(trie.get("a/b"), Some(&"a/**"));
        assert_eq!(trie.get("a/b/c/d"), Some(&"a/**"));
    }

    #[test]
    fn what_is_no_wildcard_is_literal() {
        let trie = trie(&["a*/b", "**/c", "***"]);
        assert_eq!(trie.get("ax/b"), None);
        assert_eq!(trie.get("a*/b"), Some(&"a*/b"));
        assert_eq!(trie.get("x/c"), None);
        assert_eq!(trie.get("**/c"), Some(&"**/c"));
        assert_eq!(trie.get("x"), None);
    }

    #[test]
    fn literals_given_as_such_never_widen() {
        use PatternSegment::{Literal, One, Rest};
        let mut trie = SegmentTrie::new();
        trie.insert_segments([Literal("*"), Literal("**")], 1);
        trie.insert_segments([Literal("a/b")], 2);
        trie.insert_segments([Rest, Literal("x")], 3);
        trie.insert_segments([One, Literal("y")], 4);
        assert_eq!(trie.get("*/**"), Some(&1));
        assert_eq!(trie.get("p/q"), None);
        assert_eq!(trie.get("a/b"), None);
        assert_eq!(trie.get("z/x"), None);
        assert_eq!(trie.get("z/y"), Some(&4));
    }

    #[test]
    fn a_pattern_has_one_value() {
        let mut trie = SegmentTrie::new();
        assert_eq!(trie.insert("a/*", 1), None);
        assert_eq!(trie.insert("/a/*", 2), Some(1));
        assert_eq!(trie.insert("a/**", 3), None);
        *trie.get_or_insert_with(PatternSegment::split("a/**"), || 0) += 10;
        *trie.get_or_insert_with(PatternSegment::split("a/b"), || 5) += 1;
        assert_eq!((trie.len(), trie.is_empty()), (3, false));
        assert_eq!(trie.values().copied().collect::<Vec<_>>(), [2, 13, 6]);
        assert_eq!(trie.get("a/b"), Some(&6));
    }

    #[test]
    fn empty_segments_are_segments() {
        let trie = trie(&["a/", "a//b", "b/*"]);
        assert_eq!(trie.get("a/"), Some(&"a/"));
        assert_eq!(trie.get("a"), None);
        assert_eq!(trie.get("a//b"), Some(&"a//b"));
        assert_eq!(trie.get("b/"), Some(&"b/*"));
    }

    #[test]
    fn an_empty_trie_matches_nothing() {
        let trie = SegmentTrie::<()>::default();
        assert!(trie.is_empty());
        assert_eq!(trie.get(""), None);
        assert_eq!(trie.get("a"), None);
    }
}
