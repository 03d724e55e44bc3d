"""Writes bundle.json and federation.json."""

import json

from forge import DAY, NOW, Table, b64, b64u, ec_key, jose_sign, jwk, rsa_key
from x509 import Party, authority, leaf

ROOT, NEXT, FOREIGN = Party("root"), Party("next root"), Party("foreign root")
CERTIFICATES = {
    "root": authority(ROOT, ROOT), "next-root": authority(NEXT, NEXT), "foreign-root": authority(FOREIGN, FOREIGN, id="spiffe://foreign.example"),
    "leaf": leaf(ROOT, label="leaf", end=NOW + 7 * DAY), "leaf-next": leaf(NEXT, label="leaf-next", end=NOW + 7 * DAY),
}
JWT, JWT_NEXT = ec_key("bundle jwt"), ec_key("bundle jwt next")
ID = "spiffe://td.example/w"


def token(key, kid):
    signed = f"{b64u(json.dumps({'alg': 'ES256', 'kid': kid}))}.{b64u(json.dumps({'sub': ID, 'aud': 'reports', 'exp': NOW + 7 * DAY}))}"
    return f"{signed}.{b64u(jose_sign(key, 'ES256', signed.encode()))}"


TOKENS = {"token": token(JWT, "jwt-1"), "token-next": token(JWT_NEXT, "jwt-2"), "token-named-like-authority": token(JWT, "authority")}


def x509_entry(name, party, **members):
    return jwk(party.key, use="x509-svid", x5c=[b64(CERTIFICATES[name])]) | members


def without(entry, *names):
    return {name: value for name, value in entry.items() if name not in names}


A, A_NEXT = x509_entry("root", ROOT), x509_entry("next-root", NEXT)
J, J_NEXT = jwk(JWT, use="jwt-svid", kid="jwt-1"), jwk(JWT_NEXT, use="jwt-svid", kid="jwt-2")
POST_QUANTUM = {"kty": "AKP", "alg": "ML-DSA-65", "use": "jwt-svid", "kid": "pq", "pub": "AAAA"}


def doc(*keys, sequence=None, hint=None, **more):
    body = ({} if sequence is None else {"spiffe_sequence": sequence}) | ({} if hint is None else {"spiffe_refresh_hint": hint})
    return json.dumps(body | {"keys": list(keys)} | more)


T = Table("bundle", certificates={name: b64(der) for name, der in CERTIFICATES.items()}, tokens=TOKENS)
B = "SPIFFE Bundle"


# Where another reads otherwise.
WHY = {
    "bundle-form": f"{B} §4.1.3: what cannot be used is ignored, not the whole bundle",
    "bundle-sequence": f"{B} §4.1.1: its value MUST be an integer",
    "bundle-hint": f"{B} §4.1.2: an interval is not negative",
    "bundle-unknown-type": f"{B} §4.1.3, §4.2.1: the element MUST be ignored, not the whole bundle",
    "bundle-unknown-use": f"{B} §4.2.2: the element MUST be ignored, not the whole bundle",
    "bundle-x5c": "X509-SVID §6.2: the entry MUST be ignored, not the whole bundle",
    "bundle-jwt-kid": f"{B} §4.1.3: what cannot be used is ignored, not the whole bundle",
    "bundle-duplicates": f"RFC 7517 §4, §5: a reader may refuse duplicates or take the last; {B} §6.3 tells why to refuse",
}


def read(id, rules, clause, comment, document, reason=None, **facts):
    if isinstance(rules, str) and rules in WHY:
        facts.setdefault("why", WHY[rules])
    T.add(id, rules, clause, comment, "read", {"trust-domain": "td.example", "document": document}, "refuse" if reason else "accept", reason, **facts)


def use(id, rules, clause, comment, document, chain=None, token=None, reason=None, domain="td.example"):
    what = {"chain": [chain]} if chain else {"token": token, "audiences": ["reports"]}
    T.add(id, rules, clause, comment, "verify-x509" if chain else "verify-jwt", {"trust-domain": domain, "document": document, **what},
          "refuse" if reason else "accept", reason, now=NOW, **({} if reason else {"subject": ID}))


# form
read("whole", ["bundle-form", "bundle-keys", "bundle-sequence", "bundle-hint"], f"{B} §4.1", "authorities of both kinds, sequence and hint", doc(A, A_NEXT, J, sequence=7, hint=600),
     x509=2, jwt=["jwt-1"], sequence=7, refresh_hint=600, skipped=0)
read("unknown-members", "bundle-form", "RFC 7517 §5", "members that nobody knows, beside and inside the entries", doc({**A, "x-note": 1}, {**J, "x-note": {"y": []}}, x_note={"keys": []}), x509=1, jwt=["jwt-1"])
for name, document in {"nothing": "", "text": "bundle", "list": "[]", "null": "null", "cut": doc(A)[:-1], "two": doc(A) + doc(A), "pem": "-----BEGIN CERTIFICATE-----", "comma": '{"keys":[],}'}.items():
    read(f"form-{name}", "bundle-form", f"{B} §4", "not one JSON object", document, "format")
