"""Writes x509-svid.json: certificates right and wrong. None is made with the code that the table judges."""

import pathlib

from forge import DAY, HOUR, NOW, YEAR, Table, b64, bits, ec_key, ed_key, oid, pkcs8, rsa_key, seq, tlv
from x509 import Party, aki, authority, bc, certificate, delegation, dn, dns, eku, email, ext, ip, ku, leaf, san, subtrees, uri, utc

HERE = pathlib.Path(__file__).parent
ID = "spiffe://td.example/w"
CERTIFICATES = {}
T = Table("x509-svid", keys={"leaf": b64(pkcs8(ec_key("x509 leaf")))}, certificates=CERTIFICATES)
# What the peers said, by case: a letter each for openssl, webpki and spiffe-rs.
PEERS = dict(line.split() for line in (HERE / "peers-x509.txt").read_text().splitlines() if line and not line.startswith("#"))
NAMES = ["openssl", "webpki", "spiffe-rs"]


def keep(name, der):
    assert name not in CERTIFICATES or CERTIFICATES[name] == b64(der), name
    CERTIFICATES[name] = b64(der)
    return name


ROOT, OTHER, NEXT, FOREIGN = Party("root"), Party("other root"), Party("next root"), Party("foreign root")
INTER, SECOND = Party("intermediate"), Party("second intermediate")
keep("root", authority(ROOT, ROOT))
keep("next-root", authority(NEXT, NEXT))
keep("foreign-root", authority(FOREIGN, FOREIGN, id="spiffe://foreign.example"))
keep("intermediate", authority(ROOT, INTER))
keep("second-intermediate", authority(INTER, SECOND))
keep("leaf", leaf(ROOT, label="leaf"))
keep("leaf-below", leaf(INTER, label="leaf-below"))
HOME = {"td.example": ["root"]}


def case(id, rules, clause, comment, chain, reason=None, bundles=None, mode=None, now=NOW, why=None, subject=None):
    chain = [chain] if isinstance(chain, str) else list(chain)
    peers = {name: {"a": "accept", "r": "refuse"}[letter] for name, letter in zip(NAMES, PEERS.get(id, "")) if letter != "-"}
    facts = {} if reason else {"subject": subject or ID}
    T.add(id, rules, clause, comment, "verify", {"chain": chain, "bundles": HOME if bundles is None else bundles, **({"mode": mode} if mode else {})},
          "refuse" if reason else "accept", reason, now=now, peers=peers or None, why=why, **facts)


def one(id, rules, clause, comment, der, reason=None, **more):
    """A case of one certificate signed by the root."""
    case(id, rules, clause, comment, [keep(id, der)], reason, **more)


def through(id, rules, clause, comment, der, reason=None, party=INTER, **more):
    """A case of an intermediate that is wrong, or special, above the usual leaf."""
    below = more.pop("below", None) or leaf(party, label=f"{id} below")
    case(id, rules, clause, comment, [keep(f"{id}-leaf", below), keep(id, der)], reason, **more)


def both_modes(id, rules, clause, comment, der, reason, why=None):
    """Refused in strict mode, accepted in standard mode."""
    keep(id, der)
    case(id, rules + ["x509-modes"], clause, comment, [id], reason, why=why)
    case(f"{id}-standard", rules[:0] + ["x509-modes"], "X509-SVID §5.2", f"{comment}; §5.2 does not ask", [id], mode="standard", why=why)


# ---- right ones
case("direct", ["x509-path", "x509-uri-san", "x509-leaf-id", "x509-leaf-path", "x509-leaf-usage", "x509-leaf-basic", "x509-leaf-purpose", "x509-times", "x509-own-bundle",
                "x509-trailing", "x509-unparsable", "x509-algorithms", "x509-authority-alone", "x509-modes", "x509-authority-purpose"],
     "X509-SVID §5", "a leaf below an authority", ["leaf"])
case("intermediate", ["x509-path", "x509-authority-usage", "x509-authority-basic", "x509-authority-id"], "X509-SVID §3.2", "a leaf, an intermediate and an authority", ["leaf-below", "intermediate"])
case("with-root", ["x509-path"], "RFC 8446 §4.4.2", "the authority sent along, though nobody needs it", ["leaf-below", "intermediate", "root"])
keep("leaf-second", leaf(SECOND, label="leaf-second"))
case("two-intermediates", ["x509-path"], "RFC 5280 §6.1", "two intermediates", ["leaf-second", "second-intermediate", "intermediate"])
case("out-of-order", ["x509-path"], "RFC 8446 §4.4.2", "intermediates in another order than they sign", ["leaf-second", "intermediate", "second-intermediate"])
case("unrelated-extra", ["x509-path"], "RFC 8446 §4.4.2", "certificates beside the path", ["leaf-below", "foreign-root", "second-intermediate", "intermediate"])
one("other-names", "x509-uri-san", "X509-SVID §2", "names of other kinds beside the URI",
    leaf(ROOT, label="other-names", names=san(dns("w.example.org"), dns("*.example.org"), uri(ID), ip("192.0.2.1"), ip("2001:db8::1"), email("w@example.org"))))
one("usage-more", "x509-leaf-usage", "X509-SVID §4.3", "keyEncipherment and keyAgreement may be set", leaf(ROOT, label="usage-more", usage=ku("digitalSignature", "keyEncipherment", "keyAgreement")))
one("subject-empty", "x509-subject", "RFC 5280 §4.1.2.6", "an empty subject with critical names", leaf(ROOT, label="subject-empty", subject=seq(), names=san(uri(ID), critical=True)))
one("subject-critical", "x509-subject", "RFC 5280 §4.2.1.6", "critical names beside a subject", leaf(ROOT, label="subject-critical", names=san(uri(ID), critical=True)))
one("purpose-absent", "x509-leaf-purpose", "X509-SVID §4.4", "no extended key usage", leaf(ROOT, label="purpose-absent", purpose=None))
one("purpose-critical", "x509-leaf-purpose", "X509-SVID §4.4", "a critical one", leaf(ROOT, label="purpose-critical", purpose=eku("serverAuth", "clientAuth", critical=True)))
one("purpose-more", "x509-leaf-purpose", "X509-SVID §4.4", "both and a third", leaf(ROOT, label="purpose-more", purpose=eku("clientAuth", "serverAuth", "codeSigning")))
one("basic-absent", "x509-leaf-basic", "RFC 5280 §4.2.1.9", "without BasicConstraints a certificate is no CA", leaf(ROOT, label="basic-absent", basic=None),
    why="RFC 5280 §4.2.1.9: absent means no CA, and cA has the default FALSE")
one("basic-plain", "x509-leaf-basic", "RFC 5280 §4.2.1.9", "BasicConstraints of a leaf need not be critical", leaf(ROOT, label="basic-plain", basic=bc(False, critical=False)))
one("identifiers-absent", "x509-path", "RFC 5280 §4.2.1.1", "key identifiers help in finding a path and are no part of its validation", leaf(ROOT, label="identifiers-absent", ski=None, aki=None),
    why="RFC 5280 §6.1 has no step for key identifiers")
one("identifiers-other", "x509-path", "RFC 5280 §4.2.1.1", "an authority key identifier of another key", leaf(ROOT, label="identifiers-other", aki=aki(OTHER.key)),
    why="RFC 5280 §6.1 has no step for key identifiers")
