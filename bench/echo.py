#!/usr/bin/env python3
"""Key echo of two terminals in turn: `echo.py ROUNDS KEYS REFERENCE... --over-- OURS...`, each argv started under a pty.

Prints one JSON line: [[reference ms, ours ms], ...], the median of KEYS keys a round. Reads block and nothing else runs in
this process, so that what is timed is the way of the key and not an event loop of the benchmark.
"""
import fcntl, json, os, pty, select, statistics, struct, sys, termios, time

def start(argv):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(argv[0], argv)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    expect(fd, b"# ", 20)
    os.write(fd, b"PS1=ready; echo un\"\"der way\r")
    expect(fd, b"under way", 10)
    return fd

def expect(fd, text, limit):
    seen = b""
    end = time.time() + limit
    while text not in seen:
        ready, _, _ = select.select([fd], [], [], max(0, end - time.time()))
        if not ready:
            raise SystemExit("never saw %r, only %r" % (text, seen[-300:]))
        seen += os.read(fd, 65536)

def quiet(fd):
    while select.select([fd], [], [], 0.15)[0]:
        os.read(fd, 65536)

def keys(fd, count):
    times = []
    for i in range(count):
        key = b"abcdefghijklmnopqrstuvwxyz"[i % 26:i % 26 + 1]
        began = time.perf_counter()
        os.write(fd, key)
        seen = b""
        while key not in seen:
            seen += os.read(fd, 65536)
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(0.002)
    os.write(fd, b"\x15")
    quiet(fd)
    return statistics.median(times)

rounds, count, words = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
cut = words.index("--over--")
reference, ours = start(words[:cut]), start(words[cut + 1:])
quiet(reference), quiet(ours)
keys(reference, count), keys(ours, count)
print(json.dumps([[keys(reference, count), keys(ours, count)] for _ in range(rounds)]))
os._exit(0)
