//! What holds for every input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::cmp::Ordering;

use keyward_spiffe_id::{Path, Pattern, PatternSet, SegmentTrie, SpiffeId, SpiffeIdRef, TrustDomain};
use proptest::collection::vec;
use proptest::prelude::*;

/// SPIFFE-ID.md §2 read once more, slowly.
fn is_id(text: &str) -> bool {
    let common = |c: char| c.is_ascii_digit() || ".-_".contains(c);
    let Some(rest) = text.strip_prefix("spiffe://") else { return false };
    let mut parts = rest.split('/');
    let name = parts.next().unwrap();
    text.len() <= 2048
        && !name.is_empty()
        && name.len() <= 255
        && name.chars().all(|c| c.is_ascii_lowercase() || common(c))
        && parts.all(|s| !["", ".", ".."].contains(&s) && s.chars().all(|c| c.is_ascii_alphabetic() || common(c)))
}

/// Texts that are IDs often, and nearly so otherwise.
fn nearly_id() -> impl Strategy<Value = String> {
    prop_oneof![
        "spiffe://[a-z0-9._-]{1,20}(/[a-zA-Z0-9._-]{1,12}){0,8}",
        "spiffe://[a.]{0,3}(/[aZ._%é-]{0,4}){0,12}/?",
        "(spiffe|Spiffe|http)(://|:/|:)[tT:@]{0,3}(/[a.]{0,3}){0,3}",
        "\\PC{0,40}",
    ]
}

fn segment(choice: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(choice)
}

/// Whether a pattern's segments match a path's: the definition, word for word.
fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**"], [_, ..]) => true,
        ([p, pattern @ ..], [s, path @ ..]) => (*p == "*" || p == s) && matches(pattern, path),
        _ => false,
    }
}

