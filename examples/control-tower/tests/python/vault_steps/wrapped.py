"""Keys made here, wrapped for the way: an ephemeral AES key under RSA-OAEP, and the key under AES-KWP with it (RFC 5649)."""

import base64
import os

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

SYMMETRIC = {"aes128-gcm96": 16, "aes256-gcm96": 32, "chacha20-poly1305": 32, "hmac": 32}
PAIRS = {
    "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa-2048": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "rsa-3072": lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072),
}
HASHES = {"SHA1": hashes.SHA1, "SHA256": hashes.SHA256, "SHA384": hashes.SHA384, "SHA512": hashes.SHA512}

# One of each for both servers.
KEYS = {kind: os.urandom(length) for kind, length in SYMMETRIC.items()} | {kind: make() for kind, make in PAIRS.items()}


def key_bytes(key):
    if isinstance(key, bytes):
        return key
    form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form)


def public_pem(key):
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*form).decode()


def wrap(wrapping_key, key, hash="SHA256"):
    public = serialization.load_pem_public_key(wrapping_key.encode())
    ephemeral, algorithm = os.urandom(32), HASHES[hash]
    oaep = padding.OAEP(padding.MGF1(algorithm()), algorithm(), None)
    wrapped = public.encrypt(ephemeral, oaep) + keywrap.aes_key_wrap_with_padding(ephemeral, key_bytes(key))
    return base64.b64encode(wrapped).decode()