one("extension-unknown", "x509-unparsable", "RFC 5280 §4.2", "an unknown extension that is not critical", leaf(ROOT, label="extension-unknown", extra=[ext("1.3.6.1.4.1.99999.1", b"\x05\x00")]))
one("longest-id", "x509-leaf-id", "SPIFFE-ID §2.3", "an ID of 2048 bytes", leaf(ROOT, ID + "a" * (2048 - len(ID)), label="longest-id"), subject=ID + "a" * (2048 - len(ID)))
one("end-inclusive", "x509-times", "RFC 5280 §4.1.2.5", "valid through its notAfter, inclusive", leaf(ROOT, label="end-inclusive", end=NOW),
    why="RFC 5280 §4.1.2.5: through notAfter, inclusive")
one("start-inclusive", "x509-times", "RFC 5280 §4.1.2.5", "valid from its notBefore", leaf(ROOT, label="start-inclusive", start=NOW))
one("end-2050", "x509-times", "RFC 5280 §4.1.2.5.2", "from 2050 on as GeneralizedTime", leaf(ROOT, label="end-2050", end=2_600_000_000))
one("end-never", "x509-times", "RFC 5280 §4.1.2.5", "no well-defined end", leaf(ROOT, label="end-never", times=(utc(NOW - HOUR), tlv(0x18, b"99991231235959Z"))))
for name, key in {"p384": ec_key("x509 p384", "P-384"), "p521": ec_key("x509 p521", "P-521"), "rsa": rsa_key("x509 rsa"), "ed25519": ed_key("x509 ed25519")}.items():
    party = Party(f"{name} root", key)
    keep(f"{name}-root", authority(party, party))
    case(f"algorithm-{name}", ["x509-algorithms"], "RFC 5280 §4.1.1.2", f"authority and leaf with {name}", [keep(f"leaf-{name}", leaf(party, label=f"leaf-{name}", key=key))], bundles={"td.example": [f"{name}-root"]})
PSS = Party("rsa root", rsa_key("x509 rsa"))
case("algorithm-pss", ["x509-algorithms"], "RFC 4055 §3.1", "RSASSA-PSS", [keep("leaf-pss", leaf(PSS, label="leaf-pss", pss=True))], bundles={"td.example": ["rsa-root"]})
case("algorithm-rsa-sha512", ["x509-algorithms"], "RFC 4055 §5", "RSA with SHA-512", [keep("leaf-rsa-sha512", leaf(PSS, label="leaf-rsa-sha512", hash_bits=512))], bundles={"td.example": ["rsa-root"]})
one("algorithm-p256-sha384", "x509-algorithms", "RFC 5758 §3.2", "P-256 with SHA-384", leaf(ROOT, label="algorithm-p256-sha384", hash_bits=384))
TIGHT, TIGHT_INTER = Party("tight root"), Party("tight intermediate")
keep("tight-root", authority(TIGHT, TIGHT, length=1))
keep("tight-intermediate", authority(TIGHT, TIGHT_INTER, length=0))
case("path-length", ["x509-authority-basic"], "RFC 5280 §4.2.1.9", "lengths of path that suffice", [keep("path-length-leaf", leaf(TIGHT_INTER, label="path-length-leaf")), "tight-intermediate"],
     bundles={"td.example": ["tight-root"]})
for name, changes, comment in [("no-crl", {"usage": ku("keyCertSign")}, "cRLSign may be unset"), ("purpose", {"purpose": eku("serverAuth", "clientAuth")}, "with both purposes"),
                               ("no-id", {"id": None}, "without a SPIFFE ID, which it only SHOULD have"), ("dns", {"names": san(dns("ca.example"), uri("spiffe://td.example"))}, "with other names"),
                               ("signing-too", {"usage": ku("digitalSignature", "keyCertSign", "cRLSign")}, "that may sign other things")]:
    rule = {"purpose": "x509-authority-purpose", "no-id": "x509-authority-id"}.get(name, "x509-authority-usage")
    through(f"authority-{name}", rule, "X509-SVID §3.2, §4", f"an intermediate {comment}", authority(ROOT, INTER, label=f"authority-{name}", **changes))
through("authority-foreign-id", "x509-authority-id", "X509-SVID §3.2", "an intermediate with the ID of another trust domain than the leaf it issues", authority(ROOT, INTER, label="authority-foreign-id", id="spiffe://foreign.example"), "id",
        why="X509-SVID §3.2: SHOULD reside in the trust domain of the leaves it issues, which strict mode asks for")
case("authority-foreign-id-standard", ["x509-modes"], "X509-SVID §5.2", "§5.2 does not ask", ["authority-foreign-id-leaf", "authority-foreign-id"], mode="standard")
case("rotation-old", ["x509-own-bundle"], "SPIFFE Federation §4.1", "two authorities published: a leaf of the one", ["leaf"], bundles={"td.example": ["next-root", "root"]})
keep("leaf-next", leaf(NEXT, label="leaf-next"))
case("rotation-new", ["x509-own-bundle"], "SPIFFE Federation §4.1", "two authorities published: a leaf of the other", ["leaf-next"], bundles={"td.example": ["root", "next-root"]})
case("several-bundles", ["x509-own-bundle"], "SPIFFE Federation §4.2", "bundles of several trust domains, of which the leaf's own counts", ["leaf"],
     bundles={"foreign.example": ["foreign-root"], "td.example": ["root"]})
SAME = [Party(f"same {i}", subject=ROOT.subject) for i in range(20)]
for party in SAME:
    keep(party.label.replace(" ", "-"), authority(party, party))
case("same-subject", ["x509-path"], "RFC 5280 §6.1", "twenty authorities of one name, the right one last: none is lost in trying", ["leaf"],
     bundles={"td.example": [f"same-{i}" for i in range(20)] + ["root"]})
case("authority-not-self-signed", ["x509-path"], "RFC 5280 §6.1.1(d)", "an authority that somebody else certified is an anchor all the same; X509-SVID §6.1 only recommends self-signed ones",
     ["leaf-below"], bundles={"td.example": ["intermediate"]}, why="RFC 5280 §6.1.1(d): an anchor is a name and a key; openssl wants -partial_chain for it")


def long_chain(count):
    """A chain of this many certificates below the root."""
    parties = [ROOT] + [Party(f"link {i}") for i in range(count - 1)]
    links = [keep(f"link-{i}", authority(parties[i], parties[i + 1], label=f"link {i}")) for i in range(count - 1)]
    return [keep(f"leaf-link-{count}", leaf(parties[-1], label=f"leaf link {count}"))] + links[::-1]


case("sixteen", ["x509-chain-bound"], "decision: bounds", "sixteen certificates where six are needed", ["leaf-second", "second-intermediate", "intermediate"] + ["foreign-root"] * 13)
case("seventeen", ["x509-chain-bound"], "decision: bounds", "seventeen certificates", ["leaf-second", "second-intermediate", "intermediate"] + ["foreign-root"] * 14, "limit",
     why="a bound on what a stranger makes us read")
case("deep", ["x509-path"], "RFC 5280 §6.1", "six intermediates", long_chain(7))

