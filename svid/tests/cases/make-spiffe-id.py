"""Writes spiffe-id.json."""

from forge import Table

T = Table("spiffe-id")

LOWER = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
PATH = LOWER + LOWER[:26].upper()
LONG_TD = "a" * 255
UPPER_WHY = "§2.1 says MUST be lower case, §2.4 calls them case-insensitive; a reader that folds case gives one identity two spellings"


def ids(id, rules, clause, comment, texts, reason=None, check="id", **more):
    texts = [texts] if isinstance(texts, str) else texts
    if check in ("id", "trust-domain"):  # what the crate `spiffe` says, too
        more.setdefault("peers", {"spiffe-rs": "refuse" if reason else "accept"})
    T.add(id, rules, clause, comment, check, {"texts": texts}, "refuse" if reason else "accept", reason, **more)


# scheme and the components that a SPIFFE ID has not
ids("scheme", "id-scheme", "SPIFFE-ID §2", "the scheme is `spiffe`", ["spiffe://td/w", "spiffe://td"])
ids("scheme-other", "id-scheme", "SPIFFE-ID §2", "another scheme, or none",
    ["http://td/w", "sparfe://td/w", "spiffes://td/w", "spiff://td/w", "td/w", "//td/w", "/w", "://td/w"], "id")
ids("scheme-cut", "id-scheme", "SPIFFE-ID §2", "the scheme stops short, or its separator does",
    ["", "s", "spiffe", "spiffe:", "spiffe:/", "spiffe:td/w", "spiffe:/td/w", "spiffe//td/w"], "id")
ids("scheme-space", "id-scheme", "RFC 3986 §3", "white space around an ID is not part of a URI",
    [" spiffe://td/w", "spiffe://td/w ", "spiffe://td/w\n", "\tspiffe://td/w", "spiffe: //td/w"], "id")
ids("extra-none", "id-components", "SPIFFE-ID §2", "scheme, trust domain and path are all there is", "spiffe://td/w")
ids("extra-query", "id-components", "SPIFFE-ID §2", "no query", ["spiffe://td/w?q", "spiffe://td?q=1", "spiffe://td/w?"], "id")
ids("extra-fragment", "id-components", "SPIFFE-ID §2", "no fragment", ["spiffe://td/w#f", "spiffe://td#", "spiffe://td/#"], "id")
ids("extra-userinfo", "id-components", "SPIFFE-ID §2.1", "no user information",
    ["spiffe://u@td/w", "spiffe://u:p@td/w", "spiffe://@td/w"], "id")
ids("extra-port", "id-components", "SPIFFE-ID §2.1", "no port", ["spiffe://td:443/w", "spiffe://td:/w", "spiffe://td:0"], "id")
ids("extra-percent", "id-components", "SPIFFE-ID §2.1, §2.2", "no percent-encoding, not even of allowed characters",
    ["spiffe://%F0%9F%A4%AF/w", "spiffe://td/%F0%9F%A4%AF", "spiffe://%62%61%64/w", "spiffe://td/%62%61%64",
     "spiffe://td/%2e%2e", "spiffe://td/a%2Fb", "spiffe://td/%", "spiffe://t%64/w", "spiffe://td/a%00"], "id")

# trust domain
ids("td-characters", "id-trust-domain", "SPIFFE-ID §2.1", "every character that a trust domain may have",
    [f"spiffe://trustdomain{c}/w" for c in LOWER] + [f"spiffe://{c}/w" for c in LOWER])
ids("td-characters-other", "id-trust-domain", "SPIFFE-ID §2.1", "every other character up to U+00FF",
    [f"spiffe://trustdomain{chr(i)}/w" for i in range(256) if chr(i).lower() not in LOWER + "/"], "id")
ids("td-characters-upper", ["id-trust-domain", "id-upper-case"], "SPIFFE-ID §2.1", "upper-case letters",
    [f"spiffe://trustdomain{c.upper()}/w" for c in LOWER[:26]], "id", why=UPPER_WHY, peers={"spiffe-rs": "accept"})
ids("td-unicode", "id-trust-domain", "SPIFFE-ID §2.1", "no internationalised name, though it looks right",
    ["spiffe://b\u00fccher.example/w", "spiffe://\u0430bc/w", "spiffe://td\u3002example/w", "spiffe://\uff41bc/w", "spiffe://t\u200bd/w"], "id")
ids("td-length", "id-trust-domain", "SPIFFE-ID §2.3", "1 and 255 bytes", ["spiffe://a/w", f"spiffe://{LONG_TD}/w", f"spiffe://{LONG_TD}"])
ids("td-empty", "id-trust-domain", "SPIFFE-ID §2.1", "no trust domain", ["spiffe://", "spiffe:///", "spiffe:///w", "spiffe:////"], "id")
ids("td-too-long", "id-trust-domain", "SPIFFE-ID §2.3", "256 bytes of trust domain", [f"spiffe://{LONG_TD}a/w", f"spiffe://{LONG_TD}a"], "id",
    why="SPIFFE-ID §2.3: a trust domain has at most 255 bytes")
