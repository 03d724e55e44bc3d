"""Policies: as they are written, read and deleted, and what tokens with them may do."""

import textwrap

from .values import b64

TEXT = """
# What a service needs.
path "transit/encrypt/orders" { capabilities = ["update"] }
path "transit/keys/*"         { capabilities = ["read", "list"] }
path "transit/keys/hidden"    { capabilities = ["deny"] }
path "auth/approle/role/+/secret-id" { capabilities = ["create", "update"] }
path "sys/policies/acl/made-*" { capabilities = ["read"] }
"""
SERVICE = TEXT.replace('path "sys/policies/acl/made-*" { capabilities = ["read"] }\n', "")
MAKER = {
    "path": {
        "transit/keys/+": {"capabilities": ["create"]},
        "sys/policies/acl/*": {"capabilities": ["update", "list"]},
        "auth/approle/role/made": {"capabilities": ["create"]},
        "auth/approle/role/changed": {"capabilities": ["update"]},
    },
}


def script(run):
    s, client = run.step, run.client
    token = client.auth.token

    s("write a policy", lambda t, y: y.create_or_update_acl_policy("service", SERVICE))
    s("read the policy", lambda t, y: {"same": y.read_acl_policy("service")["data"]["policy"] == SERVICE})
    s("read it by the older path", lambda t, y: {"same": y.read_policy("service")["data"]["rules"] == SERVICE})
    s("the policy in the list", lambda t, y: "service" in y.list_acl_policies()["data"]["keys"])
    s("the policy in the older list", lambda t, y: "service" in y.list_policies()["data"]["policies"])
    s("write it by the older path", lambda t, y: y.create_or_update_policy("older", {"path": {"transit/random": {"policy": "write"}}}))
    s("read what the older path wrote", lambda t, y: y.read_acl_policy("older")["data"]["name"])
    s("write one as JSON", lambda t, y: y.create_or_update_acl_policy("maker", MAKER))
    s("write an empty policy", lambda t, y: y.create_or_update_acl_policy("empty", ""))
    s("write nonsense", lambda t, y: y.create_or_update_acl_policy("bad", "path {"))
    s("write a capability that there is not", lambda t, y: y.create_or_update_acl_policy("bad", 'path "a" { capabilities = ["x"] }'))
    s("write a field that there is not", lambda t, y: y.create_or_update_acl_policy("bad", 'path "a" { capability = ["read"] }'))
    s("write what is no path", lambda t, y: y.create_or_update_acl_policy("bad", 'paths "a" { capabilities = ["read"] }'))
    s("write a plus beside a star", lambda t, y: y.create_or_update_acl_policy("bad", 'path "a/+*" { capabilities = ["read"] }'))
    s("write part of a segment", lambda t, y: y.create_or_update_acl_policy("part", TEXT))
    s("write a parameter", lambda t, y: y.create_or_update_acl_policy("part", 'path "a" { capabilities = ["update"] allowed_parameters = { "ttl" = ["1h"] } }'))
    s("write an identity", lambda t, y: y.create_or_update_acl_policy("part", 'path "a/{{identity.entity.name}}" { capabilities = ["read"] }'))

    rule = 'path "transit/random" { capabilities = ["update"] }'
    def write(name, **fields):
        return run.post(f"sys/policies/acl/{name}", **{"policy": rule, **fields})

    s("the fields of a policy", lambda t, y: sorted(y.read_acl_policy("maker")["data"]))
    for name, text in {"one line": b64(SERVICE), "lines": "\r\n".join(textwrap.wrap(b64(SERVICE), 64)), "no text": b64(b"\xff\xfe"), "nonsense": b64("path {")}.items():
        s(f"write a policy in base64: {name}", lambda t, y: write("coded", policy=text))
    s("read what was base64", lambda t, y: {"same": y.read_acl_policy("coded")["data"]["policy"] == SERVICE})
    s("write a policy that ends", lambda t, y: write("ends", ttl="1h"))
    s("write a policy that ends at a time", lambda t, y: write("ends-at", expiration="2100-01-01T00:00:00Z"))
    s("write a policy that wants versions", lambda t, y: write("versioned", cas_required=True))
    s("write a policy that is new", lambda t, y: write("new", cas=-1))
    s("write it as new again", lambda t, y: write("new", cas=-1))
    s("write it over another version", lambda t, y: write("new", cas=7))
    s("write it over its version", lambda t, y: write("new", cas=1))

    for key in ("orders", "hidden", "other"):
        client.secrets.transit.create_key(key)
    administrator = client.token
    plain = {"plaintext": "aGVsbG8="}

    def ask(method, path, body):
        answer = client._adapter.request(method, path, json=body)
        # How many there are is not the question.
        return "listed" if method == "list" else answer

    def as_holder(names, steps):
        client.token = token.create(policies=["default", *names], ttl="10m")["auth"]["client_token"]
        for name, method, path, body in steps:
            s(name, lambda t, y: ask(method, path, body))
        client.token = administrator

    as_holder(["service"], [
        ("may encrypt", "post", "/v1/transit/encrypt/orders", plain),
        ("may not encrypt with another", "post", "/v1/transit/encrypt/other", plain),
        ("may list", "list", "/v1/transit/keys", None),
        ("may read", "get", "/v1/transit/keys/orders", None),
        ("may not read what is denied", "get", "/v1/transit/keys/hidden", None),
        ("may not make", "post", "/v1/transit/keys/new", {}),
        ("may not delete", "delete", "/v1/transit/keys/orders", None),
        ("may make a secret-id", "post", "/v1/auth/approle/role/app/secret-id", {}),
        ("may not list secret-ids", "list", "/v1/auth/approle/role/app/secret-id", None),
        ("may look itself up", "get", "/v1/auth/token/lookup-self", None),
    ])
    as_holder(["maker"], [
        ("may not make a key", "post", "/v1/transit/keys/made", {}),
        ("may make a policy", "post", "/v1/sys/policies/acl/made", {"policy": 'path "a" { policy = "read" }'}),
        ("may change a policy", "post", "/v1/sys/policies/acl/made", {"policy": 'path "a" { policy = "write" }'}),
        ("may not read a policy", "get", "/v1/sys/policies/acl/made", None),
        ("may make a role", "post", "/v1/auth/approle/role/made", {}),
        ("may not change it", "post", "/v1/auth/approle/role/made", {"token_ttl": "5m"}),
        ("may not make a role", "post", "/v1/auth/approle/role/changed", {}),
        ("may list policies", "list", "/v1/sys/policies/acl", None),
    ])
    # Two policies that speak of one path: the difference that there is between them.
    s("write one that denies", lambda t, y: y.create_or_update_acl_policy("denies", 'path "transit/keys/orders" { capabilities = ["deny"] }'))
    as_holder(["service", "denies"], [("one allows and one denies", "get", "/v1/transit/keys/orders", None)])
    for name in ("service", "older", "maker", "denies", "made"):
        s(f"delete the policy {name}", lambda t, y: y.delete_acl_policy(name))
    s("delete no policy", lambda t, y: y.delete_policy("none"))
    s("read the deleted policy", lambda t, y: y.read_acl_policy("service"))
    s("delete the default policy", lambda t, y: y.delete_acl_policy("default"))