T.add("form-bytes", "bundle-form", f"{B} §4", "not UTF-8", "read", {"trust-domain": "td.example", "document-base64": b64(b'{"keys":[],"a\xff":1}')}, "refuse", "format")
read("many", "bundle-form", "decision: bounds", "1024 entries", '{"keys":[' + ",".join(["{}"] * 1024) + "]}", x509=0, jwt=[], skipped=1024)
read("too-many", "bundle-form", "decision: bounds", "1025 entries", '{"keys":[' + ",".join(["{}"] * 1025) + "]}", "limit")

# sequence and hint
for name, value in {"zero": 0, "most": 2**64 - 1}.items():
    read(f"sequence-{name}", "bundle-sequence", f"{B} §4.1.1", "64 bits", doc(J, sequence=value), sequence=value)
read("sequence-absent", "bundle-sequence", f"{B} §4.1.1", "SHOULD be set", doc(J), jwt=["jwt-1"])
for name, value in {"over": 2**64, "negative": -1, "fraction": 1.5, "float": 1.0, "text": "1", "true": True, "list": [1]}.items():
    read(f"sequence-{name}", "bundle-sequence", f"{B} §4.1.1", "not an integer of 64 bits", doc(J, sequence=value), "format")
    read(f"hint-{name}", "bundle-hint", f"{B} §4.1.2", "not an integer of seconds", doc(J, hint=value), "format")
read("sequence-null", "bundle-sequence", f"{B} §4.1.1", "null is not absent", '{"spiffe_sequence":null,"keys":[]}', "format")
read("hint-absent", "bundle-hint", f"{B} §6.1", "five minutes without a hint", doc(J), refresh_after=300)
read("hint", "bundle-hint", f"{B} §4.1.2", "the hint counts", doc(J, hint=60), refresh_after=60, refresh_hint=60)

# keys
read("keys-empty", ["bundle-keys", "bundle-empty"], f"{B} §4.1.3", "an empty list is a bundle", doc(sequence=9), x509=0, jwt=[], sequence=9, skipped=0)
read("keys-absent", "bundle-keys", f"{B} §4.1.3", "no `keys`", '{"spiffe_sequence":1}', "format")
for name, value in {"null": "null", "object": "{}", "text": '"x"', "number": "1"}.items():
    read(f"keys-{name}", "bundle-keys", "RFC 7517 §5.1", "`keys` is no list", '{"keys":' + value + "}", "format")
use("x509", ["bundle-empty", "bundle-bound", "bundle-x5c", "bundle-duplicates", "bundle-unknown-type"], f"{B} §4", "an X.509-SVID by its bundle", doc(A), "leaf")
use("jwt", ["bundle-empty", "bundle-bound", "bundle-jwt-kid", "bundle-x509-kid"], f"{B} §4", "a JWT-SVID by its bundle", doc(J), token="token")
use("x509-revoked", "bundle-empty", f"{B} §4.1.3", "an empty bundle refuses every X.509-SVID", doc(), "leaf", reason="path")
use("jwt-revoked", "bundle-empty", f"{B} §4.1.3", "an empty bundle refuses every JWT-SVID", doc(), token="token", reason="key")
use("x509-only", "bundle-empty", "JWT-SVID §6.2", "without JWT authorities there are no JWT-SVIDs", doc(A), token="token", reason="key")
use("jwt-only", "bundle-empty", "X509-SVID §6.2", "without X.509 authorities there are no X.509-SVIDs", doc(J), "leaf", reason="path")
use("x509-none-usable", ["bundle-empty", "bundle-unknown-type"], f"{B} §4.1.3", "a bundle that yields no usable key is as good as empty", doc({**A, "kty": "AKP"}), "leaf", reason="path")

# unknown types and uses
read("type-post-quantum", "bundle-unknown-type", f"{B} §4.2.1", "an ML-DSA key costs the others nothing", doc(POST_QUANTUM, A, J), x509=1, jwt=["jwt-1"], skipped=1)
for name, entry in {"oct": {"kty": "oct", "k": "AAAA", "use": "jwt-svid", "kid": "k"}, "none": without(J, "kty"), "number": {**J, "kty": 1}, "curve": {**J, "crv": "P-999"}, "okp": {"kty": "OKP", "crv": "Ed448", "x": "AA", "use": "jwt-svid", "kid": "k"},
                    "null": None, "text": "key", "weak": jwk(rsa_key("jwt weak", 1024), use="jwt-svid", kid="weak"), "private": {**J, "d": J["x"]}}.items():
    read(f"type-{name}", "bundle-unknown-type", f"{B} §4.1.3, §4.2.1", "an entry that is no usable key is skipped", doc(entry, J_NEXT), x509=0, jwt=["jwt-2"], skipped=1)
