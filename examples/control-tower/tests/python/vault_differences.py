"""What the tower answers otherwise than OpenBao 2.7, step by step, and why."""

LOGINS = "there are no entities beside roles and users"
EXACT = "what no rule here can say is refused with the reason, and never left out"
MISTAKE = "what the caller got wrong is an internal error (500) there, and a refused request (400) here"

DIFFERENCES = {
    "create hmac": "the versions of such a key are shown as those of every other; its length is not, it is always 32 bytes unless imported",
    "log in": LOGINS,
    "look up a login's token": LOGINS,
    "renew a token": LOGINS,
    "log in with what binds": LOGINS,
    "take a login": LOGINS,
    "a role without secret-ids": "a login needs a secret, and a request without one is refused (400), which is an internal error (500) there",
    "write part of a segment": EXACT,
    "write a parameter": EXACT,
    "write an identity": EXACT,
    "one allows and one denies": "of several policies of a token the most permissive wins",
    "create with a short id": "what serves as a secret has at least 128 bits",
    "create a batch token with an id": "a batch token is sealed, not chosen; there its `id` is left out",
    "create for a role": "there are no token roles, and no such path",
    "revoke by no accessor": "an accessor that names nothing is refused, as it is everywhere else",
    "create without default": "`default` is given where the token that asks has it, and an administrator's has not unless it names it",
    "read the imported hmac": "as the ones that are made: the versions are shown, the length is not",
    "import by SHA-1": "no key travels under SHA-1 here: SHA-256, SHA-384 and SHA-512 do",
    "import a version of what was made": "any key takes a version from elsewhere; `imported-only` says where all have to be",
}

DIFFERENCES |= dict.fromkeys(
    [
        "import again", "import by another hash", "import as another kind", "import no base64", "import too little",
        "import convergent", "rotate what is only imported", "import a version of none", "import a bad version",
        *(f"sign with the public {kind}" for kind in ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-2048", "rsa-3072")),
        "decrypt with the public half", "import a public symmetric key", "import no public key",
        "import the public key of another kind", "import another private half", "import the half of no version", "import the half of a whole", "back up what is kept", "back up none", "restore what exists",
        "a role-id that another has", "a secret-id that binds less", "restore it there again", "restore no backup", "restore no base64",
    ],
    MISTAKE,
)