ids("td-no-dns", "id-no-dns", "SPIFFE-ID §2.1", "no rule of DNS: dots, dashes, underscores and numbers anywhere",
    [f"spiffe://{td}/w" for td in ("_", "-a", "a-", "a..b", "..", ".", ".a", "a.", "1.2.3.4", "999.999.999.999", "127.1", "0x7f",
                                   "xn--bcher-kva.example", "a" * 64 + ".example", "example.org.", "--", "a_b")])
ids("td-ipv6", "id-no-dns", "SPIFFE-ID §2.1", "an IPv6 literal has brackets and colons",
    ["spiffe://[::1]/w", "spiffe://[v1.a]/w", "spiffe://::1/w", "spiffe://[1.2.3.4]/w"], "id")
ids("name", "id-trust-domain", "SPIFFE-ID §2.1", "a trust domain by itself", ["td", "example.org", LONG_TD, "..", "1.2.3.4", "_-."], check="trust-domain")
ids("name-wrong", "id-trust-domain", "SPIFFE-ID §2.1", "a trust domain by itself is a name, not an ID and not an address",
    ["", LONG_TD + "a", "td:443", "u@td", "t d", "*", "t\u00e4", "td/", "t%64", "[::1]"], "id", check="trust-domain")
ids("name-id", "id-trust-domain", "SPIFFE-ID §2.1", "an ID where a name belongs", ["spiffe://td", "spiffe://td/w"], "id", check="trust-domain",
    why="a trust domain is a name; what is read for another thing than it is gets mixed up sooner or later", peers={"spiffe-rs": "accept"})
ids("name-path", "id-trust-domain", "SPIFFE-ID §2.1", "a name with a path", ["td/w"], "id", check="trust-domain")
ids("name-upper", ["id-trust-domain", "id-upper-case"], "SPIFFE-ID §2.1", "an upper-case name", ["TD", "Example.org"], "id", check="trust-domain", why=UPPER_WHY, peers={"spiffe-rs": "accept"})

# path
ids("path-optional", "id-path", "SPIFFE-ID §2.2", "the path is optional", ["spiffe://td", "spiffe://td/a", "spiffe://td/a/b/c/d/e/f"])
ids("path-characters", "id-path", "SPIFFE-ID §2.2", "every character that a segment may have", [f"spiffe://td/path{c}" for c in PATH])
ids("path-characters-other", "id-path", "SPIFFE-ID §2.2", "every other character up to U+00FF, in any place of a segment",
    [f"spiffe://td/path{chr(i)}" for i in range(256) if chr(i) not in PATH + "/"]
    + [f"spiffe://td/{c}x/y" for c in " $!*'()+,;=:@~\\"], "id")
ids("path-unicode", "id-path", "SPIFFE-ID §2.2", "letters are those of ASCII",
    ["spiffe://td/gr\u00fc\u00dfe", "spiffe://td/\u0430", "spiffe://td/\U0001f92f", "spiffe://td/a\u2215b", "spiffe://td/\u0661"], "id")
ids("path-empty-segment", "id-segments", "SPIFFE-ID §2.2", "no empty segment", ["spiffe://td//", "spiffe://td//w", "spiffe://td/a//b", "spiffe://td///"], "id")
ids("path-trailing-slash", "id-segments", "SPIFFE-ID §2.2", "no trailing slash", ["spiffe://td/", "spiffe://td/w/", "spiffe://td/a/b/"], "id")
ids("path-relative", "id-segments", "SPIFFE-ID §2.2", "no relative segment in any place",
    ["spiffe://td/.", "spiffe://td/..", "spiffe://td/./w", "spiffe://td/../w", "spiffe://td/w/./x", "spiffe://td/w/../x", "spiffe://td/w/.", "spiffe://td/w/.."], "id")
ids("path-dots", "id-segments", "SPIFFE-ID §2.2", "dots beside something else, or more than two of them, are a name",
    ["spiffe://td/...", "spiffe://td/....", "spiffe://td/.x", "spiffe://td/..x", "spiffe://td/x..", "spiffe://td/a.b", "spiffe://td/_", "spiffe://td/-"])
