"""A bad link between two network namespaces, in user space: delay, jitter and loss for real kernel TCP.

python3 wire.py NS_A NS_B DELAY_MS JITTER_MS LOSS_PERCENT CUT_AT_S CUT_FOR_S SEED

Makes both namespaces, with 10.78.0.1 in the first and 10.78.0.2 in the second, prints "up", and carries packets between
them, in order, until it is ended. From CUT_AT_S on it carries nothing for CUT_FOR_S.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x2, 0x1000


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def ip(words):
    subprocess.run(["ip", *words.split()], check=True)


def main():
    spaces = sys.argv[1:3]
    delay, jitter, loss, cut_at, cut_for = (float(word) for word in sys.argv[3:8])
    dice = random.Random(int(sys.argv[8]))
    ends = []
    for n, space in enumerate(spaces):
        device = f"wire{n}-{os.getpid()}"[:15]
        ends.append(tap(device))
        ip(f"netns add {space}")
        ip(f"link set {device} netns {space}")
        ip(f"-n {space} addr add 10.78.0.{n + 1}/24 dev {device}")
        ip(f"-n {space} link set {device} up")
        ip(f"-n {space} link set lo up")
    print("up", flush=True)
    start = time.monotonic()
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    latest = dict.fromkeys(ends, 0.0)
    waiting, number = [], 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, end, packet = heapq.heappop(waiting)
            try:
                os.write(end, packet)
            except OSError:
                pass  # The device's queue is full: one more packet lost.
        wait = waiting[0][0] - now if waiting else 0.2
        for end in select.select(ends, [], [], max(wait, 0))[0]:
            while True:
                try:
                    packet = os.read(end, 65536)
                except BlockingIOError:
                    break
                now = time.monotonic()
                if cut_at <= now - start < cut_at + cut_for or dice.random() * 100 < loss:
                    continue
                to = other[end]
                latest[to] = max(latest[to], now + (delay + dice.uniform(-jitter, jitter)) / 1e3)
                number += 1
                heapq.heappush(waiting, (latest[to], number, to, packet))


main()
