"""What is less often asked, and what only one of the two has: each difference with a step that shows it."""

import hashlib

import hvac

from .values import b64


def script(run):
    s, client, ask, post = run.step, run.client, run.ask, run.post

    # Signatures by other hash functions, paddings and salts.
    for kind, key in (("rsa-2048", "more-rsa"), ("ecdsa-p256", "more-ec")):
        s(f"make {key}", lambda t, y: post(f"transit/keys/{key}", type=kind))
        for hash in ("sha1", "sha2-224", "sha3-224", "sha3-256", "sha3-384", "sha3-512", "none"):
            for padding in ("pss", "pkcs1v15") if kind == "rsa-2048" else ("",):
                name = " ".join(filter(None, (key, padding, hash)))
                options = {"hash_algorithm": hash, "signature_algorithm": padding}
                s(f"sign with {name}", lambda t, y: post(f"transit/sign/{key}", input=b64("hello"), **options))
                made = run.kept.get(f"sign with {name}")
                if made:
                    s(f"verify with {name}", lambda t, y: post(f"transit/verify/{key}", input=b64("hello"), signature=made["data"]["signature"], **options))
    digest = b64(hashlib.sha256(b"hello").digest())
    s("sign a bare digest", lambda t, y: post("transit/sign/more-rsa", input=digest, prehashed=True, hash_algorithm="none", signature_algorithm="pkcs1v15"))
    for salt in ("auto", "hash", "32", 32, "20", 20, 0, 300, -2, "bad"):
        name = f"the salt {salt!r}"
        s(f"sign with {name}", lambda t, y: post("transit/sign/more-rsa", input=b64("hello"), salt_length=salt))
        made = run.kept.get(f"sign with {name}")
        for other in ("auto", "hash", 20) if made else ():
            s(f"verify {name} as {other}", lambda t, y: post("transit/verify/more-rsa", input=b64("hello"), signature=made["data"]["signature"], salt_length=other))

    # Keys and their versions.
    s("make an xchacha20 key", lambda t, y: post("transit/keys/more-x", type="xchacha20-poly1305"))
    for kind in ("aes256-gcm96", "external-key"):
        s(f"make a key of the type {kind} that is kept elsewhere", lambda t, y: post("transit/keys/more-elsewhere", type=kind, external_key_ref="there/one"))
    s("make a key to trim", lambda t, y: post("transit/keys/more"))
    for _ in range(4):
        client.secrets.transit.rotate_key("more")
    s("shut versions out", lambda t, y: post("transit/keys/more/config", min_decryption_version=3, min_encryption_version=3))
    s("trim them", lambda t, y: post("transit/keys/more/trim", min_available_version=3))
    s("trim less", lambda t, y: post("transit/keys/more/trim", min_available_version=2))
    s("trim the same", lambda t, y: post("transit/keys/more/trim", min_available_version=3))
    s("let trimmed ones in", lambda t, y: post("transit/keys/more/config", min_decryption_version=2))
    s("let all in", lambda t, y: post("transit/keys/more/config", min_decryption_version=0))
    s("encrypt by less than decrypts", lambda t, y: post("transit/keys/more/config", min_encryption_version=2))
    s("decrypt by more than encrypts", lambda t, y: post("transit/keys/more/config", min_encryption_version=4, min_decryption_version=5))
    s("the key after that", lambda t, y: ask("get", "transit/keys/more"))
    s("delete softly", lambda t, y: ask("delete", "transit/keys/more/soft-delete"))
    s("restore what is deleted softly", lambda t, y: post("transit/keys/more/soft-delete-restore"))
    s("a signing request", lambda t, y: post("transit/keys/more-ec/csr"))
    s("set a certificate", lambda t, y: post("transit/keys/more-ec/set-certificate", certificate_chain="x"))
    s("read the cache", lambda t, y: ask("get", "transit/cache-config"))
    s("set the cache", lambda t, y: post("transit/cache-config", size=0))

    # AppRoles and tokens.
    post("auth/approle/role/bound", token_bound_cidrs=["10.0.0.0/8"], secret_id_bound_cidrs=["10.0.0.0/8"])
    s("a secret-id for more addresses", lambda t, y: post("auth/approle/role/bound/secret-id", cidr_list=["0.0.0.0/0"]))
    s("a secret-id whose tokens are for more addresses", lambda t, y: post("auth/approle/role/bound/secret-id", token_bound_cidrs=["0.0.0.0/0"]))
    s("a secret-id supplied for more addresses", lambda t, y: post("auth/approle/role/bound/custom-secret-id", secret_id="more-than-16-bytes-of-it", cidr_list=["0.0.0.0/0"]))
    s("a secret-id for less", lambda t, y: post("auth/approle/role/bound/secret-id", cidr_list=["10.1.0.0/16"], token_bound_cidrs=["10.1.0.0/16"]))

    def warned(answer):
        return {"warned": bool(answer["warnings"])} if answer else "nothing"

    s("a token of no policy", lambda t, y: warned(post("auth/token/create", policies=["default", "nowhere"])))
    s("a token with an unknown field", lambda t, y: warned(post("auth/token/create", policies=["default"], no_such_field=1)))
    s("a key with an unknown field", lambda t, y: warned(post("transit/keys/more-w", no_such_field=1)))
    s("accessors of tokens", lambda t, y: {"some": len(ask("list", "auth/token/accessors")["data"]["keys"]) > 2})
    parent = client.auth.token.create(policies=["default"], ttl="10m")["auth"]["client_token"]
    s("end a token alone", lambda t, y: post("auth/token/revoke-orphan", token=parent))
    s("no token roles", lambda t, y: ask("list", "auth/token/roles"))
    s("make a token role", lambda t, y: post("auth/token/roles/more", allowed_policies=["default"]))
    s("read a token role", lambda t, y: ask("get", "auth/token/roles/more"))
    s("create by a token role", lambda t, y: post("auth/token/create/more"))

    # What the system has.
    rule = 'path "transit/random" { capabilities = ["update"] }'
    for name in ("root", "Root"):
        s(f"write the policy {name}", lambda t, y: y.create_or_update_acl_policy(name, rule))
        s(f"delete the policy {name}", lambda t, y: y.delete_acl_policy(name))
    s("read the policy root", lambda t, y: y.read_acl_policy("root")["data"]["name"])
    s("write the policy default", lambda t, y: y.create_or_update_acl_policy("default", rule))
    for root, names in {"mounts": ("transit", "sys", "none"), "auth": ("approle", "token", "none")}.items():
        for name in names:
            for end in ("", "/"):
                s(f"read sys/{root}/{name}{end}", lambda t, y: ask("get", f"sys/{root}/{name}{end}"))
    s("enable transit at a path with a slash", lambda t, y: post("sys/mounts/transit/", type="transit"))
    s("audit devices", lambda t, y: ask("get", "sys/audit"))
    s("random by a tool", lambda t, y: post("sys/tools/random/16", format="hex"))
    s("random by a tool without a number", lambda t, y: post("sys/tools/random"))
    s("hash by a tool", lambda t, y: post("sys/tools/hash", input=b64("hello")))
    s("hash by a tool and name", lambda t, y: post("sys/tools/hash/sha2-512", input=b64("hello"), format="base64"))
    s("no namespaces", lambda t, y: ask("list", "sys/namespaces"))
    namespaced(run)


