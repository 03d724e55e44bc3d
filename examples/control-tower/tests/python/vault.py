"""Runs one script with hvac against an OpenBao server and against a tower, and compares every answer.

    vault.py URL CA-FILE [bao]   < TOKEN

An answer is compared by its status (or hvac's exception), its shape, and the values that do not differ by chance. What may differ is
listed in DIFFERENCES, each with its reason; a listed difference that is none is a failure too.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import time

import hvac
import requests

# Step: why the tower answers otherwise.
from vault_differences import DIFFERENCES

# Fields that only one of them knows, or whose values say nothing about what was asked.
IGNORED = {
    "request_id", "server_time_utc", "version", "cluster_name", "cluster_id", "accessor", "uuid", "description", "config", "options",
    "plugin_version", "running_plugin_version", "running_sha256", "deprecation_status", "seal_wrap", "performance_standby",
    "commit_date", "build_date", "storage_type", "convergent_encryption_version", "lease_id", "warnings", "wrap_info",
}


def shape(value, key=None):
    if isinstance(value, dict):
        return {name: shape(item, name) for name, item in sorted(value.items()) if name not in IGNORED}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str):
        if key in ("name", "type", "kdf", "reference", "plaintext", "sum"):
            return value
        if value.startswith("vault:v"):
            return value.split(":")[1]
        return "text" if value else ""
    if isinstance(value, int) and not isinstance(value, bool) and value > 1_000_000:
        return "time"
    if key == "ttl" and isinstance(value, int):
        return -(-value // 10) * 10  # what is left: a second may have passed
    return value


def b64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


class Run:
    def __init__(self, client, is_tower=False):
        self.client, self.answers, self.kept, self.is_tower = client, {}, {}, is_tower

    def step(self, name, call):
        assert name not in self.answers, name
        try:
            answer = call(self.client.secrets.transit, self.client.sys)
            self.kept[name] = answer
            if isinstance(answer, requests.Response):
                body = answer.json() if answer.content else None
                self.answers[name] = [answer.status_code, shape(body)]
            else:
                self.answers[name] = ["ok", shape(answer)]
        except hvac.exceptions.VaultError as error:
            self.answers[name] = [type(error).__name__]

    def data(self, name, field):
        return self.kept[name]["data"][field]


def script(run):
    s = run.step
    s("health", lambda t, y: y.read_health_status(method="GET"))
    s("health by HEAD", lambda t, y: y.read_health_status(method="HEAD"))
    s("sealed", lambda t, y: y.is_sealed())
    s("initialized", lambda t, y: y.is_initialized())
    s("seal status", lambda t, y: y.read_seal_status()["sealed"])
    s("transit is mounted", lambda t, y: y.list_mounted_secrets_engines()["data"]["transit/"])
    s("approle is mounted", lambda t, y: y.list_auth_methods()["data"]["approle/"]["type"])
    s("mount again", lambda t, y: y.enable_secrets_engine("transit"))
    s("enable approle again", lambda t, y: y.enable_auth_method("approle"))
    s("policies", lambda t, y: "default" in y.list_acl_policies()["data"]["keys"])
    s("a policy", lambda t, y: y.read_acl_policy("default")["data"]["name"])
    s("no policy", lambda t, y: y.read_acl_policy("none"))
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
    digest = b64(__import__("hashlib").sha256(b"hello").digest())
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
    logins_and_tokens(run)
    token, run.client.token = run.client.token, "wrong"
    s("a wrong token", lambda t, y: t.list_keys())
    run.client.token = None
    s("no token", lambda t, y: t.list_keys())
    run.client.token = token


def logins_and_tokens(run):
    s, client = run.step, run.client
    role, token = client.auth.approle, client.auth.token

    def post(path, body, **headers):
        return client._adapter.post(path, json=body, headers=headers)

    # Each has a role by its own means.
    if run.is_tower:
        document = {"name": "app", "token-ttl": "30m", "token-policies": ["b"], "secret-id-ttl": "2h"}
        client._adapter.put("/v1/config/strongbox/authentication/approles/app", json=document)
    else:
        role.create_or_update_approle("app", token_ttl="30m", token_policies=["b"], secret_id_ttl="2h")
    s("roles", lambda t, y: role.list_roles()["data"]["keys"])
    s("role-id", lambda t, y: role.read_role_id("app"))
    s("role-id of none", lambda t, y: role.read_role_id("none"))
    s("no accessors", lambda t, y: role.list_secret_id_accessors("app"))
    s("secret-id", lambda t, y: role.generate_secret_id("app", metadata={"tag": "x"}))
    s("secret-id of none", lambda t, y: role.generate_secret_id("none"))
    s("custom secret-id", lambda t, y: role.create_custom_secret_id("app", "a-secret-of-16-b"))
    s("accessors", lambda t, y: {"number": len(role.list_secret_id_accessors("app")["data"]["keys"])})
    role_id, secret_id = run.data("role-id", "role_id"), run.data("secret-id", "secret_id")
    accessor = run.data("secret-id", "secret_id_accessor")
    s("look up a secret-id", lambda t, y: role.read_secret_id("app", secret_id))
    s("look up no secret-id", lambda t, y: role.read_secret_id("app", "none"))
    s("look up by accessor", lambda t, y: role.read_secret_id_accessor("app", accessor))
    s("look up by no accessor", lambda t, y: role.read_secret_id_accessor("app", "none"))
    s("log in", lambda t, y: role.login(role_id, secret_id, use_token=False))
    s("log in with the custom one", lambda t, y: role.login(role_id, "a-secret-of-16-b", use_token=False)["auth"]["policies"])
    for name, pair in {"role": ("none", secret_id), "secret": (role_id, "none"), "neither": ("none", "none")}.items():
        s(f"log in without {name}", lambda t, y: role.login(*pair, use_token=False))
    s("wrap a secret-id", lambda t, y: post("/v1/auth/approle/role/app/secret-id", {}, **{"X-Vault-Wrap-TTL": "60s"}))
    wrapped = run.kept["wrap a secret-id"]["wrap_info"]["token"]
    s("look up the wrapped", lambda t, y: post("/v1/sys/wrapping/lookup", {"token": wrapped}))
    s("unwrap", lambda t, y: client.sys.unwrap(wrapped))
    s("unwrap again", lambda t, y: client.sys.unwrap(wrapped))
    s("destroy by accessor", lambda t, y: role.destroy_secret_id_accessor("app", accessor))
    s("destroy a secret-id", lambda t, y: role.destroy_secret_id("app", "a-secret-of-16-b"))
    s("log in with the destroyed", lambda t, y: role.login(role_id, secret_id, use_token=False))
    own = run.kept["log in"]["auth"]["client_token"]
    s("look up a login's token", lambda t, y: token.lookup(own))
    s("renew a token", lambda t, y: token.renew(own, increment="60"))
    s("create", lambda t, y: token.create(policies=["default", "b"], ttl="10m"))
    made = run.kept["create"]["auth"]
    s("create without default", lambda t, y: token.create(policies=["b"], ttl="10m"))
    s("look up", lambda t, y: token.lookup(made["client_token"]))
    s("look up by its accessor", lambda t, y: token.lookup_accessor(made["accessor"]))
    s("renew by its accessor", lambda t, y: token.renew_accessor(made["accessor"], increment="60"))
    s("revoke by its accessor", lambda t, y: token.revoke_accessor(made["accessor"]))
    s("look up the revoked", lambda t, y: token.lookup(made["client_token"]))
    s("look up by its accessor again", lambda t, y: token.lookup_accessor(made["accessor"]))
    s("create an orphan", lambda t, y: token.create_orphan(policies=["default", "b"], ttl="10m"))
    s("create a batch token", lambda t, y: token.create(policies=["default", "b"], ttl="10m", type="batch"))
    batch = run.kept["create a batch token"]["auth"]["client_token"]
    s("revoke a batch token", lambda t, y: token.revoke(batch))
    s("renew a batch token", lambda t, y: token.renew(batch))
    s("revoke a login's token", lambda t, y: token.revoke(own))
    s("look up the revoked login's", lambda t, y: token.lookup(own))


def server(program):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    args = [program, "server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}"]
    child = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = hvac.Client(url=url, token="root")
    for _ in range(600):
        try:
            if not client.sys.is_sealed():
                break
        except requests.RequestException:
            time.sleep(0.1)
    client.sys.enable_secrets_engine("transit")
    client.sys.enable_auth_method("approle")
    return child, client


def main():
    url, ca = sys.argv[1:3]
    program = sys.argv[3] if len(sys.argv) > 3 else os.path.join(os.path.dirname(sys.executable), "bao")
    tower = Run(hvac.Client(url=url, token=sys.stdin.read().strip(), verify=ca), is_tower=True)
    child, client = server(program)
    try:
        bao = Run(client)
        script(bao)
    finally:
        child.terminate()
    script(tower)
    wrong = []
    for name, expected in bao.answers.items():
        found = tower.answers.get(name)
        if (found == expected) == (name in DIFFERENCES):
            wrong.append({"step": name, "listed": name in DIFFERENCES, "bao": expected, "tower": found})
    unknown = sorted(set(DIFFERENCES) - set(bao.answers))
    if wrong or unknown:
        print(json.dumps({"wrong": wrong, "no such steps": unknown}, indent=1), file=sys.stderr)
        sys.exit(1)
    print(json.dumps({"steps": len(bao.answers), "differences": len(DIFFERENCES)}))


if __name__ == "__main__":
    main()
