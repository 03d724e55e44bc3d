"""What clients leave out, get wrong, or write in another form: one by one and in batches."""

import base64

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .values import b64
from .wrapped import KEYS, public_pem, wrap


def script(run):
    s, client, ask, post = run.step, run.client, run.ask, run.post

    for kind in ("aes256-gcm96", "ecdsa-p256", "ed25519", "rsa-2048"):
        post(f"transit/keys/edge-{kind}", type=kind)
    post("transit/keys/edge-derived", type="ed25519", derived=True)
    aes, ec, hello = "edge-aes256-gcm96", "edge-ecdsa-p256", b64("hello")

    # What is no signature is a mistake; what is one of something else is not valid.
    signature = post(f"transit/sign/{ec}", input=hello)["data"]["signature"]
    mac = post(f"transit/hmac/{aes}", input=hello)["data"]["hmac"]
    # The byte 255 at the end is never in the alphabet of URLs, so that as JWS it is refused there by the alphabet, and not by chance.
    bad = {
        "nothing": "", "a word": "hello", "no body": "vault:v1", "no version": "vault:vx:AAAA", "a version to come": "vault:v7:AAAA",
        "no base64": "vault:v1:!", "no ASN.1": "vault:v1:AAAA", "one byte too much": "vault:v1:" + b64(base64.b64decode(signature.split(":")[2]) + b"\xff"),
    }
    for name, text in bad.items():
        for kind in ("ecdsa-p256", "ed25519", "rsa-2048"):
            s(f"verify {name} by {kind}", lambda t, y: post(f"transit/verify/edge-{kind}", input=hello, signature=text))
        s(f"verify {name} as JWS", lambda t, y: post(f"transit/verify/{ec}", input=hello, signature=text, marshaling_algorithm="jws"))
        s(f"verify {name} as an hmac", lambda t, y: post(f"transit/verify/{aes}", input=hello, hmac=text))
    s("verify with both", lambda t, y: post(f"transit/verify/{ec}", input=hello, signature=signature, hmac=mac))
    s("verify with neither", lambda t, y: post(f"transit/verify/{ec}", input=hello))

    # What was in a file ends in a line feed, and may be folded.
    sealed = post(f"transit/encrypt/{aes}", plaintext=hello)["data"]["ciphertext"]
    for name, kept in {"a line feed behind it": lambda text: text + "\n", "folded": lambda text: text[:20] + "\r\n" + text[20:], "a space behind it": lambda text: text + " "}.items():
        s(f"decrypt what has {name}", lambda t, y: post(f"transit/decrypt/{aes}", ciphertext=kept(sealed)))
        s(f"verify a signature that has {name}", lambda t, y: post(f"transit/verify/{ec}", input=hello, signature=kept(signature)))
        s(f"verify an hmac that has {name}", lambda t, y: post(f"transit/verify/{aes}", input=hello, hmac=kept(mac)))

    # What is wrong with every item is wrong with the whole.
    for path, item in {f"sign/{ec}/md5": {}, f"verify/{ec}/md5": {"signature": signature}, f"verify/{aes}/md5": {"hmac": mac}, f"sign/{aes}": {}, f"verify/{aes}": {"signature": signature}}.items():
        s(f"a batch of {path}", lambda t, y: post(f"transit/{path}", batch_input=[{"input": hello, **item}]))
    s("a batch by no marshaling", lambda t, y: post(f"transit/sign/{ec}", batch_input=[{"input": hello}], marshaling_algorithm="none"))
    for name in ("", "nothing"):
        s(f"revoke the token {name!r}", lambda t, y: post("auth/token/revoke", token=name))

    # No input is the empty one, alone.
    s("sign without input", lambda t, y: post(f"transit/sign/{ec}"))
    s("verify without input", lambda t, y: post(f"transit/verify/{ec}", signature=run.data("sign without input", "signature")))
    s("verify the empty input", lambda t, y: post(f"transit/verify/{ec}", input="", signature=run.data("sign without input", "signature")))
    s("hmac without input", lambda t, y: post(f"transit/hmac/{aes}"))
    s("encrypt without plaintext", lambda t, y: post(f"transit/encrypt/{aes}"))
    s("encrypt an empty plaintext", lambda t, y: post(f"transit/encrypt/{aes}", plaintext=""))
    s("decrypt the empty plaintext", lambda t, y: post(f"transit/decrypt/{aes}", ciphertext=run.data("encrypt an empty plaintext", "ciphertext")))
    s("decrypt without ciphertext", lambda t, y: post(f"transit/decrypt/{aes}"))
    s("hash without input", lambda t, y: post("transit/hash"))

    # A context binds nothing where keys are not derived.
    s("encrypt with a context for nothing", lambda t, y: post(f"transit/encrypt/{aes}", plaintext=hello, context=b64("a")))
    text = run.data("encrypt with a context for nothing", "ciphertext")
    s("decrypt without it", lambda t, y: post(f"transit/decrypt/{aes}", ciphertext=text))
    s("rewrap with another", lambda t, y: post(f"transit/rewrap/{aes}", ciphertext=text, context=b64("b")))
    s("sign with a context for nothing", lambda t, y: post(f"transit/sign/{ec}", input=hello, context=b64("a")))
    s("a context that is no base64", lambda t, y: post(f"transit/encrypt/{aes}", plaintext=hello, context="!"))
    s("a data key with a context for nothing", lambda t, y: post(f"transit/datakey/wrapped/{aes}", context=b64("a")))

    # Keys of a context: shown with the signature, and for those who ask.
    s("sign in a context", lambda t, y: post("transit/sign/edge-derived", input=hello, context=b64("a")))
    s("sign a batch in a context", lambda t, y: post("transit/sign/edge-derived", batch_input=[{"input": hello, "context": b64("a")}]))
    s("sign in no context", lambda t, y: post("transit/sign/edge-derived", input=hello))
    s("a derived key in no context", lambda t, y: ask("get", "transit/keys/edge-derived"))
    s("a derived key in a context", lambda t, y: ask("get", f"transit/keys/edge-derived?context={b64('a')}"))
    s("a derived key in no base64", lambda t, y: ask("get", "transit/keys/edge-derived?context=!"))
    s("export the public key of a derived key", lambda t, y: ask("get", "transit/export/public-key/edge-derived"))
    s("the key of a context", lambda t, y: verified_elsewhere(run))
    s("a key that is not derived in a context", lambda t, y: ask("get", f"transit/keys/{ec}?context={b64('a')}"))
    wrapping = client._adapter.get("/v1/transit/wrapping_key")["data"]["public_key"]
    for kind in ("ecdsa-p256", "ed25519", "rsa-2048"):
        name = f"same-{kind}"
        post(f"transit/keys/{name}/import", type=kind, public_key=public_pem(KEYS[kind]))
        s(f"the public {kind}", lambda t, y: {"exact": ask("get", f"transit/keys/{name}")["data"]["keys"]["1"]["public_key"]})
        s(f"the public {kind} exported", lambda t, y: {"exact": ask("get", f"transit/export/public-key/{name}/1")["data"]["keys"]["1"]})
    for kind in ("aes256-gcm96", "ecdsa-p256", "ecdsa-p521", "ed25519", "rsa-2048"):
        post(f"transit/keys/out-{kind}/import", type=kind, ciphertext=wrap(wrapping, KEYS[kind]), exportable=True)
        for what in ("encryption-key", "hmac-key") if kind == "aes256-gcm96" else ("signing-key", "public-key"):
            for form in ("", "raw", "der", "pem", "jwk"):
                s(f"the {what} of {kind} as {form!r}", lambda t, y: exported(ask("get", f"transit/export/{what}/out-{kind}?format={form}"), what))
    s("the keys of none as 'jwk'", lambda t, y: ask("get", "transit/export/public-key/none?format=jwk"))

    # The same key once more.
    for kind in ("ecdsa-p256", "aes256-gcm96"):
        body = {"type": kind, "ciphertext": wrap(wrapping, KEYS[kind])}
        post(f"transit/keys/twice-{kind}/import", **body)
        s(f"import the same {kind} as a version", lambda t, y: post(f"transit/keys/twice-{kind}/import_version", ciphertext=wrap(wrapping, KEYS[kind])))
        s(f"import the same {kind} under another name", lambda t, y: post(f"transit/keys/again-{kind}/import", **body))

    for hash in ("sha1", "sha2-224", "sha3-224", "sha3-256", "sha3-384", "sha3-512", "md5"):
        s(f"hash by {hash}", lambda t, y: post("transit/hash", input=hello, algorithm=hash))
        s(f"hmac by {hash}", lambda t, y: post(f"transit/hmac/{aes}", input=hello, algorithm=hash))
        s(f"hmac by the path {hash}", lambda t, y: post(f"transit/hmac/{aes}/{hash}", input=hello))
    batches(run)
    forms(run)
    ended(run)
    contradictory(run)


