//! From paths with capabilities to rules.

use super::order::{Pattern, Rank, Segment, Tail, Written};
use super::{ALIKE, Capabilities, LISTED, PROTECTED, Stanza, VaultPathProblem, VaultPolicyError};
use crate::policy::{Effect, Operation, Operations, PathPattern, RuleConfig};

/// A path of the policy.
struct Source {
    written: Written,
    rank: Rank,
    capabilities: Capabilities,
    /// What of ours it is for everything but `LIST`.
    pattern: Option<Pattern>,
}

/// What one of them says of one path that is listed.
struct Listing<'a> {
    source: &'a Source,
    pattern: Pattern,
    /// What decides there: how it was found, then its rank. Where it says something of the path as of any other and nothing of
    /// `LIST`, that decides least.
    decides: (u8, &'a Rank),
    allows: bool,
}

pub(super) fn rules(stanzas: &[Stanza]) -> Result<Vec<RuleConfig>, VaultPolicyError> {
    let sources = stanzas.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    in_order(&sources)?;
    let mut rules: Vec<RuleConfig> = Vec::new();
    for source in &sources {
        if let Some(pattern) = &source.pattern {
            rules.push(RuleConfig {
                path: path(pattern, source)?,
                operations: operations(source.capabilities),
                hide_fields: Vec::new(),
            });
        }
    }
    for listed in LISTED {
        let listed = listed.split('/').map(|segment| match segment {
            "+" => Segment::Any,
            literal => Segment::Literal(literal.to_owned()),
        });
        let listed = Pattern { segments: listed.collect(), rest: false };
        for listing in listings(&sources, &listed)? {
            let (path, effect) = (path(&listing.pattern, listing.source)?, effect(listing.allows));
            match rules.iter_mut().find(|rule| rule.path == path) {
                Some(rule) => rule.operations.read = Some(effect),
                None => rules.push(RuleConfig::new(path, effect, [Operation::Read])),
            }
        }
    }
    for (protected, by_everything) in
        PROTECTED.map(|path| (path, false)).into_iter().chain(ALIKE.map(|path| (path, true)))
    {
        protect(&sources, protected, by_everything, &mut rules)?;
    }
    Ok(rules)
}

/// Denies a path that takes `sudo`, where what decides there allows something and has none; `by_everything`: where that is `*`.
fn protect(
    sources: &[Source],
    protected: &str,
    by_everything: bool,
    rules: &mut Vec<RuleConfig>,
) -> Result<(), VaultPolicyError> {
    let segments = protected.split('/').map(|segment| Segment::Literal(segment.to_owned())).collect();
    let protected = Pattern { segments, rest: false };
    let is_there = |source: &&Source| source.pattern.as_ref().is_some_and(|own| own.and(&protected).is_some());
    let Some(source) = sources.iter().filter(is_there).max_by_key(|source| &source.rank) else { return Ok(()) };
    let denied = operations(Capabilities::default());
    let is_meant = !by_everything || source.written.segments.is_empty();
    if source.capabilities.sudo || operations(source.capabilities) == denied || !is_meant {
        return Ok(());
    }
    let path = path(&protected, source)?;
    match rules.iter_mut().find(|rule| rule.path == path) {
        Some(rule) => rule.operations = denied,
        None => rules.push(RuleConfig { path, operations: denied, hide_fields: Vec::new() }),
    }
    Ok(())
}

fn source(stanza: &Stanza) -> Result<Source, VaultPolicyError> {
    let refuse = |problem| VaultPolicyError::Path { path: stanza.path.clone(), problem };
    let written = Written::parse(&stanza.path).map_err(refuse)?;
    let pattern = (written.tail != Tail::Slash)
        .then(|| Pattern { segments: written.segments.clone(), rest: written.tail == Tail::Glob });
    Ok(Source { rank: written.rank(), capabilities: stanza.capabilities, pattern, written })
}

fn path(pattern: &Pattern, source: &Source) -> Result<PathPattern, VaultPolicyError> {
    let mut text = "/v1".to_owned();
    for segment in &pattern.segments {
        text.push('/');
        text.push_str(match segment {
            Segment::Literal(literal) => literal,
            Segment::Any => "*",
        });
    }
    if pattern.rest {
        text.push_str("/**");
    }
    let refuse = |_| VaultPolicyError::Path { path: source.written.text.clone(), problem: VaultPathProblem::NoPath };
    text.parse().map_err(refuse)
}

