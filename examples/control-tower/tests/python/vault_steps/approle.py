"""AppRoles, their secret-ids, logins, and wrapped answers."""


def script(run):
    s, client = run.step, run.client
    role = client.auth.approle

    def post(path, body, **headers):
        return client._adapter.post(path, json=body, headers=headers)

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