use("type-skipped-verifies-nothing", "bundle-unknown-type", f"{B} §4.2.1", "and verifies nothing", doc({**J, "kty": "AKP"}), token="token", reason="key")
use("type-beside", "bundle-unknown-type", f"{B} §4.2.1", "the others verify", doc(POST_QUANTUM, {"kty": "XYZ"}, J), token="token")
for name, entry in {"absent": without(J, "use"), "sig": {**J, "use": "sig"}, "upper": {**J, "use": "JWT-SVID"}, "unknown": {**J, "use": "ssh-svid"}, "empty": {**J, "use": ""}, "list": {**J, "use": ["jwt-svid"]}, "null": {**J, "use": None}}.items():
    read(f"use-{name}", "bundle-unknown-use", f"{B} §4.2.2", "an entry of unknown or missing use is skipped; uses are case-sensitive", doc(entry, J_NEXT), jwt=["jwt-2"], skipped=1)
    use(f"use-{name}-token", "bundle-unknown-use", f"{B} §4.2.2", "and verifies nothing", doc(entry, J_NEXT), token="token", reason="key")
use("use-other-kind", "bundle-unknown-use", "JWT-SVID §6.2", "the key of an X.509 authority verifies no token", doc({**J, "use": "x509-svid"}), token="token", reason="key")

# X.509 entries
def rewrite(id, rules, clause, comment, document, written):
    T.add(id, rules, clause, comment, "rewrite", {"trust-domain": "td.example", "document": document}, "accept", written=written)


read("x509-kid", "bundle-x509-kid", "X509-SVID §6.2", "a `kid` where none belongs does no harm", doc({**A, "kid": "authority"}), x509=1, skipped=0)
rewrite("x509-kid-written", "bundle-x509-kid", "X509-SVID §6.1", "but is not written", doc({**A, "kid": "authority"}), {"keys": [A]})
use("x509-kid-token", "bundle-x509-kid", "JWT-SVID §6.2", "and names no key for tokens", doc({**A, "kid": "authority"}), token="token-named-like-authority", reason="key")
read("x5c-several", "bundle-x5c", "X509-SVID §6.2", "of several certificates the first counts", doc({**A, "x5c": A["x5c"] + A_NEXT["x5c"]}), x509=1, skipped=0, why="X509-SVID §6.2: all but the first MUST be ignored")
use("x5c-several-first", "bundle-x5c", "X509-SVID §6.2", "the first verifies", doc({**A, "x5c": A["x5c"] + A_NEXT["x5c"]}), "leaf")
use("x5c-several-second", "bundle-x5c", "X509-SVID §6.2", "the second does not", doc({**A, "x5c": A["x5c"] + A_NEXT["x5c"]}), "leaf-next", reason="path")
rewrite("x5c-written", "bundle-x5c", "X509-SVID §6.1", "exactly one is written", doc({**A, "x5c": A["x5c"] + A_NEXT["x5c"]}), {"keys": [A]})
for name, entry in {"absent": without(A, "x5c"), "empty": {**A, "x5c": []}, "text": {**A, "x5c": A["x5c"][0]}, "garbage": {**A, "x5c": ["AAAA"]}, "not-base64": {**A, "x5c": ["-----"]}, "url-safe": {**A, "x5c": ["-_-_"]},
                    "leaf": {**jwk(ec_key("x509 leaf")), "use": "x509-svid", "x5c": [b64(CERTIFICATES["leaf"])]}}.items():
    read(f"x5c-{name}", "bundle-x5c", "X509-SVID §6.2", "an entry without the certificate of an authority is skipped", doc(entry, A_NEXT), x509=1, skipped=1)
    use(f"x5c-{name}-chain", "bundle-x5c", "X509-SVID §6.2", "and verifies nothing", doc(entry, A_NEXT), "leaf", reason="path")
read("x5c-other-key", "bundle-x5c", "RFC 7517 §4.7", "a certificate for another key than the entry's own", doc({**A, "x5c": A_NEXT["x5c"]}, J), x509=0, jwt=["jwt-1"], skipped=1)

# JWT entries
read("jwt-no-kid", "bundle-jwt-kid", "JWT-SVID §6.1", "an entry without `kid` is skipped and costs the others nothing", doc(without(J, "kid"), J_NEXT), jwt=["jwt-2"], skipped=1,)
read("jwt-empty-kid", "bundle-jwt-kid", "JWT-SVID §6.1", "an empty `kid` is none", doc({**J, "kid": ""}, J_NEXT), jwt=["jwt-2"], skipped=1)
use("jwt-no-kid-token", "bundle-jwt-kid", "JWT-SVID §6.1", "and verifies nothing", doc(without(J, "kid")), token="token", reason="key")
rewrite("post-quantum-not-written", "bundle-unknown-type", f"{B} §4.2", "what was skipped is not written, a post-quantum key no more than anything else", doc(POST_QUANTUM, A, J, sequence=3, hint=60), {"spiffe_sequence": 3, "spiffe_refresh_hint": 60, "keys": [A, J]})
rewrite("empty-written", "bundle-keys", f"{B} §4.1.3", "an empty bundle is written with `keys`", doc(), {"keys": []})
WIT = {**J, "use": "wit-svid", "kid": "wit-1"}
read("wit", "bundle-wit", "WIT-SVID §6", "a `wit-svid` entry is no JWT authority", doc(WIT, J), jwt=["jwt-1"], x509=0)
use("wit-token", "bundle-wit", "WIT-SVID §6", "and verifies no JWT-SVID", doc({**J, "use": "wit-svid"}), token="token", reason="key")

