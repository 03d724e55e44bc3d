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
    s("revoke a login's token", lambda t, y: token.revoke(own))
    s("look up the revoked login's", lambda t, y: token.lookup(own))
    administrator, run.client.token = run.client.token, "wrong"
    s("a wrong token", lambda t, y: t.list_keys())
    run.client.token = None
    s("no token", lambda t, y: t.list_keys())
    run.client.token = administrator