def exported(answer, what):
    """The keys as they are written; each server makes the keys of its HMACs by itself."""
    return answer if what == "hmac-key" else {**answer, "exact": answer["data"]["keys"]}


def verified_elsewhere(run):
    """Whether the public key that is shown for a context verifies what was signed in it."""
    shown = run.data("a derived key in a context", "keys")["1"]["public_key"]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(shown))
    key.verify(base64.b64decode(run.data("sign in a context", "signature").split(":")[2]), b"hello")
    return {"same": shown == run.data("sign in a context", "public_key")}


def batches(run):
    """Of a batch in which an item fails the others are done. The status is part of the answer."""
    s, client = run.step, run.client

    def post(path, **body):
        verify, token = client._adapter._kwargs.get("verify", True), {"X-Vault-Token": client.token}
        return requests.post(f"{client.url}/v1/{path}", json=body, headers=token, verify=verify, timeout=60)

    aes, ec, hello = "edge-aes256-gcm96", "edge-ecdsa-p256", b64("hello")
    text = post(f"transit/encrypt/{aes}", plaintext=hello).json()["data"]["ciphertext"]
    signature = post(f"transit/sign/{ec}", input=hello).json()["data"]["signature"]
    mac = post(f"transit/hmac/{aes}", input=hello).json()["data"]["hmac"]
    good = {
        f"encrypt/{aes}": {"plaintext": hello}, f"decrypt/{aes}": {"ciphertext": text}, f"rewrap/{aes}": {"ciphertext": text},
        f"sign/{ec}": {"input": hello}, f"verify/{ec}": {"input": hello, "signature": signature},
        f"hmac/{aes}": {"input": hello}, f"verify/{aes}": {"input": hello, "hmac": mac},
    }
    bad = {
        "encrypt": [{"plaintext": "!"}, {"plaintext": "?"}], "decrypt": [{"ciphertext": "vault:v1:AAAA"}, {"ciphertext": "hello"}],
        "rewrap": [{"ciphertext": "vault:v1:AAAA"}, {"ciphertext": "hello"}, {}], "sign": [{"input": "!"}, {}], "hmac": [{"input": "!"}, {}],
    }
    for path, item in good.items():
        call = path.split("/")[0]
        items = bad.get(call) or [{**item, "input": "!"}, {**item, "input": b64("hullo")}, {key: value for key, value in item.items() if key != "input"}]
        named = [{**other, "reference": f"r{at}"} for at, other in enumerate(items)]
        s(f"batch of {path} with bad items", lambda t, y: post(f"transit/{path}", batch_input=[item, *named]))
        s(f"batch of bad items of {path}", lambda t, y: post(f"transit/{path}", batch_input=named))
        s(f"batch of {path} with another status", lambda t, y: post(f"transit/{path}", batch_input=[item, *named], partial_failure_response_code=207))
        s(f"batch of bad items of {path} with another status", lambda t, y: post(f"transit/{path}", batch_input=named, partial_failure_response_code=207))
        s(f"batch of {path} with an empty item", lambda t, y: post(f"transit/{path}", batch_input=[item, {}]))
        s(f"batch of none of {path}", lambda t, y: post(f"transit/{path}", batch_input=[]))
    one, other = {"input": hello, "signature": signature}, {"input": hello, "hmac": mac}
    for name, items in {"no signature": [one, {"input": hello}], "no hmac": [other, {"input": hello}], "neither": [{"input": hello}], "both": [one, other]}.items():
        s(f"verify a batch with {name}", lambda t, y: post(f"transit/verify/{ec}", batch_input=items))
    s("verify a batch of no signatures", lambda t, y: post(f"transit/verify/{ec}", batch_input=[{"input": hello, "signature": "hello"}, one]))


