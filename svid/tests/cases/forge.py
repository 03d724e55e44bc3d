"""What the generators of the case tables share: fixed keys, deterministic signatures, DER by hand, the table's form.

Nothing here is random and nothing reads the clock, so that a second run writes the same bytes. DER is put together by
hand because most of the certificates are wrong on purpose, in ways that no library of certificates agrees to write.
Needs the Python package `cryptography` (OpenSSL 3.2 or later inside, for deterministic ECDSA).
"""

import base64
import hashlib
import json
import pathlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

HERE = pathlib.Path(__file__).parent
NOW = 1_800_000_000  # 2027-01-15T08:00:00Z
MINUTE, HOUR, DAY, YEAR = 60, 3_600, 86_400, 365 * 86_400


# ---- keys: numbers out of a label, never of use for anything but these tables

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}


def stream(label, length):
    out, counter = b"", 0
    while len(out) < length:
        out += hashlib.sha512(f"keyward case tables {label} {counter}".encode()).digest()
        counter += 1
    return out[:length]


def ec_key(label, curve="P-256"):
    width = (CURVES[curve].key_size + 7) // 8
    number = int.from_bytes(stream(label, width), "big") >> (16 if curve == "P-521" else 8)
    return ec.derive_private_key(number, CURVES[curve])


def ed_key(label):
    return ed25519.Ed25519PrivateKey.from_private_bytes(stream(label, 32))


