"""AppRoles themselves: whole, field by field, and what their secret-ids and logins carry."""

FIELDS = {
    "policies": ("token_policies", ["b", "c"]),
    "secret-id-num-uses": ("secret_id_num_uses", 5),
    "secret-id-ttl": ("secret_id_ttl", "1h"),
    "token-ttl": ("token_ttl", "10m"),
    "token-max-ttl": ("token_max_ttl", "20m"),
    "token-num-uses": ("token_num_uses", 2),
    "secret-id-bound-cidrs": ("secret_id_bound_cidrs", ["10.0.0.0/8"]),
    "token-bound-cidrs": ("token_bound_cidrs", ["10.0.0.0/8", "127.0.0.0/8"]),
    "period": ("token_period", "20m"),
}


def script(run):
    s, client = run.step, run.client
    role = client.auth.approle
    base = "/v1/auth/approle/role/r"

    def get(path):
        return client._adapter.get(base + path)

    def post(path, **body):
        return client._adapter.post(base + path, json=body)

    s("no role", lambda t, y: role.read_role("r"))
    s("delete no role", lambda t, y: role.delete_role("r"))
    s("a field of no role", lambda t, y: get("/token-ttl"))
    s("make a role", lambda t, y: role.create_or_update_approle("r", token_policies=["b"], token_ttl="30m"))
    s("read a role", lambda t, y: role.read_role("r"))
    s("change a role", lambda t, y: role.create_or_update_approle("r", token_max_ttl="1h", secret_id_num_uses=9))
    s("read the changed role", lambda t, y: role.read_role("r"))
    s("change all of a role", lambda t, y: role.create_or_update_approle(
        "r", bind_secret_id=True, secret_id_bound_cidrs=["127.0.0.0/8"], secret_id_num_uses=0, secret_id_ttl="2h", token_ttl="5m",
        token_max_ttl="30m", token_policies=["x", "y"], token_bound_cidrs=["127.0.0.0/8"], token_explicit_max_ttl="1h",
        token_no_default_policy=True, token_num_uses=0, token_period=0, token_type="service"))
    s("read all of a role", lambda t, y: role.read_role("r"))
    s("a ttl beyond its maximum", lambda t, y: role.create_or_update_approle("r", token_ttl="2h", token_max_ttl="1h"))
    s("a type that there is not", lambda t, y: post("", token_type="bad"))
    s("a batch role", lambda t, y: role.create_or_update_approle("r-batch", token_type="batch", token_ttl="5m"))
    s("read a batch role", lambda t, y: role.read_role("r-batch"))
    s("a periodic batch role", lambda t, y: role.create_or_update_approle("r-batch", token_period="5m"))
    s("a counted batch role", lambda t, y: role.create_or_update_approle("r-batch", token_num_uses=5))
    s("a role without secret-ids", lambda t, y: role.create_or_update_approle("r-open", bind_secret_id=False))
    s("by older names", lambda t, y: client._adapter.post("/v1/auth/approle/role/r-old", json={"policies": "a,b", "bound_cidr_list": "10.0.0.0/8"}))
    s("read what has older names", lambda t, y: role.read_role("r-old")["data"]["token_policies"])
    s("more roles", lambda t, y: role.list_roles()["data"]["keys"])
    s("delete a role", lambda t, y: role.delete_role("r"))
    s("read the deleted role", lambda t, y: role.read_role("r"))
    s("make it again", lambda t, y: role.create_or_update_approle("r"))
    for path, (field, value) in FIELDS.items():
        s(f"{path} by itself", lambda t, y: get(f"/{path}"))
        s(f"set {path}", lambda t, y: post(f"/{path}", **{field: value}))
        s(f"{path} as set", lambda t, y: get(f"/{path}"))
        s(f"set no {path}", lambda t, y: post(f"/{path}"))
        s(f"take {path} back", lambda t, y: client._adapter.delete(f"{base}/{path}"))
        s(f"{path} taken back", lambda t, y: get(f"/{path}"))
    s("set a field of no role", lambda t, y: client._adapter.post("/v1/auth/approle/role/none/token-ttl", json={"token_ttl": 5}))
    s("set a role-id", lambda t, y: role.update_role_id("r", "a-role-id"))
    s("read the role-id", lambda t, y: {"is": role.read_role_id("r")["data"]["role_id"] == "a-role-id"})
    s("a role-id that another has", lambda t, y: role.update_role_id("r-old", "a-role-id"))
    s("tidy", lambda t, y: client._adapter.post("/v1/auth/approle/tidy/secret-id"))
    s("tidy tokens", lambda t, y: client._adapter.post("/v1/auth/token/tidy"))
    s("bind tokens", lambda t, y: role.create_or_update_approle("r", token_ttl="30m", token_bound_cidrs=["127.0.0.0/8", "::1/128"]))
    s("a secret-id that binds", lambda t, y: role.generate_secret_id("r", metadata={"tag": "x", "site": "north"}, token_bound_cidrs=["127.0.0.1/32"], cidr_list=["127.0.0.0/8"]))
    s("a secret-id that binds less", lambda t, y: role.generate_secret_id("r", token_bound_cidrs=["10.0.0.0/8"]))
    secret = run.data("a secret-id that binds", "secret_id")
    s("look up what binds", lambda t, y: role.read_secret_id("r", secret))
    s("log in with what binds", lambda t, y: role.login("a-role-id", secret, use_token=False))
    token = run.kept["log in with what binds"]["auth"]["client_token"]
    s("metadata of a login", lambda t, y: run.kept["log in with what binds"]["auth"]["metadata"])
    s("metadata of its token", lambda t, y: client.auth.token.lookup(token)["data"]["meta"])
    s("ranges of its token", lambda t, y: client.auth.token.lookup(token)["data"]["bound_cidrs"])