T.add("path-case", "id-path-case", "SPIFFE-ID §2.4", "the path keeps its case", "id", {"texts": ["spiffe://td/Web"]}, "accept", parts=[["td", "/Web"]])
T.add("path-case-equal", "id-path-case", "SPIFFE-ID §2.4", "one ID equals itself", "equal", {"id": "spiffe://td/Web", "other": "spiffe://td/Web"}, "accept")
T.add("path-case-other", "id-path-case", "SPIFFE-ID §2.4", "two paths that differ in case are two IDs", "equal",
      {"id": "spiffe://td/Web", "other": "spiffe://td/web"}, "refuse", "other")
T.add("parts", "id-path", "SPIFFE-ID §2", "what an ID consists of", "id",
      {"texts": ["spiffe://prod.example.org/ns/shop/sa/web", "spiffe://td"]}, "accept",
      parts=[["prod.example.org", "/ns/shop/sa/web"], ["td", ""]])
T.add("segments", "id-segments", "SPIFFE-ID §2.2", "an ID is put together from segments", "segments",
      {"trust-domain": "td", "segments": ["ns", "a.b", "..."]}, "accept", canonical="spiffe://td/ns/a.b/...")
T.add("segments-none", "id-segments", "SPIFFE-ID §2.2", "without segments it is the trust domain's ID", "segments",
      {"trust-domain": "td", "segments": []}, "accept", canonical="spiffe://td")
for name, segments in {"empty": [""], "slash": ["/"], "leading-slash": ["/a"], "inner-slash": ["a/b"], "dot": ["."], "dots": ["a", ".."],
                       "dollar": ["$"], "space": ["a b"], "percent": ["%61"], "last-empty": ["a", ""]}.items():
    T.add(f"segments-{name}", "id-segments", "SPIFFE-ID §2.2", "a segment is one name, and cannot bring more path along",
          "segments", {"trust-domain": "td", "segments": segments}, "refuse", "id")

# length
LIMIT = 2048
full = "spiffe://td/" + "a" * (LIMIT - 12)
ids("length", "id-length", "SPIFFE-ID §2.3", "2048 bytes", [full, f"spiffe://{LONG_TD}/" + "b" * (LIMIT - 9 - 256)])
ids("length-over", "id-length", "SPIFFE-ID §2.3", "2049 bytes; at most 2048 must be supported and none beyond should be made", full + "a", "limit",
    why="SPIFFE-ID §2.3 leaves it open to read longer ones; a bound is safer than none", peers={"spiffe-rs": "accept"})
T.add("length-segments", "id-length", "SPIFFE-ID §2.3", "an ID of 2048 bytes is put together", "segments",
      {"trust-domain": "td", "segments": ["a" * (LIMIT - 12)]}, "accept", canonical=full)
T.add("length-segments-over", "id-length", "SPIFFE-ID §2.3", "and one of 2049 is not", "segments",
      {"trust-domain": "td", "segments": ["a" * (LIMIT - 11)]}, "refuse", "limit", why="SPIFFE-ID §2.3: SHOULD NOT be generated")

# upper case: §2.1 against §2.4
UPPER = ["SPIFFE://td/w", "Spiffe://td/w", "spiffe://TD/w", "spiffe://Example.org/w", "spiffE://td"]
ids("upper-case", "id-upper-case", "SPIFFE-ID §2.1", "the strict reading: a trust domain is lower case, and so is the scheme", UPPER, "id",
    why=UPPER_WHY, peers={"spiffe-rs": "accept"})
T.add("upper-case-asked-for", "id-upper-case", "SPIFFE-ID §2.4", "lower-cased where the caller asks for the lenient reading", "id-lenient",
      {"texts": UPPER + ["spiffe://td/W"]}, "accept",
      canonical=["spiffe://td/w", "spiffe://td/w", "spiffe://td/w", "spiffe://example.org/w", "spiffe://td", "spiffe://td/W"])
ids("lenient-wrong", "id-upper-case", "SPIFFE-ID §2", "the lenient reading is lenient about nothing else",
    ["SPIFFE://td/", "SPIFFE://t%64/w", "HTTP://td/w", "Spiffe://u@TD/w", "SPIFFE://\u00c4/w", "spiffe://td/w?Q", "\u017fpiffe://td/w", "spiffe://\u212a/w"], "id", check="id-lenient")

# roles
ids("authority", "id-authority", "SPIFFE-ID §3.1", "a signing authority's ID has no path", ["spiffe://td", "spiffe://prod.example.org"], check="authority-id")
ids("authority-path", "id-authority", "SPIFFE-ID §3.1", "an ID with a path is no signing authority's", ["spiffe://td/ca", "spiffe://td/a/b"], "role", check="authority-id")
ids("workload", "id-authority", "X509-SVID §5.2", "a workload's ID has a path", ["spiffe://td/w"], check="workload-id")
ids("workload-no-path", "id-authority", "X509-SVID §5.2", "an ID without a path is no workload's", ["spiffe://td"], "role", check="workload-id")
for name, id, td, expect in [("member", "spiffe://td/w", "td", True), ("member-authority", "spiffe://td", "td", True), ("member-other", "spiffe://td/w", "td2", False),
                             ("member-below", "spiffe://a.td/w", "td", False), ("member-above", "spiffe://td/w", "a.td", False)]:
    T.add(name, "id-member", "SPIFFE-ID §2.1", "an ID belongs to the trust domain it names and to no other", "member-of", {"id": id, "trust-domain": td},
          "accept" if expect else "refuse", None if expect else "other")