# ---- names of the leaf
LEAF2 = "X509-SVID §2, §5.2"
for id, names, comment in [
    ("uri-two", (uri(ID), uri("spiffe://td.example/x")), "two SPIFFE IDs"), ("uri-twice", (uri(ID), uri(ID)), "one SPIFFE ID twice"),
    ("uri-https-beside", (uri(ID), uri("https://example.org/")), "a URI of another scheme beside the SPIFFE ID"), ("uri-https-before", (uri("https://example.org/"), uri(ID)), "and before it"),
    ("uri-two-domains", (uri(ID), uri("spiffe://foreign.example/w")), "IDs of two trust domains"), ("uri-empty-beside", (uri(ID), uri("")), "an empty URI beside the SPIFFE ID"),
    ("uri-many", [uri(f"{ID}{i}") for i in range(40)], "forty"),
]:
    one(id, "x509-uri-san", LEAF2, comment, leaf(ROOT, label=id, names=san(*names)), "names", why=f"{LEAF2}: more than one URI SAN MUST be rejected")
one("san-none", "x509-uri-san", LEAF2, "no alternative names", leaf(ROOT, None, label="san-none"), "names", why=LEAF2)
one("san-dns-only", "x509-uri-san", LEAF2, "no URI among them", leaf(ROOT, label="san-dns-only", names=san(dns("w.example"))), "names", why=LEAF2)
one("san-id-as-dns", "x509-uri-san", LEAF2, "a SPIFFE ID as a DNS name", leaf(ROOT, label="san-id-as-dns", names=san(dns(ID))), "names", why=LEAF2)
one("id-in-subject", "x509-uri-san", LEAF2, "a SPIFFE ID as the common name", leaf(ROOT, None, label="id-in-subject", subject=dn(CN=ID)), "names", why=LEAF2)
for id, text, comment in [
    ("id-https", "https://td.example/w", "a URI of another scheme alone"), ("id-upper-scheme", "SPIFFE://td.example/w", "an upper-case scheme"), ("id-upper-domain", "spiffe://TD.example/w", "an upper-case trust domain"),
    ("id-percent", "spiffe://td.example/%77", "percent-encoding"), ("id-query", ID + "?a", "a query"),
    ("id-fragment", ID + "#a", "a fragment"), ("id-port", "spiffe://td.example:443/w", "a port"), ("id-userinfo", "spiffe://u@td.example/w", "user information"),
    ("id-slash", ID + "/", "a trailing slash"), ("id-dots", "spiffe://td.example/a/../w", "a relative segment"), ("id-nul", ID + "\u0000.evil", "a NUL inside"), ("id-empty", "", "an empty URI"),
    ("id-space", ID + " ", "a space behind"), ("id-scheme-typo", "sparfe://td.example/w", "a scheme like it"), ("id-no-domain", "spiffe:///w", "no trust domain"),
]:
    one(id, "x509-leaf-id", "SPIFFE-ID §2", comment, leaf(ROOT, text, label=id), "id", why="SPIFFE-ID §2" + (".1: lower case" if "upper" in id else ""))
one("id-idn", "x509-unparsable", "RFC 5280 §4.2.1.6", "a URI in UTF-8: it is no IA5String", leaf(ROOT, "spiffe://b\u00fccher.example/w", label="id-idn"), "format", why="RFC 5280 §4.2.1.6: a URI is an IA5String")
one("id-idn-ascii", "x509-own-bundle", "SPIFFE-ID §2.1", "its ASCII form is a trust domain like any other, and not ours", leaf(ROOT, "spiffe://xn--bcher-kva.example/w", label="id-idn-ascii"), "trust-domain",
    why="SPIFFE Federation §4.2; the peer sees one set of authorities")
one("id-too-long", "x509-leaf-id", "SPIFFE-ID §2.3", "an ID of 2049 bytes", leaf(ROOT, ID + "a" * (2049 - len(ID)), label="id-too-long"), "limit", why="decision: bounds; SPIFFE-ID §2.3 asks for 2048")
one("id-no-path", "x509-leaf-path", "X509-SVID §3.1, §5.2", "an ID without a path", leaf(ROOT, "spiffe://td.example", label="id-no-path"), "role", why="X509-SVID §5.2: a non-root path component")
one("id-root-path", "x509-leaf-path", "X509-SVID §3.1, §5.2", "an ID whose path is a slash", leaf(ROOT, "spiffe://td.example/", label="id-root-path"), "id", why="SPIFFE-ID §2.2")
one("san-empty", "x509-uri-san", "RFC 5280 §4.2.1.6", "alternative names without a name", leaf(ROOT, label="san-empty", names=san()), "format", why="RFC 5280 §4.2.1.6: at least one entry")
one("san-unparsable", "x509-unparsable", "RFC 5280 §4.2.1.6", "alternative names that cannot be read", leaf(ROOT, label="san-unparsable", names=ext("2.5.29.17", b"\x30\x20\x86\x02ab")), "format", why="decision: fail closed")
one("san-trailing", "x509-trailing", "X.690 §8", "bytes behind the alternative names", leaf(ROOT, label="san-trailing", names=ext("2.5.29.17", seq(uri(ID)) + b"\x00")), "format", why="decision: fail closed")
one("san-twice", "x509-uri-san", "RFC 5280 §4.2", "the extension twice, with an ID each", leaf(ROOT, label="san-twice", extra=[san(uri("spiffe://td.example/x"))]), "format", why="RFC 5280 §4.2: not more than one instance")
one("subject-empty-plain", "x509-subject", "X509-SVID §3.1, RFC 5280 §4.1.2.6", "an empty subject and names that are not critical", leaf(ROOT, label="subject-empty-plain", subject=seq()), "names", why="X509-SVID §3.1: MUST be marked as critical if Subject is omitted")

# ---- usage of the leaf
USE = "X509-SVID §4.3"
both_modes("usage-absent", ["x509-leaf-usage"], USE, "no KeyUsage", leaf(ROOT, label="usage-absent", usage=None), "usage", why="§4.3: MUST be set; §5.2 asks only that keyCertSign and cRLSign are not set")
both_modes("usage-plain", ["x509-leaf-usage"], USE, "a KeyUsage that is not critical", leaf(ROOT, label="usage-plain", usage=ku("digitalSignature", critical=False)), "usage", why="§4.3: MUST be marked critical; §5.2 does not ask")
both_modes("usage-no-signature", ["x509-leaf-usage"], USE, "no digitalSignature", leaf(ROOT, label="usage-no-signature", usage=ku("keyEncipherment", "keyAgreement")), "usage", why="§4.3: MUST set digitalSignature; §5.2 does not ask")
for id, names in {"usage-cert-sign": ["digitalSignature", "keyCertSign"], "usage-crl-sign": ["digitalSignature", "cRLSign"], "usage-both-signs": ["digitalSignature", "keyCertSign", "cRLSign"]}.items():
    one(id, "x509-leaf-usage", "X509-SVID §5.2", f"a leaf with {' and '.join(names[1:])}", leaf(ROOT, label=id, usage=ku(*names)), "usage", why="X509-SVID §5.2")
    case(f"{id}-standard", ["x509-leaf-usage", "x509-modes"], "X509-SVID §5.2", "in standard mode too", [id], "usage", mode="standard", why="X509-SVID §5.2")
