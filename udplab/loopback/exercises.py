"""The exercises of lesson 2-1."""

import contextlib
import functools
import itertools
import os

from udplab.kit.exercise import Exercise, number, printed
from udplab.kit.server import Server
from udplab.kit.sockets import LARGEST, udp_socket
from udplab.kit.watched import outcome
from udplab.kit.words import brief, shown
from udplab.loopback import checks, experiments, listing, solutions
from udplab.loopback import checksum as sums

DRINK = "Grüße ☕"


def _count(answer):
    with Server(listing.respond) as server, udp_socket() as sock:
        reply = experiments.ask(sock, server.address, DRINK.encode("utf-8")).answer
    slips = [
        (len(DRINK), "that is the number of characters."),
        (9, "ü and ß take two bytes each, and the cup takes three."),
        (10, "did you count the space?"),
        (13, "ü and ß take two bytes each, the cup three, and the others one."),
        (len(DRINK.encode("utf-16")), "that is UTF-16, with its mark at the beginning."),
        (len(DRINK.encode("utf-16-le")), "that is UTF-16."),
    ]
    return number(int(reply.split()[3]), answer, "the number of bytes that the server counts", slips)


count = Exercise(
    _count,
    "A server counts bytes, not letters: ü and ß take two bytes each in UTF-8, the cup takes three.",
    ["len() of a text counts characters. What does the server see?", "The server sees bytes: encode the text first."],
    solutions.count,
    "G, r, e and the space take 1 byte each, ü and ß 2, the cup 3.",
)


def _largest(answer):
    slips = [
        (65535, "UDP's own header counts too."),
        (LARGEST, "that is the answer for IPv4, whose length covers the IP header as well."),
        (65535 - 20, "an IP header is not part of this length, and UDP's own header is."),
        (65535 - 40, "the IPv6 header is not part of this length, and UDP's own header is."),
        (65535 - 48, "the IPv6 header, of 40 bytes, is not part of this length."),
        (65536 - 8, "the largest number of 16 bits is 65535."),
    ]
    return number(65535 - 8, answer, "the largest payload in bytes", slips)


largest = Exercise(
    _largest,
    "The 16-bit length of IPv6 leaves out its own header (RFC 8200, section 3), so only UDP's 8 bytes are lost.",
    [
        "Which headers does the 65535 cover in IPv4, and which in IPv6?",
        "In IPv6 the IP header is left out. The UDP header, of 8 bytes, still counts.",
    ],
    solutions.largest,
    "IPv4 loses 20 bytes more, because its length field covers the IP header as well.",
)


def _shout(respond):
    server = Server(lambda data: outcome(respond, data, within=1.0)).start()
    try:
        with udp_socket() as sock:
            problem = _loud(respond, server, sock)
    finally:
        server.stop(patience=60.0)  # on a busy machine, an endless function is not ended so soon
    reasons = [record.why.strip().splitlines()[-1] for record in server.log if record.why]
    return problem and problem + (f" The server's log says: {shown_line(reasons[-1])}" if reasons else "")


def _loud(respond, server, sock):
    """Return what is wrong with the answers of a server that should shout, or None."""
    sock.sendto(b"", server.address)
    for question in (b"hello", b"Is anybody there?", b"\xff\xfe z", b"a" * 1000, os.urandom(4).hex().encode() + b"g"):
        expected = question.upper()
        try:
            got = experiments.ask(sock, server.address, question, timeout=1.5).answer
        except TimeoutError:
            silent = printed(None, respond) if server.counts["dropped"] > 1 else ""
            return f"Expected the answer {shown(expected, 40)} to {shown(question, 40)}, but no answer came.{silent}"
        if got == b"" or server.counts["bad"] + server.counts["errors"]:
            what = "it answered" if got == b"" else "it stopped with an error"
            return f"To an empty datagram, expected None (silence) of your function, but {what}."
        if got != expected:
            return f"Expected the answer {shown(expected, 40)} to {shown(question, 40)}, but got {shown(got, 40)}."
    return None


def shown_line(text):
    """Return a line of a server's log, on one line of the page, without what only this package's authors know."""
    return brief(text.removeprefix("udplab.kit.watched.Endless: "))[1:-1]


shout = Exercise(
    _shout,
    "Your function ran in a server thread and answered real datagrams. It never saw a socket.",
    [
        "Bytes have some of the methods that texts have. Which one makes capitals?",
        'Bytes have a method .upper(). A function that returns None stays silent, and b"" counts as false.',
    ],
    solutions.shout,
    "No decoding: a datagram need not be text, and .upper() of bytes leaves alone what is no letter.",
    function=True,
)

FIRST = (b"hello", b"good night", b'it\'s "quoted"', b"bye\n('10.0.0.1', 53) says b'all is well'", b"\x1b[31mred")
TEXTS = ("café", "\x85", "\u2028", "\u202e", "\ufeff", "\u200b", "\xad", "中文", "\\n", "\\x1b")  # bad ones among them
LONG = [bytes(size) + end for size in (199, 1000, LARGEST - 1) for end in (b"a", b"b")]


