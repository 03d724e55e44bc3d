"""Keys from elsewhere."""

import base64

from .values import b64
from .wrapped import KEYS, PAIRS, public_pem, wrap


def script(run):
    s, post = run.step, run.client._adapter.post
    s("wrapping key", lambda t, y: run.client._adapter.get("/v1/transit/wrapping_key"))
    s("wrapping key again", lambda t, y: {"same": run.client._adapter.get("/v1/transit/wrapping_key")["data"] == run.kept["wrapping key"]["data"]})
    wrapping = run.data("wrapping key", "public_key")
    hashes = ["SHA256", "SHA384", "SHA512"]
    for at, kind in enumerate(KEYS):
        hash = hashes[at % len(hashes)]
        body = {"type": kind, "ciphertext": wrap(wrapping, KEYS[kind], hash), "hash_function": hash, "exportable": True}
        s(f"import {kind}", lambda t, y: post(f"/v1/transit/keys/own-{kind}/import", json=body))
        s(f"read the imported {kind}", lambda t, y: t.read_key(f"own-{kind}"))
        if kind in PAIRS:
            s(f"sign with the imported {kind}", lambda t, y: t.sign_data(f"own-{kind}", hash_input=b64("hello")))
        elif kind != "hmac":
            s(f"encrypt with the imported {kind}", lambda t, y: t.encrypt_data(f"own-{kind}", plaintext=b64("hello")))
            exported = base64.b64encode(KEYS[kind]).decode()
            s(f"export the imported {kind}", lambda t, y: {"same": t.export_key(f"own-{kind}", key_type="encryption-key")["data"]["keys"] == {"1": exported}})
    s("hmac with the imported hmac", lambda t, y: t.generate_hmac("own-hmac", hash_input=b64("hello")))
    aes, ec = "aes256-gcm96", "ecdsa-p256"
    wrapped = {"type": aes, "ciphertext": wrap(wrapping, KEYS[aes])}
    s("import again", lambda t, y: post(f"/v1/transit/keys/own-{aes}/import", json=wrapped))
    s("import by SHA-1", lambda t, y: post("/v1/transit/keys/sha1/import", json={"type": aes, "ciphertext": wrap(wrapping, KEYS[aes], "SHA1"), "hash_function": "SHA1"}))
    s("import by no hash", lambda t, y: post("/v1/transit/keys/bad/import", json=wrapped | {"hash_function": "MD5"}))
    s("import by another hash", lambda t, y: post("/v1/transit/keys/bad/import", json=wrapped | {"hash_function": "SHA512"}))
    s("import as another kind", lambda t, y: post("/v1/transit/keys/bad/import", json=wrapped | {"type": "aes128-gcm96"}))
    s("import of no kind", lambda t, y: post("/v1/transit/keys/bad/import", json=wrapped | {"type": "des"}))
    s("import no base64", lambda t, y: post("/v1/transit/keys/bad/import", json=wrapped | {"ciphertext": "!"}))
    s("import too little", lambda t, y: post("/v1/transit/keys/bad/import", json=wrapped | {"ciphertext": b64("short")}))
    s("import convergent", lambda t, y: post("/v1/transit/keys/bad/import", json=wrapped | {"convergent_encryption": True}))
    s("read what was not imported", lambda t, y: t.read_key("bad"))
    s("rotate what is only imported", lambda t, y: t.rotate_key(f"own-{aes}"))
    s("import derived", lambda t, y: post("/v1/transit/keys/own-derived/import", json=wrapped | {"derived": True}))
    s("encrypt with the imported derived", lambda t, y: t.encrypt_data("own-derived", plaintext=b64("hello"), context=b64("a")))
    s("import what may rotate", lambda t, y: post("/v1/transit/keys/own-rotating/import", json=wrapped | {"allow_rotation": True}))
    s("read what may rotate", lambda t, y: t.read_key("own-rotating"))
    s("import a version", lambda t, y: post("/v1/transit/keys/own-rotating/import_version", json={"ciphertext": wrap(wrapping, b"7" * 32)}))
    s("read what has two", lambda t, y: t.read_key("own-rotating"))
    s("rotate what was imported", lambda t, y: t.rotate_key("own-rotating"))
    s("read what was rotated", lambda t, y: t.read_key("own-rotating"))
    s("import a version of what was made", lambda t, y: post("/v1/transit/keys/open/import_version", json={"ciphertext": wrap(wrapping, b"8" * 32)}))
    s("import a version of none", lambda t, y: post("/v1/transit/keys/none/import_version", json={"ciphertext": wrap(wrapping, b"8" * 32)}))
    s("import a bad version", lambda t, y: post(f"/v1/transit/keys/own-{aes}/import_version", json={"ciphertext": wrap(wrapping, b"8" * 31)}))
    # The public half alone.
    for kind in PAIRS:
        s(f"import the public {kind}", lambda t, y: post(f"/v1/transit/keys/half-{kind}/import", json={"type": kind, "public_key": public_pem(KEYS[kind])}))
        signature = run.data(f"sign with the imported {kind}", "signature")
        s(f"verify with the public {kind}", lambda t, y: t.verify_signed_data(f"half-{kind}", hash_input=b64("hello"), signature=signature))
        s(f"verify another with the public {kind}", lambda t, y: t.verify_signed_data(f"half-{kind}", hash_input=b64("hullo"), signature=signature))
        s(f"sign with the public {kind}", lambda t, y: t.sign_data(f"half-{kind}", hash_input=b64("hello")))
    s("encrypt with the public half", lambda t, y: t.encrypt_data("half-rsa-2048", plaintext=b64("hello")))
    s("decrypt with the public half", lambda t, y: t.decrypt_data("half-rsa-2048", ciphertext=run.data("encrypt with the public half", "ciphertext")))
    s("decrypt with the whole", lambda t, y: t.decrypt_data("own-rsa-2048", ciphertext=run.data("encrypt with the public half", "ciphertext")))
    for what, key, version in ("another private half", KEYS["ed25519"], 1), ("the half of no version", KEYS[ec], 7), ("the half of a whole", KEYS["ecdsa-p384"], 1):
        name = "own-ecdsa-p384" if what.endswith("whole") else f"half-{ec}" if version == 7 else "half-rsa-2048"
        s(f"import {what}", lambda t, y: post(f"/v1/transit/keys/{name}/import_version", json={"ciphertext": wrap(wrapping, key), "version": version}))
    s("read what was not completed", lambda t, y: t.read_key(f"half-{ec}"))
    s("import the private half of a version", lambda t, y: post("/v1/transit/keys/half-ecdsa-p384/import_version", json={"ciphertext": wrap(wrapping, KEYS["ecdsa-p384"]), "version": 1}))
    s("sign with the half of a version", lambda t, y: t.sign_data("half-ecdsa-p384", hash_input=b64("hello")))
    s("import the private half", lambda t, y: post(f"/v1/transit/keys/half-{ec}/import_version", json={"ciphertext": wrap(wrapping, KEYS[ec])}))
    s("read both halves", lambda t, y: t.read_key(f"half-{ec}"))
    s("sign with both halves", lambda t, y: t.sign_data(f"half-{ec}", hash_input=b64("hello")))
    s("import a public symmetric key", lambda t, y: post("/v1/transit/keys/bad/import", json={"type": aes, "public_key": public_pem(KEYS[ec])}))
    s("import no public key", lambda t, y: post("/v1/transit/keys/bad/import", json={"type": ec, "public_key": "none"}))
    s("import the public key of another kind", lambda t, y: post("/v1/transit/keys/bad/import", json={"type": "ecdsa-p384", "public_key": public_pem(KEYS[ec])}))
