"""Solutions of the exercises of lesson 2-1. `exercises.count.solution()` shows them."""

import time


def count():
    text = "Grüße ☕"
    data = text.encode("utf-8")
    return len(data)


def largest():
    return 65535 - 8


def shout(data):
    if not data:
        return None
    return data.upper()


def log_line(peer, data):
    return f"{peer} says {data!r}"


def server(sock):
    while True:
        data, peer = sock.recvfrom(65535)
        answer = f"Your data was {len(data)} bytes long"
        sock.sendto(answer.encode("ascii"), peer)


def ask(sock, address, question):
    sock.sendto(question, address)
    deadline = time.monotonic() + 0.5
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            data, peer = sock.recvfrom(65535)
        except TimeoutError:
            break
        if peer == address:
            return data
    return None


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = 0
    for place in range(0, len(data), 2):
        total += data[place] * 256 + data[place + 1]
        if total > 0xFFFF:
            total = total - 0x10000 + 1
    return 0xFFFF - total or 0xFFFF