# patterns
PATTERNS = ["spiffe://td", "spiffe://td/w", "spiffe://td/*", "spiffe://td/**", "spiffe://td/a/*/b", "spiffe://td/*/*", "spiffe://td/*/**", "spiffe://td/a/**"]
ids("pattern", "id-pattern", "decision: patterns", "exact, one segment, the rest", PATTERNS, check="pattern")
ids("pattern-rest-not-last", "id-pattern", "decision: patterns", "`**` is the rest, so nothing follows it",
    ["spiffe://td/**/a", "spiffe://td/**/*", "spiffe://td/**/**"], "id", check="pattern")
ids("pattern-partial", "id-pattern", "decision: patterns", "a wildcard is a whole segment",
    ["spiffe://td/a*", "spiffe://td/*a", "spiffe://td/***", "spiffe://td/a**", "spiffe://td/a*b/c", "spiffe://td/[ab]", "spiffe://td/?"], "id", check="pattern")
ids("pattern-grammar", "id-pattern", "SPIFFE-ID §2.2", "the rest of a pattern is as strict as an ID",
    ["", "*", "**", "spiffe://td/", "spiffe://td/*/", "spiffe://td//*", "spiffe://td/../*", "/td/*", "td/*", "SPIFFE://td/*", "spiffe://td/a%2f*"], "id", check="pattern")
ids("pattern-trust-domain", "id-pattern-trust-domain", "decision: patterns", "the trust domain is a literal", ["spiffe://td/**"], check="pattern")
ids("pattern-trust-domain-wild", "id-pattern-trust-domain", "decision: patterns", "a pattern cannot reach over the border of trust",
    ["spiffe://*/w", "spiffe://**", "spiffe://*.example.org/w", "spiffe://*", "spiffe://td*/w"], "id", check="pattern")
MATCHES = [
    ("exact", "spiffe://td/a/b", "spiffe://td/a/b", True), ("exact-more", "spiffe://td/a", "spiffe://td/a/b", False),
    ("exact-less", "spiffe://td/a/b", "spiffe://td/a", False), ("exact-case", "spiffe://td/a", "spiffe://td/A", False),
    ("exact-authority", "spiffe://td", "spiffe://td", True), ("exact-prefix", "spiffe://td/a", "spiffe://td/ab", False),
    ("one", "spiffe://td/*", "spiffe://td/a", True), ("one-middle", "spiffe://td/a/*/c", "spiffe://td/a/b/c", True),
    ("one-two", "spiffe://td/*", "spiffe://td/a/b", False), ("one-none", "spiffe://td/*", "spiffe://td", False),
    ("one-middle-none", "spiffe://td/a/*/c", "spiffe://td/a/c", False), ("one-middle-two", "spiffe://td/a/*/c", "spiffe://td/a/b/b/c", False),
    ("rest", "spiffe://td/**", "spiffe://td/a/b/c", True), ("rest-one", "spiffe://td/**", "spiffe://td/a", True),
    ("rest-none", "spiffe://td/**", "spiffe://td", False), ("rest-below", "spiffe://td/a/**", "spiffe://td/a/b", True),
    ("rest-itself", "spiffe://td/a/**", "spiffe://td/a", False), ("rest-beside", "spiffe://td/a/**", "spiffe://td/ab/c", False),
    ("one-and-rest", "spiffe://td/*/**", "spiffe://td/a/b", True), ("one-and-rest-short", "spiffe://td/*/**", "spiffe://td/a", False),
    ("other-trust-domain", "spiffe://td/**", "spiffe://td2/a", False), ("sub-trust-domain", "spiffe://td/**", "spiffe://a.td/a", False),
]
for name, pattern, id, matches in MATCHES:
    rule = "id-pattern-trust-domain" if "trust-domain" in name else "id-match"
    T.add(f"match-{name}", rule, "decision: patterns", "matches" if matches else "does not match", "match", {"pattern": pattern, "id": id},
          "accept" if matches else "refuse", None if matches else "other")
T.add("match-same-domain", "id-pattern-trust-domain", "decision: patterns", "matches within its trust domain", "match", {"pattern": "spiffe://td/**", "id": "spiffe://td/a"}, "accept")

T.write()
