"""Measures the firewall's table on the kernel, with the same ranges as linear rules beside it.

usage: firewall.py RANGES_EXAMPLE [COUNT ...]

RANGES_EXAMPLE is the release build of keyward-nft-marks' example `ranges`. Needs root, nft, ip and unshare; everything happens in a
network namespace of its own. For each count of ranges (1,000, 10,000 and 100,000), all of them networks, or spans that are none, with one port
or ten each, and of IPv6: the processor time of `nft -f`, the kernel memory that it leaves behind (charged to a memory cgroup of version 1,
where there is one), the time of one range more and of one in the place of another, which in a set of intervals depends on its place, that
of half of the ranges being others, the time of making the text, and what the first packet of a connection and a later one cost, sending and
receiving included, beside chains that hold no rule.
"""

import itertools
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

# Set where this runs in that namespace.
INSIDE = "KEYWARD_BENCH_INSIDE"
GROUP = f"kwbench{os.getpid()}"
MEMORY = Path("/sys/fs/cgroup/memory")
# Connections are tracked in either case, so that the difference is that of the tables.
TRACKED = "table inet tracked {\n\tchain c {\n\t\ttype filter hook prerouting priority raw + 1; policy accept;\n\t\tct state invalid counter\n\t}\n}\n"
HOOKS = [("prerouting", "mangle + 5"), ("input", "filter - 5"), ("forward", "filter - 5"), ("output", "filter - 5")]
EMPTY = "add table inet keyward\ndelete table inet keyward\ntable inet keyward {\n%s}\n" % "".join(
    f"\tchain {hook} {{\n\t\ttype filter hook {hook} priority {priority}; policy accept;\n\t}}\n" for hook, priority in HOOKS
)


