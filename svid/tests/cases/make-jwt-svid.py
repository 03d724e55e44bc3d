"""Writes jwt-svid.json."""

import hashlib
import hmac
import json

from forge import NOW, Table, b64, b64u, ec_key, ecdsa_der, ecdsa_raw, ed_key, jose_sign, jwk, pkcs8, rsa_key, rsa_pss

RSA, RSA_WEAK = rsa_key("jwt rsa"), rsa_key("jwt weak", 1024)
P256, P384, P521 = ec_key("jwt p256"), ec_key("jwt p384", "P-384"), ec_key("jwt p521", "P-521")
OTHER, ED, K1 = ec_key("jwt other"), ed_key("jwt ed25519"), ec_key("jwt k1", "secp256k1")
NINE = {f"{family}{bits}": RSA for family in ("RS", "PS") for bits in (256, 384, 512)} | {"ES256": P256, "ES384": P384, "ES512": P521}
SUB, AUD = "spiffe://td.example/w", "reports"


def entry(key, kid, **members):
    return jwk(key, use="jwt-svid", kid=kid, **members)


ALL = [entry(key, name, alg=name) for name, key in NINE.items()]
BUNDLES = {
    "all": {"trust-domain": "td.example", "jwks": {"keys": ALL}},
    "unbound": {"trust-domain": "td.example", "jwks": {"keys": [entry(RSA, "rsa"), entry(P256, "p256"), entry(P384, "p384"), entry(P521, "p521")]}},
    "empty": {"trust-domain": "td.example", "jwks": {"keys": []}},
    "other-domain": {"trust-domain": "other.example", "jwks": {"keys": ALL}},
    "rotation": {"trust-domain": "td.example", "jwks": {"keys": [entry(OTHER, "old"), entry(P256, "ES256")]}},
    "after-rotation": {"trust-domain": "td.example", "jwks": {"keys": [entry(OTHER, "new")]}},
    "foreign-keys": {"trust-domain": "td.example", "jwks": {"keys": [entry(ED, "ed"), entry(K1, "k1"), entry(RSA_WEAK, "weak"),
                     {"kty": "oct", "k": b64u(b"k" * 32), "use": "jwt-svid", "kid": "oct"}, {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA", "use": "jwt-svid", "kid": "pq"}]}},
}
for name, members in {"use-x509": {"use": "x509-svid"}, "use-enc": {"use": "enc"}, "ops-sign": {"key_ops": ["sign"]}, "ops-verify": {"key_ops": ["verify"]},
                      "alg-es384": {"alg": "ES384"}, "alg-eddsa": {"alg": "EdDSA"}, "crv-p384": {"crv": "P-384"}, "kty-rsa": {"kty": "RSA"},
                      "wide": {"x": b64u(b"\0" + P256.public_key().public_numbers().x.to_bytes(32, "big"))},
                      "narrow": {"x": b64u(P256.public_key().public_numbers().x.to_bytes(32, "big")[1:])},
                      "off-curve": {"y": jwk(P256)["x"]}, "no-kid": {"kid": None}}.items():
    body = {k: v for k, v in ({**entry(P256, "ES256"), **members}).items() if v is not None}
    BUNDLES[f"p256-{name}"] = {"trust-domain": "td.example", "jwks": {"keys": [body]}}
BUNDLES["no-use"] = {"trust-domain": "td.example", "jwks": {"keys": [jwk(P256, kid="ES256")]}}

T = Table("jwt-svid", bundles=BUNDLES)


def text(value):
    return value if isinstance(value, (str, bytes)) else json.dumps(value, separators=(",", ":"))


def claims(**changes):
    body = {"sub": SUB, "aud": AUD, "exp": NOW + 60, "iat": NOW - 1, "nbf": NOW - 10} | changes
    return {name: value for name, value in body.items() if value is not ...}


def header(alg="ES256", **changes):
    body = {"alg": alg, "kid": alg, "typ": "JWT"} | changes
    return {name: value for name, value in body.items() if value is not ...}


def token(head=None, body=None, key=None, sign=None):
    head, body = header() if head is None else head, claims() if body is None else body
    signed = f"{b64u(text(head))}.{b64u(text(body))}"
    if sign is None:
        algorithm = head.get("alg", "ES256") if isinstance(head, dict) else "ES256"
        key = key or NINE.get(algorithm, P256)
        algorithm = algorithm if algorithm in NINE or algorithm == "EdDSA" else "ES256"
        sign = lambda message: jose_sign(key, algorithm, message)  # noqa: E731
    return f"{signed}.{b64u(sign(signed.encode()))}"


def verify(id, rules, clause, comment, token, reason=None, bundle="all", audiences=(AUD,), now=NOW, leeway=None, **more):
    request = {"token": token, "bundle": bundle, "audiences": list(audiences)}
    if leeway is not None:
        request["leeway"] = leeway
    T.add(id, rules, clause, comment, "verify", request, "refuse" if reason else "accept", reason, now=now, **more)


GOOD = token()
# form
verify("compact", "jwt-compact", "JWT-SVID §5.1", "compact serialization", GOOD, subject=SUB)
head64, body64, sig64 = GOOD.split(".")
flat = {"payload": body64, "protected": head64, "signature": sig64}
for name, value, comment in [
    ("json-flat", json.dumps(flat), "the flattened JSON serialization"),
    ("json-general", json.dumps({"payload": body64, "signatures": [{"protected": head64, "signature": sig64}]}), "the general JSON serialization"),
    ("nothing", "", "nothing"), ("one-part", head64, "one part"), ("two-parts", f"{head64}.{body64}", "two parts, no signature"),
    ("four-parts", GOOD + ".", "four parts"), ("five-parts", f"{head64}.e30.AA.{body64}.{sig64}", "five parts are an encrypted token"),
    ("invalid", "invalid token", "no token at all"), ("empty-header", f".{body64}.{sig64}", "an empty header"), ("empty-claims", f"{head64}..{sig64}", "empty claims"),
    ("empty-signature", f"{head64}.{body64}.", "an empty signature"),
]:
    verify(f"compact-{name}", "jwt-compact", "JWT-SVID §1, §5.1", comment, value, "format")
for name, value, comment in [
    ("padded", GOOD + "=", "padding"), ("plain-alphabet", f"{head64}.{body64}.{sig64[:-3]}+/A", "the alphabet of plain base64"),
    ("space", GOOD + " ", "white space after"), ("space-before", " " + GOOD, "white space before"), ("newline", f"{head64}.{body64}\n.{sig64}", "a line break inside"),
    ("loose-bits", GOOD[:-1] + chr(ord(GOOD[-1]) + 1), "bits beyond the last byte: a second spelling of the same signature"),
    ("bearer", "Bearer " + GOOD, "the authentication scheme is no part of the token"),
]:
    verify(f"encoding-{name}", "jwt-compact", "RFC 7515 §2", comment, value, "format")
for name, head in [("array", "[]"), ("null", "null"), ("text", '"ES256"'), ("cut", '{"alg":"ES256"'), ("two", '{"alg":"ES256"}{}'), ("bom", '\ufeff{"alg":"ES256"}'),
                   ("bytes", b'{"alg":"ES256","kid":"\xff"}'), ("comma", '{"alg":"ES256",}')]:
    verify(f"header-{name}", "jwt-compact", "RFC 7515 §4", "the header is one JSON object in UTF-8", token(head), "format")
for name, body in [("array", "[]"), ("null", "null"), ("empty", " "), ("cut", "{"), ("two", text(claims()) + "{}"), ("bytes", b'{"sub":"\xff"}'),
                   ("deep", '{"x":' + "[" * 400 + "]" * 400 + "}")]:
    verify(f"claims-{name}", "jwt-compact", "RFC 7519 §7.2", "the claims are one JSON object in UTF-8", token(body=body), "format")

# header
verify("header-three", "jwt-header", "JWT-SVID §2", "`alg`, `kid` and `typ` in any order", token('{"typ":"JWT","kid":"ES256","alg":"ES256"}'))
verify("header-alg-only", ["jwt-header", "jwt-kid"], "JWT-SVID §2.2", "`alg` alone: `kid` is optional", token('{"alg":"ES256"}'))
for name, value in {"crit": ["exp"], "jwk": jwk(OTHER), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5c", "x5c": ["AA"], "x5t": "AA", "cty": "JWT",
                    "b64": False, "zip": "DEF", "enc": "A128GCM", "nonce": "1", "X": 1, "Alg": "none", "": 0}.items():
    verify(f"header-member-{name or 'nameless'}", "jwt-header", "JWT-SVID §2", f"a header member `{name}` beside the three", token(header(**{name: value})), "header")
verify("header-alg-missing", "jwt-header", "RFC 7515 §4.1.1", "no `alg`", token('{"kid":"ES256"}'), "header")
verify("header-alg-number", "jwt-header", "RFC 7515 §4.1.1", "`alg` is a string", token('{"alg":256}'), "header")
verify("header-kid-number", "jwt-header", "RFC 7515 §4.1.4", "`kid` is a string", token('{"alg":"ES256","kid":1}'), "header")
verify("header-kid-null", "jwt-header", "RFC 7515 §4.1.4", "null is not absent", token('{"alg":"ES256","kid":null}'), "header")
verify("typ-absent", "jwt-typ", "JWT-SVID §2.3", "`typ` is optional", token(header(typ=...)))
verify("typ-jwt", "jwt-typ", "JWT-SVID §2.3", "`JWT`", token(header(typ="JWT")))
verify("typ-jose", "jwt-typ", "JWT-SVID §2.3", "`JOSE`", token(header(typ="JOSE")))
for typ in ("jwt", "Jose", "", "at+jwt", "wit+jwt", "JWT ", "application/jwt", "invalid", "JOSE+JSON"):
    verify(f"typ-is-{typ.strip().replace('/', '-') or 'empty'}{'-space' if typ.endswith(' ') else ''}{'-lower' if typ == 'jwt' else ''}", "jwt-typ", "JWT-SVID §2.3",
           f"`{typ}` is neither `JWT` nor `JOSE`", token(header(typ=typ)), "header")
verify("typ-null", "jwt-typ", "JWT-SVID §2.3", "null is not absent", token(header(typ=None)), "header")

# algorithms
for name in NINE:
    verify(f"alg-{name.lower()}", ["jwt-alg", "jwt-signature"], "JWT-SVID §2.1", f"{name}", token(header(name)), subject=SUB)
secret = json.dumps(jwk(P256)).encode()
mac = lambda message: hmac.digest(secret, message, hashlib.sha256)  # noqa: E731
verify("alg-none", "jwt-alg", "JWT-SVID §2.1", "`none`, signed nevertheless", token(header("none")), "algorithm")
verify("alg-none-unsigned", "jwt-alg", "JWT-SVID §2.1", "`none` without signature", token(header("none"), sign=lambda m: b""), "algorithm")
for name in ("NONE", "None", "nOnE", "", "es256", "ES256 ", "ES256K", "ES255", "EdDSA", "Ed25519", "ML-DSA-65", "RSA-OAEP", "A128KW", "dir", "RS1", "ES256\u0000"):
    label = {"NONE": "none-upper", "None": "none-title", "nOnE": "none-mixed", "": "empty", "es256": "lower", "ES256 ": "space", "ES256\u0000": "nul"}.get(name, name.lower())
    key, algorithm = (ED, "EdDSA") if name.startswith("Ed") else (K1, "ES256") if name == "ES256K" else (P256, "ES256")
    signer = lambda m, k=key, a=algorithm: jose_sign(k, a, m)  # noqa: E731
    verify(f"alg-is-{label}", "jwt-alg", "JWT-SVID §2.1", f"`{name!s}` is none of the nine".replace("\u0000", "\\0"), token(header(name), sign=signer), "algorithm", bundle="all")
for bits in ("256", "384", "512"):
    verify(f"alg-hs{bits}", "jwt-alg", "JWT-SVID §2.1", f"HS{bits} keyed with the published key, as a verifier that mixes up keys would accept it", token(header(f"HS{bits}", kid="ES256"), sign=mac), "algorithm")
verify("alg-eddsa-published", "jwt-alg", "JWT-SVID §2.1", "EdDSA with a key that is published", token(header("EdDSA", kid="ed"), key=ED), "algorithm", bundle="foreign-keys")
verify("alg-first", "jwt-alg-first", "JWT-SVID §4", "the algorithm is decided before a bad claim is seen: it is what the refusal names",
       token(header("none", crit=["x"], typ="no"), "{}"), "algorithm")
verify("alg-first-claims", "jwt-alg-first", "JWT-SVID §4", "and before expiry", token(header("HS256"), claims(exp=1), sign=mac), "algorithm")
verify("alg-first-fine", "jwt-alg-first", "JWT-SVID §4", "a supported algorithm goes on to the claims", token())

# key and algorithm
verify("key-by-kid", ["jwt-key", "jwt-kid"], "RFC 7515 §4.1.4", "the key that `kid` names", token(header(kid="p256")), bundle="unbound")
verify("key-unbound", "jwt-key", "RFC 7517 §4.4", "a key without `alg` serves each algorithm of its type", token(header("PS384", kid="rsa")), bundle="unbound")
verify("key-unknown-kid", "jwt-kid", "RFC 7515 §4.1.4", "no key of that name, though one that fits is there", token(header(kid="nobody")), "key")
verify("key-empty-kid", "jwt-kid", "RFC 7515 §4.1.4", "an empty name is a name", token(header(kid="")), "key")
verify("key-without-kid-tries", "jwt-kid", "JWT-SVID §2.2", "without `kid` the keys that fit are tried", token(header(kid=...), key=OTHER), bundle="rotation")
verify("key-wrong-signer", "jwt-signature", "RFC 7515 §5.2", "another key under this name", token(key=OTHER), "signature")
verify("key-type", "jwt-key", "RFC 7518 §3.1", "RS256 with the name of an EC key", token(header("RS256", kid="p256")), "key", bundle="unbound")
verify("key-type-ec", "jwt-key", "RFC 7518 §3.1", "ES256 with the name of an RSA key", token(header("ES256", kid="rsa")), "key", bundle="unbound")
verify("key-curve", "jwt-key", "RFC 7518 §3.4", "ES256 by a key on P-384", token(header("ES256", kid="p384"), sign=lambda m: ecdsa_raw(P384, m, 256)), "key", bundle="unbound")
verify("key-curve-up", "jwt-key", "RFC 7518 §3.4", "ES384 by a key on P-256", token(header("ES384", kid="p256"), sign=lambda m: ecdsa_raw(P256, m, 384)), "key", bundle="unbound")
verify("key-bound", "jwt-key", "RFC 7517 §4.4", "RS512 by a key that is published for RS256", token(header("RS512", kid="RS256")), "key")
verify("key-bound-pss", "jwt-key", "RFC 7517 §4.4", "PS256 by a key that is published for RS256", token(header("PS256", kid="RS256")), "key")
for name, ok, comment in [
    ("ops-verify", True, "`key_ops` with `verify`"), ("ops-sign", False, "`key_ops` without `verify`"), ("use-x509", False, "`use` of an X.509 authority"),
    ("use-enc", False, "`use` for encryption"), ("alg-es384", False, "`alg` that its curve does not fit"), ("alg-eddsa", False, "`alg` that JWT-SVID does not know"),
    ("crv-p384", False, "`crv` that its coordinates do not fit"), ("kty-rsa", False, "`kty` that its members do not fit"),
    ("wide", False, "a coordinate with a zero in front (RFC 7518 §6.2.1.2: the curve's width)"), ("narrow", False, "a coordinate that is short"),
    ("off-curve", False, "a point beside the curve"), ("no-kid", False, "without `kid`, which a bundle requires (JWT-SVID §6.1)"),
]:
    verify(f"jwk-{name}", "jwt-key", "RFC 7517 §4, RFC 7518 §6.2", comment, GOOD, None if ok else "key", bundle=f"p256-{name}")
verify("jwk-no-use", "jwt-key", "SPIFFE Bundle §4.2.2", "an entry without `use` is ignored", GOOD, "key", bundle="no-use")
weak = token(header("RS256", kid="weak"), key=RSA_WEAK)
verify("key-rsa-1024", "jwt-key", "RFC 7518 §3.3", "RSA of 1024 bits", weak, "key", bundle="foreign-keys")
verify("key-k1", "jwt-key", "JWT-SVID §2.1", "a key on secp256k1 under ES256", token(header("ES256", kid="k1"), key=K1), "key", bundle="foreign-keys")
verify("key-oct", "jwt-key", "JWT-SVID §2.1", "a secret key in a bundle verifies nothing", token(header("ES256", kid="oct")), "key", bundle="foreign-keys")
verify("key-post-quantum", "jwt-key", "SPIFFE Bundle §4.2.1", "an unknown key type verifies nothing", token(header("ES256", kid="pq")), "key", bundle="foreign-keys")
verify("key-none", "jwt-key", "SPIFFE Bundle §4.1.3", "an empty bundle refuses every token", GOOD, "key", bundle="empty")
verify("key-other-domain", "jwt-sub", "SPIFFE-ID §3, SPIFFE Bundle §6.2", "the right keys, but of another trust domain", GOOD, "trust-domain", bundle="other-domain")
verify("rotation-new", "jwt-kid", "SPIFFE Federation §4.1", "both keys published: a token of the one", GOOD, bundle="rotation")
verify("rotation-old", "jwt-kid", "SPIFFE Federation §4.1", "both keys published: a token of the other", token(header(kid="old"), key=OTHER), bundle="rotation")
verify("rotation-gone", "jwt-kid", "SPIFFE Federation §4.1", "the key was withdrawn", GOOD, "key", bundle="after-rotation")

# signatures
def bent(change):
    signature = bytearray(jose_sign(P256, "ES256", f"{head64}.{body64}".encode()))
    return f"{head64}.{body64}.{b64u(bytes(change(signature)))}"


def flip(signature):
    signature[5] ^= 1
    return signature


order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
verify("sig-flipped", "jwt-signature", "RFC 7515 §5.2", "one bit of the signature", bent(flip), "signature")
verify("sig-der", "jwt-signature", "RFC 7518 §3.4", "DER instead of r and s", token(sign=lambda m: ecdsa_der(P256, m, 256)), "signature")
verify("sig-short", "jwt-signature", "RFC 7518 §3.4", "63 bytes", bent(lambda s: s[:-1]), "signature")
verify("sig-long", "jwt-signature", "RFC 7518 §3.4", "65 bytes", bent(lambda s: s + b"\0"), "signature")
verify("sig-zero", "jwt-signature", "RFC 7518 §3.4", "r and s are zero", bent(lambda s: bytes(64)), "signature")
verify("sig-order", "jwt-signature", "RFC 7518 §3.4", "r and s are the order of the group", bent(lambda s: order.to_bytes(32, "big") * 2), "signature")
verify("sig-swapped", "jwt-signature", "RFC 7518 §3.4", "s before r", bent(lambda s: s[32:] + s[:32]), "signature")
verify("sig-pss-no-salt", "jwt-signature", "RFC 7518 §3.5", "a salt that is not as long as the hash", token(header("PS256"), sign=lambda m: rsa_pss(RSA, m, 256, 0)), "signature")
verify("sig-pss-long-salt", "jwt-signature", "RFC 7518 §3.5", "a salt longer than the hash", token(header("PS256"), sign=lambda m: rsa_pss(RSA, m, 256, 64)), "signature")
verify("sig-family", "jwt-signature", "RFC 7518 §3.5", "a PKCS #1 signature under PS256", token(header("PS256"), sign=lambda m: jose_sign(RSA, "RS256", m)), "signature")
verify("sig-hash", "jwt-signature", "RFC 7518 §3.3", "SHA-512 under RS256", token(header("RS256"), sign=lambda m: jose_sign(RSA, "RS512", m)), "signature")
admin = b64u(text(claims(sub="spiffe://td.example/admin")))
verify("sig-other-claims", "jwt-signature", "RFC 7515 §5.2", "claims exchanged under a signature", f"{head64}.{admin}.{sig64}", "signature")
verify("sig-other-header", "jwt-signature", "RFC 7515 §5.2", "header exchanged above a signature", f"{b64u(text(header(typ='JOSE')))}.{body64}.{sig64}", "signature")

# claims
verify("sub", "jwt-sub", "JWT-SVID §3.1", "a workload", token(body=claims(sub="spiffe://td.example/ns/shop/sa/web")), subject="spiffe://td.example/ns/shop/sa/web")
verify("sub-root", "jwt-sub", "JWT-SVID §3.1", "an ID without a path: no rule forbids it here", token(body=claims(sub="spiffe://td.example")), subject="spiffe://td.example")
verify("sub-longest", "jwt-sub", "SPIFFE-ID §2.3", "an ID of 2048 bytes", token(body=claims(sub="spiffe://td.example/" + "a" * 2028)))
verify("sub-too-long", "jwt-sub", "SPIFFE-ID §2.3", "an ID of 2049 bytes", token(body=claims(sub="spiffe://td.example/" + "a" * 2029)), "id")
verify("sub-missing", "jwt-sub", "JWT-SVID §3.1", "no `sub`", token(body=claims(sub=...)), "claims")
for name, value in {"invalid": "invalid subject", "empty": "", "https": "https://td.example/w", "slash": SUB + "/", "upper": "spiffe://TD.example/w", "dots": "spiffe://td.example/../w",
                    "percent": "spiffe://td.example/%77", "space": SUB + " ", "nul": SUB + "\u0000", "query": SUB + "?a"}.items():
    verify(f"sub-{name}", "jwt-sub", "JWT-SVID §3.1, SPIFFE-ID §2", "`sub` is no SPIFFE ID", token(body=claims(sub=value)), "id")
for name, value in {"null": None, "number": 1, "list": [SUB]}.items():
    verify(f"sub-{name}", "jwt-sub", "RFC 7519 §4.1.2", "`sub` is not a string", token(body=claims(sub=value)), "claims")
verify("sub-other-domain", "jwt-sub", "SPIFFE-ID §3.1", "a subject of another trust domain than that of the keys", token(body=claims(sub="spiffe://another.example/host")), "trust-domain")
verify("sub-sub-domain", "jwt-sub", "SPIFFE-ID §2.1", "trust domains have no hierarchy", token(body=claims(sub="spiffe://a.td.example/w")), "trust-domain")

verify("aud-string", "jwt-aud", "JWT-SVID §3.2", "a string", token())
verify("aud-list", "jwt-aud", "JWT-SVID §3.2", "a list", token(body=claims(aud=["other", AUD])))
verify("aud-mine-many", "jwt-aud", "JWT-SVID §3.2", "a verifier that is known by several names", token(), audiences=["a", AUD])
verify("aud-missing", "jwt-aud", "JWT-SVID §3.2", "no `aud`", token(body=claims(aud=...)), "claims")
verify("aud-empty-list", "jwt-aud", "JWT-SVID §3.2", "an empty list", token(body=claims(aud=[])), "claims")
for name, value in {"null": None, "number": 1, "object": {}, "mixed": [AUD, 1], "nested": [[AUD]]}.items():
    verify(f"aud-{name}", "jwt-aud", "RFC 7519 §4.1.3", "neither a string nor a list of strings", token(body=claims(aud=value)), "claims")
for name, value in {"other": "another", "others": ["a", "b"], "case": "Reports", "prefix": "report", "longer": "reports2", "space": "reports ", "empty": "", "slash": "reports/"}.items():
    verify(f"aud-{name}", "jwt-aud", "JWT-SVID §3.2, RFC 7519 §4.1.3", "meant for somebody else; audiences are compared byte by byte", token(body=claims(aud=value)), "audience")

verify("exp-one-second", "jwt-exp", "RFC 7519 §4.1.4", "the last second", token(body=claims(exp=NOW + 1)))
verify("exp-now", "jwt-exp", "RFC 7519 §4.1.4", "at the second of `exp` it is over: \"on or after\"", token(body=claims(exp=NOW)), "expired")
verify("exp-past", "jwt-exp", "RFC 7519 §4.1.4", "expired a minute ago", token(body=claims(exp=NOW - 60)), "expired")
verify("exp-far", "jwt-exp", "JWT-SVID §3.3", "the standard sets no upper limit", token(body=claims(exp=NOW + 10**9)))
verify("exp-missing", "jwt-exp", "JWT-SVID §3.3", "no `exp`", token(body=claims(exp=...)), "claims")
plain = text(claims())
for name, value in {"fraction": f"{NOW}.5", "float": "1.8e9", "string": f'"{NOW + 60}"', "null": "null", "list": f"[{NOW + 60}]", "true": "true"}.items():
    verify(f"exp-{name}", "jwt-exp", "RFC 7519 §2, §4.1.4", "whole seconds as a number; readers that round a fraction differently would disagree on expiry",
           token(body=plain.replace(f'"exp":{NOW + 60}', f'"exp":{value}')), "claims")
for name, value in {"huge": 2**63, "year-10000": 253402300800, "huge-negative": -(2**63)}.items():
    verify(f"exp-{name}", "jwt-exp", "RFC 7519 §2", "outside what a calendar holds", token(body=plain.replace(f'"exp":{NOW + 60}', f'"exp":{value}')), "claims")
verify("exp-negative", "jwt-exp", "RFC 7519 §2", "before 1970", token(body=claims(exp=-1)), "expired")
verify("nbf-now", "jwt-nbf", "RFC 7519 §4.1.5", "valid from this second on", token(body=claims(nbf=NOW)))
verify("nbf-absent", "jwt-nbf", "RFC 7519 §4.1.5", "`nbf` is optional", token(body=claims(nbf=...)))
verify("nbf-future", "jwt-nbf", "RFC 7519 §4.1.5", "valid a second later", token(body=claims(nbf=NOW + 1)), "not-yet-valid")
for name, value in {"string": f"{NOW}", "fraction": NOW + 0.5, "null": None}.items():
    verify(f"nbf-{name}", "jwt-nbf", "RFC 7519 §2, §4.1.5", "whole seconds as a number", token(body=claims(nbf=value)), "claims")
verify("iat-future", "jwt-nbf", "RFC 7519 §4.1.6", "`iat` says how old a token is and refuses nothing", token(body=claims(iat=NOW + 600)))
verify("iat-string", "jwt-nbf", "RFC 7519 §4.1.6", "`iat` is a number", token(body=claims(iat="now")), "claims")
verify("leeway-exp", "jwt-leeway", "RFC 7519 §4.1.4", "30 s of leeway: expired for 29 s", token(body=claims(exp=NOW - 29)), leeway=30)
verify("leeway-exp-over", "jwt-leeway", "RFC 7519 §4.1.4", "30 s of leeway: expired for 30 s", token(body=claims(exp=NOW - 30)), "expired", leeway=30)
verify("leeway-nbf", "jwt-leeway", "RFC 7519 §4.1.5", "30 s of leeway: valid in 30 s", token(body=claims(nbf=NOW + 30)), leeway=30)
verify("leeway-nbf-over", "jwt-leeway", "RFC 7519 §4.1.5", "30 s of leeway: valid in 31 s", token(body=claims(nbf=NOW + 31)), "not-yet-valid", leeway=30)
T.add("leeway-too-large", "jwt-leeway", "RFC 7519 §4.1.4", "\"usually no more than a few minutes\": more than one is a misconfiguration", "verify",
      {"token": GOOD, "bundle": "all", "audiences": [AUD], "leeway": 61}, "refuse", "configuration", now=NOW)
T.add("audience-none", "jwt-aud", "JWT-SVID §3.2", "a verifier that identifies with nothing", "verify", {"token": GOOD, "bundle": "all", "audiences": []}, "refuse", "configuration", now=NOW)
verify("one-time", "jwt-one-time", "decision: one reading of time", "a token that is valid at one instant only is valid at that instant", token(body=claims(nbf=NOW, exp=NOW + 1)))
verify("one-time-never", "jwt-one-time", "decision: one reading of time", "a token whose times exclude each other is valid at none", token(body=claims(nbf=NOW + 1, exp=NOW)), "expired")
verify("private-claims", "jwt-claims-other", "JWT-SVID §3", "other claims, registered and private, are allowed",
       token(body=claims(iss="https://td.example", jti="1", role={"a": [1, 2.5, None, True]}, nonce="x")))
verify("iss-number", "jwt-claims-other", "RFC 7519 §4.1.1", "`iss` is a string", token(body=claims(iss=1)), "claims")

# duplicates and bounds
verify("duplicates-none", "jwt-duplicates", "RFC 7519 §4", "one name at different depths is no duplicate", token(body=claims(x={"sub": 1, "x": {"sub": 2}})))
for name, old, new in [("sub", '{"sub"', '{"sub":"spiffe://td.example/admin","sub"'), ("sub-last", "}", ',"sub":"spiffe://td.example/admin"}'), ("aud", '{"sub"', '{"aud":"other","sub"'),
                       ("exp", '{"sub"', '{"exp":1,"sub"'), ("escaped", '{"sub"', '{"\\u0061ud":"other","sub"'), ("private", '{"sub"', '{"x":1,"x":1,"sub"'),
                       ("nested", '{"sub"', '{"x":{"role":1,"role":2},"sub"'), ("in-list", '{"sub"', '{"x":[{"a":1,"a":1}],"sub"')]:
    verify(f"duplicates-claim-{name}", "jwt-duplicates", "RFC 7519 §4", "a member name occurs twice: two readers may see two tokens", token(body=plain.replace(old, new, 1)), "duplicate")
for name, head in [("kid", '{"alg":"ES256","kid":"RS256","kid":"ES256"}'), ("alg", '{"alg":"none","alg":"ES256"}'), ("escaped", '{"alg":"ES256","\\u0061lg":"none"}')]:
    verify(f"duplicates-header-{name}", "jwt-duplicates", "RFC 7515 §4", "a header member occurs twice", token(head), "duplicate")
many = lambda count: [f"a{i}" for i in range(count - 1)] + [AUD]  # noqa: E731
verify("bounds-audiences", "jwt-bounds", "decision: bounds", "32 audiences", token(body=claims(aud=many(32))))
verify("bounds-audiences-over", "jwt-bounds", "decision: bounds", "33 audiences", token(body=claims(aud=many(33))), "limit")
def sized(length):
    """A token of this many bytes."""
    for head in (header(), header(typ=...), header(typ="JOSE")):
        room = length - len(b64u(text(head))) - 2 - 86
        if room % 4 != 1:
            made = token(head, claims(x="x" * (room * 3 // 4 - len(text(claims(x=""))))))
            assert len(made) == length, len(made)
            return made


verify("bounds-length", "jwt-bounds", "decision: bounds", "64 KiB", sized(65536))
verify("bounds-length-over", "jwt-bounds", "decision: bounds", "64 KiB and a byte", sized(65536)[:-86] + "A" * 87, "limit")
verify("bounds-segments", "jwt-bounds", "decision: bounds", "a flood of dots", "." * 3000, "format")

# minting
RS_KEY = b64(pkcs8(RSA))
KEYS = {"ES256": b64(pkcs8(P256)), "ES384": b64(pkcs8(P384)), "RS256": RS_KEY, "PS256": RS_KEY, "EdDSA": b64(pkcs8(ED))}


def mint(id, rules, clause, comment, reason=None, alg="ES256", kid="2027-01", check="mint", signature=None, subject=SUB, audiences=(AUD,), ttl=300, now=NOW, header_=None, claims_=None, **more):
    request = {"signer": {"alg": alg, "kid": kid, "pkcs8": KEYS[alg]}, "id": subject, "audiences": list(audiences), "ttl": ttl, **{k.replace("_", "-"): v for k, v in more.items()}}
    if signature:
        request["signature"] = signature
    expected = {} if reason else {"header": header_ or {"alg": alg, "kid": kid, "typ": "JWT"}, "claims": claims_}
    T.add(id, rules, clause, comment, check, request, "refuse" if reason else "accept", reason, now=now, **expected)


def minted(**changes):
    return claims(exp=NOW + 300, iat=NOW, nbf=NOW - 10, **changes)


mint("mint", ["jwt-mint-claims", "jwt-mint-algorithm"], "JWT-SVID §3", "whole numbers in `exp`, `iat` and `nbf`; `kid` always", claims_=minted())
mint("mint-several-audiences", "jwt-mint-claims", "JWT-SVID §3.2", "a list where there are several", audiences=["a", "b"], claims_=minted(aud=["a", "b"]))
mint("mint-issuer", "jwt-mint-claims", "RFC 7519 §4.1.1", "`iss` when configured", issuer="https://tower.example/t", claims_=minted(iss="https://tower.example/t"))
mint("mint-token-id", "jwt-mint-claims", "RFC 7519 §4.1.7", "`jti` on request", jwt_id="0f3c", claims_=minted(jti="0f3c"))
mint("mint-awkward", "jwt-mint-claims", "RFC 8259 §7", "what JSON escapes", audiences=['a"b\\c\u0001\u00e4\u2028'], claims_=minted(aud='a"b\\c\u0001\u00e4\u2028'))
mint("mint-rs256", "jwt-mint-algorithm", "JWT-SVID §2.1", "RS256", alg="RS256", claims_=minted())
mint("mint-ps256", "jwt-mint-algorithm", "JWT-SVID §2.1", "PS256", alg="PS256", claims_=minted())
mint("mint-es384", "jwt-mint-algorithm", "JWT-SVID §2.1", "ES384", alg="ES384", claims_=minted())
mint("mint-ed25519", "jwt-mint-algorithm", "JWT-SVID §2.1", "an Ed25519 key makes no JWT-SVID", "algorithm", alg="EdDSA")
mint("mint-no-kid", "jwt-mint-claims", "JWT-SVID §6.1", "a key without a name: verifiers would not find it", "request", kid="")
mint("mint-no-audience", "jwt-mint-claims", "JWT-SVID §3.2", "no audience", "request", audiences=())
mint("mint-empty-audience", "jwt-mint-claims", "JWT-SVID §3.2", "an empty audience", "request", audiences=("",))
mint("mint-33-audiences", "jwt-mint-claims", "decision: bounds", "more audiences than we would read", "request", audiences=[f"a{i}" for i in range(33)])
mint("mint-no-lifetime", "jwt-mint-claims", "JWT-SVID §3.3", "a lifetime of nothing", "request", ttl=0)
mint("mint-bad-id", "jwt-mint-claims", "JWT-SVID §3.1", "a subject that is no SPIFFE ID", "id", subject="spiffe://td.example/")
mint("mint-too-long", "jwt-bounds", "decision: bounds", "a token that no verifier would read", "limit", audiences=["a" * 60_000])
mint("es256-raw", "jwt-raw-signature", "RFC 7518 §3.4", "r then s, 64 bytes", check="two-steps", signature="raw", claims_=minted())
mint("es256-from-der", ["jwt-raw-signature", "jwt-two-steps"], "RFC 7518 §3.4", "a device answers DER; the token has r and s", check="two-steps", signature="der", claims_=minted())
mint("es384-from-der", "jwt-two-steps", "RFC 7518 §3.4", "likewise with 48 bytes each", check="two-steps", alg="ES384", signature="der", claims_=minted())
mint("two-steps-rs256", "jwt-two-steps", "RFC 7515 §5.1", "RSA has one form", check="two-steps", alg="RS256", signature="raw", claims_=minted())
mint("es256-der-as-raw", "jwt-raw-signature", "RFC 7518 §3.4", "DER given as r and s", "signature", check="two-steps", signature="der-as-raw")
mint("es256-raw-as-der", "jwt-raw-signature", "RFC 3279 §2.2.3", "r and s given as DER", "signature", check="two-steps", signature="raw-as-der")
mint("es256-cut", "jwt-two-steps", "RFC 7518 §3.4", "a signature that lost a byte", "signature", check="two-steps", signature="cut")
mint("two-steps-ed25519", "jwt-two-steps", "JWT-SVID §2.1", "there is nothing to sign for an algorithm outside the nine", "algorithm", check="two-steps", alg="EdDSA", signature="raw")

T.write()
