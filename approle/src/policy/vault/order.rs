//! Which of several paths decides, there and here.

use core::cmp::Reverse;

use super::VaultPathProblem;

/// A segment of a path: itself, or whatever stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    Any,
}

/// How a path goes on behind its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Not at all.
    Exact,
    /// With `/` and nothing, which is what `LIST` asks for.
    Slash,
    /// With `/` and anything.
    Glob,
}

/// A path as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) segments: Vec<Segment>,
    pub(super) tail: Tail,
}

/// What decides there between two that match: greater ones do. A path that says everything stands above every pattern; of those, the
/// one whose first wildcard comes later, then one that does not end in `*`, then one with fewer `+`, then a longer one, then the
/// one that is greater as a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    in_full: bool,
    first_wildcard: usize,
    no_glob: bool,
    wildcards: Reverse<usize>,
    length: usize,
    text: String,
}

impl Written {
    pub(super) fn parse(text: &str) -> Result<Self, VaultPathProblem> {
        if text.contains("{{") || text.contains("${") {
            return Err(VaultPathProblem::Template);
        }
        let (body, tail) = match text.strip_suffix('*') {
            Some("") => ("", Tail::Glob),
            Some(body) => (body.strip_suffix('/').ok_or(VaultPathProblem::PartialGlob)?, Tail::Glob),
            None => match text.strip_suffix('/') {
                Some(body) => (body, Tail::Slash),
                None => (text, Tail::Exact),
            },
        };
        if body.contains('*') {
            return Err(VaultPathProblem::GlobNotLast);
        }
        let segments: &[&str] = if text == "*" { &[] } else { &body.split('/').collect::<Vec<_>>() };
        let segment = |segment: &&str| match *segment {
            "+" => Ok(Segment::Any),
            "" | "." | ".." => Err(VaultPathProblem::NoPath),
            text if text.contains('+') => Err(VaultPathProblem::PartialWildcard),
            text => Ok(Segment::Literal(text.to_owned())),
        };
        let segments = segments.iter().map(segment).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), segments, tail })
    }

    pub(super) fn has_wildcards(&self) -> bool {
        self.segments.contains(&Segment::Any)
    }

    pub(super) fn rank(&self) -> Rank {
        let glob = self.tail == Tail::Glob;
        let text = self.text.strip_suffix('*').unwrap_or(&self.text).to_owned();
        Rank {
            in_full: !glob && !self.has_wildcards(),
            first_wildcard: text.find('+').unwrap_or(text.len()),
            no_glob: !glob,
            wildcards: Reverse(self.segments.iter().filter(|segment| **segment == Segment::Any).count()),
            length: text.len(),
            text,
        }
    }
}

/// A pattern of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) segments: Vec<Segment>,
    /// Whether `**` follows.
    pub(super) rest: bool,
}

impl Pattern {
    /// How specific each segment is, greater ones more; of two that match one path the first difference decides.
    pub(super) fn specificity(&self) -> Vec<u8> {
        let own = self.segments.iter().map(|segment| if *segment == Segment::Any { 1 } else { 2 });
        own.chain(self.rest.then_some(0)).collect()
    }

    /// What both match: a pattern again, if there is anything.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let (short, long) = if self.segments.len() <= other.segments.len() { (self, other) } else { (other, self) };
        if short.segments.len() < long.segments.len() && !short.rest {
            return None;
        }
        if short.segments.len() == long.segments.len() && short.rest != long.rest {
            // One ends where the other goes on.
            return None;
        }
        let mut segments = long.segments.clone();
        for (mine, theirs) in segments.iter_mut().zip(&short.segments) {
            match (&*mine, theirs) {
                (Segment::Literal(one), Segment::Literal(other)) if one != other => return None,
                (Segment::Any, literal) => *mine = literal.clone(),
                _ => {}
            }
        }
        Some(Self { segments, rest: long.rest })
    }
}