# rotation
use("rotation-old", "bundle-empty", "SPIFFE Federation §4.1", "both published: the old one's leaf", doc(A, A_NEXT), "leaf")
use("rotation-new", "bundle-empty", "SPIFFE Federation §4.1", "both published: the new one's token", doc(J, J_NEXT), token="token-next")
use("rotation-gone", "bundle-empty", f"{B} §4.1.3", "the old one withdrawn", doc(A_NEXT), "leaf", reason="path")

# duplicates
plain = doc(A, J, sequence=1)
for name, document in {"keys": plain[:-1] + ',"keys":[]}', "sequence": '{"spiffe_sequence":9,' + plain[1:], "escaped": '{"k\\u0065ys":[],' + plain[1:], "other": '{"a":1,"a":2,' + plain[1:]}.items():
    read(f"duplicates-{name}", "bundle-duplicates", "RFC 7517 §5", "a member of the bundle occurs twice", document, "duplicate")
entry = json.dumps(J)
for name, bent in {"kid": '{"kid":"x",' + entry[1:], "x": '{"x":"AA",' + entry[1:]}.items():
    document = '{"keys":[' + bent + "," + json.dumps(J_NEXT) + "]}"
    read(f"duplicates-entry-{name}", "bundle-duplicates", "RFC 7517 §4", "a member of an entry occurs twice: the entry is skipped", document, jwt=["jwt-2"], skipped=1)
    use(f"duplicates-entry-{name}-token", "bundle-duplicates", "RFC 7517 §4", "and verifies nothing", document, token="token", reason="key")

# rollback
def replace(id, comment, held, offered, reason=None, **facts):
    T.add(f"replace-{id}", "bundle-rollback", f"{B} §4.1.1, SPIFFE Federation §4.2", comment, "replace", {"trust-domain": "td.example", "held": held, "offered": offered}, "refuse" if reason else "accept", reason, **facts)


replace("higher", "a higher number follows", doc(A, sequence=1), doc(A_NEXT, sequence=2), sequence=2)
replace("jump", "numbers may jump", doc(A, sequence=1), doc(A_NEXT, sequence=2**64 - 1), sequence=2**64 - 1)
replace("same", "the same bundle again", doc(A, sequence=5), doc(A, sequence=5), sequence=5)
replace("unannounced", "another content under the same number: taken, because refusing would keep revoked keys alive", doc(A, sequence=5), doc(A_NEXT, sequence=5), sequence=5)
replace("lower", "a lower number: rollback", doc(A, sequence=5), doc(A_NEXT, sequence=4), "rollback")
replace("zero", "back to zero", doc(A, sequence=1), doc(A, sequence=0), "rollback")
replace("lower-same-keys", "a lower number over the same keys", doc(A, sequence=5), doc(A, sequence=4), "rollback")
replace("no-numbers", "without numbers the last one fetched counts", doc(A), doc(A_NEXT))
replace("number-lost", "a bundle without a number follows any other", doc(A, sequence=5), doc(A_NEXT))
replace("number-gained", "and any other follows it", doc(A), doc(A_NEXT, sequence=0), sequence=0)
replace("revoked", "everything revoked", doc(A, sequence=5), doc(sequence=6), sequence=6)
replace("revoked-rollback", "and not taken back by an older bundle", doc(sequence=6), doc(A, sequence=5), "rollback")

# maps
def mapped(**bundles):
    return json.dumps({"trust_domains": {name.replace("_", "."): json.loads(document) for name, document in bundles.items()}})


def bundle_map(id, rules, clause, comment, document, reason=None, **facts):
    T.add(f"map-{id}", rules, clause, comment, "map", {"document": document}, "refuse" if reason else "accept", reason, **facts)


BOTH = mapped(td_example=doc(A, J, sequence=1), foreign_example=doc(x509_entry("foreign-root", FOREIGN)))
bundle_map("two", ["bundle-map", "bundle-map-duplicates", "bundle-map-atomic"], f"{B} §5.1.1", "two trust domains", BOTH, trust_domains=["foreign.example", "td.example"])
bundle_map("empty", "bundle-map", f"{B} §5.1.1", "it may be empty", '{"trust_domains":{}}', trust_domains=[])
bundle_map("hint", "bundle-map", f"{B} §5.1.1", "a hint in a bundle of a map does not count", mapped(td_example=doc(A, hint=5)), trust_domains=["td.example"], refresh_hints=[None])
bundle_map("absent", "bundle-map", f"{B} §5.1.1", "no `trust_domains`", "{}", "format")
bundle_map("list", "bundle-map", f"{B} §5.1.1", "`trust_domains` is no object", '{"trust_domains":[]}', "format")
bundle_map("no-json", "bundle-map", f"{B} §5.1", "no JSON", "map", "format")
for name, text in {"upper": "TD.example", "id": "spiffe://td.example", "empty": "", "path": "td/x"}.items():
    bundle_map(f"name-{name}", "bundle-map", f"{B} §5.1.1, SPIFFE-ID §2.1", "a name that is no trust domain", json.dumps({"trust_domains": {text: {"keys": []}}}), "id")