def _log_line(line):
    """Nothing may be left out: so no two datagrams, however alike, may have the same line."""
    peers = ("127.0.0.1", 1060), ("10.0.0.7", 53124)
    pairs = map(bytes, itertools.product(range(256), repeat=2))
    data = [*FIRST, *(text.encode() for text in TEXTS), b"", *(bytes([each]) for each in range(256)), *LONG]
    seen = {}
    with open(os.devnull, "w") as nowhere, contextlib.ExitStack() as stack:
        for number_, each in enumerate(itertools.chain(data, pairs)):
            if number_ == len(FIRST):  # what a function prints would fill the page
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            peer = peers[number_ % 2 if number_ < len(FIRST) else 1]  # the rest are compared with one another
            got = line(peer, each)
            if problem := _bad_line(line, peer, each, got) or _same_line(seen, each, peer, got):
                return problem
    return None


def _bad_line(line, peer, data, got):
    """Return what is wrong with the line for one datagram, or None."""
    if not isinstance(got, str):
        return f"Expected a str for the datagram {shown(data, 60)}, but got {brief(got)}.{printed(got, line)}"
    if not got.isprintable():
        raw = next(character for character in got if not character.isprintable())
        return (
            f"Expected one printable line for the datagram {shown(data, 60)}, but got {brief(got)}, "
            f"in which {raw!a} is as it came. A list of what is bad never ends: what makes all of it safe?"
        )
    texts = [data.decode()] if data in FIRST[:2] else []
    for part in (peer[0], str(peer[1]), *texts):
        if part not in got:
            return f"Expected a line with {part!r} in it for the datagram {shown(data, 60)}, but got {brief(got)}."
    return None


def _same_line(seen, data, peer, got):
    """Return the sentence on two datagrams whose lines are the same, or None; keep what was seen."""
    key = peer, hash(got), len(got)
    other = seen.setdefault(key, data)
    if other == data:
        return None
    alike = f"{shown(other, 40)} ({len(other)} bytes) and {shown(data, 40)} ({len(data)} bytes)"
    where = " They differ at their ends." if other[:30] == data[:30] else ""
    return f"Two datagrams, {alike}, get the same line, so something was left out: {brief(got, 100)}{where}"


log_line = Exercise(
    _log_line,
    "No datagram can forge a second line in your log or change the colour of your terminal.",
    [
        "Section 3 has a way to print a text that came from a stranger.",
        r"The format {data!r} writes a newline as the two characters \ and n, and an escape code as \x1b.",
    ],
    solutions.log_line,
    "repr() makes every byte visible, the bad ones that one did not think of as well, and loses none.",
    function=True,
)


client = Exercise(
    checks.client,
    "Your client survives a silent server and strangers.",
    [
        "recvfrom also says who sent the datagram. And when has half a second passed since the question?",
        "Compare the whole address. Work out when to give up before the loop, and in each round set the timeout to "
        "the time that is left. Section 9 shows such a loop.",
    ],
    solutions.ask,
    "An address is a host and a port: compare the whole. The deadline is a point in time: no flood moves it.",
    function=True,
)


server = Exercise(
    checks.server,
    "You have written listing 2-1. It answered two clients, bytes that are no text, nothing at all, and 65,507 bytes.",
    [
        "recvfrom gives two things. A server that has answered waits for the next question.",
        "while True: receive, make the answer of len(data), encode it, and send it to `peer` with sendto.",
    ],
    solutions.server,
    "It never decodes what arrives, so no datagram can end it.",
    function=True,
)


@functools.cache
def kernel_checksums():
    """Return (what is summed up, the kernel's checksum) pairs: measured; where there is no LAN, as recorded once."""
    payloads = sums.payloads()
    try:
        return sums.kernel_datagrams(payloads)
    except OSError:
        return list(zip(map(sums.covered, payloads), RECORDED, strict=True))


RECORDED = 0xD22F, 0xFEC4, 0x8E53, 0x2691, 0xC73F, 0xFFFF, 0xFD44  # by Linux 6, on a network of `udplab.lan`


def _checksum(function):
    return sums.verdict(function, kernel_checksums(), solutions.checksum)


checksum = Exercise(
    _checksum,
    "Your sums are those that a Linux kernel put on the wire.",
    [
        "Pairs of bytes are numbers of 16 bits. What a sum carries over the 16th bit is added again at the right end.",
        "Zero byte after an odd end; total = sum of high * 256 + low; while total > 0xFFFF: total = total % 0x10000 + "
        "total // 0x10000; then 0xFFFF - total; and 0xFFFF in place of 0.",
    ],
    solutions.checksum,
    "RFC 1071 gives the sum, RFC 768 the rest: all ones in place of 0, since 0 says that there is no checksum.",
    function=True,
)
