"""Measures whether the control tower is as fast with a million secret-ids and a million tokens as with a thousand of each.

usage: scale.py CONTROL_TOWER FILL [--large N] [--small N] [--expiring N] [--logins N] [--rounds N]

CONTROL_TOWER and FILL are release binaries: `cargo build --release -p control-tower --features fill`. Two towers run
side by side and take turns, each login with one of 5,000 secret-ids at random, over TLS with keep-alive. Then a number of tokens
of the large one ends at once, and the logins during the sweep are timed. Needs about 3 GB of disk under TMPDIR for the
default sizes. Prints the figures with the limits that are meant to hold.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from tower import CONFIGURATION, metric, resident_mb, start_tower

SAMPLE = 5000


def fill(binary, directory, records, expiring, at):
    began = time.perf_counter()
    arguments = ["payments", records, records - expiring, expiring, at, SAMPLE, "--", "--data-dir", directory]
    made = subprocess.run([binary, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout
    size = sum(file.stat().st_size for file in Path(directory).glob("tower.db*"))
    print(f"filled {records} secret-ids and {records} tokens in {time.perf_counter() - began:.0f} s: {size / 1e6:.0f} MB", flush=True)
    return json.loads(made)


def logins(server, role, secrets, count, threads=8):
    """How long each of `count` logins took, in milliseconds; on `threads` connections."""
    connections = [server.connect() for _ in range(threads)]
    for connection in connections:
        server.call("GET", "/ready", connection=connection)
    took = [[] for _ in range(threads)]

    def work(n):
        picked = random.Random(n + count)
        for _ in range(count // threads):
            body = {"role-id": role, "secret-id": picked.choice(secrets)}
            began = time.perf_counter()
            server.call("POST", "/v1/approle-login", body, connection=connections[n])
            took[n].append((time.perf_counter() - began) * 1000)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [one for some in took for one in some]


def figures(times):
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def prepare(binary, directory):
    server, first, _ = start_tower(binary, directory)
    token = server.call("POST", "/v1/login", {"username": first["username"], "password": first["password"]})["token"]
    server.call("POST", "/v1/bulk", CONFIGURATION.replace("rsa-2048", "ecdsa-p256"), kind="application/yaml", token=token)
    role = server.call("GET", "/v1/state/strongbox/authentication/approles/payments", token=token)["role-id"]
    server.stop()
    return role


def expired(server):
    try:
        return metric(server, "keyward_expired_records_total")
    except RuntimeError:
        return 0.0


def row(name, small, large, limit, what=("with few", "with many")):
    ratio = large / small
    verdict = "as meant" if ratio <= limit else "MORE THAN MEANT"
    print(f"{name}: {small:.2f} ms {what[0]}, {large:.2f} ms {what[1]}: {ratio:.2f} × (at most {limit} ×: {verdict})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("control_tower")
    parser.add_argument("fill")
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--expiring", type=int, default=100_000)
    parser.add_argument("--logins", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        few, many = os.path.join(root, "few"), os.path.join(root, "many")
        role_few, role_many = prepare(options.control_tower, few), prepare(options.control_tower, many)
        # Late enough to fill, restart and measure before.
        at = int(time.time()) + options.large // 4000 + options.rounds * options.logins // 100 + 60
        secrets_few = fill(options.fill, few, options.small, 0, at)
        secrets_many = fill(options.fill, many, options.large, options.expiring, at)
        starts = []
        for _ in range(3):
            server, _, ready = start_tower(options.control_tower, many)
            starts.append(ready)
            server.stop()
        print(f"restart to ready with many: {max(starts) * 1000:.0f} ms, the slowest of three (at most 1000)", flush=True)
        small, _, _ = start_tower(options.control_tower, few)
        large, _, _ = start_tower(options.control_tower, many)
        try:
            for server, role, secrets in [(small, role_few, secrets_few), (large, role_many, secrets_many)]:
                logins(server, role, secrets, 400)
            times_few, times_many = [], []
            for _ in range(options.rounds):
                times_few += logins(small, role_few, secrets_few, options.logins)
                times_many += logins(large, role_many, secrets_many, options.logins)
            (median_few, p99_few), (median_many, p99_many) = figures(times_few), figures(times_many)
            row("login, median", median_few, median_many, 1.5)
            row("login, p99", p99_few, p99_many, 1.5)
            memory = resident_mb(large.process.pid)
            print(f"memory with many after {len(times_many)} logins: {memory:.0f} MB (at most 150)", flush=True)
            if options.expiring:
                left = at - time.time()
                print(f"{options.expiring} tokens end {'in' if left > 0 else 'ended'} {abs(left):.0f} s", flush=True)
                if left > 0:
                    time.sleep(left)
                swept, began = [], time.time()
                while expired(large) < options.expiring and time.time() - began < 600:
                    swept += logins(large, role_many, secrets_many, 400)
                median, p99 = figures(swept)
                print(f"swept {expired(large):.0f} in {time.time() - began:.0f} s, meanwhile {len(swept)} logins", flush=True)
                row("login during the sweep, median", median_many, median, 3, ("before", "meanwhile"))
                row("login during the sweep, p99", p99_many, p99, 3, ("before", "meanwhile"))
                memory = resident_mb(large.process.pid)
                print(f"memory after it: {memory:.0f} MB (at most 150)", flush=True)
        finally:
            small.stop()
            large.stop()


main()