one = '"td.example":' + doc(A)
bundle_map("duplicates", "bundle-map-duplicates", f"{B} §5.1.1, §6.3", "a trust domain twice", '{"trust_domains":{' + one + "," + one + "}}", "duplicate")
bundle_map("duplicates-escaped", "bundle-map-duplicates", f"{B} §5.1.1, §6.3", "twice, once with an escape", '{"trust_domains":{' + one + ',"td\\u002eexample":{"keys":[]}}}', "duplicate")
bundle_map("duplicates-outside", "bundle-map-duplicates", f"{B} §6.3", "`trust_domains` twice", '{"trust_domains":{},"trust_domains":{' + one + "}}", "duplicate")
bundle_map("one-bad", "bundle-map-atomic", f"{B} appendix B.1", "one bundle that is none refuses the map", '{"trust_domains":{' + one + ',"x.example":{}}}', "format")


def replace_map(id, comment, held, offered, reason=None, **facts):
    T.add(f"map-replace-{id}", "bundle-map-atomic", f"{B} appendix B.1", comment, "replace-map", {"held": held, "offered": offered}, "refuse" if reason else "accept", reason, **facts)


replace_map("whole", "the new map is the state of the world: what it lacks is gone", BOTH, mapped(td_example=doc(A, sequence=2), new_example=doc()), trust_domains=["new.example", "td.example"])
replace_map("rollback", "one bundle that goes back keeps all the others out", mapped(a_example=doc(sequence=1), b_example=doc(sequence=5)), mapped(a_example=doc(sequence=2), b_example=doc(sequence=4)), "rollback")
use("bound", "bundle-bound", f"{B} §4", "the keys count for the trust domain that the bundle is stored with", doc(A), "leaf")
use("bound-other", "bundle-bound", f"{B} §4, SPIFFE Federation §5.1", "and for no other", doc(A), "leaf", reason="trust-domain", domain="foreign.example")
use("bound-other-jwt", "bundle-bound", f"{B} §4, SPIFFE Federation §5.1", "nor do its JWT authorities", doc(J), token="token", reason="trust-domain", domain="foreign.example")

# ---------------------------------------------------------------- federation
F = Table("federation", certificates={name: b64(der) for name, der in CERTIFICATES.items()}, tokens=TOKENS)
S = "SPIFFE Federation"
URL, SERVER = "https://td.example/bundle", "spiffe://td.example/spire/server"
ONE, TWO, BOTH_KEYS = doc(A, J, sequence=1, hint=600), doc(A_NEXT, J_NEXT, sequence=3, hint=600), doc(A, A_NEXT, J, J_NEXT, sequence=2, hint=600)


def endpoint(id, rules, clause, comment, reason=None, **fields):
    fields = {"trust-domain": "td.example", "url": URL, "profile": "https_web"} | {name.replace("_", "-"): value for name, value in fields.items()}
    F.add(f"endpoint-{id}", rules, clause, comment, "endpoint", {name: value for name, value in fields.items() if value is not ...}, "refuse" if reason else "accept", reason)


endpoint("web", ["federation-endpoint", "federation-profile"], f"{S} §5.2.1", "URL, profile and trust domain")
for name, url in {"port": "https://td.example:8443/b", "address": "https://192.0.2.7/b", "address-6": "https://[2001:db8::1]:8443/b", "query": "https://td.example/b?x=1", "other-host": "https://mypage.example/alice/bundle", "bare": "https://td.example"}.items():
    endpoint(f"url-{name}", "federation-endpoint", f"{S} §5.2.1.1", "other components are not constrained, and the host has nothing to do with the trust domain", url=url)
for name, url in {"http": "http://td.example/b", "none": "td.example/b", "userinfo": "https://u:p@td.example/b", "user": "https://u@td.example/b", "empty": "", "no-host": "https:///b", "spiffe": "spiffe://td.example/b", "space": "https://td.example/a b",
                  "port-wrong": "https://td.example:99999/", "ftp": "ftp://td.example/b", "newline": "https://td.example/b\n"}.items():
    endpoint(f"url-{name}", "federation-endpoint", f"{S} §5.2.1.1", "scheme `https`, no user information, a URL", "endpoint", url=url)
for name in ("url", "profile", "trust_domain"):
    endpoint(f"no-{name.replace('_', '-')}", "federation-endpoint" if name != "profile" else "federation-profile", f"{S} §5.1, §7.2", "nothing is inferred from the rest", "configuration", **{name: ...})
endpoint("trust-domain-wrong", "federation-endpoint", "SPIFFE-ID §2.1", "not a trust domain", "configuration", trust_domain="TD")
for name in ("https", "http_web", "HTTPS_WEB", ""):
    endpoint(f"profile-{name.lower().replace('_', '-') or 'empty'}", "federation-profile", f"{S} §5.2", "there are two profiles", "configuration", profile=name)