fn effect(allowed: bool) -> Effect {
    if allowed { Effect::Allow } else { Effect::Deny }
}

/// Everything that is not allowed is denied, because no path that is less specific may allow it.
fn operations(capabilities: Capabilities) -> Operations {
    let effect = |allowed| Some(effect(allowed));
    Operations {
        create: effect(capabilities.create),
        read: effect(capabilities.read),
        update: effect(capabilities.update),
        delete: effect(capabilities.delete),
        execute: effect(capabilities.update),
    }
}

/// That where two match, the same one decides.
fn in_order(sources: &[Source]) -> Result<(), VaultPolicyError> {
    for (index, one) in sources.iter().enumerate() {
        for other in sources.iter().skip(index + 1) {
            let (Some(a), Some(b)) = (&one.pattern, &other.pattern) else { continue };
            let same = operations(one.capabilities) == operations(other.capabilities);
            let agree = (one.rank > other.rank) == (a.specificity() > b.specificity());
            if !same && !agree && a.and(b).is_some() {
                return Err(disagree(one, other));
            }
        }
    }
    Ok(())
}

fn disagree(one: &Source, other: &Source) -> VaultPolicyError {
    VaultPolicyError::Order { one: one.written.text.clone(), other: other.written.text.clone() }
}

/// How a path matches `LIST` of what is listed, which asks for it with a `/` behind it, and only then without: the greater, the
/// earlier.
fn found(source: &Source, listed: &Pattern) -> Option<(u8, Pattern)> {
    let Written { segments, tail, .. } = &source.written;
    let in_full = !source.written.has_wildcards() && *tail != Tail::Glob;
    let exactly = |segments: &[Segment]| Pattern { segments: segments.to_vec(), rest: false }.and(listed);
    match tail {
        Tail::Slash => exactly(segments).map(|both| (if in_full { 4 } else { 2 }, both)),
        Tail::Exact if in_full => exactly(segments).map(|both| (3, both)),
        Tail::Exact => {
            // `+` stands for the nothing behind the `/`, too.
            let behind = segments.split_last().filter(|(last, _)| **last == Segment::Any);
            let behind = behind.and_then(|(_, segments)| exactly(segments)).map(|both| (2, both));
            behind.or_else(|| exactly(segments).map(|both| (1, both)))
        }
        Tail::Glob => {
            let own = Pattern { segments: segments.clone(), rest: segments.len() < listed.segments.len() };
            own.and(listed).map(|both| (2, both))
        }
    }
}

/// The rules for a path that is listed; none where what holds for it otherwise is right for `LIST` as well.
fn listings<'a>(sources: &'a [Source], listed: &Pattern) -> Result<Vec<Listing<'a>>, VaultPolicyError> {
    let mut listings: Vec<Listing<'_>> = Vec::new();
    let mut needed = false;
    for source in sources {
        let found = found(source, listed);
        let otherwise = source.pattern.as_ref().and_then(|pattern| pattern.and(listed));
        let Capabilities { read, list, .. } = source.capabilities;
        needed |= match (&found, &otherwise) {
            (Some((_, one)), Some(other)) => one != other || read != list,
            (None, None) => false,
            _ => true,
        };
        if let Some((how, pattern)) = found {
            listings.push(Listing { source, pattern, decides: (how, &source.rank), allows: list });
        } else if let Some(pattern) = otherwise {
            listings.push(Listing { source, pattern, decides: (0, &source.rank), allows: false });
        }
    }
    // Of one path the one that decides there.
    listings.sort_by(|one, other| other.decides.cmp(&one.decides));
    let mut kept: Vec<Listing<'_>> = Vec::new();
    for listing in listings {
        if needed && kept.iter().any(|earlier| earlier.pattern == listing.pattern) {
            continue;
        }
        for earlier in &kept {
            let specificity = |listing: &Listing<'_>| match (needed, &listing.source.pattern) {
                (false, Some(pattern)) => pattern.specificity(),
                _ => listing.pattern.specificity(),
            };
            if earlier.allows != listing.allows
                && earlier.pattern.and(&listing.pattern).is_some()
                && specificity(earlier) <= specificity(&listing)
            {
                return Err(disagree(earlier.source, listing.source));
            }
        }
        kept.push(listing);
    }
    Ok(if needed { kept } else { Vec::new() })
}
