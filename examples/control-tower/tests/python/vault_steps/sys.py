"""Health, mounts and policies."""


def script(run):
    s = run.step
    s("health", lambda t, y: y.read_health_status(method="GET"))
    s("health with a status of its own", lambda t, y: y.read_health_status(method="GET", active_code=210, sealed_code=211))
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