def is_prime(n):
    if any(n % p == 0 for p in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        x = pow(base, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime(label, bits):
    n = int.from_bytes(stream(label, bits // 8), "big") | (3 << (bits - 2)) | 1
    while not is_prime(n) or n % 65537 == 1:
        n += 2
    return n


RSA_KEYS = {}


def rsa_key(label, bits=2048):
    if (label, bits) not in RSA_KEYS:
        p, q = prime(f"{label} p", bits // 2), prime(f"{label} q", bits // 2)
        d = pow(65537, -1, (p - 1) * (q - 1))
        public = rsa.RSAPublicNumbers(65537, p * q)
        parts = (p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
        RSA_KEYS[label, bits] = rsa.RSAPrivateNumbers(*parts, public).private_key()
    return RSA_KEYS[label, bits]


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pkcs8(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())


# ---- signatures

HASHES = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512(), 1: hashes.SHA1()}


def ecdsa_der(key, message, bits):
    return key.sign(message, ec.ECDSA(HASHES[bits], deterministic_signing=True))


def ecdsa_raw(key, message, bits, width=None):
    width = width or (key.curve.key_size + 7) // 8
    r, s = utils.decode_dss_signature(ecdsa_der(key, message, bits))
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def rsa_pkcs1(key, message, bits):
    return key.sign(message, padding.PKCS1v15(), HASHES[bits])


def rsa_pss(key, message, bits, salt_length=None):
    """EMSA-PSS of RFC 8017 §9.1.1 with a fixed salt, by hand: libraries draw it at random."""
    digest = {256: hashlib.sha256, 384: hashlib.sha384, 512: hashlib.sha512}[bits]
    h_length = bits // 8
    salt = b"\x5a" * (h_length if salt_length is None else salt_length)
    em_bits = key.key_size - 1
    em_length = (em_bits + 7) // 8
    h = digest(b"\0" * 8 + digest(message).digest() + salt).digest()
    db = b"\0" * (em_length - len(salt) - h_length - 2) + b"\x01" + salt
    mask = b"".join(digest(h + i.to_bytes(4, "big")).digest() for i in range(len(db) // h_length + 1))[: len(db)]
    masked = bytearray(a ^ b for a, b in zip(db, mask))
    masked[0] &= 0xFF >> (8 * em_length - em_bits)
    numbers = key.private_numbers()
    n = numbers.public_numbers.n
    number = pow(int.from_bytes(bytes(masked) + h + b"\xbc", "big"), numbers.d, n)
    return number.to_bytes((key.key_size + 7) // 8, "big")


# ---- JOSE

def b64u(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else data.encode()).rstrip(b"=").decode()


def b64(data):
    return base64.b64encode(data).decode()


def jwk(key, **members):
    public = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        n, e = public.public_numbers().n, public.public_numbers().e
        body = {"kty": "RSA", "n": b64u(n.to_bytes((n.bit_length() + 7) // 8, "big")), "e": b64u(e.to_bytes(3, "big"))}
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        width = (key.curve.key_size + 7) // 8
        crv = next(name for name, curve in CURVES.items() if curve.name == key.curve.name)
        x, y = public.public_numbers().x, public.public_numbers().y
        body = {"kty": "EC", "crv": crv, "x": b64u(x.to_bytes(width, "big")), "y": b64u(y.to_bytes(width, "big"))}
    else:
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        body = {"kty": "OKP", "crv": "Ed25519", "x": b64u(raw)}
    return {**body, **members}


def jose_sign(key, algorithm, message):
    family, bits = algorithm[:2], int(algorithm[2:5]) if algorithm[2:5].isdigit() else 0
    if family == "ES":
        return ecdsa_raw(key, message, bits)
    if family == "RS":
        return rsa_pkcs1(key, message, bits)
    if family == "PS":
        return rsa_pss(key, message, bits)
    return key.sign(message)  # Ed25519


# ---- DER

def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(body).to_bytes(size, "big") + body


def seq(*parts):
    return tlv(0x30, *parts)


def oid(dotted):
    first, second, *rest = (int(part) for part in dotted.split("."))
    out = b""
    for arc in (40 * first + second, *rest):
        chunk = [arc & 0x7F]
        while arc := arc >> 7:
            chunk.append(0x80 | arc & 0x7F)
        out += bytes(reversed(chunk))
    return tlv(0x06, out)


def integer(n):
    return tlv(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True))


def octets(data):
    return tlv(0x04, data)


def utf8(text):
    return tlv(0x0C, text.encode())


def bits(data, unused=0):
    return tlv(0x03, bytes([unused]), data)


TRUE = b"\x01\x01\xff"
NULL = b"\x05\x00"


# ---- the table

class Table:
    """One kind's cases and what they share, in the order in which they were added."""

    def __init__(self, kind, **shared):
        self.kind, self.shared, self.cases, self.ids = kind, shared, [], set()

    def add(self, id, rules, clause, comment, check, input, expect, reason=None, **more):
        assert id not in self.ids, id
        assert expect in ("accept", "refuse") and (expect == "refuse") == (reason is not None), id
        self.ids.add(id)
        case = {"id": id, "rules": [rules] if isinstance(rules, str) else rules, "clause": clause, "comment": comment}
        case |= {"check": check, "input": input, "expect": expect}
        if reason:
            case["reason"] = reason
        case |= {name.replace("_", "-"): value for name, value in more.items() if value is not None}
        self.cases.append(case)

    def write(self):
        """Writes the table, with what go-spiffe said to its cases."""
        said = dict(line.rsplit(" ", 1) for line in (HERE / "peers-go.txt").read_text().splitlines() if not line.startswith("#"))
        for case in self.cases:
            if letter := said.get(f"{self.kind} {case['id']}"):
                case["peers"] = case.get("peers", {}) | {"go-spiffe": {"a": "accept", "r": "refuse"}[letter]}
        body = {"format": 1, "kind": self.kind, **self.shared}
        lines = [json.dumps(body, indent=1)[:-2] + ',\n "cases": [\n']
        lines.append(",\n".join("  " + json.dumps(case) for case in self.cases))
        lines.append("\n ]\n}\n")
        (HERE / f"{self.kind}.json").write_text("".join(lines))
        refused = sum(case["expect"] == "refuse" for case in self.cases)
        print(f"{self.kind}: {len(self.cases)} cases, {refused} of them to refuse")