def forms(run):
    """Paths, bodies and base64 as this or that client writes them."""
    s, ask, post = run.step, run.ask, run.post
    aes = "edge-aes256-gcm96"

    def length(answer):
        return len(answer["data"]["random_bytes"])

    for path in ("random/16", "random/platform", "random/platform/16", "random/seal/16", "random/all/16", "random/all", "random/none", "random/none/16", "random/platform/x", "random/0"):
        for root in ("transit", "sys/tools"):
            s(f"{root}/{path}", lambda t, y: length(post(f"{root}/{path}", format="hex")))
    s("random bytes of a source and a body", lambda t, y: length(post("transit/random/all", bytes=5, format="hex")))
    for path in ("transit/keys", "auth/approle/role", "auth/approle/role/app/secret-id", "auth/token/accessors", "sys/policies/acl"):
        for name, method, end in (("", "list", ""), (" with a slash", "list", "/"), (" by GET", "get", "?list=true"), (" by GET with a slash", "get", "/?list=true")):
            s(f"list {path}{name}", lambda t, y: {"some": len(ask(method, path + end)["data"]["keys"]) > 0})
        if path != "sys/policies/acl":
            s(f"read {path} with a slash", lambda t, y: ask("get", f"{path}/"))
    for path in (f"transit/keys/{aes}/", "auth/approle/role/app/"):
        s(f"read {path}", lambda t, y: ask("get", path))
    s("encrypt at a path with a slash", lambda t, y: post(f"transit/encrypt/{aes}/", plaintext=b64("hello")))
    for name, text in {"line breaks": "aGVs\nbG8=", "line breaks of DOS": "aGVs\r\nbG8=\r\n", "a blank": "aGVs bG8=", "no padding": "aGVsbG8", "letters of URLs": "_-8="}.items():
        s(f"encrypt base64 with {name}", lambda t, y: post(f"transit/encrypt/{aes}", plaintext=text))
        s(f"sign base64 with {name}", lambda t, y: post("transit/sign/edge-ed25519", input=text))
        s(f"hash base64 with {name}", lambda t, y: post("transit/hash", input=text))
    # Whoever writes bodies out of records sends what is not set as null.
    nulls = dict.fromkeys(("context", "associated_data", "key_version", "nonce", "reference", "batch_input", "type"))
    s("encrypt with nulls", lambda t, y: post(f"transit/encrypt/{aes}", plaintext=b64("hello"), **nulls))
    text = run.data("encrypt with nulls", "ciphertext")
    s("decrypt with nulls", lambda t, y: post(f"transit/decrypt/{aes}", ciphertext=text, **nulls))
    for field in ("hash_algorithm", "algorithm", "signature_algorithm", "marshaling_algorithm", "prehashed", "salt_length", "key_version", "context", "batch_input"):
        s(f"sign with null as {field}", lambda t, y: post("transit/sign/edge-rsa-2048", **{"input": b64("hello"), field: None}))
    made = run.data("sign with null as context", "signature")
    for field in ("hmac", "hash_algorithm", "signature_algorithm", "marshaling_algorithm", "prehashed", "salt_length", "context", "batch_input"):
        s(f"verify with null as {field}", lambda t, y: post("transit/verify/edge-rsa-2048", **{"input": b64("hello"), "signature": made, field: None}))
    s("make a key with nulls", lambda t, y: post("transit/keys/edge-nulls", **dict.fromkeys(
        ("derived", "convergent_encryption", "exportable", "allow_plaintext_backup", "auto_rotate_period", "key_size"))))
    s("configure with nulls", lambda t, y: post("transit/keys/edge-nulls/config", **dict.fromkeys(
        ("min_decryption_version", "min_encryption_version", "deletion_allowed", "exportable", "allow_plaintext_backup", "auto_rotate_period"))))
    s("a role with nulls", lambda t, y: post("auth/approle/role/edge-nulls", **dict.fromkeys(
        ("bind_secret_id", "secret_id_bound_cidrs", "secret_id_num_uses", "secret_id_ttl", "token_ttl", "token_max_ttl", "token_policies", "token_bound_cidrs",
         "token_explicit_max_ttl", "token_no_default_policy", "token_num_uses", "token_period", "token_type", "local_secret_ids"))))
    s("a key with null as type", lambda t, y: post("transit/keys/edge-null", type=None))
    s("a secret-id with nulls", lambda t, y: post("auth/approle/role/app/secret-id", **dict.fromkeys(
        ("metadata", "cidr_list", "token_bound_cidrs", "ttl", "num_uses"))))
    s("a token with nulls", lambda t, y: post("auth/token/create", policies=["default"], ttl="10m", **dict.fromkeys(
        ("period", "explicit_max_ttl", "num_uses", "type", "id", "meta", "display_name", "no_parent", "no_default_policy", "role_name", "entity_alias"))))
    s("a token with null as renewable", lambda t, y: {"is": post("auth/token/create", policies=["default"], ttl="10m", renewable=None)["auth"]["renewable"]})

    # What is no JSON and says that it is a form is one, as `curl -d` sends it.
    def send(path, body, kind="application/x-www-form-urlencoded"):
        return run.client._adapter.request("post", f"/v1/{path}", data=body, headers={"content-type": kind})

    for name, body in {
        "a form": "plaintext=aGVsbG8%3D&key_version=1", "a form of nothing": "", "a form with a plus": "plaintext=%2B+aGk%3D", "JSON as a form": '{"plaintext": "aGVsbG8="}',
        "JSON behind a line feed": '\n {"plaintext": "aGVsbG8="}', "a form without a value": "plaintext", "a form with nothing of ours": "more=1", "a list as a form": "[1]",
    }.items():
        s(f"encrypt {name}", lambda t, y: send(f"transit/encrypt/{aes}", body))
    s("encrypt a form that is said to be JSON", lambda t, y: send(f"transit/encrypt/{aes}", "plaintext=aGVsbG8%3D", "application/json"))
    s("make a key by a form", lambda t, y: send("transit/keys/edge-form", "type=ed25519&exportable=true&derived=0"))
    s("make a role by a form", lambda t, y: send("auth/approle/role/edge-form", "token_policies=b&token_policies=c&token_ttl=30m&token_no_default_policy=true"))
    s("the role of a form", lambda t, y: {"exact": {field: run.client.auth.approle.read_role("edge-form")["data"][field] for field in ("token_policies", "token_ttl", "token_no_default_policy")}})