/// The more specific of two patterns comes first: segment by segment, literal, `*`, `**`.
fn more_specific(a: &[&str], b: &[&str]) -> Ordering {
    let rank = |pattern: &[&str], i: usize| match pattern[i] {
        "**" if i + 1 == pattern.len() => 2,
        "*" => 1,
        _ => 0,
    };
    (0..a.len().min(b.len())).map(|i| rank(a, i).cmp(&rank(b, i))).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

/// What each pattern that matches the path is, most specific first.
fn naive<'p>(patterns: &'p [Vec<&'p str>], path: &[&str]) -> Vec<&'p Vec<&'p str>> {
    let mut found: Vec<_> = patterns.iter().filter(|pattern| matches(pattern, path)).collect();
    found.sort_by(|a, b| more_specific(a, b));
    found.dedup();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_reader_follows_the_clause(text in nearly_id()) {
        prop_assert_eq!(SpiffeIdRef::parse(&text).is_ok(), is_id(&text));
    }

    #[test]
    fn owned_is_borrowed(text in nearly_id()) {
        let borrowed = SpiffeIdRef::parse(&text);
        let owned = text.parse::<SpiffeId>();
        prop_assert_eq!(borrowed.clone().map(SpiffeIdRef::to_owned), owned.clone());
        prop_assert_eq!(SpiffeId::try_from(text.clone()), owned.clone());
        if let (Ok(borrowed), Ok(owned)) = (borrowed, owned) {
            prop_assert_eq!(owned.borrowed(), borrowed);
            prop_assert_eq!(owned.path(), borrowed.path());
            prop_assert_eq!(owned.trust_domain(), borrowed.trust_domain());
        }
    }

    #[test]
    fn what_is_shown_reads_back(text in nearly_id()) {
        if let Ok(id) = text.parse::<SpiffeId>() {
            prop_assert_eq!(id.to_string(), text);
            let name: TrustDomain = id.trust_domain().to_string().parse().unwrap();
            let path: Path = id.path().to_string().parse().unwrap();
            prop_assert_eq!(SpiffeId::new(&name, &path).unwrap(), id.clone());
            prop_assert_eq!(SpiffeId::from_segments(&name, id.segments()).unwrap(), id.clone());
            prop_assert_eq!(Path::from_segments(id.segments()).unwrap(), path);
            let joined = id.segments().try_fold(name.signing_authority_id(), |id, s| id.join(s));
            prop_assert_eq!(joined.unwrap(), id.clone());
            prop_assert!(Pattern::from(&id).matches(&id));
        }
    }

    #[test]
    fn lenient_is_strict_after_lower_casing(text in nearly_id()) {
        if let Ok(id) = text.parse::<SpiffeId>() {
            prop_assert_eq!(SpiffeId::parse_lenient(&text), Ok(id));
        }
        if let Ok(id) = SpiffeId::parse_lenient(&text) {
            prop_assert!(id.as_str().eq_ignore_ascii_case(&text));
            prop_assert!(text.ends_with(id.path()));
            prop_assert_eq!(id.as_str().parse(), Ok(id.clone()));
        }
    }

    #[test]
    fn every_id_is_a_pattern(text in nearly_id()) {
        if let Ok(id) = text.parse::<SpiffeId>() {
            let pattern: Pattern = text.parse().unwrap();
            prop_assert_eq!(pattern.as_exact().map(SpiffeIdRef::to_owned), Some(id));
        }
    }

    #[test]
    fn patterns_read_back(text in "spiffe://[t*]{1,2}(/[a*.]{0,3}){0,4}") {
        if let Ok(pattern) = text.parse::<Pattern>() {
            prop_assert_eq!(pattern.to_string(), text.clone());
            prop_assert_eq!(Pattern::try_from(text), Ok(pattern));
        }
    }

    #[test]
    fn a_set_answers_as_its_patterns_do(
        patterns in vec((segment(&["s", "t"]), vec(segment(&["a", "b", "*"]), 0..5), any::<bool>()), 0..24),
        name in segment(&["s", "t"]),
        path in vec(segment(&["a", "b", "c"]), 0..6),
    ) {
        let patterns: Vec<Vec<&str>> = patterns
            .into_iter()
            .map(|(name, path, rest)| [vec![name], path, if rest { vec!["**"] } else { vec![] }].concat())
            .collect();
        let written = |segments: &[&str]| format!("spiffe://{}", segments.join("/"));
        let set: PatternSet<String> = patterns.iter().map(|p| (written(p).parse().unwrap(), written(p))).collect();
        let segments = [vec![name], path].concat();
        let id: SpiffeId = written(&segments).parse().unwrap();

        let expected: Vec<String> = naive(&patterns, &segments).into_iter().map(|p| written(p)).collect();
        let mut found = Vec::new();
        set.for_each_match(&id, |pattern, value| {
            assert_eq!(pattern.as_str(), value);
            found.push(value.clone());
        });
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(set.get(&id).map(|(_, value)| value), expected.first());
        for (pattern, value) in set.iter() {
            prop_assert_eq!(pattern.matches(&id), expected.contains(value));
        }
    }

    #[test]
    fn a_trie_answers_as_the_definition_does(
        patterns in vec((vec(segment(&["a", "b", "*", "**", "", "a*"]), 1..6), any::<bool>()), 0..40),
        path in vec(segment(&["a", "b", "c", "", "*", "**"]), 1..6),
    ) {
        // With a slash in front or not, so that an empty first segment stays one.
        let mut trie = SegmentTrie::new();
        let mut distinct = Vec::new();
        for (pattern, slash) in &patterns {
            let slash = if *slash || pattern[0].is_empty() { "/" } else { "" };
            let again = distinct.contains(&pattern);
            if pattern[..] == [""] { continue }
            prop_assert_eq!(trie.insert(&format!("{slash}{}", pattern.join("/")), pattern).is_some(), again);
            if !again { distinct.push(pattern); }
        }
        prop_assert_eq!(trie.len(), distinct.len());
        if path[..] != [""] {
            let path_text = format!("/{}", path.join("/"));
            let patterns: Vec<Vec<&str>> = distinct.into_iter().cloned().collect();
            let expected = naive(&patterns, &path);
            prop_assert_eq!(trie.matches(&path_text).copied().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(trie.get(&path_text).copied(), expected.first().copied());
        }
    }
}
