#!/usr/bin/env python3
"""Two terminals in turn: `guard-echo.py echo|enter ROUNDS COUNT REFERENCE... --over-- OURS...`, each argv started under a pty.

echo: a key until it is shown. enter: Enter behind `:` until the next prompt stands. One JSON line: [[reference ms, ours ms], ...],
medians of COUNT a round. Keys are letters that no escape sequence of an editor holds.
"""
import fcntl, json, os, pty, re, select, statistics, struct, sys, termios, time

PROMPT = re.compile(rb"[#$] $")
KEYS = b"QWXYZV"

def start(argv):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(argv[0], argv)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    until_prompt(fd, 20)
    time.sleep(1)
    quiet(fd)
    return fd

def plain(seen):
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07", b"", seen)

def until_prompt(fd, limit):
    seen, end = b"", time.time() + limit
    while not PROMPT.search(plain(seen)):
        if not select.select([fd], [], [], max(0, end - time.time()))[0]:
            raise SystemExit("no prompt, only %r" % seen[-300:])
        seen += os.read(fd, 65536)

def quiet(fd):
    while select.select([fd], [], [], 0.15)[0]:
        os.read(fd, 65536)

def echo(fd, count):
    times = []
    for i in range(count):
        key = KEYS[i % len(KEYS):i % len(KEYS) + 1]
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

def enter(fd, count):
    times = []
    for _ in range(count):
        os.write(fd, b":")
        quiet(fd)
        began = time.perf_counter()
        os.write(fd, b"\r")
        until_prompt(fd, 10)
        times.append((time.perf_counter() - began) * 1000)
        quiet(fd)
    return statistics.median(times)

what, rounds, count, words = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
measure = {"echo": echo, "enter": enter}[what]
cut = words.index("--over--")
reference, ours = start(words[:cut]), start(words[cut + 1:])
measure(reference, count), measure(ours, count)
print(json.dumps([[measure(reference, count), measure(ours, count)] for _ in range(rounds)]))
os._exit(0)
