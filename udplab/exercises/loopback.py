"""The exercises of lesson 2-1."""

import socket

from udplab import loopback
from udplab.exercises import Exercise, expect, outcome
from udplab.serving import Server

DRINK = "Grüße ☕"


def _count(answer):
    with Server(loopback.respond) as server, loopback.udp_socket() as sock:
        reply = loopback.ask(sock, server.address, DRINK.encode("utf-8")).answer
    return expect(int(reply.split()[3]), answer)


count = Exercise(
    _count,
    "A server counts bytes, not letters: ü and ß take two bytes each in UTF-8, the cup takes three.",
    "len() of a str counts characters. The server sees bytes: encode the text first.",
    'len("Grüße ☕".encode("utf-8")) is 11: G, r, e and the space take 1 byte each, ü and ß 2, the cup 3.',
)


def _largest(answer):
    return expect(65535 - 8, answer)


largest = Exercise(
    _largest,
    "The 16-bit length of IPv6 leaves out its own header (RFC 8200, section 3), so only UDP's 8 bytes are lost.",
    "In IPv4 the number 65535 covers the IP header too. In IPv6 it does not; the UDP header still counts.",
    "65535 - 8 = 65527. IPv4 loses 20 bytes more, because its length field covers the IP header as well.",
)


def _shout(respond):
    with Server(respond) as server, loopback.udp_socket() as sock:
        for question in (b"hello", b"Is anybody there?", b"\xff\xfe"):
            sock.sendto(question, server.address)
            sock.sendto(b"", server.address)
            expected = question.upper()
            try:
                got = loopback.answer_from(sock, server.address, 0.5)
            except TimeoutError:
                why = [record.why for record in server.log if record.why]
                reason = f" The server's log says: {why[-1].strip().splitlines()[-1]}" if why else ""
                return f"Expected the answer {expected!r} to {question!r}, but no answer came.{reason}"
            if got != expected:
                return f"Expected the answer {expected!r} to {question!r}, but got {got!r}."
        # The answer to one more question shows that the server is done with the empty ones.
        try:
            got = loopback.ask(sock, server.address, b"end").answer
        except TimeoutError:
            got = None
    if got != b"END":
        return f"Expected silence for an empty datagram, but the next answer that came was {got!r}."
    return None


shout = Exercise(
    _shout,
    "Your function ran in a server thread and answered real datagrams. It never saw a socket.",
    'Bytes have a method .upper(). A function that returns None stays silent, and b"" counts as false.',
    """def respond(data):
    if not data:
        return None
    return data.upper()""",
)


def _log_line(line):
    for data in (
        b"hello",
        b'it\'s "quoted"',
        b"bye\n('10.0.0.1', 53) says b'all is well'",
        b"\x1b[31mred",
        b"caf\xc3\xa9",
    ):
        got = line(("127.0.0.1", 1060), data)
        if not isinstance(got, str):
            return f"Expected a str for the datagram {data!r}, but got {got!r}."
        if not got.isprintable():
            return f"Expected one printable line for the datagram {data!r}, but got {got!r}."
        if data == b"hello" and not ("hello" in got and "1060" in got):
            return f"Expected a line with the sender's port 1060 and the text hello, but got {got!r}."
    return None


log_line = Exercise(
    _log_line,
    "No datagram can forge a second line in your log or change the colour of your terminal.",
    "The format {data!r} writes a newline as the two characters \\\\ and n, and an escape code as \\\\x1b.",
    """def log_line(peer, data):
    return f"{peer} says {data!r}\"""",
)


def _client(ask):
    def run(address, junk=()):
        with loopback.udp_socket() as client, loopback.udp_socket() as stranger:
            client.bind((loopback.HOST, 0))
            for data in junk:
                stranger.sendto(data, client.getsockname())

            def rescue():  # what the learner's client waits for, or at least something to wake it
                for sock in (silent, stranger):
                    sock.sendto(b"rescue", client.getsockname())

            return outcome(ask, client, address, b"hello", within=1.0, rescue=rescue)

    good = b"Your data was 5 bytes long"
    with Server(loopback.respond) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((loopback.HOST, 0))
        if (got := run(server.address)) != good:
            return f"Expected the server's answer {good!r}, but got {got!r}."
        if (got := run(server.address, junk=[b"forged answer"])) != good:
            return f"A stranger's datagram came first. Expected the server's answer {good!r}, but got {got!r}."
        try:
            got = run(silent.getsockname())
        except TimeoutError:
            return "The server stayed silent. Expected None within 1 s, but your client was still waiting."
        if got is not None:
            return f"The server stayed silent. Expected None, but got {got!r}."
    return None


client = Exercise(
    _client,
    "Your client survives a silent server and a stranger.",
    "sock.settimeout(0.5) makes recvfrom raise TimeoutError. recvfrom also says who sent the datagram: compare.",
    """def ask(sock, address, question):
    sock.settimeout(0.5)
    sock.sendto(question, address)
    try:
        while True:
            data, peer = sock.recvfrom(65535)
            if peer == address:
                return data
    except TimeoutError:
        return None""",
)
