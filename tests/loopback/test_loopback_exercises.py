"""The exercises of lesson 2-1: right answers in many styles, wrong ones with the words that they get."""

import array
import asyncio
import contextlib
import datetime
import functools
import itertools
import os
import select
import selectors
import socket
import struct
import threading
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import needs_lan
from tables import (
    assert_right,
    assert_wrong,
    four_tests,
    no_numbers,
    numbers_like,
)

from udplab import lan
from udplab.loopback import checks, checksum, exercises, listing, solutions

# --- Shout ---


def shout_with_if(data):
    if len(data) == 0:
        return
    else:
        return data.upper()


def shout_by_letters(data):
    result = bytearray()
    for byte in data:
        result.append(byte - 32 if 97 <= byte <= 122 else byte)
    return bytes(result) if result else None


def shout_with_match(data):
    match data:
        case b"":
            return None
        case _:
            return data.upper()


class Shouter:
    def __call__(self, data):
        return bytes.upper(data) or None


def shout_latin(data):
    """Latin-1 knows each byte, but some of its letters are others as capitals."""
    table = bytes(range(256)).upper()
    return data.translate(table) if data else None


def shout_prints(data):
    print(data.upper())


def shout_refuses(data):
    if not data:
        raise ValueError("empty")
    return data.upper()


def shout_once(data, seen=[]):  # noqa: B006
    seen.append(data)
    return data.upper() if data and len(seen) < 3 else None


# --- Safe log ---


def log_escapes(peer, data):
    text = "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in data)
    return f"{peer[0]}:{peer[1]} {text}"


def log_format(peer, data):
    return "{} {} {!r}".format(*peer, data)


def log_percent(peer, data):
    return "%s says %r" % (peer, data)  # noqa: UP031


def log_joined(peer, data):
    return ", ".join([peer[0], str(peer[1]), repr(data)])


def log_backslashes(peer, data):
    return f"{peer} {data.decode('utf-8', 'surrogateescape')!a}"


def log_latin(peer, data):
    return f"{peer} {data.decode('latin-1')!r}"


def log_sliced(peer, data):
    return f"{peer} {repr(data)[2:-1]}"


def log_unicode_escape(peer, data):
    return f"{peer} {data.decode('latin-1').encode('unicode_escape').decode('ascii')}"


def log_with_length(peer, data):
    print("called")
    return f"{len(data):6} bytes from {peer}: {data!r}"


def blacklist(*bad):
    def log_line(peer, data):
        text = data.decode("latin-1")
        for character in bad:
            text = text.replace(character, repr(character)[1:-1])
        return f"{peer} {text}"

    return log_line


def blacklist_utf8(peer, data):
    text = data.decode("utf-8", "backslashreplace")
    for number in [*range(32), *range(127, 160)]:
        text = text.replace(chr(number), f"\\x{number:02x}")
    return f"{peer} {text}"


# --- Repair the client ---


def ask_select(sock, address, question):
    sock.sendto(question, address)
    end = time.monotonic() + 0.5
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([sock], [], [], left)
        if readable:
            data, peer = sock.recvfrom(65535)
            if peer == address:
                return data


def ask_nonblocking(sock, address, question):
    sock.setblocking(False)
    sock.sendto(question, address)
    end = time.time() + 0.5
    while time.time() < end:
        with contextlib.suppress(BlockingIOError):
            data, peer = sock.recvfrom(65535)
            if peer == address:
                return data
        time.sleep(0.005)
    return None


def ask_timeout_zero(sock, address, question):
    sock.settimeout(0)
    sock.sendto(question, address)
    end = time.perf_counter() + 0.5
    while time.perf_counter() < end:
        try:
            data, peer = sock.recvfrom(65535)
        except BlockingIOError:
            continue
        if peer == address:
            return data


def ask_dontwait(sock, address, question):
    sock.sendto(question, address)
    end = datetime.datetime.now() + datetime.timedelta(seconds=0.5)
    while datetime.datetime.now() < end:
        try:
            data, peer = sock.recvfrom(65535, socket.MSG_DONTWAIT)
        except OSError:
            time.sleep(0.001)
        else:
            if peer == address:
                return data


def ask_with(sock, address, question):
    with sock:
        return solutions.ask(sock, address, question)