def ended(run):
    """What is over, and what never was; and what roles and tokens say of themselves."""
    s, client, post = run.step, run.client, run.post
    role = client.auth.approle

    for kind in ("service", "batch", "default", "default-service", "default-batch"):
        s(f"a role of the type {kind}", lambda t, y: post(f"auth/approle/role/edge-{kind}", token_type=kind))
        s(f"the type {kind}", lambda t, y: {"exact": role.read_role(f"edge-{kind}")["data"]["token_type"]})
    s("a role of no type", lambda t, y: {"exact": role.read_role("app")["data"]["token_type"]})

    role.create_or_update_approle("edge-once", token_policies=["b"], secret_id_num_uses=1)
    role_id = role.read_role_id("edge-once")["data"]["role_id"]
    made = role.generate_secret_id("edge-once")["data"]
    s("log in once", lambda t, y: role.login(role_id, made["secret_id"], use_token=False)["auth"]["policies"])
    s("log in twice", lambda t, y: role.login(role_id, made["secret_id"], use_token=False))
    s("look up what is used up", lambda t, y: role.read_secret_id("edge-once", made["secret_id"]))
    s("look up what is used up by accessor", lambda t, y: role.read_secret_id_accessor("edge-once", made["secret_id_accessor"]))
    s("list what is used up", lambda t, y: role.list_secret_id_accessors("edge-once"))
    s("destroy what is used up", lambda t, y: role.destroy_secret_id("edge-once", made["secret_id"]))
    s("destroy what is used up by accessor", lambda t, y: role.destroy_secret_id_accessor("edge-once", made["secret_id_accessor"]))
    s("destroy nothing", lambda t, y: role.destroy_secret_id("edge-once", "none"))
    s("destroy nothing by accessor", lambda t, y: role.destroy_secret_id_accessor("edge-once", "none"))
    s("destroy nothing of no role", lambda t, y: role.destroy_secret_id("none", "none"))

    for name, path, body in (("child", "create", {}), ("orphan", "create-orphan", {}), ("orphan of the other path", "create", {"no_parent": True})):
        for kind in ("service", "batch"):
            s(f"a {kind} {name}", lambda t, y: {"type": post(f"auth/token/{path}", policies=["default"], ttl="10m", type=kind, **body)["auth"]["token_type"]})
        token = post(f"auth/token/{path}", policies=["default"], ttl="10m", **body)["auth"]["client_token"]
        s(f"the path of the {name}", lambda t, y: {"exact": [client.auth.token.lookup(token)["data"][field] for field in ("path", "orphan")]})


