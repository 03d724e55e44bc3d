"""Tokens, the one of a login among them."""


def script(run):
    s, token = run.step, run.client.auth.token
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
    s("create with all there is", lambda t, y: token.create(
        policies=["default", "b"], ttl="10m", explicit_max_ttl="20m", num_uses=5, meta={"for": "tests"}, display_name="for x", renewable=True, type="service"))
    whole = run.kept["create with all there is"]["auth"]["client_token"]
    s("what was noted of it", lambda t, y: run.kept["create with all there is"]["auth"]["metadata"])
    s("look up all there is", lambda t, y: token.lookup(whole))
    s("its name", lambda t, y: {field: token.lookup(whole)["data"][field] for field in ("display_name", "meta", "num_uses", "explicit_max_ttl")})
    s("create periodic", lambda t, y: token.create(policies=["default", "b"], period="30m"))
    s("look up the periodic", lambda t, y: token.lookup(run.kept["create periodic"]["auth"]["client_token"]))
    s("create with a ttl beyond its end", lambda t, y: token.create(policies=["default", "b"], ttl="30m", explicit_max_ttl="5m"))
    s("create without renewal", lambda t, y: token.create(policies=["default", "b"], ttl="10m", renewable=False))
    s("renew what cannot be", lambda t, y: token.renew(run.kept["create without renewal"]["auth"]["client_token"]))
    s("create without a parent", lambda t, y: token.create(policies=["default", "b"], ttl="10m", no_parent=True))
    s("create with an id", lambda t, y: token.create(policies=["default", "b"], ttl="10m", id="a-token-of-our-own"))
    s("the id", lambda t, y: token.lookup("a-token-of-our-own")["data"]["id"] == "a-token-of-our-own")
    s("create with an id again", lambda t, y: token.create(policies=["default", "b"], ttl="10m", id="a-token-of-our-own"))
    s("create with a short id", lambda t, y: token.create(policies=["default", "b"], ttl="10m", id="short"))
    s("create with an id of theirs", lambda t, y: token.create(policies=["default", "b"], ttl="10m", id="s.0123456789abcdefgh"))
    s("create with a dot in the id", lambda t, y: token.create(policies=["default", "b"], ttl="10m", id="a.token.of.our.own"))
    s("create a batch token with an id", lambda t, y: token.create(policies=["default", "b"], ttl="10m", type="batch", id="a-batch-of-our-own"))
    s("create a counted batch token", lambda t, y: token.create(policies=["default", "b"], ttl="10m", type="batch", num_uses=2))
    s("create a periodic batch token", lambda t, y: token.create(policies=["default", "b"], type="batch", period="10m"))
    s("create for a role", lambda t, y: token.create(role_name="none"))
    s("look up a batch token", lambda t, y: token.lookup(batch))
    maker, run.client.token = run.client.token, "a-token-of-our-own"
    s("look oneself up", lambda t, y: token.lookup_self())
    s("look oneself up by the path for others", lambda t, y: run.ask("get", "auth/token/lookup"))
    s("renew oneself", lambda t, y: token.renew_self(increment="120s"))
    s("create without leave", lambda t, y: token.create(ttl="1m"))
    s("revoke oneself", lambda t, y: token.revoke_self())
    s("look oneself up again", lambda t, y: token.lookup_self())
    run.client.token = maker
    def bearer(answer):
        return {"is": answer["data"]["id"] == run.client.token}

    s("look up what the request bears", lambda t, y: bearer(run.ask("get", "auth/token/lookup")))
    s("look up nothing", lambda t, y: bearer(run.post("auth/token/lookup")))
    s("look up the empty token", lambda t, y: bearer(run.post("auth/token/lookup", token="")))
    s("look up a token that stands in the address", lambda t, y: bearer(run.ask("get", "auth/token/lookup?token=none")))
    s("look up by no accessor, a token", lambda t, y: token.lookup_accessor("none"))
    s("revoke by no accessor", lambda t, y: token.revoke_accessor("none"))
    s("revoke no token", lambda t, y: token.revoke("none"))
    s("renew no token", lambda t, y: token.renew("none"))
    s("revoke a login's token", lambda t, y: token.revoke(own))
    s("look up the revoked login's", lambda t, y: token.lookup(own))
    administrator, run.client.token = run.client.token, "wrong"
    s("a wrong token", lambda t, y: t.list_keys())
    run.client.token = None
    s("no token", lambda t, y: t.list_keys())
    run.client.token = administrator
