"""Reads cases from standard input and writes whether PyPI's `webauthn` takes each of them."""

import json
import sys

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import base64url_to_bytes, parse_attestation_object

PARTY = {"expected_rp_id": "example.com", "expected_origin": "https://tower.example.com"}


def takes(case):
    challenge = base64url_to_bytes(case["challenge"])
    try:
        if "create" in case:
            verify_registration_response(
                credential=case["create"], expected_challenge=challenge, require_user_verification=True, **PARTY
            )
        else:
            registered = json.loads(case["registered"])["response"]["attestationObject"]
            attested = parse_attestation_object(base64url_to_bytes(registered)).auth_data.attested_credential_data
            verify_authentication_response(
                credential=case["get"],
                expected_challenge=challenge,
                credential_public_key=attested.credential_public_key,
                credential_current_sign_count=case["counter"],
                require_user_verification=True,
                **PARTY,
            )
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True


print(json.dumps([takes(case) for case in json.load(sys.stdin)]))
