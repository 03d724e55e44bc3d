"""Measures the firewall's table on the kernel, with the same ranges as linear rules beside it.

usage: firewall.py RANGES_EXAMPLE [COUNT ...]

RANGES_EXAMPLE is the release build of keyward-nft-marks' example `ranges`. Needs root, nft and ip; everything happens in a network
namespace of its own. For each count of ranges (1,000, 10,000 and 100,000), all of them networks or none: the processor time of `nft -f`,
the kernel memory that it leaves behind (charged to a memory cgroup of version 1, where there is one), the time of one range more and of
one in the place of another, which in a set of intervals depends on its place, that of half of the ranges being others, the time of making
the text, and what the first packet of a connection and a later one cost, sending and receiving included, beside chains that hold no rule, and
beside a table in which a single rule looks the same ranges up in one set of intervals and does nothing else.
"""

import ipaddress
import itertools
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

NAMESPACE = f"kwbench{os.getpid()}"
MEMORY = Path("/sys/fs/cgroup/memory")
# Connections are tracked in either case, so that the difference is that of the tables.
TRACKED = "table inet tracked {\n\tchain c {\n\t\ttype filter hook prerouting priority raw + 1; policy accept;\n\t\tct state invalid counter\n\t}\n}\n"
HOOKS = [("prerouting", "mangle + 5"), ("input", "filter - 5"), ("forward", "filter - 5"), ("output", "filter - 5")]
EMPTY = "add table inet keyward\ndelete table inet keyward\ntable inet keyward {\n%s}\n" % "".join(
    f"\tchain {hook} {{\n\t\ttype filter hook {hook} priority {priority}; policy accept;\n\t}}\n" for hook, priority in HOOKS
)


