"""One key in both: what one made with it the other reads, in both directions."""

from .values import b64
from .wrapped import KEYS, PAIRS, SYMMETRIC, wrap

DATA = {"associated_data": b64("row 7")}
SIGNATURES = [
    ("ecdsa-p256", {"marshaling_algorithm": "asn1"}),
    ("ecdsa-p256", {"marshaling_algorithm": "jws"}),
    ("ecdsa-p384", {"hash_algorithm": "sha2-384"}),
    ("ecdsa-p521", {"hash_algorithm": "sha2-512"}),
    ("rsa-2048", {"signature_algorithm": "pkcs1v15"}),
    ("rsa-2048", {"signature_algorithm": "pss"}),
    ("rsa-2048", {"signature_algorithm": "pss", "salt_length": "hash"}),
    ("rsa-3072", {"signature_algorithm": "pss", "hash_algorithm": "sha2-512"}),
    ("ed25519", {}),
    ("ed25519", {"marshaling_algorithm": "jws"}),
]


def bring(client, kind):
    """The key, under a name of its own, from the server's own wrapping key."""
    post, wrapping = client._adapter.post, client._adapter.get("/v1/transit/wrapping_key")["data"]["public_key"]
    post(f"/v1/transit/keys/both-{kind}/import", json={"type": kind, "ciphertext": wrap(wrapping, KEYS[kind])})


def refused(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001: hvac has one per status
        return "VaultError" in [base.__name__ for base in type(error).__mro__]
    return False


def exchange(one, other):
    """Answers how many texts went over."""
    count = 0
    for kind in KEYS:
        bring(one, kind)
        bring(other, kind)
    for source, target in ((one, other), (other, one)):
        made, read = source.secrets.transit, target.secrets.transit
        for kind in [*SYMMETRIC, "rsa-2048"]:
            if kind == "hmac":
                continue
            for extra in [{}] if kind == "rsa-2048" else [{}, DATA]:
                text = made.encrypt_data(f"both-{kind}", plaintext=b64("hello"), **extra)["data"]["ciphertext"]
                assert read.decrypt_data(f"both-{kind}", ciphertext=text, **extra)["data"]["plaintext"] == b64("hello"), kind
                count += 1
                if extra:
                    assert refused(lambda: read.decrypt_data(f"both-{kind}", ciphertext=text)), kind
                    other_data = {"associated_data": b64("row 8")}
                    assert refused(lambda: read.decrypt_data(f"both-{kind}", ciphertext=text, **other_data)), kind
        for kind, options in SIGNATURES:
            assert kind in PAIRS
            signature = made.sign_data(f"both-{kind}", hash_input=b64("hello"), **options)["data"]["signature"]
            for text, expected in (("hello", True), ("hullo", False)):
                verdict = read.verify_signed_data(f"both-{kind}", hash_input=b64(text), signature=signature, **options)
                assert verdict["data"]["valid"] is expected, (kind, options, text)
            count += 1
        for hash in ("sha2-256", "sha2-512", "sha2-384"):
            mac = made.generate_hmac("both-hmac", hash_input=b64("hello"), algorithm=hash)["data"]["hmac"]
            assert mac == read.generate_hmac("both-hmac", hash_input=b64("hello"), algorithm=hash)["data"]["hmac"], hash
            for text, expected in (("hello", True), ("hullo", False)):
                verdict = read.verify_signed_data("both-hmac", hash_input=b64(text), hmac=mac, hash_algorithm=hash)
                assert verdict["data"]["valid"] is expected, hash
            count += 1
    return count
