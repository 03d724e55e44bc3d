"""Runs one script with hvac against an OpenBao server and against a tower, and compares every answer.

    vault.py URL CA-FILE [bao]   < TOKEN

An answer is compared by its status (or hvac's exception), its shape, and the values that do not differ by chance. What may differ is
listed in DIFFERENCES, each with its reason; a listed difference that is none is a failure too. At the end one key goes into both, and what
one made with it the other has to read.
"""

import json
import os
import socket
import subprocess
import sys
import time

import hvac
import requests

# Step: why the tower answers otherwise.
from vault_differences import DIFFERENCES
from vault_steps import ALL, both
from vault_steps.values import shape


class Run:
    def __init__(self, client, is_tower=False):
        self.client, self.answers, self.kept, self.is_tower = client, {}, {}, is_tower

    def step(self, name, call):
        assert name not in self.answers, name
        try:
            answer = call(self.client.secrets.transit, self.client.sys)
            self.kept[name] = answer
            if isinstance(answer, requests.Response):
                body = answer.json() if answer.content else None
                self.answers[name] = [answer.status_code, shape(body)]
            else:
                self.answers[name] = ["ok", shape(answer)]
        except (hvac.exceptions.VaultError, requests.ConnectionError) as error:
            self.answers[name] = [type(error).__name__]

    def ask(self, method, path, body=None, **headers):
        """What hvac has no call for, or not with these fields."""
        return self.client._adapter.request(method, f"/v1/{path}", json=body, headers=headers)

    def post(self, path, **body):
        return self.ask("post", path, body)

    def data(self, name, field):
        return self.kept[name]["data"][field]


def server(program):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    args = [program, "server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}"]
    child = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = hvac.Client(url=url, token="root")
    for _ in range(600):
        try:
            if not client.sys.is_sealed():
                break
        except requests.RequestException:
            time.sleep(0.1)
    client.sys.enable_secrets_engine("transit")
    client.sys.enable_auth_method("approle")
    return child, client


def main():
    url, ca = sys.argv[1:3]
    program = sys.argv[3] if len(sys.argv) > 3 else os.path.join(os.path.dirname(sys.executable), "bao")
    tower = Run(hvac.Client(url=url, token=sys.stdin.read().strip(), verify=ca), is_tower=True)
    child, client = server(program)
    try:
        bao = Run(client)
        for run in bao, tower:
            for script in ALL:
                script(run)
        exchanged = both.exchange(bao.client, tower.client)
    finally:
        child.terminate()
    wrong = []
    for name, expected in bao.answers.items():
        found = tower.answers.get(name)
        if (found == expected) == (name in DIFFERENCES):
            wrong.append({"step": name, "listed": name in DIFFERENCES, "bao": expected, "tower": found})
    unknown = sorted(set(DIFFERENCES) - set(bao.answers))
    if wrong or unknown:
        print(json.dumps({"wrong": wrong, "no such steps": unknown}, indent=1), file=sys.stderr)
        sys.exit(1)
    print(json.dumps({"steps": len(bao.answers), "differences": len(DIFFERENCES), "exchanged": exchanged}))


if __name__ == "__main__":
    main()
