"""What the tower answers otherwise than OpenBao 2.7, step by step, and why."""

LOGINS = "there are no entities beside roles and users, and the metadata of a secret-id stay with it"
MISTAKE = "what the caller got wrong is an internal error (500) there, and a refused request (400) here"

DIFFERENCES = {
    "create hmac": "the versions of such a key are shown as those of every other; its length is not, it is always 32 bytes unless imported",
    "log in": LOGINS,
    "look up a login's token": LOGINS,
    "renew a token": LOGINS,
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
        "import the public key of another kind", "back up what is kept", "back up none", "restore what exists",
        "restore it there again", "restore no backup", "restore no base64",
    ],
    MISTAKE,
)
