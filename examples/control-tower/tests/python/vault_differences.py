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
    "write a policy that ends": EXACT,
    "write a policy that ends at a time": EXACT,
    "write it over its version": "policies have no version here: `cas` is taken to make one (-1), and a document is written with `If-Match`",
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

# What `rest` shows.

DIFFERENCES |= {
    "sign a bare digest": "a signature says by which hash function it was made: without one (`none`) nothing is signed",
    "verify the salt 'auto' as hash": "`auto` makes a salt as long as the digest, as RFC 8017 §9.1 has it, and takes any; there it is as long as fits",
    "sign with the salt 300": MISTAKE,
    "make an xchacha20 key": "there is no XChaCha20-Poly1305; what is long-lived is encrypted by many messages under one key with AES-256-GCM and rotation",
    "a token of no policy": "what a policy that is not there would allow is nothing; it is not looked for, and no warning says so",
    "write the policy default": "`default` is built in, and the same for everybody",
    "read the policy root": "what may do everything is the policy `administrator`; nothing is called `root`, and nothing can be",
    "audit devices": "the audit log is always on, and no device that can be disabled; `/v1/state/audit` reads it",
    "end a token alone": "what was made from a token ends with it; whoever wants another makes an orphan",
    "log in in no namespace": "a role-id says by itself which tenant it is of; a namespace that is named has to be that one",
    "log in in another": "a namespace that is not there and one that is another's are answered alike, as a failed login",
    "a token in another": "a namespace that is not there and one that is another's are answered alike: the token is not of it (403)",
}

UNKNOWN_FIELD = "fields that mean nothing here are left out without a warning"
SOFTLY = "a key is deleted or it is not; `deletion_allowed` and the backup keep it from being lost by mistake"
CERTIFICATES = "certificates come from `system/ca`, which issues X.509-SVIDs; keys of transit have none"
CACHE = "there is no cache to be sized: keys are decoded once and dropped as they change"
TOKEN_ROLES = "there are no token roles: AppRoles and `create` say the same"
RSA_HASH = "RSA signs and verifies SHA-256, SHA-384 and SHA-512, which the backend has in constant time; SHA-1 is broken, and no RFC 8017 client asks for the others"
EC_HASH = "SHA-1 is broken, and there is no SHA3-224"
SALT = "a salt is as long as the digest (RFC 8017 §9.1); others are verified, and not made"

DIFFERENCES |= {f"a {what} with an unknown field": UNKNOWN_FIELD for what in ("token", "key")}
DIFFERENCES |= {"delete softly": SOFTLY, "restore what is deleted softly": SOFTLY}
DIFFERENCES |= {"a signing request": CERTIFICATES, "set a certificate": CERTIFICATES}
DIFFERENCES |= {"read the cache": CACHE, "set the cache": CACHE}
DIFFERENCES |= {f"{what} a token role": TOKEN_ROLES for what in ("make", "read", "create by")}
DIFFERENCES |= {
    f"{what} with more-rsa {padding} {hash}": RSA_HASH
    for what in ("sign", "verify") for padding in ("pss", "pkcs1v15")
    for hash in ("sha1", "sha2-224", "sha3-224", "sha3-256", "sha3-384", "sha3-512")
}
DIFFERENCES |= {f"{what} with more-ec {hash}": EC_HASH for what in ("sign", "verify") for hash in ("sha1", "sha3-224")}
for salt in ("'20'", "20", "0"):
    DIFFERENCES |= {f"sign with the salt {salt}": SALT}
    DIFFERENCES |= {f"verify the salt {salt} as {other}": SALT for other in ("auto", "hash", 20)}
DIFFERENCES |= dict.fromkeys(
    [f"a secret-id {what} for more addresses" for what in ("supplied", "whose tokens are")] + ["a secret-id for more addresses"], MISTAKE
)

# What `edges` shows.

