"""What keys are asked to do, and what they are."""

import base64
import hashlib

from .values import b64


def script(run):
    s = run.step
    s("no keys", lambda t, y: t.list_keys())
    ciphers = ["aes256-gcm96", "chacha20-poly1305"]
    signing = ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-2048"]
    for kind in ciphers + signing:
        s(f"create {kind}", lambda t, y: t.create_key(kind, key_type=kind))
        s(f"read {kind}", lambda t, y: t.read_key(kind))
    s("create again", lambda t, y: t.create_key("aes256-gcm96"))
    s("create hmac", lambda t, y: t._adapter.post("/v1/transit/keys/mac", json={"type": "hmac", "key_size": 32}))
    s("create aes128", lambda t, y: t._adapter.post("/v1/transit/keys/aes128", json={"type": "aes128-gcm96"}))
    s("create derived", lambda t, y: t.create_key("derived", derived=True))
    s("create convergent", lambda t, y: t.create_key("convergent", derived=True, convergent_encryption=True))
    s("create convergent alone", lambda t, y: t.create_key("bad", convergent_encryption=True))
    s("create of no kind", lambda t, y: t._adapter.post("/v1/transit/keys/bad", json={"type": "des"}))
    s("create exportable", lambda t, y: t.create_key("open", exportable=True, allow_plaintext_backup=True))
    s("list", lambda t, y: t.list_keys())
    s("read none", lambda t, y: t.read_key("none"))
    for kind in ciphers + ["rsa-2048"]:
        s(f"encrypt {kind}", lambda t, y: t.encrypt_data(kind, plaintext=b64("hello")))
        text = run.data(f"encrypt {kind}", "ciphertext")
        s(f"decrypt {kind}", lambda t, y: t.decrypt_data(kind, ciphertext=text))
        s(f"rotate {kind}", lambda t, y: t.rotate_key(kind))
        s(f"rewrap {kind}", lambda t, y: t.rewrap_data(kind, ciphertext=text))
        s(f"decrypt the rewrapped {kind}", lambda t, y: t.decrypt_data(kind, ciphertext=run.data(f"rewrap {kind}", "ciphertext")))
        s(f"decrypt the old {kind}", lambda t, y: t.decrypt_data(kind, ciphertext=text))
        s(f"encrypt by the old {kind}", lambda t, y: t.encrypt_data(kind, plaintext=b64("hello"), key_version=1))
        s(f"read the rotated {kind}", lambda t, y: t.read_key(kind))
    s("encrypt by none", lambda t, y: t.encrypt_data("aes256-gcm96", plaintext=b64("hello"), key_version=9))
    s("encrypt no base64", lambda t, y: t.encrypt_data("aes256-gcm96", plaintext="!"))
    s("encrypt with ec", lambda t, y: t.encrypt_data("ecdsa-p256", plaintext=b64("hello")))
    s("decrypt with none", lambda t, y: t.decrypt_data("none", ciphertext="vault:v1:AAAA"))
    s("decrypt nothing of ours", lambda t, y: t.decrypt_data("aes256-gcm96", ciphertext="vault:v1:" + b64("x" * 40)))
    s("decrypt no text of ours", lambda t, y: t.decrypt_data("aes256-gcm96", ciphertext="hello"))
    s("derived without context", lambda t, y: t.encrypt_data("derived", plaintext=b64("hello")))
    s("derived", lambda t, y: t.encrypt_data("derived", plaintext=b64("hello"), context=b64("a")))
    s("derived back", lambda t, y: t.decrypt_data("derived", ciphertext=run.data("derived", "ciphertext"), context=b64("a")))
    s("derived elsewhere", lambda t, y: t.decrypt_data("derived", ciphertext=run.data("derived", "ciphertext"), context=b64("b")))
    for nth in (1, 2):
        s(f"convergent {nth}", lambda t, y: t.encrypt_data("convergent", plaintext=b64("hello"), context=b64("a")))
    s("convergent is", lambda t, y: {"same": run.data("convergent 1", "ciphertext") == run.data("convergent 2", "ciphertext")})
    s("batch", lambda t, y: t.encrypt_data("aes256-gcm96", plaintext=None, batch_input=[{"plaintext": b64("a"), "reference": "r"}, {"plaintext": b64("b")}]))
    items = [{"ciphertext": item["ciphertext"]} for item in run.data("batch", "batch_results")]
    s("batch back", lambda t, y: t.decrypt_data("aes256-gcm96", ciphertext=None, batch_input=items))
    s("batch rewrapped", lambda t, y: t.rewrap_data("aes256-gcm96", ciphertext=None, batch_input=items))
    s("batch with a bad item", lambda t, y: t.encrypt_data("aes256-gcm96", plaintext=None, batch_input=[{"plaintext": b64("a")}, {"plaintext": "!"}]))
    for kind in signing:
        s(f"sign {kind}", lambda t, y: t.sign_data(kind, hash_input=b64("hello")))
        signature = run.data(f"sign {kind}", "signature")
        s(f"verify {kind}", lambda t, y: t.verify_signed_data(kind, hash_input=b64("hello"), signature=signature))
        s(f"verify another {kind}", lambda t, y: t.verify_signed_data(kind, hash_input=b64("hullo"), signature=signature))
    for kind in ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521"):
        options = {"hash_algorithm": "sha2-512", "marshaling_algorithm": "jws"}
        s(f"sign {kind} as JWS", lambda t, y: t.sign_data(kind, hash_input=b64("hello"), **options))
        signature = run.data(f"sign {kind} as JWS", "signature")
        s(f"verify {kind} as JWS", lambda t, y: t.verify_signed_data(kind, hash_input=b64("hello"), signature=signature, **options))
    for padding in ("pss", "pkcs1v15"):
        for hash in ("sha2-256", "sha2-384", "sha2-512"):
            options = {"hash_algorithm": hash, "signature_algorithm": padding}
            s(f"sign {padding} {hash}", lambda t, y: t.sign_data("rsa-2048", hash_input=b64("hello"), **options))
            signature = run.data(f"sign {padding} {hash}", "signature")
            s(f"verify {padding} {hash}", lambda t, y: t.verify_signed_data("rsa-2048", hash_input=b64("hello"), signature=signature, **options))
    digest = b64(hashlib.sha256(b"hello").digest())
    s("sign a digest", lambda t, y: t.sign_data("ecdsa-p256", hash_input=digest, prehashed=True, hash_algorithm="sha2-256"))
    s("verify its message", lambda t, y: t.verify_signed_data("ecdsa-p256", hash_input=b64("hello"), signature=run.data("sign a digest", "signature")))
    s("sign with aes", lambda t, y: t.sign_data("aes256-gcm96", hash_input=b64("hello")))
    for kind in ("mac", "aes256-gcm96", "ecdsa-p256"):
        s(f"hmac {kind}", lambda t, y: t.generate_hmac(kind, hash_input=b64("hello"), algorithm="sha2-512"))
        mac = run.data(f"hmac {kind}", "hmac")
        s(f"verify hmac {kind}", lambda t, y: t.verify_signed_data(kind, hash_input=b64("hello"), hmac=mac, hash_algorithm="sha2-512"))
        s(f"verify another hmac {kind}", lambda t, y: t.verify_signed_data(kind, hash_input=b64("hullo"), hmac=mac, hash_algorithm="sha2-512"))
    for bits in (128, 256, 512):
        s(f"data key {bits}", lambda t, y: t.generate_data_key("open", key_type="wrapped", bits=bits))
    s("data key of no size", lambda t, y: t.generate_data_key("open", key_type="wrapped", bits=64))
    s("data key open", lambda t, y: {"bytes": len(base64.b64decode(t.generate_data_key("open", key_type="plaintext")["data"]["plaintext"]))})
    for form in ("base64", "hex"):
        s(f"random {form}", lambda t, y: t.generate_random_bytes(n_bytes=16, output_format=form))
    for hash in ("sha2-224", "sha2-256", "sha2-384", "sha2-512", "sha3-256", "sha3-512"):
        s(f"hash {hash}", lambda t, y: t.hash_data(b64("hello"), algorithm=hash, output_format="hex"))
    s("hash by none", lambda t, y: t.hash_data(b64("hello"), algorithm="sha2-256", output_format="base64"))
    s("export", lambda t, y: t.export_key("open", key_type="encryption-key"))
    s("export an hmac key", lambda t, y: t.export_key("open", key_type="hmac-key"))
    s("export a version", lambda t, y: t.export_key("open", key_type="encryption-key", version="1"))
    s("export the latest", lambda t, y: t.export_key("open", key_type="encryption-key", version="latest"))
    s("export what is not there", lambda t, y: t.export_key("open", key_type="signing-key"))
    s("export what is kept", lambda t, y: t.export_key("aes256-gcm96", key_type="encryption-key"))
    s("export none", lambda t, y: t.export_key("none", key_type="encryption-key"))
    s("trim too early", lambda t, y: t.trim_key("aes256-gcm96", min_version=2))
    s("configure", lambda t, y: t.update_key_configuration("aes256-gcm96", min_decryption_version=2, min_encryption_version=2))
    s("decrypt what is shut out", lambda t, y: t.decrypt_data("aes256-gcm96", ciphertext=run.data("encrypt aes256-gcm96", "ciphertext")))
    s("read what is configured", lambda t, y: t.read_key("aes256-gcm96"))
    s("configure too much", lambda t, y: t.update_key_configuration("aes256-gcm96", min_decryption_version=9))
    s("trim", lambda t, y: t.trim_key("aes256-gcm96", min_version=2))
    s("read what is trimmed", lambda t, y: t.read_key("aes256-gcm96"))
    s("delete too early", lambda t, y: t.delete_key("aes256-gcm96"))
    s("allow deletion", lambda t, y: t.update_key_configuration("aes256-gcm96", deletion_allowed=True))
    s("delete", lambda t, y: t.delete_key("aes256-gcm96"))
    s("delete again", lambda t, y: t.delete_key("aes256-gcm96"))
    s("read what is deleted", lambda t, y: t.read_key("aes256-gcm96"))