one("usage-crl-only", "x509-leaf-usage", "X509-SVID §5.2", "cRLSign in a KeyUsage that is not critical", leaf(ROOT, label="usage-crl-only", usage=ku("digitalSignature", "cRLSign", critical=False)), "usage", why="X509-SVID §5.2")
one("usage-unparsable", "x509-unparsable", "RFC 5280 §4.2.1.3", "a KeyUsage that cannot be read", leaf(ROOT, label="usage-unparsable", usage=ext("2.5.29.15", b"\x04\x01\x80", True)), "format", why="decision: fail closed")
one("usage-cut", "x509-unparsable", "RFC 5280 §4.2.1.3", "a KeyUsage whose length lies", leaf(ROOT, label="usage-cut", usage=ext("2.5.29.15", b"\x03\x09\x07\x80", True)), "format", why="decision: fail closed")
one("usage-trailing", "x509-trailing", "X.690 §8", "bytes behind a KeyUsage", leaf(ROOT, label="usage-trailing", usage=ext("2.5.29.15", bits(b"\x80", 7) + b"\x03\x02\x02\x04", True)), "format", why="decision: fail closed")
one("usage-twice", "x509-leaf-usage", "RFC 5280 §4.2", "two KeyUsages, the second one an authority's", leaf(ROOT, label="usage-twice", extra=[ku("keyCertSign")]), "format", why="RFC 5280 §4.2: not more than one instance")
case("usage-unparsable-standard", ["x509-unparsable"], "decision: fail closed", "unreadable in standard mode too", ["usage-unparsable"], "format", mode="standard", why="decision: fail closed")
one("basic-ca", "x509-leaf-basic", "X509-SVID §5.2", "a leaf that is a CA", leaf(ROOT, label="basic-ca", basic=bc(True)), "usage", why="X509-SVID §5.2: cA MUST be false")
case("basic-ca-standard", ["x509-leaf-basic", "x509-modes"], "X509-SVID §5.2", "in standard mode too", ["basic-ca"], "usage", mode="standard", why="X509-SVID §5.2")
one("basic-ca-plain", "x509-leaf-basic", "X509-SVID §5.2", "a CA by BasicConstraints that are not critical", leaf(ROOT, label="basic-ca-plain", basic=bc(True, critical=False)), "usage", why="X509-SVID §5.2: cA MUST be false")
one("basic-unparsable", "x509-unparsable", "RFC 5280 §4.2.1.9", "BasicConstraints that cannot be read", leaf(ROOT, label="basic-unparsable", basic=ext("2.5.29.19", b"\x02\x01\x00", True)), "format", why="decision: fail closed")
one("basic-odd-boolean", "x509-unparsable", "X.690 §11.1", "TRUE written as 1 instead of 255", leaf(ROOT, label="basic-odd-boolean", basic=ext("2.5.29.19", seq(b"\x01\x01\x01"), True)), "format", why="X.690 §11.1: DER has one TRUE")
one("basic-trailing", "x509-trailing", "X.690 §8", "bytes behind BasicConstraints", leaf(ROOT, label="basic-trailing", basic=ext("2.5.29.19", seq() + b"\x00", True)), "format", why="decision: fail closed")
one("basic-twice", "x509-leaf-basic", "RFC 5280 §4.2", "BasicConstraints twice", leaf(ROOT, label="basic-twice", extra=[bc(True)]), "format", why="RFC 5280 §4.2: not more than one instance")
PURPOSE = "X509-SVID §4.4"
for id, names, comment in [("purpose-server", ["serverAuth"], "serverAuth only"), ("purpose-client", ["clientAuth"], "clientAuth only"), ("purpose-any", ["any"], "anyExtendedKeyUsage instead of the two"),
                           ("purpose-other", ["codeSigning"], "neither of the two")]:
    der = leaf(ROOT, label=id, purpose=eku(*names))
    both_modes(id, ["x509-leaf-purpose"], PURPOSE, comment, der, "usage", why="§4.4: when included, serverAuth and clientAuth MUST be set; §5.2 does not ask")
one("purpose-empty", "x509-leaf-purpose", "RFC 5280 §4.2.1.12", "an extended key usage without a purpose", leaf(ROOT, label="purpose-empty", purpose=ext("2.5.29.37", seq())), "format", why="RFC 5280 §4.2.1.12: at least one")
one("purpose-unparsable", "x509-unparsable", "RFC 5280 §4.2.1.12", "one that cannot be read", leaf(ROOT, label="purpose-unparsable", purpose=ext("2.5.29.37", b"\x31\x00")), "format", why="decision: fail closed")
case("authority-as-leaf", ["x509-authority-alone"], "X509-SVID §3.2", "a signing certificate for authentication", ["intermediate"], "role", why="X509-SVID §3.2, §5.2")
case("authority-itself", ["x509-authority-alone"], "X509-SVID §3.2", "an authority of the bundle for authentication", ["root"], "role", why="X509-SVID §3.2, §5.2")
keep("authority-with-path", authority(ROOT, INTER, label="authority-with-path", id="spiffe://td.example/ca"))
case("authority-with-path-as-leaf", ["x509-authority-alone"], "X509-SVID §3.2", "a signing certificate with a workload's ID", ["authority-with-path"], "usage", why="X509-SVID §3.2, §5.2")

# ---- times
one("expired", "x509-times", "RFC 5280 §6.1.3(a)(2)", "over since a second", leaf(ROOT, label="expired", end=NOW - 1), "expired", why="RFC 5280 §6.1.3(a)(2); reading alone does not look at times")
one("expired-long", "x509-times", "RFC 5280 §6.1.3(a)(2)", "over since a day", leaf(ROOT, label="expired-long", start=NOW - 2 * DAY, end=NOW - DAY), "expired", why="RFC 5280 §6.1.3(a)(2); reading alone does not look at times")
one("not-yet", "x509-times", "RFC 5280 §6.1.3(a)(2)", "begins in a second", leaf(ROOT, label="not-yet", start=NOW + 1), "not-yet-valid", why="RFC 5280 §6.1.3(a)(2); reading alone does not look at times")
one("times-crossed", "x509-times", "RFC 5280 §4.1.2.5", "ends before it begins", leaf(ROOT, label="times-crossed", start=NOW + HOUR, end=NOW - HOUR), "not-yet-valid", why="RFC 5280 §6.1.3(a)(2)")
one("times-unparsable", "x509-unparsable", "RFC 5280 §4.1.2.5", "a time without its zone", leaf(ROOT, label="times-unparsable", times=(utc(NOW - HOUR), tlv(0x17, b"270116080000"))), "format", why="RFC 5280 §4.1.2.5.1: MUST include Z")
one("times-offset", "x509-unparsable", "RFC 5280 §4.1.2.5", "a time of another zone", leaf(ROOT, label="times-offset", times=(utc(NOW - HOUR), tlv(0x17, b"270116080000+0100"))), "format", why="RFC 5280 §4.1.2.5.1: MUST be expressed in GMT")
through("intermediate-expired", "x509-times", "RFC 5280 §6.1.3(a)(2)", "an intermediate that is over", authority(ROOT, INTER, label="intermediate-expired", start=NOW - 2 * DAY, end=NOW - DAY), "expired", why="RFC 5280 §6.1.3(a)(2); reading alone does not look at times")
through("intermediate-not-yet", "x509-times", "RFC 5280 §6.1.3(a)(2)", "an intermediate that begins tomorrow", authority(ROOT, INTER, label="intermediate-not-yet", start=NOW + DAY), "not-yet-valid", why="RFC 5280 §6.1.3(a)(2); reading alone does not look at times")
OLD = Party("old root")
keep("old-root", authority(OLD, OLD, start=NOW - YEAR, end=NOW - 1))
keep("young-root", authority(OLD, OLD, label="young root", start=NOW + 1))
keep("leaf-old", leaf(OLD, label="leaf-old"))
case("authority-expired", ["x509-times"], "decision: authorities end", "an authority whose own validity is over verifies nothing", ["leaf-old"], "expired", bundles={"td.example": ["old-root"]},
     why="an anchor's own times are outside RFC 5280 §6.1; we hold an authority to what it says of itself")