def contradictory(run):
    """What takes something back, contradicts itself, or is said in a place where it does not belong."""
    s, ask, post = run.step, run.ask, run.post

    post("transit/keys/edge-open", exportable=True, allow_plaintext_backup=True)
    for field in ("exportable", "allow_plaintext_backup"):
        s(f"take back {field}", lambda t, y: post("transit/keys/edge-open/config", **{field: False}))
    s("sign by two names of a hash function", lambda t, y: post("transit/sign/edge-rsa-2048", input=b64("hello"), algorithm="sha2-384", hash_algorithm="sha2-256"))
    s("hmac with null as input", lambda t, y: post("transit/hmac/edge-aes256-gcm96", input=None))
    s("a role for an address with the length of a network", lambda t, y: post("auth/approle/role/edge-wide", token_bound_cidrs=["127.0.0.1/8"]))
    s("a role with a period beyond its end", lambda t, y: post("auth/approle/role/edge-long", token_period="2h", token_max_ttl="1h"))
    s("a role with an underscore", lambda t, y: post("auth/approle/role/edge_name"))
    s("a policy with an underscore", lambda t, y: post("sys/policies/acl/edge_name", policy='path "transit/random" { capabilities = ["update"] }'))
    s("destroy a secret-id that stands in the address", lambda t, y: ask("delete", "auth/approle/role/app/secret-id/destroy?secret_id=none"))
    s("the settings of a mount", lambda t, y: sorted(ask("get", "sys/mounts/transit/tune")["data"]))