endpoint("spiffe", ["federation-spiffe", "federation-profile"], f"{S} §5.2.2.2", "self-serving: an ID and a bundle", profile="https_spiffe", endpoint_id=SERVER, bootstrap=ONE)
endpoint("spiffe-other-domain", "federation-spiffe", f"{S} §5.2.2.2", "served by another trust domain: its bundle comes from elsewhere", profile="https_spiffe", endpoint_id="spiffe://foreign.example/server")
endpoint("spiffe-no-id", "federation-spiffe", f"{S} §5.2.2.2", "without the endpoint's ID", "configuration", profile="https_spiffe", bootstrap=ONE)
endpoint("spiffe-no-bundle", "federation-spiffe", f"{S} §5.2.2.2", "self-serving without a bundle to begin with", "configuration", profile="https_spiffe", endpoint_id=SERVER)
endpoint("spiffe-empty-bundle", "federation-spiffe", f"{S} §5.2.2.2", "a bundle to begin with that cannot verify anybody", "configuration", profile="https_spiffe", endpoint_id=SERVER, bootstrap=doc(J))
endpoint("spiffe-root-id", "federation-spiffe", "X509-SVID §5.2", "an ID that no leaf has", "configuration", profile="https_spiffe", endpoint_id="spiffe://td.example", bootstrap=ONE)
endpoint("spiffe-bad-id", "federation-spiffe", "SPIFFE-ID §2", "no SPIFFE ID", "configuration", profile="https_spiffe", endpoint_id="https://td.example/server", bootstrap=ONE)
endpoint("web-with-id", "federation-profile", f"{S} §5.2.1.2", "an ID that `https_web` would not look at: one of the two is a mistake", "configuration", endpoint_id=SERVER)
endpoint("web-with-bundle", "federation-profile", f"{S} §5.2.1.2", "a bundle that `https_web` would not look at", "configuration", bootstrap=ONE)

WEB = {"trust-domain": "td.example", "url": URL, "profile": "https_web"}
SPIFFE = {**WEB, "profile": "https_spiffe", "endpoint-id": SERVER, "bootstrap": doc(A, sequence=1)}
ABROAD = {**WEB, "profile": "https_spiffe", "endpoint-id": "spiffe://foreign.example/server"}


def script(id, rules, clause, comment, relationship, events, reason=None):
    events = [{"at": at, "do": do, **more} for at, do, more in events]
    F.add(id, rules, clause, comment, "script", {"relationship": relationship, "events": events}, "refuse" if reason else "accept", reason, now=NOW)


def fetch(at, authenticate="web", url=URL):
    return at, "poll", {"fetch": {"url": url, "authenticate": authenticate}}


def wait(at, until):
    return at, "poll", {"wait-until": until}


def answer(at, document):
    return at, "answer", {"document": document}


def fail(at):
    return at, "fail", {}


def redirect(at, location, to=None, status=302):
    return at, "redirect", {"status": status, "location": location, **({"to": to} if to else {})}


def status(at, **facts):
    return at, "status", {"is": {name.replace("_", "-"): value for name, value in facts.items()}}


def verify(at, chain=None, token=None):
    return at, "verify", {"chain": [chain]} if chain else {"token": token, "audiences": ["reports"]}


def by(authorities, id=SERVER):
    return {"id": id, **authorities}


start = [fetch(0), answer(1, ONE)]
script("poll-hint", ["federation-poll", "federation-last-good", "federation-endpoint"], f"{S} §4.1", "fetched at once, and again after the hint", WEB,
       start + [status(1, state="current", sequence=1), wait(1, 601), wait(600, 601), fetch(601), answer(602, BOTH_KEYS), status(602, state="current", sequence=2), wait(602, 1202)])
script("poll-default", "federation-poll", f"{S} §4.1", "five minutes without a hint", WEB, [fetch(0), answer(1, doc(A, sequence=1)), wait(1, 301), fetch(301)])
script("poll-hint-tiny", "federation-poll", "decision: bounds", "a hint of a second does not make us hammer the endpoint", WEB, [fetch(0), answer(1, doc(A, hint=1)), wait(1, 61)])
script("poll-hint-huge", "federation-poll", "decision: bounds", "nor does a hint of a year make us forget it", WEB, [fetch(0), answer(1, doc(A, hint=31_536_000)), wait(1, 3601)])
script("poll-one-at-a-time", "federation-poll", f"{S} §6.2", "no second fetch beside one that is under way", WEB, [fetch(0), wait(1, 30)])
script("poll-not-json", "federation-poll", f"{S} §5.2.1.4", "what comes is no bundle", WEB, [fetch(0), answer(1, "<html>")], "format")
script("poll-no-keys", "federation-poll", "SPIFFE Bundle §4.1.3", "a document without `keys` is none", WEB, start + [fetch(601), answer(602, "{}")], "format")
script("failure", ["federation-failure", "federation-last-good"], f"{S} §6.2", "after a failure the next interval is waited for, and the last bundle serves on", WEB,
       start + [fetch(601), fail(602), wait(602, 1202), status(602, state="current", sequence=1, failed=True), verify(602, "leaf"), fetch(1202), answer(1203, BOTH_KEYS), status(1203, state="current", sequence=2, failed=False)])
