"""Measures logins of people at the control tower as a process: whether an address that exists can be told from one that does not, and
what a thousand logins at once take.

usage: login.py CONTROL_TOWER [--tries N] [--parallel N]

Needs the release binary. Half of the tries name users who exist, with a wrong password; the other half users who do not; they take
turns, each from an address of its own, through `/v1/login` and through the login as steps. Status and body have to be equal but for
what is random, and the medians of the time within 5 % of each other. Then as many logins as `--parallel` says are sent at once, with
the right password. Everything stays on loopback and is bounded in number.
"""

import argparse
import http.client
import json
import re
import ssl
import statistics
import tempfile
import threading
import time

from tower import resident_mb, start_tower

PASSWORD = "kessel run in twelve parsecs"
# A login and the tokens of its forms, challenges, and the identifiers of passkeys.
RANDOM = re.compile(r'"[A-Za-z0-9_=-]{22,}"')


def peak_mb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def post(server, connection, path, body, source=None):
    """The status, the text and how long it took, in seconds."""
    headers = {"Content-Type": "application/json"} | ({"X-Forwarded-For": source} if source else {})
    data = json.dumps(body)
    began = time.perf_counter()
    connection.request("POST", path, data, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    return answer.status, text, time.perf_counter() - began


def one_call(server, connection, email, source):
    return [post(server, connection, "/v1/login", {"username": email, "password": "wrong, all of it"}, source)]


def steps(server, connection, email, source):
    made = [post(server, connection, "/v1/login/flow", {"embedder": True}, source)]
    for step, body in [("identify", {"email": email}), ("password", {"password": "wrong, all of it"})]:
        login = json.loads(made[-1][1])["login"]
        made.append(post(server, connection, f"/v1/login/flow/{step}", {"login": login} | body, source))
    return made


def masked(email, answers):
    return [(status, RANDOM.sub('"…"', text).replace(email, "EMAIL")) for status, text, _ in answers]


def enumeration(server, what, take, known, unknown):
    connection = server.connect()
    answers, times = {True: set(), False: set()}, {True: [], False: []}
    for number, pair in enumerate(zip(known, unknown)):
        # Who is first takes turns too.
        for exists in [True, False] if number % 2 else [False, True]:
            email = pair[0 if exists else 1]
            source = f"10.{int(exists)}.{number // 200}.{number % 200}"
            made = take(server, connection, email, source)
            answers[exists].add(json.dumps(masked(email, made)))
            times[exists].append(sum(took for _, _, took in made))
    if answers[True] != answers[False] or len(answers[True]) != 1:
        for exists, texts in answers.items():
            print(f"{what}: {'known' if exists else 'unknown'}:", *sorted(texts), sep="\n  ")
        raise SystemExit(f"{what}: the answers differ")
    there, absent = statistics.median(times[True]), statistics.median(times[False])
    off = abs(there - absent) / absent
    print(f"{what}: {2 * len(known)} tries, answers equal, median {there * 1e3:.2f} ms for known and {absent * 1e3:.2f} ms for "
          f"unknown addresses: {off:.1%} apart (at most 5 %: {'as meant' if off < 0.05 else 'MISSED'})", flush=True)


def at_once(server, users, count):
    before = resident_mb(server.process.pid)
    connections = [http.client.HTTPSConnection(server.url.hostname, server.url.port, context=server.context, timeout=120)
                   for _ in range(count)]
    for connection in connections:
        connection.connect()
    idle = resident_mb(server.process.pid)
    statuses, lock, barrier = {}, threading.Lock(), threading.Barrier(count)

    def work(number):
        source = f"10.2.{number // 200}.{number % 200}"
        body = {"username": users[number % len(users)], "password": PASSWORD}
        barrier.wait()
        try:
            status, _, _ = post(server, connections[number], "/v1/login", body, source)
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            status = type(error).__name__
        with lock:
            statuses[status] = statuses.get(status, 0) + 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    answered = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items(), key=str))
    print(f"{count} logins at once: {answered} in {took:.1f} s; resident {before:.0f} MB before, {idle:.0f} MB with the connections, "
          f"{peak_mb(server.process.pid):.0f} MB at most", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("control_tower")
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=1000)
    options = parser.parse_args()
    half = options.tries // 2
    with tempfile.TemporaryDirectory() as directory:
        server, first, _ = start_tower(options.control_tower, directory, "--trusted-proxies", "127.0.0.0/8")
        try:
            token = server.call("POST", "/v1/login", {"username": first["username"], "password": first["password"]})["token"]
            known = [f"user{number:04}@example.com" for number in range(half)]
            for email in known:
                path = f"/v1/config/strongbox/authentication/users/{email}"
                server.call("PUT", path, {"name": email, "password": PASSWORD}, token=token)
            unknown = [f"none{number:04}@example.com" for number in range(half)]
            for what, take in {"/v1/login": one_call, "steps": steps}.items():
                # The first try of each warms up.
                enumeration(server, what, take, known, unknown)
            at_once(server, known, options.parallel)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
