"""Certificates as the generators need them: right by default, and wrong wherever one asks for it."""

import datetime
import hashlib
import ipaddress

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from forge import (DAY, HOUR, NOW, NULL, TRUE, YEAR, bits, ec_key, ecdsa_der, integer, octets, oid, rsa_pkcs1, rsa_pss,
                   seq, spki, stream, tlv, utf8)

CURVE_BITS = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 512, "secp256k1": 256}
ECDSA = {1: "1.2.840.10045.4.1", 256: "1.2.840.10045.4.3.2", 384: "1.2.840.10045.4.3.3", 512: "1.2.840.10045.4.3.4"}
RSA = {1: "1.2.840.113549.1.1.5", 256: "1.2.840.113549.1.1.11", 384: "1.2.840.113549.1.1.12", 512: "1.2.840.113549.1.1.13"}
USAGES = ["digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign", "cRLSign",
          "encipherOnly", "decipherOnly"]
PURPOSES = {"serverAuth": "1.3.6.1.5.5.7.3.1", "clientAuth": "1.3.6.1.5.5.7.3.2", "codeSigning": "1.3.6.1.5.5.7.3.3", "any": "2.5.29.37.0"}
NAMES = {"CN": "2.5.4.3", "serialNumber": "2.5.4.5", "C": "2.5.4.6", "O": "2.5.4.10"}


def dn(**parts):
    def one(name, value):
        text = tlv(0x13, value.encode()) if name in ("C", "serialNumber") else utf8(value)
        return tlv(0x31, seq(oid(NAMES[name]), text))
    return seq(*(one(name, value) for name, value in parts.items()))