script("failure-first", "federation-failure", f"{S} §6.2", "a first fetch that failed is tried again after a minute, not at once", WEB, [fetch(0), fail(1), wait(1, 61), status(1, state="waiting", failed=True), fetch(61)])
script("failure-broken-answer", "federation-failure", f"{S} §6.2", "a broken answer counts as a failure: nothing before the next interval", WEB, start + [fetch(601), answer(602, "x")], "format")
script("failure-first-verify", "federation-last-good", f"{S} §6.1", "before the first fetch nothing is verified", WEB, [fetch(0), fail(1), verify(1, "leaf")], "trust-domain")
script("age", "federation-last-good", f"{S} §6.2", "its age is visible", WEB, start + [status(1, state="current", age=0), status(500, age=499, sequence=1)])
script("max-age-before", "federation-last-good", "decision: greatest age", "a second before its greatest age, a day, the last bundle serves", WEB, start + [status(86400, state="current", age=86399), verify(86400, "leaf")])
script("max-age", "federation-last-good", "decision: greatest age", "from then on nothing of the trust domain is accepted", WEB, start + [status(86401, state="expired", age=86400), verify(86401, "leaf")], "expired")
script("max-age-jwt", "federation-last-good", "decision: greatest age", "no token either", WEB, start + [verify(86401, token="token")], "expired")
script("max-age-recovers", "federation-last-good", "decision: greatest age", "the next good answer ends it", WEB, start + [fetch(90000), answer(90001, ONE), status(90001, state="current", age=0), verify(90001, "leaf")])
script("rollback", ["federation-last-good", "bundle-rollback"], f"{S} §4.2", "a bundle whose sequence goes back is refused", WEB, [fetch(0), answer(1, TWO), fetch(601), answer(602, ONE)], "rollback")
script("rollback-reported", ["federation-failure"], f"{S} §4.2", "it is reported, counts as a failure, and the newer one stays", WEB,
       [fetch(0), answer(1, TWO), fetch(601), (602, "answer", {"document": ONE, "refused": "rollback"}), status(602, state="current", sequence=3, failed=True, rolled_back_to=1), verify(602, "leaf-next"), wait(602, 1202)])
script("rollback-verify", ["federation-last-good"], f"{S} §4.2", "what the older bundle would bring back is not accepted", WEB, [fetch(0), answer(1, TWO), fetch(601), (602, "answer", {"document": ONE, "refused": "rollback"}), verify(602, "leaf")], "path")
script("number-lost", ["bundle-rollback"], "decision: a bundle without a number does not make the numbers before it forgotten", "3, then none, then 1", WEB,
       [fetch(0), answer(1, TWO), fetch(601), answer(602, doc(A_NEXT, hint=600)), status(602, state="current", sequence=None), fetch(1202), answer(1203, ONE)], "rollback")
script("revoked", "federation-last-good", "SPIFFE Bundle §4.1.3", "an empty bundle refuses everything within one refresh", WEB, start + [verify(600, "leaf"), fetch(601), answer(602, doc(sequence=2)), status(602, state="current", sequence=2, revoked=True), verify(602, "leaf")], "path")
script("revoked-jwt", "federation-last-good", "SPIFFE Bundle §4.1.3", "tokens too", WEB, start + [verify(600, token="token"), fetch(601), answer(602, doc(sequence=2)), verify(602, token="token")], "key")

# redirects
R = f"{S} §5.2.1.4"
script("redirect", ["federation-redirect"], R, "followed, and the next fetch begins at the configured URL again", WEB, [fetch(0), redirect(1, "https://cdn.example/td.json", "https://cdn.example/td.json"), answer(2, ONE), status(2, state="current", sequence=1), fetch(602)])
script("redirect-permanent", ["federation-redirect"], f"{S} §7.5.1", "a permanent one is no more permanent", WEB, [fetch(0), redirect(1, "https://cdn.example/td.json", "https://cdn.example/td.json", 301), answer(2, ONE), fetch(602)])
script("redirect-308", ["federation-redirect"], f"{S} §7.5.1", "308 likewise", WEB, [fetch(0), redirect(1, "https://cdn.example/b", "https://cdn.example/b", 308), answer(2, ONE), fetch(602)])
script("redirect-relative", ["federation-redirect"], "RFC 7231 §7.1.2", "a relative reference", WEB, [fetch(0), redirect(1, "/v2/bundle", "https://td.example/v2/bundle"), answer(2, ONE)])
script("redirect-chain", ["federation-redirect"], R, "five of them", WEB, [fetch(0)] + [redirect(1, f"https://cdn{i}.example/b", f"https://cdn{i}.example/b") for i in range(5)] + [answer(2, ONE)])
script("redirect-loop", ["federation-redirect"], "decision: bounds", "the sixth ends it", WEB, [fetch(0)] + [redirect(1, f"https://cdn{i}.example/b", f"https://cdn{i}.example/b") for i in range(5)] + [redirect(1, URL)], "endpoint")
for name, location in {"http": "http://td.example/b", "userinfo": "https://u@td.example/b", "file": "file:///etc/passwd", "scheme-relative-user": "//u@cdn.example/b", "garbage": "https://[/", "javascript": "javascript:1"}.items():
    script(f"redirect-{name}", ["federation-redirect"], f"{S} §5.2.1.3", "the target is no valid endpoint URL", WEB, [fetch(0), redirect(1, location)], "endpoint")
