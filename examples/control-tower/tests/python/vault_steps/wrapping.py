"""Answers that wait for whoever has their token."""


def script(run):
    s, client = run.step, run.client
    token, role = client.auth.token, client.auth.approle

    def ask(method, path, body=None, ttl="60s"):
        return client._adapter.request(method, path, json=body, headers={"X-Vault-Wrap-TTL": ttl})

    def info(name):
        return run.kept[name]["wrap_info"]

    def handed(name, call):
        """Asks for it wrapped, says what is told of it, and takes it."""
        s(f"wrap {name}", call)
        told = info(f"wrap {name}")
        s(f"told of {name}", lambda t, y: {"ttl": told["ttl"], "path": told["creation_path"], "of": "wrapped_accessor" in told})
        s(f"look up {name}, wrapped", lambda t, y: client._adapter.post("/v1/sys/wrapping/lookup", json={"token": told["token"]}))
        s(f"take {name}", lambda t, y: y.unwrap(told["token"]))
        s(f"take {name} again", lambda t, y: y.unwrap(told["token"]))

    handed("a token", lambda t, y: token.create(policies=["default", "b"], period="30m", wrap_ttl="15m"))
    handed("a role-id", lambda t, y: ask("get", "/v1/auth/approle/role/app/role-id"))
    handed("a list", lambda t, y: ask("list", "/v1/auth/approle/role"))
    handed("a secret-id made", lambda t, y: role.generate_secret_id("app", wrap_ttl="5m"))
    handed("a secret-id supplied", lambda t, y: role.create_custom_secret_id("app", "another-of-16-bytes", wrap_ttl="5m"))
    secret = run.data("take a secret-id made", "secret_id")
    login = {"role_id": run.data("role-id", "role_id"), "secret_id": secret}
    handed("a login", lambda t, y: ask("post", "/v1/auth/approle/login", login))
    handed("what is sent", lambda t, y: ask("post", "/v1/sys/wrapping/wrap", {"name": "value"}))
    s("wrap to be looked up", lambda t, y: ask("get", "/v1/auth/approle/role/app/role-id"))
    waits, holder = info("wrap to be looked up")["token"], client.token
    s("look up by its address", lambda t, y: run.ask("get", f"sys/wrapping/lookup?token={waits}"))
    s("look up what is not wrapped", lambda t, y: run.ask("get", "sys/wrapping/lookup"))
    for name, bearer in {"its own token": waits, "no token": None}.items():
        client.token = bearer
        s(f"look up with {name}", lambda t, y: run.ask("get", "sys/wrapping/lookup"))
        s(f"look up with {name} by POST", lambda t, y: run.post("sys/wrapping/lookup"))
    client.token = holder
    s("take what was looked up", lambda t, y: y.unwrap(waits))
    s("wrap without a time", lambda t, y: client._adapter.post("/v1/sys/wrapping/wrap", json={"a": "b"}))
    s("wrap a refusal", lambda t, y: ask("get", "/v1/auth/approle/role/none/role-id"))
    s("wrap nothing", lambda t, y: ask("post", "/v1/auth/approle/role/app", {"token_ttl": "30m"}))
    s("wrap a refused login", lambda t, y: ask("post", "/v1/auth/approle/login", {"role_id": "none", "secret_id": "none"}))
    s("wrap for no time", lambda t, y: ask("get", "/v1/auth/approle/role/app/role-id", ttl="soon"))
    s("wrap to be wrapped again", lambda t, y: ask("get", "/v1/auth/approle/role/app/role-id"))
    old = info("wrap to be wrapped again")["token"]
    s("wrap again", lambda t, y: client._adapter.post("/v1/sys/wrapping/rewrap", json={"token": old}))
    new = info("wrap again")
    s("told of what is wrapped again", lambda t, y: {"ttl": new["ttl"], "path": new["creation_path"], "other": new["token"] != old})
    s("take by the old token", lambda t, y: y.unwrap(old))
    s("take by the new token", lambda t, y: y.unwrap(new["token"]))
    s("wrap nothing again", lambda t, y: client._adapter.post("/v1/sys/wrapping/rewrap", json={"token": "none"}))
    for way in ("token", "accessor"):
        s(f"wrap to be revoked by {way}", lambda t, y: ask("get", "/v1/auth/approle/role/app/role-id"))
        waits = info(f"wrap to be revoked by {way}")
        s(f"look a wrapping token up by {way}", lambda t, y: token.lookup(waits["token"]) if way == "token" else token.lookup_accessor(waits["accessor"]))
        s(f"revoke a wrapping token by {way}", lambda t, y: token.revoke(waits["token"]) if way == "token" else token.revoke_accessor(waits["accessor"]))
        s(f"take what is revoked by {way}", lambda t, y: y.unwrap(waits["token"]))
        s(f"look what is revoked up by {way}", lambda t, y: token.lookup_accessor(waits["accessor"]))