def utc(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    if moment.year < 2050:
        return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return generalized(seconds)


def generalized(seconds):
    return tlv(0x18, datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y%m%d%H%M%SZ").encode())


# ---- extensions: (object identifier, critical, value)

def ext(dotted, value, critical=False):
    return seq(oid(dotted), TRUE if critical else b"", octets(value))


def uri(text):
    return tlv(0x86, text if isinstance(text, bytes) else text.encode())


def dns(text):
    return tlv(0x82, text.encode())


def email(text):
    return tlv(0x81, text.encode())


def ip(text):
    return tlv(0x87, ipaddress.ip_address(text).packed)


def san(*names, critical=False):
    return ext("2.5.29.17", seq(*names), critical)


def usage_bits(*names):
    places = [USAGES.index(name) for name in names]
    if not places:
        return bits(b"", 0)
    number, last = 0, max(places)
    size = last // 8 + 1
    for place in places:
        number |= 1 << (size * 8 - 1 - place)
    return bits(number.to_bytes(size, "big"), size * 8 - 1 - last)


def ku(*names, critical=True):
    return ext("2.5.29.15", usage_bits(*names), critical)


def bc(ca, length=None, critical=True):
    return ext("2.5.29.19", seq(TRUE if ca else b"", b"" if length is None else integer(length)), critical)


def eku(*names, critical=False):
    return ext("2.5.29.37", seq(*(oid(PURPOSES[name]) for name in names)), critical)


def key_id(key):
    return hashlib.sha1(spki(key)).digest()


def ski(key):
    return ext("2.5.29.14", octets(key_id(key)))


def aki(key):
    return ext("2.5.29.35", seq(tlv(0x80, key_id(key))))


def subtrees(permitted=(), excluded=(), critical=True):
    def trees(tag, names):
        return tlv(tag, *(seq(name) for name in names)) if names else b""
    return ext("2.5.29.30", seq(trees(0xA0, permitted), trees(0xA1, excluded)), critical)


DELEGATION = "1.2.840.113556.1.8000.2554.37854.35020.28837.19955.45668.10352957.12209869"


def delegation(*patterns):
    return ext(DELEGATION, seq(*(utf8(pattern) for pattern in patterns)))


# ---- certificates

def algorithm(key, hash_bits=None, pss=False):
    """AlgorithmIdentifier and the function that signs."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return seq(oid("1.3.101.112")), key.sign
    if isinstance(key, ec.EllipticCurvePrivateKey):
        hash_bits = hash_bits or CURVE_BITS[key.curve.name]
        return seq(oid(ECDSA[hash_bits])), lambda message: ecdsa_der(key, message, hash_bits)
    hash_bits = hash_bits or 256
    if pss:
        sha = seq(oid({256: "2.16.840.1.101.3.4.2.1", 384: "2.16.840.1.101.3.4.2.2", 512: "2.16.840.1.101.3.4.2.3"}[hash_bits]), NULL)
        parameters = seq(tlv(0xA0, sha), tlv(0xA1, seq(oid("1.2.840.113549.1.1.8"), sha)), tlv(0xA2, integer(hash_bits // 8)))
        return seq(oid("1.2.840.113549.1.1.10"), parameters), lambda message: rsa_pss(key, message, hash_bits)
    return seq(oid(RSA[hash_bits]), NULL), lambda message: rsa_pkcs1(key, message, hash_bits)


def serial_of(label):
    return int.from_bytes(b"\x4b" + stream(f"serial {label}", 15), "big")


class Party:
    """Somebody with a name and a key: an authority, or a workload."""

    def __init__(self, label, key=None, subject=None):
        self.label, self.key = label, key or ec_key(f"x509 {label}")
        self.subject = dn(O="SPIFFE", CN=label, serialNumber=hashlib.sha256(label.encode()).hexdigest()[:16]) if subject is None else subject


def certificate(issuer, subject, key, extensions, *, label, start=NOW - HOUR, end=NOW + HOUR, serial=None, version=2, hash_bits=None, pss=False,
                inner=None, signer=None, issuer_name=None, times=None, spki_der=None, tail=b"", tbs_tail=b"", wrap=None):
    """`signer`, `inner`, `times` and the rest are for what shall be wrong."""
    identifier, sign = algorithm(signer or issuer.key, hash_bits, pss)
    tbs = seq(
        b"" if version == 0 else tlv(0xA0, integer(version)),
        serial if isinstance(serial, bytes) else integer(serial_of(label) if serial is None else serial),
        inner or identifier,
        issuer.subject if issuer_name is None else issuer_name,
        seq(*(times or (utc(start), utc(end)))),
        subject,
        spki_der or spki(key),
        tlv(0xA3, seq(*extensions)) if extensions else b"",
        tbs_tail,
    )
    return (wrap or seq)(tbs, identifier, bits(sign(tbs))) + tail


def authority(issuer, party, *, label=None, id="spiffe://td.example", length=None, start=NOW - DAY, end=NOW + YEAR, extra=(), **changes):
    """A signing certificate; `basic`, `usage`, `names` and so on replace an extension, None leaves it out."""
    parts = {
        "basic": bc(True, length), "usage": ku("keyCertSign", "cRLSign"), "purpose": None, "names": san(uri(id)) if id else None,
        "ski": ski(party.key), "aki": aki(issuer.key) if issuer is not party else None,
    }
    parts |= {name: changes.pop(name) for name in list(changes) if name in parts}
    extensions = [part for part in parts.values() if part] + list(extra)
    return certificate(issuer, party.subject, party.key, extensions, label=label or party.label, start=start, end=end, **changes)


def leaf(issuer, id="spiffe://td.example/w", *, label, key=None, subject=None, extra=(), **changes):
    key = key or ec_key("x509 leaf")
    parts = {
        "basic": bc(False), "usage": ku("digitalSignature"), "purpose": eku("serverAuth", "clientAuth"), "names": san(uri(id)) if id is not None else None,
        "ski": ski(key), "aki": aki(issuer.key),
    }
    parts |= {name: changes.pop(name) for name in list(changes) if name in parts}
    extensions = [part for part in parts.values() if part] + list(extra)
    subject = dn(O="SPIFFE", CN="workload") if subject is None else subject
    return certificate(issuer, subject, key, extensions, label=label, **changes)