case("authority-not-yet", ["x509-times"], "decision: authorities end", "an authority that has not begun", ["leaf-old"], "not-yet-valid", bundles={"td.example": ["young-root"]},
     why="an anchor's own times are outside RFC 5280 §6.1; we hold an authority to what it says of itself")
case("authority-one-expired", ["x509-times"], "decision: authorities end", "one authority that is over beside one that is not costs nothing", ["leaf"], bundles={"td.example": ["old-root", "root"]})

# ---- trust domains
keep("leaf-foreign", leaf(FOREIGN, "spiffe://foreign.example/w", label="leaf-foreign"))
keep("leaf-forged", leaf(FOREIGN, ID, label="leaf-forged"))
OWN = "SPIFFE-ID §3.1, SPIFFE Federation §4.2"
case("foreign-own", ["x509-own-bundle"], OWN, "a leaf of a federated trust domain", ["leaf-foreign"], bundles={"foreign.example": ["foreign-root"], "td.example": ["root"]}, subject="spiffe://foreign.example/w")
case("foreign-forges", ["x509-own-bundle"], OWN, "the authority of one trust domain makes an ID of another: a union of bundles would accept it", ["leaf-forged"], "path",
     bundles={"foreign.example": ["foreign-root"], "td.example": ["root"]}, why="SPIFFE Federation §4.2: bundles MUST NOT be merged; the peer sees one set of authorities")
case("foreign-unknown", ["x509-own-bundle"], OWN, "a leaf of a trust domain without bundle", ["leaf-foreign"], "trust-domain", bundles={"td.example": ["root"]}, why="reading alone asks for no authority")
case("foreign-authority", ["x509-own-bundle"], OWN, "a leaf below an authority that is in no bundle", ["leaf-forged"], "path", why="reading alone asks for no authority")
case("foreign-authority-sent", ["x509-own-bundle"], OWN, "and which the leaf brings along", ["leaf-forged", "foreign-root"], "path", why="reading alone asks for no authority")
case("bundle-under-wrong-domain", ["x509-own-bundle"], OWN, "the right authority under the name of another trust domain", ["leaf"], "trust-domain", bundles={"foreign.example": ["root"]},
     why="SPIFFE Federation §4.2; the peer sees one set of authorities")
one("sub-domain", "x509-own-bundle", "SPIFFE-ID §2.1", "a trust domain below the authority's is another one", leaf(ROOT, "spiffe://a.td.example/w", label="sub-domain"), "trust-domain", why="SPIFFE-ID §2.1: no hierarchy")
case("bundle-empty", ["x509-own-bundle"], "SPIFFE Bundle §4.1.3", "an empty bundle: everything is revoked", ["leaf"], "path", bundles={"td.example": []}, why="reading alone asks for no authority")
case("rotation-gone", ["x509-own-bundle"], "SPIFFE Bundle §4.1.3", "the authority was withdrawn", ["leaf"], "path", bundles={"td.example": ["next-root"]}, why="reading alone asks for no authority")
case("bundle-has-leaf", ["x509-path", "x509-authority-alone"], "X509-SVID §3.2", "a leaf that stands in the bundle itself", ["leaf"], "path", bundles={"td.example": ["leaf"]},
     why="X509-SVID §3.2: authorities are CA certificates")

# ---- intermediates
PATH = "RFC 5280 §6.1.4"
through("intermediate-no-cert-sign", "x509-authority-usage", f"{PATH}(n), X509-SVID §4.3", "an intermediate without keyCertSign", authority(ROOT, INTER, label="intermediate-no-cert-sign", usage=ku("digitalSignature", "cRLSign")), "path",
        why=f"{PATH}(n), X509-SVID §4.3")
through("intermediate-no-usage", "x509-authority-usage", "X509-SVID §3.2, §4.3", "an intermediate without KeyUsage", authority(ROOT, INTER, label="intermediate-no-usage", usage=None), "path", why="X509-SVID §3.2: a signing certificate is one which has set keyCertSign")
through("intermediate-usage-plain", "x509-authority-usage", "X509-SVID §4.3", "an intermediate whose KeyUsage is not critical", authority(ROOT, INTER, label="intermediate-usage-plain", usage=ku("keyCertSign", critical=False)), "path", why="X509-SVID §4.3: MUST be marked critical")
through("intermediate-no-ca", "x509-authority-basic", f"{PATH}(k)", "an intermediate that is no CA", authority(ROOT, INTER, label="intermediate-no-ca", basic=bc(False)), "path", why=f"{PATH}(k)")
through("intermediate-no-basic", "x509-authority-basic", f"{PATH}(k)", "an intermediate without BasicConstraints", authority(ROOT, INTER, label="intermediate-no-basic", basic=None), "path", why=f"{PATH}(k)")
through("intermediate-v1", "x509-authority-basic", f"{PATH}(k)", "an intermediate of version 1", certificate(ROOT, INTER.subject, INTER.key, [], label="intermediate-v1", version=0), "format", why="RFC 5280 §4.1.2.1: a signing certificate needs extensions")
through("intermediate-with-path", "x509-authority-id", "X509-SVID §3.2", "an intermediate whose ID has a path", authority(ROOT, INTER, label="intermediate-with-path", id="spiffe://td.example/ca"), "role", why="X509-SVID §3.2: MUST NOT have a path component")
through("intermediate-two-ids", "x509-authority-id", "X509-SVID §2", "an intermediate with two URIs", authority(ROOT, INTER, label="intermediate-two-ids", names=san(uri("spiffe://td.example"), uri("spiffe://foreign.example"))), "names", why="X509-SVID §2")
through("intermediate-bad-id", "x509-authority-id", "SPIFFE-ID §2", "an intermediate whose SPIFFE ID is none", authority(ROOT, INTER, label="intermediate-bad-id", id="spiffe://TD.example"), "id", why="SPIFFE-ID §2.1: lower case")
through("intermediate-critical", "x509-path", f"{PATH}(o)", "an intermediate with an unknown critical extension", authority(ROOT, INTER, label="intermediate-critical", extra=[ext("1.3.6.1.4.1.99999.1", b"\x05\x00", True)]), "path",
        why=f"{PATH}(o); reading alone does not look")
through("intermediate-purpose", "x509-authority-purpose", "X509-SVID §4.4", "an intermediate for another purpose binds nothing below it", authority(ROOT, INTER, label="intermediate-purpose", purpose=eku("codeSigning")),
        why="X509-SVID §4.4: some impose it on all below, others do not; RFC 5280 §6.1 has no step for it")
