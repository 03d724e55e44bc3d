"""What the tower answers otherwise than OpenBao 2.7, step by step, and why."""

LOGINS = "there are no entities beside roles and users, and the metadata of a secret-id stay with it"

DIFFERENCES = {
    "create hmac": "the versions of such a key are shown as those of every other; its length is not, it is always 32 bytes unless imported",
    "log in": LOGINS,
    "look up a login's token": LOGINS,
    "renew a token": LOGINS,
    "create without default": "`default` is given where the token that asks has it, and an administrator's has not unless it names it",
}