NULL = "null says of every field that it is not set; there it is so for some, a mistake for others, and a few make the server panic"
VERDICT = "an item of a batch says that its HMAC is not valid as it does of a signature; there the field is left out"
HMAC_HASH = "SHA-1 is on its way out for HMACs too (NIST SP 800-131A), and nothing here makes what will not be verified for long"
SHA3_224 = "there is no SHA3-224"
BATCH_ORPHAN = "a batch token is made as a child: nothing else could end an orphan before its time"

DIFFERENCES |= {
    "sign in no context": MISTAKE,
    "import the same ecdsa-p256 as a version": "a key has one ID (RFC 7638), and no two versions of a ring have one: a verifier could not tell them apart",
    "destroy what is used up by accessor": MISTAKE,
    "destroy nothing by accessor": MISTAKE,
    "destroy nothing of no role": MISTAKE,
    "a token with null as renewable": NULL,
    "a key with null as type": NULL,
    "a role with nulls": NULL,
    "the path of the orphan of the other path": "an orphan is shown as made by the path for orphans, however it was asked for",
}
DIFFERENCES |= {f"{call} with null as {field}": NULL for call in ("sign", "verify") for field in ("marshaling_algorithm", "salt_length")}
DIFFERENCES |= {f"{what} {hash}": reason for hash, reason in (("sha1", HMAC_HASH), ("sha3-224", SHA3_224)) for what in ("hmac by", "hmac by the path")}
DIFFERENCES |= {"hash by sha3-224": SHA3_224}
DIFFERENCES |= {f"the {what} of aes256-gcm96 as {form!r}": MISTAKE for what in ("encryption-key", "hmac-key") for form in ("der", "pem")}
DIFFERENCES |= {f"the {what} of {kind} as 'raw'": MISTAKE for what in ("signing-key", "public-key") for kind in ("ecdsa-p256", "ecdsa-p521", "rsa-2048")}
DIFFERENCES |= {f"a batch {what}": BATCH_ORPHAN for what in ("orphan", "orphan of the other path")}
DIFFERENCES |= {f"batch of {what}/edge-aes256-gcm96 with an empty item": MISTAKE for what in ("encrypt", "decrypt")}
DIFFERENCES |= dict.fromkeys(
    [f"batch of bad items of verify/edge-aes256-gcm96{status}" for status in ("", " with another status")]
    + [f"batch of verify/edge-aes256-gcm96 {what}" for what in ("with bad items", "with another status")],
    VERDICT,
)

KEPT = "that a key left the server once is not taken back by saying so, and whoever tries is told"
NAMES = "names have small letters, digits and `-` between them, alone"

DIFFERENCES |= {f"take back {field}": KEPT for field in ("exportable", "allow_plaintext_backup")}
DIFFERENCES |= {f"a {what} with an underscore": NAMES for what in ("role", "policy")}
DIFFERENCES |= {
    "sign by two names of a hash function": "an option is said once",
    "hmac with null as input": NULL,
    "a role for an address with the length of a network": "an address or a network: which of the two was meant is not guessed",
    "a role with a period beyond its end": "lives that contradict each other are refused when they are said, and not at a login",
    "destroy a secret-id that stands in the address": "no secret stands in an address, which others keep in their logs; the body of a POST has it",
    "the settings of a mount": "mounts have no settings: roles and tokens say how long what lives",
}

# Where something is shown, or stands.

SHOWN = "when a key was backed up and restored, and by whom, the audit log says"
ADDRESS = "no token stands in an address, which others keep in their logs; the header has it, or the body of a POST"

DIFFERENCES |= {f"a key tells of its {what}": SHOWN for what in ("backup", "restore")}
DIFFERENCES |= {"look up a token that stands in the address": ADDRESS, "look up by its address": ADDRESS}
DIFFERENCES |= {
    "the fields of a policy": "a policy has a name and a text; it has no version, nor what goes with one, and the audit log says when it was changed",
    "export the public key of a derived key": "nothing that the key signs is verified by it: each context has a key of its own, which `sign` and `keys` show",
    "encrypt a form without a value": "what has no `=` is no form: it may be a secret, which would be shown as the name of a field",
}
