"""Uses the unmodified PyPI client `avassa-client`: as a workload it logs in, refreshes, and reads its own token's state; as the
administrator it makes a key, encrypts and decrypts.

usage: API_CA_CERT=... TOWER_PASSWORD=... avassa_login.py URL ROLE_ID SECRET_ID
Prints one JSON object.
"""

import json
import os
import sys

import avassa_client


def main() -> None:
    url, role_id, secret_id = sys.argv[1:4]
    session = avassa_client.approle_login(url, role_id, secret_id)
    first = (session.get_token(), session.get_token_expiry(), session.get_token_last_renewal())
    assert all(first), first
    refresh_at = session.get_token_recommended_refresh()
    assert first[2] < refresh_at < first[1], (first, refresh_at)
    session.refresh_token()
    assert session.get_token_expiry() >= first[1]
    assert session.get_token_last_renewal() >= first[2]
    status, reason, _headers, body = avassa_client.get_request(session, "/v1/state/strongbox/token")
    assert (status, reason) == (200, "OK"), (status, reason)
    # The session keeps the token alone; the identity is in the answer that it read it from.
    _, _, _, refreshed = avassa_client.post_request(session, "/v1/state/strongbox/token/refresh", None)
    try:
        avassa_client.approle_login(url, role_id, "wrong" + secret_id)
    except avassa_client.LoginError as error:
        refused = error.message
    else:
        raise AssertionError("a wrong secret-id logged in")
    admin = avassa_client.login(url, "admin", os.environ["TOWER_PASSWORD"], "default")
    key = "/v1/config/strongbox/transit-keys/data"
    avassa_client.put_request(admin, key, {"name": "data"})
    avassa_client.patch_request(admin, key, {"deletion-allowed": True})
    _, _, _, document = avassa_client.get_request(admin, key)
    assert json.loads(document) == {"name": "data", "deletion-allowed": True}, document
    opened = avassa_client.decrypt(admin, "data", avassa_client.encrypt(admin, "data", "hello"))
    print(json.dumps({
        "token-state": json.loads(body),
        "jwt-svid": json.loads(refreshed)["jwt-svid"],
        "refused": refused,
        "opened": opened,
    }))


main()