def namespaced(run):
    """A login in a namespace, which is a tenant here."""
    s, client = run.step, run.client

    def there(namespace, token=None):
        return hvac.Client(url=client.url, token=token, namespace=namespace, verify=client._adapter._kwargs.get("verify", True))

    if run.is_tower:
        client._adapter.post("/v1/config/tenants", json={"name": "north"})
        password = client._adapter.post("/v1/state/tenants/north/reset-admin", json={})["password"]
        login = {"tenant": "north", "username": "admin", "password": password}
        inside = there("north", client._adapter.post("/v1/login", json=login)["token"])
    else:
        client._adapter.post("/v1/sys/namespaces/north", json={})
        inside = there("north", client.token)
        inside.sys.enable_auth_method("approle")
        inside.sys.enable_secrets_engine("transit")
    s("a role in a namespace", lambda t, y: inside.auth.approle.create_or_update_approle("app", token_ttl="30m", token_policies=["b"]))
    role_id = inside.auth.approle.read_role_id("app")["data"]["role_id"]
    secret_id = inside.auth.approle.generate_secret_id("app")["data"]["secret_id"]
    for name, namespace in {"its namespace": "north", "its namespace with a slash": "north/"}.items():
        s(f"log in in {name}", lambda t, y: there(namespace).auth.approle.login(role_id, secret_id, use_token=False)["auth"]["policies"])
    for name, namespace in {"no namespace": None, "another": "south", "the root": "root"}.items():
        s(f"log in in {name}", lambda t, y: there(namespace).auth.approle.login(role_id, secret_id, use_token=False)["auth"]["policies"])
    token = there("north").auth.approle.login(role_id, secret_id, use_token=False)["auth"]["client_token"]
    s("a token in its namespace", lambda t, y: there("north", token).auth.token.lookup_self()["data"]["policies"])
    for name, namespace in {"no namespace": None, "another": "south"}.items():
        s(f"a token in {name}", lambda t, y: there(namespace, token).auth.token.lookup_self()["data"]["policies"])
    s("a key in a namespace", lambda t, y: inside.secrets.transit.create_key("orders"))
    s("the keys of a namespace", lambda t, y: inside.secrets.transit.list_keys()["data"]["keys"])
