"""One end of the wire. Reads a command a line, answers each with a line.

listen PROTOCOL ADDRESS PORT            answers what comes with the address it comes from
try SECONDS PROTOCOL ADDRESS PORT ...   asks each of these at once: `answer` or `silence` for each
open PROTOCOL ADDRESS PORT              a number for a connection that stays
say SECONDS NUMBER                      asks over it once more: `answer` or `silence`
flood stay|new PROTOCOL ADDRESS PORT    asks again and again, over one connection or over ever new ones
halt                                    ends all floods: how often was asked, how often in vain, and by whom
"""

import socket
import sys
import threading

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def make(protocol, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, KINDS[protocol])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def serve(connection):
    with connection:
        while data := connection.recv(100):
            connection.sendall(data)


def serve_tcp(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=[connection], daemon=True).start()


def serve_udp(listener):
    while True:
        data, peer = listener.recvfrom(100)
        try:
            listener.sendto(data, peer)
        except OSError:
            pass


def listen(protocol, address, port):
    listener = make(protocol, address)
    listener.bind((address, int(port)))
    if protocol == "tcp":
        listener.listen(100)
    target = serve_tcp if protocol == "tcp" else serve_udp
    threading.Thread(target=target, args=[listener], daemon=True).start()
    return "ok"


def connect(protocol, address, port, seconds):
    made = make(protocol, address)
    made.settimeout(seconds)
    made.connect((address, int(port)))
    return made


def ask(made, seconds, word=b"hello"):
    made.settimeout(seconds)
    made.send(word)
    return made.recv(100) == word


def attempt(results, place, seconds, protocol, address, port):
    try:
        with connect(protocol, address, port, seconds) as made:
            results[place] = ask(made, seconds)
    except OSError:
        pass


def try_all(seconds, *targets):
    targets = [targets[at : at + 3] for at in range(0, len(targets), 3)]
    results = [False] * len(targets)
    threads = [
        threading.Thread(target=attempt, args=[results, place, float(seconds), *target])
        for place, target in enumerate(targets)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return " ".join("answer" if answered else "silence" for answered in results)


opened = []


def open_one(protocol, address, port):
    opened.append(connect(protocol, address, port, 10))
    return str(len(opened) - 1)


def say(seconds, number):
    try:
        return "answer" if ask(opened[int(number)], float(seconds)) else "silence"
    except OSError:
        return "silence"


class Flood:
    def __init__(self, kind, *target):
        self.name = "-".join([kind, *target])
        self.target = target
        self.asked = self.lost = 0
        self.going = True
        self.begun = threading.Event()
        self.thread = threading.Thread(target=self.stay if kind == "stay" else self.new, daemon=True)
        self.thread.start()
        self.begun.wait()

    def stay(self):
        with connect(*self.target, 10) as made:
            while self.going:
                self.once(made)

    def new(self):
        while self.going:
            try:
                with connect(*self.target, 10) as made:
                    self.once(made)
            except OSError:
                self.lost += 1
                self.begun.set()

    def once(self, made):
        self.asked += 1
        try:
            answered = ask(made, 10, str(self.asked).encode())
        except OSError:
            answered = False
        self.lost += not answered
        self.begun.set()


floods = []


def flood(*target):
    floods.append(Flood(*target))
    return "ok"


def halt():
    for one in floods:
        one.going = False
    for one in floods:
        one.thread.join()
    asked, lost = sum(one.asked for one in floods), sum(one.lost for one in floods)
    names = ",".join(f"{one.name}={one.lost}" for one in floods if one.lost)
    floods.clear()
    return f"{asked} {lost} {names}"


COMMANDS = {"listen": listen, "try": try_all, "open": open_one, "say": say, "flood": flood, "halt": halt}
for line in sys.stdin:
    command, *arguments = line.split()
    print(COMMANDS[command](*arguments), flush=True)