def ask_recvmsg(sock, address, question):
    sock.sendmsg([question], [], 0, address)
    end = time.monotonic() + 0.5
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return None
        sock.settimeout(left)
        try:
            data, _, _, peer = sock.recvmsg(65535)
        except socket.timeout:  # noqa: UP041
            return None
        if peer == address:
            return data


def ask_into(sock, address, question):
    sock.sendto(question, address)
    end, buffer = time.monotonic() + 0.5, bytearray(65535)
    while (left := end - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            size, peer = sock.recvfrom_into(buffer)
        except TimeoutError:
            return None
        if peer == address:
            return bytes(buffer[:size])


def ask_selectors(sock, address, question):
    sock.sendto(question, address)
    end = time.monotonic() + 0.5
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                data, peer = key.fileobj.recvfrom(65535)
                if peer == address:
                    return data


def ask_in_short_waits(sock, address, question):
    sock.sendto(question, address)
    sock.settimeout(0.02)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        try:
            data, peer = sock.recvfrom(65535)
        except TimeoutError:
            continue
        if peer[0] == address[0] and peer[1] == address[1]:
            return data


def ask_recursively(sock, address, question, end=None):
    if end is None:
        sock.sendto(question, address)
        end = time.monotonic() + 0.5
    left = end - time.monotonic()
    if left <= 0:
        return None
    sock.settimeout(left)
    try:
        data, peer = sock.recvfrom(65535)
    except TimeoutError:
        return None
    return data if peer == address else ask_recursively(sock, address, question, end)


def ask_asyncio(sock, address, question):
    async def ask():
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        await loop.sock_sendto(sock, question, address)
        while True:
            data, peer = await loop.sock_recvfrom(sock, 65535)
            if peer == address:
                return data

    async def in_time():
        try:
            return await asyncio.wait_for(ask(), 0.5)
        except TimeoutError:
            return None

    return asyncio.run(in_time())


def ask_trusting(sock, address, question):
    sock.sendto(question, address)
    return sock.recvfrom(65535)[0]


def ask_silent(sock, address, question):
    sock.sendto(question, address)


def ask_prints(sock, address, question):
    sock.sendto(question, address)
    print(sock.recvfrom(65535)[0])


def ask_pair(sock, address, question):
    sock.sendto(question, address)
    return sock.recvfrom(65535)


def ask_text(sock, address, question):
    return solutions.ask(sock, address, question).decode()


def accepting(accepts, seconds=0.5):
    """Return a client that ends in time, and takes what `accepts(data, peer, address, question)`."""

    def ask(sock, address, question):
        sock.sendto(question, address)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                data, peer = sock.recvfrom(65535)
            except TimeoutError:
                return None
            if accepts(data, peer, address, question):
                return data

    return ask


def ask_without_deadline(sock, address, question):
    sock.sendto(question, address)
    while True:
        data, peer = sock.recvfrom(65535)
        if peer == address:
            return data


def ask_deadline_each_time(sock, address, question):
    sock.settimeout(0.5)
    sock.sendto(question, address)
    try:
        while True:
            data, peer = sock.recvfrom(65535)
            if peer == address:
                return data
    except TimeoutError:
        return None


def ask_timeout_set_once(sock, address, question):
    sock.settimeout(0.5)
    sock.sendto(question, address)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        try:
            data, peer = sock.recvfrom(65535)
        except TimeoutError:
            return None
        if peer == address:
            return data


def ask_without_except(sock, address, question):
    sock.sendto(question, address)
    deadline = time.monotonic() + 0.5
    while True:
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        data, peer = sock.recvfrom(65535)
        if peer == address:
            return data


def ask_connect(sock, address, question):
    sock.connect(address)
    sock.send(question)
    sock.settimeout(0.5)
    try:
        return sock.recv(65535)
    except TimeoutError:
        return None


def ask_five_times(sock, address, question):
    """A stranger's datagrams may be more."""
    sock.sendto(question, address)
    sock.settimeout(0.1)
    for _ in range(5):
        with contextlib.suppress(TimeoutError):
            data, peer = sock.recvfrom(65535)
            if peer == address:
                return data


def leaves(*_):
    exit()


def spins(*_):
    while True:
        pass


def same(data, peer, address, question):
    return peer == address


# --- Your own server ---


def server_respond(sock):
    while True:
        data, peer = sock.recvfrom(65535)
        answer = listing.respond(data)
        if answer is not None:
            sock.sendto(answer, peer)


def server_select(sock):
    while True:
        select.select([sock], [], [])
        data, peer = sock.recvfrom(65536)
        sock.sendto(b"Your data was %d bytes long" % len(data), peer)


def server_timeout(sock):
    sock.settimeout(0.05)
    while True:
        try:
            data, peer = sock.recvfrom(65535)
        except TimeoutError:
            continue
        sock.sendto(("Your data was " + str(len(data)) + " bytes long").encode(), peer)


def server_careful(sock):
    with sock:
        while True:
            try:
                data, peer = sock.recvfrom(70_000)
                sock.sendto(f"Your data was {len(data)} bytes long".encode(), peer)
            except Exception as error:
                print(error)


def server_into(sock):
    buffer = bytearray(65535)
    while True:
        size, peer = sock.recvfrom_into(buffer)
        sock.sendmsg([f"Your data was {size} bytes long".encode("ascii")], [], 0, peer)


def server_iter(sock):
    for data, peer in iter(functools.partial(sock.recvfrom, 65535), None):
        sock.sendto(f"Your data was {len(data)} bytes long".encode(), peer)


def server_nonblocking(sock):
    sock.setblocking(False)
    while True:
        with contextlib.suppress(BlockingIOError):
            data, peer = sock.recvfrom(65535)
            sock.sendto(f"Your data was {len(data)} bytes long".encode(), peer)
        time.sleep(0.001)


def server_decodes_with_care(sock):
    while True:
        data, peer = sock.recvfrom(65535)
        print(data.decode("ascii", "backslashreplace")[:10])
        sock.sendto(f"Your data was {len(data)} bytes long".encode(), peer)


def answering(answer, size=65535, where=lambda sock, peer: (sock, peer)):
    """Return a server that answers `answer(data)`, by the socket and to the address that `where(sock, peer)` gives."""

    def server(sock):
        while True:
            data, peer = sock.recvfrom(size)
            sock_, peer = where(sock, peer)
            sock_.sendto(answer(data), peer)

    return server


def told(data):
    return b"Your data was %d bytes long" % len(data)


def server_once(sock):
    data, peer = sock.recvfrom(65535)
    sock.sendto(told(data), peer)


def server_until_empty(sock):
    while True:
        data, peer = sock.recvfrom(65535)
        if not data:
            break
        sock.sendto(told(data), peer)


def server_no_answer_to_nothing(sock):
    while True:
        data, peer = sock.recvfrom(65535)
        if data:
            sock.sendto(told(data), peer)


def server_connects(sock):
    while True:
        data, peer = sock.recvfrom(65535)
        sock.connect(peer)
        sock.send(told(data))


def server_first_peer(sock):
    data, first = sock.recvfrom(65535)
    while True:
        sock.sendto(told(data), first)
        data, _peer = sock.recvfrom(65535)


def server_twice(sock):
    while True:
        data, peer = sock.recvfrom(65535)
        sock.sendto(told(data), peer)
        sock.sendto(told(data), peer)


def server_prints(sock):
    while True:
        data, _peer = sock.recvfrom(65535)
        print(told(data))


def server_bare_except(sock):
    bare_sockets.append(sock)
    while True:
        try:
            data, peer = sock.recvfrom(65535)
            sock.sendto(told(data), peer)
        except:  # noqa: E722
            if stop_bare.is_set():
                return


stop_bare, bare_sockets = threading.Event(), []


def server_pairs(sock):
    """It reads two questions, and then answers the last."""
    while True:
        sock.recvfrom(65535)
        data, peer = sock.recvfrom(65535)
        sock.sendto(told(data), peer)


# --- The checksum ---


def sum_struct(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def sum_modulo(data):
    data = data + b"\0" if len(data) % 2 else data
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)) % 0xFFFF
    return 0xFFFF - total