through("intermediate-purpose-unparsable", "x509-authority-purpose", "RFC 5280 §4.2.1.12", "a purpose that cannot be read", authority(ROOT, INTER, label="intermediate-purpose-unparsable", purpose=ext("2.5.29.37", b"\x31\x00")), "format", why="decision: fail closed")
LEAF_CA = Party("leaf as authority", ec_key("x509 leaf"), dn(O="SPIFFE", CN="workload"))
keep("leaf-by-leaf", leaf(LEAF_CA, "spiffe://td.example/admin", label="leaf-by-leaf"))
case("leaf-signs", ["x509-path", "x509-authority-basic"], f"{PATH}(k)", "a workload makes itself a leaf of another name", ["leaf-by-leaf", "leaf"], "path", why=f"{PATH}(k)")
case("path-length-root", ["x509-authority-basic"], "RFC 5280 §6.1.4(l)", "a path longer than the authority allows",
     [keep("path-length-third", leaf(SECOND, label="path-length-third")), keep("path-length-second", authority(TIGHT_INTER, SECOND, label="path-length-second")), "tight-intermediate"], "path",
     bundles={"td.example": ["tight-root"]}, why="RFC 5280 §6.1.4(l); reading alone does not look")
keep("zero-intermediate", authority(ROOT, INTER, label="zero-intermediate", length=0))
case("path-length-intermediate", ["x509-authority-basic"], "RFC 5280 §6.1.4(l)", "a path longer than an intermediate allows", ["leaf-second", "second-intermediate", "zero-intermediate"], "path", why="RFC 5280 §6.1.4(l); reading alone does not look")

# ---- name constraints
NC = "X509-SVID §4.2, RFC 5280 §4.2.1.10"
WHY_NC = "X509-SVID §4.2; the peer knows no constraints of URIs and refuses them all"
for id, tree, ok, comment in [
    ("uri-permitted", subtrees([uri("td.example")]), True, "the trust domain is permitted"), ("uri-permitted-other", subtrees([uri("foreign.example")]), False, "another trust domain is permitted"),
    ("uri-permitted-one-of", subtrees([uri("foreign.example"), uri("td.example")]), True, "one of two permitted trust domains"),
    ("uri-permitted-below", subtrees([uri(".example")]), True, "every host below `.example`"), ("uri-permitted-below-itself", subtrees([uri(".td.example")]), False, "hosts below it are permitted, not it"),
    ("uri-permitted-parent", subtrees([uri("example")]), False, "a host names itself, not what is below"), ("uri-excluded", subtrees((), [uri("td.example")]), False, "the trust domain is excluded"),
    ("uri-excluded-other", subtrees((), [uri("foreign.example")]), True, "another trust domain is excluded"), ("uri-excluded-below", subtrees((), [uri(".example")]), False, "every host below `.example` is excluded"),
    ("uri-both", subtrees([uri(".example")], [uri("td.example")]), False, "permitted by one subtree and excluded by another"),
]:
    through(f"constraint-{id}", "x509-name-constraints", NC, comment, authority(ROOT, INTER, label=f"constraint-{id}", extra=[tree]), None if ok else "constraint", why=WHY_NC if ok else "RFC 5280 §4.2.1.10: without a leading period it is one host, with one the hosts below; reading alone does not look")
with_dns = leaf(INTER, label="leaf-with-dns", names=san(uri(ID), dns("w.example.org")))
for id, tree, ok, comment in [
    ("dns-permitted", subtrees([dns("example.org")]), True, "the DNS name beside the ID is permitted"), ("dns-permitted-other", subtrees([dns("example.com")]), False, "the DNS name beside the ID is not permitted"),
    ("dns-excluded", subtrees((), [dns("example.org")]), False, "the DNS name beside the ID is excluded"),
]:
    through(f"constraint-{id}", "x509-name-constraints", NC, comment, authority(ROOT, INTER, label=f"constraint-{id}", extra=[tree]), None if ok else "constraint", below=with_dns, why="RFC 5280 §4.2.1.10; reading alone does not look")
through("constraint-dns-no-dns", "x509-name-constraints", NC, "a constraint of a kind of name that the leaf has none of", authority(ROOT, INTER, label="constraint-dns-no-dns", extra=[subtrees([dns("example.com")])]))
through("constraint-plain", "x509-name-constraints", NC, "a constraint that is not critical binds all the same", authority(ROOT, INTER, label="constraint-plain", extra=[subtrees([uri("foreign.example")], critical=False)]), "constraint",
        why="RFC 5280 §4.2.1.10; X509-SVID §4.2")
through("constraint-empty", "x509-name-constraints", "RFC 5280 §4.2.1.10", "constraints that constrain nothing", authority(ROOT, INTER, label="constraint-empty", extra=[subtrees()]), why="RFC 5280 §4.2.1.10 forbids authorities to write them; they constrain nothing")
through("constraint-unparsable", "x509-unparsable", "RFC 5280 §4.2.1.10", "constraints that cannot be read", authority(ROOT, INTER, label="constraint-unparsable", extra=[ext("2.5.29.30", b"\x04\x00", True)]), "format", why="decision: fail closed")

# ---- delegation
SITE = Party("site")
def delegated(id, patterns, leaf_id, ok, comment, extra=None):
    der = authority(ROOT, SITE, label=f"delegation-{id}", length=0, extra=[extra or delegation(*patterns)])
    through(f"delegation-{id}", "x509-delegation", "decision: delegation", comment, der, None if ok else "format" if extra else "constraint", party=SITE, below=leaf(SITE, leaf_id, label=f"delegation-{id} below"),
            why=None if ok else "an extension of ours, which is not critical: peers do not know it", **({"subject": leaf_id} if ok else {}))


delegated("inside", ["spiffe://td.example/site-7/**"], "spiffe://td.example/site-7/a/b", True, "an ID below the site's part")
delegated("second", ["spiffe://td.example/site-7/**", "spiffe://td.example/shared/*"], "spiffe://td.example/shared/a", True, "an ID that the second pattern matches")
delegated("outside", ["spiffe://td.example/site-7/**"], "spiffe://td.example/site-8/a", False, "an ID of another site")
delegated("itself", ["spiffe://td.example/site-7/**"], "spiffe://td.example/site-7", False, "the site's own name is not below it")
delegated("deeper", ["spiffe://td.example/shared/*"], "spiffe://td.example/shared/a/b", False, "one segment more than the pattern has")
delegated("none", [], "spiffe://td.example/site-7/a", False, "a delegation of nothing", extra=delegation())
delegated("unparsable", [], "spiffe://td.example/site-7/a", False, "a delegation that cannot be read", extra=delegation("spiffe://td.example/a*"))
BELOW_SITE = Party("below site")
for id, leaf_id, ok in [("nested", "spiffe://td.example/site-7/a/x", True), ("nested-outer", "spiffe://td.example/site-8/a/x", False), ("nested-inner", "spiffe://td.example/site-7/b/x", False)]:
    keep("delegation-outer", authority(ROOT, SITE, label="delegation-outer", extra=[delegation("spiffe://td.example/site-7/**")]))
    keep("delegation-inner", authority(SITE, BELOW_SITE, label="delegation-inner", extra=[delegation("spiffe://td.example/*/a/**")]))
    case(f"delegation-{id}", ["x509-delegation"], "decision: delegation", "two delegations, both of which bind", [keep(f"delegation-{id}-leaf", leaf(BELOW_SITE, leaf_id, label=f"delegation-{id}")), "delegation-inner", "delegation-outer"],
         None if ok else "constraint", why=None if ok else "an extension of ours, which is not critical: peers do not know it", **({"subject": leaf_id} if ok else {}))

