//! Name constraints on URIs (RFC 5280 §4.2.1.10). Path validation by webpki refuses every certificate below one; here
//! they are taken out before and checked after.

use std::borrow::Cow;

use keyward_spiffe_id::SpiffeIdRef;

use super::certificate::Certificate;
use super::der::{NotDer, Reader, tag};

const URI: u8 = tag::context(6);
/// `registeredID`, a form that neither SVIDs nor their issuers have.
const REGISTERED_ID: u8 = tag::context(8);

/// Whether an element with this tag is a `GeneralName` (RFC 5280 §4.2.1.6).
pub(super) fn is_general_name(tag: u8) -> bool {
    const CONSTRUCTED: [u8; 4] = [0, 3, 4, 5];
    const PRIMITIVE: [u8; 5] = [1, 2, 6, 7, 8];
    CONSTRUCTED.iter().any(|number| tag == tag::context_constructed(*number))
        || PRIMITIVE.iter().any(|number| tag == tag::context(*number))
}

/// Which list of subtrees a base stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Permitted,
    Excluded,
}

/// An error unless the extension's value is well-formed and every URI constraint is a host or a domain.
pub(super) fn check(value: &[u8]) -> Result<(), NotDer> {
    for_each_base(value, |_, base| if base.tag != URI || is_constraint(base.content) { Ok(()) } else { Err(NotDer) })
}

/// One base of a subtree, with its tag where it stands.
struct Base<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

fn for_each_base<'a>(value: &'a [u8], mut f: impl FnMut(List, Base<'a>) -> Result<(), NotDer>) -> Result<(), NotDer> {
    let mut outer = Reader::new(value);
    let mut lists = outer.inside(tag::SEQUENCE)?;
    outer.finish()?;
    for (number, list) in [(0, List::Permitted), (1, List::Excluded)] {
        let Some(subtrees) = lists.optional(tag::context_constructed(number))? else { continue };
        let mut subtrees = Reader::new(subtrees);
        while !subtrees.is_empty() {
            // "the minimum MUST be zero, and maximum MUST be absent": the base is all there is.
            let mut subtree = subtrees.inside(tag::SEQUENCE)?;
            let base = subtree.any()?;
            subtree.finish()?;
            if !is_general_name(base.tag) {
                return Err(NotDer);
            }
            f(list, Base { tag: base.tag, content: base.content, whole: base.whole })?;
        }
    }
    lists.finish()
}

/// `der`, in which `value` lies, with every URI constraint turned into one on a name that does not occur. Lengths and
/// places stay as they are.
pub(super) fn mask<'a>(der: &'a [u8], value: &'a [u8]) -> Cow<'a, [u8]> {
    let mut masked = Cow::Borrowed(der);
    let read = for_each_base(value, |_, base| {
        if base.tag == URI {
            let place = base.whole.as_ptr().addr().wrapping_sub(der.as_ptr().addr());
            *masked.to_mut().get_mut(place).ok_or(NotDer)? = REGISTERED_ID;
        }
        Ok(())
    });
    // Unmasked it would be refused.
    if read.is_ok() { masked } else { Cow::Borrowed(der) }
}

/// Whether an issuer's URI constraints, if it has any, admit the URI of a certificate below it.
pub(super) fn admit(issuer: &Certificate<'_>, below: &Certificate<'_>) -> bool {
    let (Some(value), Some(uri)) = (issuer.extensions.name_constraints, below.extensions.uri) else { return true };
    let host = SpiffeIdRef::parse(uri).ok().map(|id| id.trust_domain().as_str()).filter(|host| !is_ipv4(host));
    let (mut constrained, mut permitted, mut excluded) = (false, false, false);
    let mut permits = false;
    let read = for_each_base(value, |list, base| {
        if base.tag == URI {
            constrained = true;
            permits |= list == List::Permitted;
            let matched = host.is_some_and(|host| matches(host, base.content));
            match list {
                List::Permitted => permitted |= matched,
                List::Excluded => excluded |= matched,
            }
        }
        Ok(())
    });
    // A URI without a host name below a constraint on URIs MUST be rejected.
    read.is_ok()
        && (!constrained || (host.is_some() && below.extensions.uris == 1 && !excluded && (permitted || !permits)))
}

/// A host or, behind a period, a domain; or nothing, which is every host.
fn is_constraint(text: &[u8]) -> bool {
    let name = text.strip_prefix(b".").unwrap_or(text);
    let all = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    all && (!name.is_empty() || text.is_empty())
}

/// "When the constraint begins with a period, it MAY be expanded with one or more labels. […] When the constraint does
/// not begin with a period, it specifies a host." An empty one, which the RFC does not know, holds every host, as other
/// verifiers have it.
fn matches(host: &str, constraint: &[u8]) -> bool {
    let host = host.as_bytes();
    match constraint {
        [] => true,
        [b'.', ..] => host
            .split_at_checked(host.len().saturating_sub(constraint.len()))
            .is_some_and(|(labels, end)| !labels.is_empty() && end.eq_ignore_ascii_case(constraint)),
        _ => host.eq_ignore_ascii_case(constraint),
    }
}

/// An address is not a host name.
fn is_ipv4(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_domains() {
        for (host, constraint, expected) in [
            ("example.org", "example.org", true),
            ("example.org", "EXAMPLE.org", true),
            ("a.example.org", "example.org", false),
            ("a.example.org", ".example.org", true),
            ("b.a.example.org", ".example.org", true),
            ("example.org", ".example.org", false),
            ("badexample.org", ".example.org", false),
            ("badexample.org", "example.org", false),
            ("org", ".example.org", false),
            ("anything", "", true),
        ] {
            assert_eq!(matches(host, constraint.as_bytes()), expected, "{host} {constraint}");
        }
    }

    #[test]
    fn a_constraint_is_a_bare_name() {
        for (text, expected) in [
            ("", true),
            ("td", true),
            (".td", true),
            (".", false),
            ("spiffe://td", false),
            ("td/path", false),
            ("td:443", false),
            ("*.td", false),
            ("u@td", false),
            ("[::1]", false),
        ] {
            assert_eq!(is_constraint(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn forms_of_subtrees() {
        // permitted: URI `td`
        assert!(check(b"\x30\x08\xa0\x06\x30\x04\x86\x02td").is_ok());
        // with a maximum, with an unknown name form, excluded before permitted, trailing byte
        for value in [
            &b"\x30\x0b\xa0\x09\x30\x07\x86\x02td\x81\x01\x01"[..],
            b"\x30\x08\xa0\x06\x30\x04\x89\x02td",
            b"\x30\x10\xa1\x06\x30\x04\x86\x02td\xa0\x06\x30\x04\x86\x02td",
            b"\x30\x08\xa0\x06\x30\x04\x86\x02td\x00",
        ] {
            assert!(check(value).is_err(), "{value:x?}");
        }
    }

    #[test]
    fn masking_touches_uris_alone() {
        let der = *b"head\x30\x0e\xa0\x0c\x30\x04\x86\x02td\x30\x04\x82\x02tdtail";
        let masked = mask(&der, &der[4..20]);
        assert_eq!(masked.as_ref(), b"head\x30\x0e\xa0\x0c\x30\x04\x88\x02td\x30\x04\x82\x02tdtail");
        let der = *b"\x30\x08\xa0\x06\x30\x04\x82\x02td";
        assert!(matches!(mask(&der, &der), Cow::Borrowed(_)));
    }
}