def sum_array(data):
    words = array.array("H", data + bytes(len(data) % 2))
    words.byteswap()
    total = sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return (total & 0xFFFF) ^ 0xFFFF or 65535


def sum_recursive(data):
    def fold(total):
        return total if total < 65536 else fold(total % 65536 + total // 65536)

    even, odd = data[::2], data[1::2]
    result = 65535 - fold(sum(even) * 256 + sum(odd))
    if result == 0:
        result = 65535
    return result


def sum_numpy(data):
    words = np.frombuffer(data + bytes(len(data) % 2), dtype=">u2").astype(np.int64)
    total = int(words.sum())
    while total > 0xFFFF:
        high, low = divmod(total, 0x10000)
        total = high + low
    return 0xFFFF - total or 0xFFFF


def sum_zip(data):
    total = 0
    for high, low in itertools.zip_longest(data[::2], data[1::2], fillvalue=0):
        total += (high << 8) | low
        total = (total & 0xFFFF) + (total >> 16)
    return {0: 0xFFFF}.get(0xFFFF - total, 0xFFFF - total)


def sum_little_endian(data):
    """RFC 1071, section 2 (B): the sum does not mind the order, if the result is swapped too."""
    total = sum(int.from_bytes(data[i : i + 2], "little") for i in range(0, len(data), 2))
    total = total % 0xFFFF or (0xFFFF if total else 0)
    swapped = (total & 0xFF) << 8 | total >> 8
    return 0xFFFF - swapped or 0xFFFF


def plain_sum(data, order="big"):
    return sum(int.from_bytes(data[i : i + 2], order) for i in range(0, len(data), 2))


def padded(data):
    return data + bytes(len(data) % 2)


def fold(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def crc(data):
    import zlib

    return zlib.crc32(data)


RIGHT = {
    "count": numbers_like(11),
    "largest": numbers_like(65527),
    "shout": {
        "if and else": shout_with_if,
        "or": lambda data: data.upper() or None,
        "a choice": lambda data: data.upper() if data else None,
        "byte by byte": shout_by_letters,
        "match": shout_with_match,
        "an object": Shouter(),
        "a table": shout_latin,
    },
    "log_line": {
        "repr": lambda peer, data: f"{peer[0]} {peer[1]} {data!r}",
        "escapes by hand": log_escapes,
        "format": log_format,
        "percent": log_percent,
        "joined": log_joined,
        "ascii of a text": log_backslashes,
        "repr of Latin-1": log_latin,
        "without b and quotes": log_sliced,
        "unicode_escape": log_unicode_escape,
        "prints as well": log_with_length,
    },
    "client": {
        "select": ask_select,
        "setblocking(False)": ask_nonblocking,
        "settimeout(0)": ask_timeout_zero,
        "MSG_DONTWAIT and datetime": ask_dontwait,
        "with sock": ask_with,
        "recvmsg": ask_recvmsg,
        "recvfrom_into": ask_into,
        "selectors": ask_selectors,
        "short waits": ask_in_short_waits,
        "recursion": ask_recursively,
        "asyncio": ask_asyncio,
    },
    "server": {
        "respond of the lesson": server_respond,
        "select": server_select,
        "a timeout": server_timeout,
        "except Exception, with": server_careful,
        "into a buffer": server_into,
        "iter": server_iter,
        "no blocking": server_nonblocking,
        "decodes with care": server_decodes_with_care,
    },
    "checksum": {
        "struct": sum_struct,
        "modulo": sum_modulo,
        "array": sum_array,
        "recursion": sum_recursive,
        "NumPy": sum_numpy,
        "zip": sum_zip,
        "the other byte order": sum_little_endian,
    },
}

WRONG = {
    "count": no_numbers(11)
    | {
        "counts characters": (7, "7 is too small: that is the number of characters."),
        "one byte for the cup": (9, "the cup takes three"),
        "UTF-16": (16, "that is UTF-16"),
        "no space": (10, "did you count the space?"),
        "off": (12, "12 is too large."),
        "two bytes each": (14, "that is UTF-16"),
    },
    "largest": no_numbers(65527)
    | {
        "no header": (65535, "65535 is too large: UDP's own header counts too."),
        "IPv4's": (65507, "that is the answer for IPv4"),
        "less IPv6's header": (65487, "the IPv6 header, of 40 bytes, is not part"),
        "65536": (65528, "the largest number of 16 bits is 65535"),
        "a comma": ((65, 527), "a comma between its digits. You gave (65, 527)"),
        "an MTU": (1452, "1452 is too small."),
    },
    "shout": {
        "gives back": (lambda data: data or None, "Expected the answer b'HELLO'"),
        "a text": (lambda data: data.decode().upper(), "must return bytes or None, not str"),
        "answers nothing": (lambda data: data.upper(), "expected None (silence) of your function, but it answered"),
        "refuses nothing": (shout_refuses, "it stopped with an error. The server's log says: ValueError: empty"),
        "a result": (b"HELLO", "Give check the function itself"),
        "prints": (shout_prints, "no answer came. Does your function return its result? To print it is not enough."),
        "one capital": (lambda data: data.capitalize() or None, "Expected the answer b'HELLO'"),
        "titles": (lambda data: data.title() or None, "Expected the answer b'HELLO'"),
        "swaps": (lambda data: data.swapcase() or None, "Expected the answer b'IS ANYBODY THERE?'"),
        "only ASCII": (lambda data: data.decode().upper().encode() or None, "UnicodeDecodeError"),
        "loses bytes": (lambda data: data.decode(errors="ignore").upper().encode() or None, "xff"),
        "a constant": (lambda data: b"HELLO" if data else None, "Expected the answer b'IS ANYBODY THERE?'"),
        "silent on purpose": (lambda data: data.upper() if data == b"x" else None, "but no answer came."),
        "never silent again": (shout_once, "no answer came"),
        "async": (asyncio.sleep, "Write `def`, not `async def`"),
        "two arguments": (lambda data, peer: data, "missing 1 required positional argument"),
        "spins": (spins, "did not come to its end, so it was stopped"),
    },
    "log_line": {
        "as it is": (lambda peer, data: f"{peer} {data.decode('latin-1')}", "in which '\\n' is as it came"),
        "decoded": (lambda peer, data: f"{peer} {data.decode()!r}", "UnicodeDecodeError"),
        "without the host": (lambda peer, data: f"{peer[1]} {data!r}", "'127.0.0.1' in it"),
        "without the port": (lambda peer, data: f"{peer[0]} {data!r}", "'1060' in it"),
        "one host for all": (lambda peer, data: f"('127.0.0.1', 1060) {data!r}", "'10.0.0.7' in it"),
        "a constant": (lambda peer, data: f"{peer} hello", "'good night' in it"),
        "bytes": (lambda peer, data: data, "Expected a str"),
        "prints": (lambda peer, data: print(peer, data), "got None. Does your function return its result?"),
        "hexadecimal": (lambda peer, data: f"{peer} {data.hex()}", "'hello' in it"),
        "newline and escape only": (blacklist("\n", "\x1b"), "A list of what is bad never ends"),
        "all below space": (blacklist("\\", *map(chr, range(32))), "in which"),
        "ASCII's bad ones": (blacklist("\\", *map(chr, [*range(32), 127])), "in which '\\x85' is as it came"),
        "all but \\x9b": (blacklist("\\", *map(chr, [*range(32), *range(127, 155)])), "is as it came"),
        "Unicode's lines": (blacklist_utf8, "in which '\\u2028' is as it came"),
        "replaced": (lambda peer, data: f"{peer} {data.decode(errors='replace')!r}", "get the same line"),
        "ignored": (lambda peer, data: f"{peer} {data.decode(errors='ignore')!r}", "get the same line"),
        "cut": (lambda peer, data: f"{peer} {data[:200]!r}", "get the same line, so something was left out"),
        "the repr cut": (lambda peer, data: f"{peer} {repr(data)[:300]}", "get the same line"),
        "its first lost": (lambda peer, data: f"{peer} hello good night {repr(data)[3:]}", "get the same line"),
        "stripped": (lambda peer, data: f"{peer} {data.strip()!r}", "get the same line"),
        "lower case": (lambda peer, data: f"{peer} {data.lower()!r}", "get the same line"),
        "unescaped backslashes": (
            lambda peer, data: f"{peer} " + "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in data),
            "get the same line",
        ),
        "letters only": (
            lambda peer, data: f"{peer} " + "".join(chr(b) for b in data if 32 <= b < 127),
            "get the same line",
        ),
        "a mistake": (lambda peer, data: peer / 2, "Your code stopped with TypeError"),
    },
    "client": {
        "no answer": (ask_silent, "but got None. Does your function return its result?"),
        "prints": (ask_prints, "but got None. Does your function return its result?"),
        "a pair": (ask_pair, "recvfrom returns two things"),
        "a text": (ask_text, "but got 'Your data was 5 bytes long'"),
        "believes anyone": (ask_trusting, "A stranger's datagram came first."),
        "looks at the text": (
            accepting(lambda d, p, a, q: d.startswith(b"Your")),
            "look at who sent it, not at what it says",
        ),
        "looks at the number": (
            accepting(lambda d, p, a, q: d == b"Your data was 5 bytes long" or d.startswith(b"five")),
            "a stranger may say the same",
        ),
        "looks at the port": (accepting(lambda d, p, a, q: p[1] == a[1]), "An address is both."),
        "looks at the host": (accepting(lambda d, p, a, q: p[0] == a[0]), "A stranger's datagram came first."),
        "connects": (ask_connect, "connect() does not remove it"),
        "no deadline": (
            ask_without_deadline,
            "nobody sent anything. Expected None after 0.5 s, but your client waited",
        ),
        "an error": (ask_without_except, "but your client let TimeoutError through: catch it, and return None"),
        "too early": (accepting(same, 0.2), "Expected None after 0.5 s, but it came after 0."),
        "too late": (accepting(same, 0.9), "Expected None after 0.5 s, but it came after"),
        "anew each time": (ask_deadline_each_time, "Expected None after 0.5 s, but"),
        "a timeout set once": (ask_timeout_set_once, "a stranger sent one datagram after 0.4 s. Expected None after"),
        "five times": (ask_five_times, "A stranger's 5 came first."),
        "leaves": (leaves, "Your code stopped with SystemExit"),
        "spins": (spins, "did not come to its end, so it was stopped"),
    },
    "server": {
        "no loop": (server_once, "Your function had come to its end."),
        "decodes": (answering(lambda data: told(data.decode("ascii"))), "had ended with UnicodeDecodeError"),
        "characters": (answering(lambda data: told(data.decode("utf-8", "replace"))), "counts bytes, not characters"),
        "a small buffer": (answering(told, 1024), "How much room did recvfrom get?"),
        "ends at nothing": (
            server_until_empty,
            "To b'', of 0 bytes, no answer came. Your function had come to its end.",
        ),
        "silent to nothing": (server_no_answer_to_nothing, "an empty one too"),
        "connects": (server_connects, "no answer came."),
        "always the first": (server_first_peer, "no answer came."),
        "twice": (server_twice, "Each question wants one answer."),
        "prints": (server_prints, "sent to the one who asked"),
        "another text": (answering(lambda data: b"%d bytes" % len(data)), "but got b'5 bytes'"),
        "a text": (answering(lambda data: f"Your data was {len(data)} bytes long"), "had ended with TypeError"),
        "another socket": (
            answering(told, where=lambda sock, peer: (socket.socket(socket.AF_INET, socket.SOCK_DGRAM), peer)),
            "came from another socket",
        ),
        "every second": (server_pairs, "no answer came."),
        "spins": (spins, "no answer came."),
        "returns": (lambda sock: 0, "Your function had come to its end."),
    },
    "checksum": {
        "no complement": (
            lambda data: fold(plain_sum(padded(data))),
            "That is the sum: the checksum is its complement",
        ),
        "no carry": (lambda data: ~plain_sum(padded(data)) & 0xFFFF, "is added again at the right end"),
        "one carry": (
            lambda data: ~(lambda total: (total & 0xFFFF) + (total >> 16))(plain_sum(padded(data))) & 0xFFFF or 0xFFFF,
            "Adding the carry can carry once more",
        ),
        "little end": (
            lambda data: ~fold(plain_sum(padded(data), "little")) & 0xFFFF,
            "first byte of a pair is the higher",
        ),
        "odd end": (lambda data: ~fold(plain_sum(data)) & 0xFFFF or 0xFFFF, "gets a zero byte after it, not before it"),
        "odd end lost": (
            lambda data: ~fold(plain_sum(data[: len(data) // 2 * 2])) & 0xFFFF or 0xFFFF,
            "The odd byte at the end counts too.",
        ),
        "zero": (lambda data: ~fold(plain_sum(padded(data))) & 0xFFFF, "UDP sends all ones, 0xffff, in place of 0"),
        "single bytes": (lambda data: ~fold(sum(data)) & 0xFFFF, "not single bytes"),
        "CRC": (crc, "the kernel put"),
        "bytes": (lambda data: solutions.checksum(data).to_bytes(2, "big"), "Expected a whole number"),
        "hexadecimal": (lambda data: hex(solutions.checksum(data)), "Expected a whole number"),
        "negative": (lambda data: ~fold(plain_sum(padded(data))), "but got -"),
        "prints": (lambda data: print(solutions.checksum(data)), "Does your function return its result?"),
        "length": (len, "the kernel put"),
    },
}


def has_second_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((checks.ELSEWHERE, 0))
        except OSError:
            return False
    return True


if not has_second_address():
    del WRONG["client"]["looks at the port"]
test_right_in_any_style, test_wrong_with_the_words_for_it, test_each_has_its_table, test_over_in_time = four_tests(
    exercises, RIGHT, WRONG, together=("shout", "client", "server")
)


def test_a_server_that_nobody_can_stop_is_told_so():
    before = threading.active_count()
    stop_bare.clear()
    try:
        assert_wrong(exercises.server, server_bare_except, "a bare `except:` catches even what ends a program")
    finally:
        stop_bare.set()
    [sock] = bare_sockets
    address = sock.getsockname()
    with contextlib.closing(sock), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
        for thread in threading.enumerate():
            if thread.name == "udplab exercise":
                sock.close()  # then its next recvfrom fails
                waker.sendto(b"", address)
                thread.join(60)
    assert threading.active_count() == before


# --- More of both, where there is a rule ---


def keeps_all_but(lost):
    """Return a log line from which one byte is lost."""
    return lambda peer, data: (
        f"{peer} {data.replace(bytes([lost]), b'')!r}" if data.isalpha() is False else f"{peer} {data!r}"
    )


@settings(max_examples=8)
@given(st.integers(0, 255))
def test_a_log_that_lets_one_byte_through_raw_or_loses_it_is_not_safe(byte):
    raw = chr(byte)

    def log_line(peer, data):
        safe = repr(data.decode("latin-1"))
        return f"{peer} {safe}" + (raw if bytes([byte]) in data else "")

    assert bool(exercises.log_line.verdict(log_line)) == raw.isprintable()
    if not bytes([byte]).isalpha():
        assert not exercises.log_line.verdict(keeps_all_but(byte))


@settings(max_examples=8)
@given(st.integers(0, 255), st.integers(0, 255))
def test_a_log_in_which_two_bytes_look_the_same_is_not_safe(one, other):
    def log_line(peer, data):
        text = data if data in exercises.FIRST else data.replace(bytes([one]), bytes([other]))
        return f"{peer} {text!r}"

    assert bool(exercises.log_line.verdict(log_line)) == (one == other)


@settings(max_examples=8)
@given(st.integers(1, 65_507))
def test_a_log_that_cuts_long_texts_is_not_safe(kept):
    line = exercises.log_line.verdict(lambda peer, data: f"{peer} {data[:kept]!r}")
    assert bool(line) == (kept >= 65_507)


@given(st.binary(max_size=300))
def test_all_checksums_agree(data):
    assert len({function(data) for function in [solutions.checksum, *RIGHT["checksum"].values()]}) == 1


@needs_lan
def test_the_kernel_s_checksums_are_those_that_were_recorded():
    measured = checksum.kernel_datagrams(checksum.payloads())
    assert [value for _, value in measured] == list(exercises.RECORDED)
    assert [data for data, _ in measured] == list(map(checksum.covered, checksum.payloads()))


def test_without_a_lan_the_recorded_ones_serve(monkeypatch):
    def none(payloads):
        raise lan.LanError("no LAN here")

    monkeypatch.setattr(checksum, "kernel_datagrams", none)
    exercises.kernel_checksums.cache_clear()
    try:
        assert_right(exercises.checksum, solutions.checksum)
    finally:
        exercises.kernel_checksums.cache_clear()


def test_nothing_is_left_behind():
    before = threading.active_count(), os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else None
    for name in ("shout", "client", "server"):
        assert_right(getattr(exercises, name), getattr(exercises, name).answer)
    after = threading.active_count(), os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else None
    assert len(after[1] or ()) <= len(before[1] or ()) and after[0] == before[0]