def run(*command: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run(command, check=True, **more)


def load(path: Path | str, group: Path | None = None) -> float:
    """Processor seconds of one `nft -f`."""
    enter = (lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) if group else None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run("nft", "-f", str(path), preexec_fn=enter)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def load_fresh(path: Path) -> float:
    """Processor seconds of one `nft -f` where there is no table yet."""
    run("nft", "-f", "-", input=b"add table inet keyward\ndelete table inet keyward\n")
    return load(path)


def kernel_memory(path: Path) -> float | None:
    """The middle one of three: what went before is freed at some moment of the kernel's own."""
    found = [charged(path) for _ in range(3)]
    return None if None in found else sorted(found)[1]


def charged(path: Path) -> float | None:
    """Megabytes of kernel memory that belong to a table, or nothing where nobody counts them."""
    if not (MEMORY / "memory.kmem.usage_in_bytes").exists():
        return None
    run("nft", "-f", "-", input=b"add table inet keyward\ndelete table inet keyward\n")
    group = MEMORY / GROUP
    group.mkdir()
    try:
        load(path, group)
        return int((group / "memory.kmem.usage_in_bytes").read_text()) / 1e6
    finally:
        run("nft", "delete", "table", "inet", "keyward")
        group.rmdir()


SENDER = """
import random, socket, sys, time
places = [line.split() for line in open(sys.argv[1])]
count = int(sys.argv[2])
random.seed(7)
family = socket.AF_INET6 if ":" in places[0][0] else socket.AF_INET
any_address, own = ("::", "::1") if family == socket.AF_INET6 else ("0.0.0.0", "127.0.0.1")
receivers = []
for port in {int(port) for address, port in places}:
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    receiver.bind((any_address, port))
    receivers.append(receiver)
sender = None
targets = [(address, int(port)) for address, port in random.choices(places, k=count)]
first = later = 1e9
for attempt in range(5):
    # A port that none had before: other connections, each packet the first of its own; and then a later one of each.
    sender = socket.socket(family, socket.SOCK_DGRAM)
    sender.bind((own, int(sys.argv[3]) + attempt))
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
    made = run(sys.executable, "-c", SENDER, str(addresses), str(count), str(next(SOURCES)), capture_output=True, text=True)
    first, later = map(float, made.stdout.split())
    return first, later


def best(times: int, measure) -> float:
    return min(measure() for _ in range(times))


def one(example: str, count: int, kind: str, folder: Path) -> None:
    text = float(subprocess.run([example, str(count), str(folder), kind], check=True, capture_output=True, text=True).stdout)
    (folder / "empty.nft").write_text(EMPTY)
    addresses = folder / "address.txt"
    packets = 3000

    linear = best(3, lambda: load_fresh(folder / "linear.nft"))
    linear_packet = packet(addresses, 3000 if count <= 1000 else 300 if count <= 10000 else 30)
    linear_memory = kernel_memory(folder / "linear.nft")

    load(folder / "empty.nft")
    whole = best(3, lambda: load_fresh(folder / "set.nft"))
    listed = run("nft", "-s", "list", "table", "inet", "keyward", capture_output=True, text=True).stdout
    assert (folder / "listing.nft").read_text() == listed, "listed as it was written"
    # By turns, as what a first packet costs depends on where the kernel's memory happens to lie.
    turns = []
    for _ in range(7):
        load(folder / "empty.nft")
        none = packet(addresses, packets)
        load_fresh(folder / "set.nft")
        turns.append((none, packet(addresses, packets)))
    # One range more; then one in the place of the first, of that in the middle, and of the last; and of half of them. A table that was
    # loaded in the same way has the same numbers for its rules.
    (folder / "there.txt").write_text(run("nft", "-as", "list", "table", "inet", "keyward", capture_output=True, text=True).stdout)
    subprocess.run([example, str(count), str(folder), kind, str(folder / "there.txt")], check=True)

    def change(name: str) -> float:
        load_fresh(folder / "set.nft")
        return sum(load(step) for step in sorted(folder.glob(f"{name}.[12].nft")))

    changed = {name: best(3, lambda: change(name)) for name in ["more", "first", "middle", "last", "half"]}
    # What running the program costs by itself.
    (folder / "nothing.nft").write_text("")
    nothing = best(5, lambda: load(folder / "nothing.nft"))
    set_memory = kernel_memory(folder / "set.nft")

    print(f"{count} ranges, {kind}", flush=True)
    print(f"  load, processor time    set {whole:.3f} s, linear {linear:.3f} s: {whole / linear:.2f} x")
    if set_memory and linear_memory:
        ratio = set_memory / linear_memory
        print(f"  kernel memory           set {set_memory:.1f} MB, linear {linear_memory:.1f} MB: {ratio:.2f} x")
    for place, name in enumerate(["first packet ", "later packets"]):
        ratios = sorted(with_set[place] / none[place] for none, with_set in turns)
        cheapest = min(none[place] for none, _ in turns)
        spread = f"middle of {ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"  {name}           {ratios[len(ratios) // 2]:.2f} x no rules, {spread} (linear {linear_packet[place] / cheapest:.0f} x)")
    for name, took in changed.items():
        what = "one range more   " if name == "more" else f"instead of {name:6}"
        print(f"  {what}       {took * 1e3:.1f} ms, of which running nft {nothing * 1e3:.1f} ms: {took / whole:.3f} x of a load")
    print(f"  making the text         {text * 1e3:.2f} ms: {text / whole:.4f} x of loading it")


def main() -> None:
    example, *counts = sys.argv[1:]
    if INSIDE not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})
    run("ip", "link", "set", "lo", "up")
    run("ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")
    run("ip", "-6", "route", "add", "local", "fd00::/8", "dev", "lo")
    run("nft", "-f", "-", input=TRACKED.encode())
    for count in map(int, counts or ["1000", "10000", "100000"]):
        for kind in ["networks", "spans", "ports", "spans6"]:
            with tempfile.TemporaryDirectory() as folder:
                one(example, count, kind, Path(folder))


if __name__ == "__main__":
    main()
