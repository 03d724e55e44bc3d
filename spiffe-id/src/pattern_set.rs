use crate::id_ref::SpiffeIdRef;
use crate::pattern::Pattern;
use crate::segment_trie::SegmentTrie;

/// Values under [`Pattern`]s, found by ID, the most specific pattern first.
///
/// Of two patterns that match an ID the more specific one is found by comparing their segments from
/// the left: a literal comes before `*`, `*` before `**`. Matching allocates nothing and does not
/// depend on how many patterns there are; see [`SegmentTrie`] for its cost.
///
/// ```
/// use keyward_spiffe_id::{Pattern, PatternSet, SpiffeId};
///
/// let mut policies = PatternSet::new();
/// for (pattern, policy) in [
///     ("spiffe://prod.example.org/**", "none"),
///     ("spiffe://prod.example.org/ns/*/sa/web", "web"),
///     ("spiffe://prod.example.org/ns/shop/**", "shop"),
/// ] {
///     policies.insert(pattern.parse::<Pattern>()?, policy);
/// }
/// let id: SpiffeId = "spiffe://prod.example.org/ns/shop/sa/web".parse()?;
/// let (pattern, policy) = policies.get(&id).unwrap();
/// assert_eq!(*policy, "shop");
/// assert_eq!(pattern.as_str(), "spiffe://prod.example.org/ns/shop/**");
/// # Ok::<(), keyward_spiffe_id::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PatternSet<T> {
    trie: SegmentTrie<(Pattern, T)>,
}

impl<T> PatternSet<T> {
    /// A set without patterns: it matches nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { trie: SegmentTrie::new() }
    }

    /// Puts a value under a pattern and answers the value that was there.
    pub fn insert(&mut self, pattern: Pattern, value: T) -> Option<T> {
        // The trust domain is the first segment of the text after the scheme.
        let text = pattern.after_scheme().to_owned();
        self.trie.insert(&text, (pattern, value)).map(|(_, old)| old)
    }

    /// The most specific pattern that matches the ID, and its value.
    #[must_use]
    pub fn get<'a>(&self, id: impl Into<SpiffeIdRef<'a>>) -> Option<(&Pattern, &T)> {
        self.trie.get(id.into().after_scheme()).map(|(pattern, value)| (pattern, value))
    }

    /// Calls `f` with every pattern that matches the ID, the most specific first, and its value.
    pub fn for_each_match<'s, 'a>(&'s self, id: impl Into<SpiffeIdRef<'a>>, mut f: impl FnMut(&'s Pattern, &'s T)) {
        self.trie.for_each_match(id.into().after_scheme(), |(pattern, value)| f(pattern, value));
    }

    /// The patterns and their values in the order in which they were first put in.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Pattern, &T)> + DoubleEndedIterator {
        self.trie.values().map(|(pattern, value)| (pattern, value))
    }

    /// How many patterns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trie.len()
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trie.is_empty()
    }
}

impl<T> Default for PatternSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> FromIterator<(Pattern, T)> for PatternSet<T> {
    fn from_iter<I: IntoIterator<Item = (Pattern, T)>>(patterns: I) -> Self {
        let mut set = Self::new();
        set.extend(patterns);
        set
    }
}

impl<T> Extend<(Pattern, T)> for PatternSet<T> {
    fn extend<I: IntoIterator<Item = (Pattern, T)>>(&mut self, patterns: I) {
        for (pattern, value) in patterns {
            self.insert(pattern, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[&'static str]) -> PatternSet<&'static str> {
        patterns.iter().map(|p| (p.parse().unwrap(), *p)).collect()
    }

    fn id(text: &str) -> SpiffeIdRef<'_> {
        SpiffeIdRef::parse(text).unwrap()
    }

    #[test]
    fn the_most_specific_pattern_is_found() {
        let set = set(&["spiffe://td/**", "spiffe://td/a/*", "spiffe://td/a/b", "spiffe://td"]);
        let get = |text| set.get(id(text)).map(|(_, value)| *value);
        assert_eq!(get("spiffe://td/a/b"), Some("spiffe://td/a/b"));
        assert_eq!(get("spiffe://td/a/c"), Some("spiffe://td/a/*"));
        assert_eq!(get("spiffe://td/a/c/d"), Some("spiffe://td/**"));
        assert_eq!(get("spiffe://td"), Some("spiffe://td"));
        assert_eq!(get("spiffe://other/a/b"), None);
        let mut all = Vec::new();
        set.for_each_match(id("spiffe://td/a/b"), |pattern, _| all.push(pattern.as_str()));
        assert_eq!(all, ["spiffe://td/a/b", "spiffe://td/a/*", "spiffe://td/**"]);
    }

    #[test]
    fn the_signing_authority_is_not_among_its_workloads() {
        assert!(set(&["spiffe://td/**", "spiffe://td/*"]).get(id("spiffe://td")).is_none());
    }

    #[test]
    fn a_pattern_has_one_value() {
        let mut set = PatternSet::default();
        let pattern: Pattern = "spiffe://td/*".parse().unwrap();
        assert_eq!(set.insert(pattern.clone(), 1), None);
        assert_eq!(set.insert(pattern.clone(), 2), Some(1));
        assert_eq!((set.len(), set.is_empty()), (1, false));
        assert_eq!(set.iter().collect::<Vec<_>>(), [(&pattern, &2)]);
    }
}