def inside(*command: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run(["ip", "netns", "exec", NAMESPACE, *command], check=True, **more)


def load(path: Path | str, group: Path | None = None) -> float:
    """Processor seconds of one `nft -f`."""
    enter = (lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) if group else None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    inside("nft", "-f", str(path), preexec_fn=enter)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def load_fresh(path: Path) -> float:
    """Processor seconds of one `nft -f` where there is no table yet."""
    inside("nft", "-f", "-", input=b"add table inet keyward\ndelete table inet keyward\n")
    return load(path)


def kernel_memory(path: Path) -> float | None:
    """The middle one of three: what went before is freed at some moment of the kernel's own."""
    found = [charged(path) for _ in range(3)]
    return None if None in found else sorted(found)[1]


def charged(path: Path) -> float | None:
    """Megabytes of kernel memory that belong to a table, or nothing where nobody counts them."""
    if not (MEMORY / "memory.kmem.usage_in_bytes").exists():
        return None
    inside("nft", "-f", "-", input=b"add table inet keyward\ndelete table inet keyward\n")
    group = MEMORY / NAMESPACE
    group.mkdir()
    try:
        load(path, group)
        return int((group / "memory.kmem.usage_in_bytes").read_text()) / 1e6
    finally:
        inside("nft", "delete", "table", "inet", "keyward")
        group.rmdir()


SENDER = """
import random, socket, sys, time
places = [line.split() for line in open(sys.argv[1])]
count = int(sys.argv[2])
random.seed(7)
receivers = []
for port in range(9000, 9007):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    receiver.bind(("0.0.0.0", port))
    receivers.append(receiver)
sender = None
targets = [(address, int(port)) for address, port in random.choices(places, k=count)]
first = later = 1e9
for attempt in range(5):
    # A port that none had before: other connections, each packet the first of its own; and then a later one of each.
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.1", int(sys.argv[3]) + attempt))
    begin = time.process_time()
    for target in targets:
        sender.sendto(b"x", target)
    between = time.process_time()
    for target in targets:
        sender.sendto(b"x", target)
    end = time.process_time()
    first = min(first, (between - begin) / count * 1e6)
    later = min(later, (end - between) / count * 1e6)
print(first, later)
"""


SOURCES = itertools.count(20000, 5)


def packet(addresses: Path, count: int) -> tuple[float, float]:
    """Microseconds of processor time for the first packet of a connection and for a later one, receiving it included."""
    made = inside(sys.executable, "-c", SENDER, str(addresses), str(count), str(next(SOURCES)), capture_output=True, text=True)
    first, later = map(float, made.stdout.split())
    return first, later


# The least that finds a packet among the ranges.
BARE = """add table inet keyward
delete table inet keyward
table inet keyward {
\tset ingress4 {
\t\ttype ipv4_addr . inet_proto . inet_service
\t\tflags interval
\t\telements = { %s }
\t}
\tchain prerouting {
\t\ttype filter hook prerouting priority mangle + 5; policy accept;
\t\tct state new ip daddr . meta l4proto . th dport @ingress4 accept
\t}
}
"""


def change(folder: Path, name: str, old: str, new: str) -> float:
    """Processor seconds of one element in the place of another one, and no more than that."""
    commands = "".join(f"{verb} element inet keyward {name} {{ {one} }}\n" for verb, one in [("delete", old), ("add", new)])
    (folder / "one.nft").write_text(commands)
    return load(folder / "one.nft")


def best(times: int, measure) -> float:
    return min(measure() for _ in range(times))


def one(example: str, count: int, kind: str, folder: Path) -> None:
    text = float(subprocess.run([example, str(count), str(folder), kind], check=True, capture_output=True, text=True).stdout)
    (folder / "empty.nft").write_text(EMPTY)
    addresses = folder / "address.txt"
    packets = 3000
    load(folder / "empty.nft")
    empty = packet(addresses, packets)

    linear = best(3, lambda: load_fresh(folder / "linear.nft"))
    linear_packet = packet(addresses, 3000 if count <= 1000 else 300 if count <= 10000 else 30)
    linear_memory = kernel_memory(folder / "linear.nft")

    load(folder / "empty.nft")
    whole = best(3, lambda: load_fresh(folder / "set.nft"))
    listed = inside("nft", "-s", "list", "table", "inet", "keyward", capture_output=True, text=True).stdout
    assert (folder / "listing.nft").read_text() == listed, "listed as it was written"
    set_packet = packet(addresses, packets)
    # One range more, and less again. Then one in the place of the first, of that in the middle, and of the last.
    more = 1e9
    less = (folder / "back.nft").read_text().splitlines(keepends=True)[0]
    (folder / "less.nft").write_text(less)
    (folder / "more.nft").write_text((folder / "change.nft").read_text().splitlines(keepends=True)[1])
    for _ in range(5):
        more = min(more, load(folder / "more.nft"))
        load(folder / "less.nft")
    holds, elements = re.search(r"add element inet keyward (\S+) \{(.*?)\}", (folder / "set.nft").read_text(), re.DOTALL).groups()
    elements = [element.strip() for element in elements.split(",")]
    new = less.split("{")[1].split("}")[0].strip()
    changed = {}
    for name, place in [("first", 0), ("middle", count // 2), ("last", count - 1)]:
        took = 1e9
        for _ in range(3):
            load_fresh(folder / "set.nft")  # The place in the set is the order in which they came.
            took = min(took, change(folder, holds, elements[place], new))
        changed[name] = took
    half = 1e9
    for _ in range(3):
        load_fresh(folder / "set.nft")
        half = min(half, load(folder / "half.nft"))
    load_fresh(folder / "set.nft")
    ours = best(3, lambda: min(load(folder / "change.nft"), load(folder / "back.nft")))
    # What running a program in the namespace costs by itself.
    (folder / "nothing.nft").write_text("")
    nothing = best(5, lambda: load(folder / "nothing.nft"))
    set_memory = kernel_memory(folder / "set.nft")
    intervals = [line.rsplit(" ", 1) for line in addresses.read_text().splitlines()]
    intervals = [f"{first}-{ipaddress.ip_address(first) + 1} . udp . {port}" for first, port in intervals]
    (folder / "bare.nft").write_text(BARE % ",\n".join(intervals))
    load(folder / "bare.nft")
    bare_packet = packet(addresses, packets)
    load(folder / "empty.nft")
    empty = tuple(min(pair) for pair in zip(empty, packet(addresses, packets)))

    print(f"{count} ranges, {kind}", flush=True)
    print(f"  load, processor time    set {whole:.3f} s, linear {linear:.3f} s: {whole / linear:.2f} x")
    if set_memory and linear_memory:
        ratio = set_memory / linear_memory
        print(f"  kernel memory           set {set_memory:.1f} MB, linear {linear_memory:.1f} MB: {ratio:.2f} x")
    for place, name in enumerate(["first packet ", "later packets"]):
        took, none, rules, bare = set_packet[place], empty[place], linear_packet[place], bare_packet[place]
        ratios = f"{took / none:.2f} x, of one bare lookup {took / bare:.2f} x (linear {rules / none:.0f} x)"
        print(f"  {name}           set {took:.2f} us, one bare lookup {bare:.2f} us, no rules {none:.2f} us: {ratios}")
    for name, took in [("one range more   ", more), ("what we send     ", ours), ("half are others  ", half)] + [(f"instead of {name:6}", took) for name, took in changed.items()]:
        print(f"  {name}       {took * 1e3:.1f} ms, of which running nft {nothing * 1e3:.1f} ms: {took / whole:.3f} x of a load")
    print(f"  making the text         {text * 1e3:.2f} ms: {text / whole:.4f} x of loading it")


def main() -> None:
    example, *counts = sys.argv[1:]
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        inside("ip", "link", "set", "lo", "up")
        inside("ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")
        inside("nft", "-f", "-", input=TRACKED.encode())
        for count in map(int, counts or ["1000", "10000", "100000"]):
            for kind in ["networks", "spans"]:
                with tempfile.TemporaryDirectory() as folder:
                    one(example, count, kind, Path(folder))
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=True)


if __name__ == "__main__":
    main()