script("redirect-nowhere", ["federation-redirect"], "RFC 7231 §7.1.2", "no location", WEB, [fetch(0), redirect(1, None)], "endpoint")
script("redirect-status", ["federation-redirect"], "RFC 7231 §6.4", "304 is no redirect", WEB, [fetch(0), redirect(1, "https://cdn.example/b", status=304)], "endpoint")

# https_spiffe
first, latest = {"authorities": ["root"]}, {"authorities": ["next-root"]}
P = f"{S} §5.2.2.4"
script("spiffe-bootstrap", ["federation-latest", "federation-spiffe"], P, "the bundle to begin with authenticates the first connection, the latest one every other", SPIFFE,
       [fetch(0, by(first)), answer(1, TWO), fetch(601, by(latest)), answer(602, TWO), status(602, state="current", sequence=3)])
script("spiffe-latest-failed", ["federation-latest"], P, "an answer that is no bundle changes nothing about whom to believe", SPIFFE, [fetch(0, by(first)), (1, "answer", {"document": "x", "refused": "format"}), fetch(61, by(first))])
script("spiffe-older-than-bootstrap", ["federation-latest"], P, "the first answer is no older than the bundle to begin with", {**SPIFFE, "bootstrap": doc(A, sequence=5)}, [fetch(0, by(first)), answer(1, ONE)], "rollback")
script("spiffe-expired-still-authenticates", ["federation-latest"], P, "a bundle too old for SVIDs still authenticates the endpoint, or an outage could never end", SPIFFE,
       [fetch(0, by(first)), answer(1, TWO), status(90000, state="expired"), fetch(90000, by(latest)), answer(90001, TWO), verify(90001, "leaf-next")])
script("spiffe-redirect", ["federation-redirect-identity", "federation-redirect"], P, "the target presents the same ID: what authenticates does not change with the URL", SPIFFE,
       [fetch(0, by(first)), (1, "redirect", {"status": 302, "location": "https://cdn.example/b", "to": "https://cdn.example/b", "authenticate": by(first)}), answer(2, ONE), fetch(602, by(first))])
script("spiffe-redirect-http", ["federation-redirect-identity"], P, "the target is held to the same rules", SPIFFE, [fetch(0, by(first)), redirect(1, "http://td.example/b")], "endpoint")
script("spiffe-other-domain", ["federation-spiffe", "federation-latest"], P, "served by another trust domain: that one's latest bundle authenticates", ABROAD,
       [fetch(0, by({"of": "foreign.example"}, "spiffe://foreign.example/server")), answer(1, ONE), fetch(601, by({"of": "foreign.example"}, "spiffe://foreign.example/server"))])
script("no-fallback", ["federation-profile"], f"{S} §5.2", "after failures under `https_spiffe` no other profile is tried", SPIFFE,
       [fetch(0, by(first)), fail(1), fetch(61, by(first)), fail(62), fetch(122, by(first))])
script("no-fallback-web", ["federation-profile"], f"{S} §5.2", "nor under `https_web`", WEB, [fetch(0), fail(1), fetch(61), fail(62), fetch(122)])

# rotation across the border
script("overlap", ["federation-overlap", "federation-ahead"], f"{S} §4.1", "the next authority is published with the last one before it signs, and the last one stays while its leaves live", WEB,
       start + [verify(10, "leaf"), fetch(601), answer(602, BOTH_KEYS), verify(603, "leaf"), verify(603, "leaf-next"), verify(603, token="token"), verify(603, token="token-next"), fetch(1202), answer(1203, TWO), verify(1204, "leaf-next"), verify(1204, token="token-next")])
script("overlap-too-early", ["federation-ahead"], f"{S} §4.1", "signed by an authority that was not published before", WEB, start + [verify(10, "leaf-next")], "path")
script("overlap-too-early-jwt", ["federation-ahead"], f"{S} §4.1", "a token by a key that was not published before", WEB, start + [verify(10, token="token-next")], "key")
script("overlap-gone", ["federation-overlap"], f"{S} §4.1", "an authority withdrawn while its leaves live takes them along", WEB, start + [fetch(601), answer(602, TWO), verify(603, "leaf")], "path")
script("overlap-missed-poll", ["federation-ahead"], f"{S} §4.1", "published three hints ahead, a missed poll or two do no harm", WEB,
       start + [fetch(601), fail(602), fetch(1202), fail(1203), fetch(1803), answer(1804, BOTH_KEYS), verify(1810, "leaf-next")])
for name, ahead, hint, ok in [("three", 900, 300, True), ("five", 1500, 300, True), ("day", 86400, 300, True), ("two", 600, 300, False), ("just-less", 899, 300, False), ("none", 0, 300, False)]:
    F.add(f"ahead-{name}", "federation-ahead", f"{S} §4.1", f"keys published {ahead} s before their first use, with a hint of {hint} s: at least three times", "publish", {"ahead": ahead, "refresh-hint": hint},
          "accept" if ok else "refuse", None if ok else "configuration")

T.write()
F.write()