# ---- signatures
SIG = "RFC 5280 §6.1.3(a)(1)"
READ = "; reading alone checks no signature"
one("signed-by-other", "x509-path", SIG, "signed by another key under the authority's name", leaf(ROOT, label="signed-by-other", signer=OTHER.key), "path", why=SIG + READ)
tampered = bytearray(leaf(ROOT, label="tampered"))
tampered[tampered.index(b"td.example/w") + 11] = ord("x")
one("tampered", "x509-path", SIG, "another ID under the signature", bytes(tampered), "path", why=SIG + READ)
broken = bytearray(leaf(ROOT, label="signature-bent"))
broken[-3] ^= 1
one("signature-bent", "x509-path", SIG, "one bit of the signature", bytes(broken), "path", why=SIG + READ)
case("self-signed", ["x509-path"], SIG, "a leaf that signed itself", [keep("self-signed", leaf(LEAF_CA, label="self-signed"))], "path", why=SIG + READ)
one("issuer-name", "x509-path", "RFC 5280 §6.1.3(a)(4)", "signed by the authority under another issuer's name", leaf(ROOT, label="issuer-name", issuer_name=dn(CN="somebody")), "path", why="RFC 5280 §6.1.3(a)(4)" + READ)
one("issuer-empty", "x509-path", "RFC 5280 §4.1.2.4", "no issuer", leaf(ROOT, label="issuer-empty", issuer_name=seq()), "path", why="RFC 5280 §4.1.2.4" + READ)
case("leaf-last", ["x509-path"], "RFC 8446 §4.4.2", "the leaf is not the first", ["intermediate", "leaf-below"], "role", why="RFC 8446 §4.4.2: the sender's certificate MUST come first")
case("intermediate-missing", ["x509-path"], "RFC 5280 §6.1", "the intermediate is not sent", ["leaf-below"], "path", why="RFC 5280 §6.1; reading alone asks for no authority")
mangled = bytearray(authority(ROOT, INTER, label="intermediate-bent"))
mangled[-3] ^= 1
through("intermediate-bent", "x509-path", SIG, "one bit of an intermediate's signature", bytes(mangled), "path", why=SIG + READ)
ALG = "decision: algorithms"
one("sha1", "x509-algorithms", ALG, "ECDSA with SHA-1", leaf(ROOT, label="sha1", hash_bits=1), "path", why="RFC 8446 §4.2.3 and RFC 6194: SHA-1 is broken" + READ)
WEAK = Party("weak root", rsa_key("x509 weak", 1024))
keep("weak-root", authority(WEAK, WEAK))
case("rsa-1024-authority", ["x509-algorithms"], ALG, "an authority with RSA of 1024 bits", [keep("leaf-weak", leaf(WEAK, label="leaf-weak"))], "path", bundles={"td.example": ["weak-root"]}, why="NIST SP 800-131A: at least 2048 bits" + READ)
one("rsa-1024-leaf", "x509-algorithms", ALG, "a leaf with RSA of 1024 bits", leaf(ROOT, label="rsa-1024-leaf", key=rsa_key("x509 weak", 1024)), "algorithm", why="NIST SP 800-131A: at least 2048 bits")
case("rsa-sha1", ["x509-algorithms"], ALG, "RSA with SHA-1", [keep("leaf-rsa-sha1", leaf(PSS, label="leaf-rsa-sha1", hash_bits=1))], "path", bundles={"td.example": ["rsa-root"]}, why="RFC 6194: SHA-1 is broken" + READ)
one("algorithms-differ", "x509-path", "RFC 5280 §4.1.1.2", "one algorithm inside the certificate, another outside", leaf(ROOT, label="algorithms-differ", inner=seq(oid("1.2.840.10045.4.3.3"))), "format", why="RFC 5280 §4.1.1.2: MUST be the same")
K1 = ec_key("x509 k1", "secp256k1")
one("leaf-curve", "x509-algorithms", ALG, "a leaf with a key on secp256k1", leaf(ROOT, label="leaf-curve", key=K1), "algorithm", why=ALG)

