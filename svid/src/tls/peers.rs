//! Who may be the other side.

use std::collections::BTreeSet;

use keyward_spiffe_id::{Pattern, PatternSet, SpiffeId, SpiffeIdRef, TrustDomain};

/// Who may be the other side, once it is verified.
///
/// ```
/// use keyward_svid::tls::Peers;
///
/// let peers = Peers::matching(["spiffe://example.org/web/*".parse()?, "spiffe://example.org/db".parse()?]);
/// assert!(peers.allow(&"spiffe://example.org/web/7".parse()?));
/// assert!(!peers.allow(&"spiffe://example.org/web".parse()?));
/// assert!(!Peers::matching([]).allow(&"spiffe://example.org/db".parse()?));
/// # Ok::<(), keyward_spiffe_id::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Peers(Rule);

#[derive(Debug, Clone)]
enum Rule {
    Patterns(PatternSet<()>),
    Members(BTreeSet<TrustDomain>),
    Anyone,
}

impl Peers {
    /// Exactly these.
    pub fn ids(ids: impl IntoIterator<Item = SpiffeId>) -> Self {
        Self::matching(ids.into_iter().map(|id| Pattern::from(&id)))
    }

    /// Everyone whom one of the patterns matches.
    pub fn matching(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        Self(Rule::Patterns(patterns.into_iter().map(|pattern| (pattern, ())).collect()))
    }

    /// Every workload of these trust domains.
    pub fn members_of(trust_domains: impl IntoIterator<Item = TrustDomain>) -> Self {
        Self(Rule::Members(trust_domains.into_iter().collect()))
    }

    /// Every workload of every trust domain that the source has a bundle for: who it is decides the application.
    pub fn anyone() -> Self {
        Self(Rule::Anyone)
    }

    /// Whether it may be this one.
    pub fn allow(&self, id: &SpiffeId) -> bool {
        match &self.0 {
            Rule::Patterns(patterns) => patterns.get(SpiffeIdRef::from(id)).is_some(),
            Rule::Members(trust_domains) => trust_domains.contains(id.trust_domain().as_str()),
            Rule::Anyone => true,
        }
    }
}

/// Everyone whom one of the patterns matches, whatever stands under it.
impl<T> From<&PatternSet<T>> for Peers {
    fn from(patterns: &PatternSet<T>) -> Self {
        Self::matching(patterns.iter().map(|(pattern, _)| pattern.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_allowed() {
        let id = |text: &str| text.parse::<SpiffeId>().unwrap();
        let web = id("spiffe://td/web");
        assert!(Peers::ids([web.clone()]).allow(&web));
        assert!(!Peers::ids([web.clone()]).allow(&id("spiffe://td/web/1")));
        assert!(!Peers::ids([]).allow(&web));
        let members = Peers::members_of(["td".parse().unwrap()]);
        assert!(members.allow(&web) && !members.allow(&id("spiffe://other/web")));
        let patterns: PatternSet<u8> = [("spiffe://td/*".parse().unwrap(), 1)].into_iter().collect();
        assert!(Peers::from(&patterns).allow(&web) && !Peers::from(&patterns).allow(&id("spiffe://td/a/b")));
        assert!(Peers::anyone().allow(&web));
    }
}
