"""Verifies a token as any relying party would: from the issuer's URL alone, with PyJWT.

usage: verify_oidc.py ISSUER AUDIENCE [CA_FILE] < token
Prints the claims as JSON, or exits with 1 and the reason.
"""

import json
import ssl
import sys
import urllib.request

import jwt


def main() -> int:
    issuer, audience = sys.argv[1:3]
    context = ssl.create_default_context(cafile=sys.argv[3] if len(sys.argv) > 3 else None)
    token = sys.stdin.read().strip()
    with urllib.request.urlopen(issuer + "/.well-known/openid-configuration", context=context) as answer:
        discovery = json.load(answer)
    if discovery["issuer"] != issuer:
        print("the document names another issuer", file=sys.stderr)
        return 1
    keys = jwt.PyJWKClient(discovery["jwks_uri"], ssl_context=context)
    try:
        claims = jwt.decode(
            token,
            keys.get_signing_key_from_jwt(token),
            algorithms=discovery["id_token_signing_alg_values_supported"],
            audience=audience,
            issuer=issuer,
            options={"require": ["exp", "iat", "aud", "sub", "iss"]},
        )
    except jwt.PyJWTError as error:
        print(type(error).__name__, error, file=sys.stderr)
        return 1
    print(json.dumps(claims))
    return 0


sys.exit(main())