# ---- forms
one("critical-unknown", "x509-path", "RFC 5280 §6.1.5(f)", "an unknown critical extension", leaf(ROOT, label="critical-unknown", extra=[ext("1.3.6.1.4.1.99999.1", b"\x05\x00", True)]), "path", why="RFC 5280 §6.1.5(f); reading alone does not look")
good = leaf(ROOT, label="leaf")
one("trailing", "x509-trailing", "RFC 5280 §4.1", "a byte behind the certificate", good + b"\x00", "format", why="decision: fail closed")
one("trailing-certificate", "x509-trailing", "RFC 5280 §4.1", "a second certificate behind the first, in one element", good + good, "format", why="decision: fail closed")
one("trailing-inside", "x509-trailing", "RFC 5280 §4.1", "an element behind the extensions", leaf(ROOT, label="trailing-inside", tbs_tail=b"\x05\x00"), "format", why="RFC 5280 §4.1 has nothing there")
one("cut", "x509-trailing", "RFC 5280 §4.1", "a certificate that is cut off", good[:-1], "format", why="decision: fail closed")
one("nothing", "x509-trailing", "RFC 5280 §4.1", "an element of nothing", b"", "format", why="no certificate")
one("garbage", "x509-unparsable", "RFC 5280 §4.1", "something else", b"\xff" * 64, "format", why="no certificate")
one("pem", "x509-unparsable", "RFC 5280 §4.1", "PEM where DER belongs", b"-----BEGIN CERTIFICATE-----\n", "format", why="no certificate")
case("no-certificate", ["x509-path"], "X509-SVID §5.1", "an empty chain", [], "format", why="no certificate")
through("intermediate-garbage", "x509-unparsable", "RFC 5280 §4.1", "garbage where an intermediate belongs", b"\x30\x03\x02\x01\x00", "format", why="decision: fail closed")
one("length-long-form", "x509-unparsable", "X.690 §10.1", "a length in more bytes than it needs", b"\x30\x83\x00" + good[2:4] + good[4:], "format", why="X.690 §10.1: DER is minimal")
one("v1", "x509-uri-san", "RFC 5280 §4.1.2.1", "a certificate of version 1", certificate(ROOT, dn(CN="w"), ec_key("x509 leaf"), [], label="v1", version=0), "format", why="RFC 5280 §4.1.2.1: names are extensions, and extensions are of version 3")
one("v1-extensions", "x509-unparsable", "RFC 5280 §4.1.2.1", "version 1 with extensions", leaf(ROOT, label="v1-extensions", version=0), "format", why="RFC 5280 §4.1.2.1: MUST be version 3")
one("v2-extensions", "x509-unparsable", "RFC 5280 §4.1.2.1", "version 2 with extensions", leaf(ROOT, label="v2-extensions", version=1), "format", why="RFC 5280 §4.1.2.1: MUST be version 3")
one("v5", "x509-unparsable", "RFC 5280 §4.1.2.1", "a version that there is not", leaf(ROOT, label="v5", version=4), "format", why="RFC 5280 §4.1.2.1")
one("extension-twice", "x509-unparsable", "RFC 5280 §4.2", "an unknown extension twice", leaf(ROOT, label="extension-twice", extra=[ext("1.3.6.1.4.1.99999.1", b"\x05\x00")] * 2), "format", why="RFC 5280 §4.2: not more than one instance")
one("serial-negative", "x509-unparsable", "RFC 5280 §4.1.2.2", "a negative serial number", leaf(ROOT, label="serial-negative", serial=-5), why="RFC 5280 §4.1.2.2: users SHOULD be prepared to handle them gracefully")
one("serial-zero", "x509-unparsable", "RFC 5280 §4.1.2.2", "the serial number 0", leaf(ROOT, label="serial-zero", serial=0), why="RFC 5280 §4.1.2.2: users SHOULD be prepared to handle them gracefully")
one("serial-long", "x509-unparsable", "RFC 5280 §4.1.2.2", "a serial number of 21 bytes", leaf(ROOT, label="serial-long", serial=1 << 160), "format", why="RFC 5280 §4.1.2.2: at most 20 octets")
one("serial-padded", "x509-unparsable", "X.690 §8.3.2", "a serial number with a zero too many", leaf(ROOT, label="serial-padded", serial=b"\x02\x03\x00\x00\x05"), "format", why="X.690 §8.3.2")
one("key-unparsable", "x509-unparsable", "RFC 5280 §4.1.2.7", "a public key that is none", leaf(ROOT, label="key-unparsable", spki_der=seq(seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")), bits(b"\x04" + b"\x01" * 64))), "algorithm", why="RFC 5480 §2.2: a point on the curve")

# ---- too many of one name
CROWD = [Party(f"crowd {i}", subject=ROOT.subject) for i in range(110)]
crowd = [keep(party.label.replace(" ", "-"), authority(party, party, names=None, ski=None, usage=ku("keyCertSign"))) for party in CROWD]
case("same-subject-crowd", ["x509-issue-serial-number"], "decision: same-subject roots", "110 authorities of one name before the right one: more than a verifier tries, which is why ours all have names of their own", ["leaf"], "path",
     bundles={"td.example": crowd + ["root"]}, why="a bound on signatures that a stranger makes us check")

# ---- issuing: inputs for whoever issues, judged by what comes out
T.shared["keys"] |= {"authority": b64(pkcs8(ROOT.key))}
USAGE_LEAF, USAGE_CA = ku("digitalSignature").hex(), ku("keyCertSign", "cRLSign").hex()
PURPOSE_LEAF = eku("serverAuth", "clientAuth").hex()
SKI, AKI = oid("2.5.29.14").hex(), oid("2.5.29.35").hex()


def issue(id, rules, clause, comment, reason=None, ends=90 * DAY, ttl=HOUR, domain="td.example", workload=ID, age=0, longest=None, **facts):
    request = {"authority": {"trust-domain": domain, "made": NOW - age, "not-after": NOW - age + ends}, "id": workload, "ttl": ttl}
    T.add(id, rules, clause, comment, "issue", request, "refuse" if reason else "accept", reason, now=NOW, **facts)


issue("issue", ["x509-issue"], "X509-SVID §2 to §4", "what a leaf looks like: two of them in a row have different random serial numbers", not_before=NOW - 10, not_after=NOW + HOUR, serials_random=True,
      leaf_contains=[USAGE_LEAF, PURPOSE_LEAF, SKI, AKI, ext("2.5.29.17", seq(uri(ID)), True).hex()], authority_contains=[USAGE_CA, SKI, uri("spiffe://td.example").hex()])
issue("issue-end", ["x509-issue-end"], "decision: lifetimes", "an authority that ends in half an hour issues for half an hour", ends=2 * DAY, age=2 * DAY - HOUR // 2, not_after=NOW + HOUR // 2)
issue("issue-after-end", ["x509-issue-end"], "decision: lifetimes", "an authority that is over issues nothing", "expired", ends=DAY, age=DAY + 1)
issue("issue-before-start", ["x509-issue-end"], "decision: lifetimes", "an authority that has not begun issues nothing", "not-yet-valid", age=-HOUR)
issue("issue-no-path", ["x509-issue"], "X509-SVID §3.1", "no leaf has the ID of an authority", "role", workload="spiffe://td.example")
issue("issue-other-domain", ["x509-issue"], "SPIFFE-ID §3.1", "no authority issues for another trust domain", "trust-domain", workload="spiffe://foreign.example/w")
issue("issue-no-life", ["x509-issue"], "RFC 5280 §4.1.2.5", "a life of nothing", "request", ttl=0)
issue("issue-too-long", ["x509-issue"], "decision: lifetimes", "a leaf lives a day at most", "request", ttl=DAY + 1)
issue("issue-serial-number", ["x509-issue-serial-number"], "decision: same-subject roots", "two authorities of one subject have different names", subjects_differ=True)


def subject(id, comment, fields, reason=None):
    T.add(f"subject-{id}", ["x509-subject-fields"], "RFC 5280 appendix A.1", comment, "subject", {"fields": {f"subject-{name}": value for name, value in fields.items()}}, "refuse" if reason else "accept", reason)


LONG = {"organization": 64, "organizational-unit": 64, "common-name": 64, "locality": 128, "province": 128}
subject("none", "no field", {})
subject("all", "every field at its upper bound", {"country": "SE"} | {name: "x" * length for name, length in LONG.items()})
subject("characters", "bounds count characters, not bytes", {"organization": "\u00e5" * 64})
subject("spaces", "spaces and signs inside", {"organization": "M\u00fcller & S\u00f6hne, Inc. + =", "country": "de"})
for name, length in LONG.items():
    subject(f"{name}-long", "a character more than the upper bound", {name: "x" * (length + 1)}, "configuration")
    subject(f"{name}-empty-value", "an empty value", {name: ""}, "configuration")
for name, value in {"one": "S", "three": "SWE", "name": "Sweden", "digits": "46", "wide": "\u00c5\u00c4", "blank": "", "space": "S "}.items():
    subject(f"country-{name}", "a country has two letters", {"country": value}, "configuration")
subject("control", "control characters fool programs that show names", {"common-name": "a\u0000b"}, "configuration")


def rotation(id, comment, probes, reason=None, until=None, ttl=90):
    request = {"ttl-days": ttl, "probes": [NOW + int(days * DAY) for days, *_ in probes]} | ({"runs-until": NOW + until * DAY} if until is not None else {})
    facts = {} if reason else {"states": [{"published": published, "signs": signs} for _, published, signs in probes]}
    T.add(f"rotation-{id}", ["x509-rotation"], "SPIFFE Federation §4.1", comment, "rotation", request, "refuse" if reason else "accept", reason, now=NOW, **facts)


rotation("life", "90 days: the next authority is published a day before it signs, the last one stays four days longer",
         [(0, [1], 1), (83.9, [1], 1), (84, [1, 2], 1), (84.9, [1, 2], 1), (85, [1, 2], 2), (88.9, [1, 2], 2), (89, [2], 2), (168, [2, 3], 2), (169, [2, 3], 3), (173, [3], 3)])
rotation("short", "the shortest life, 12 days", [(0, [1], 1), (6, [1, 2], 1), (7, [1, 2], 2), (11, [2], 2), (12, [2, 3], 2)], ttl=12)
rotation("stopped", "nobody ran the schedule: once the last authority is over, nothing is issued", [(0, [1], 1), (91, [], 0)], "expired", until=10)

T.write()
