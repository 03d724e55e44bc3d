"""What the tower answers otherwise than OpenBao 2.7, step by step, and why."""

DIFFERENCES = {
    "create hmac": "the versions of such a key are shown as those of every other; its length is not, it is always 32 bytes unless imported",
}
