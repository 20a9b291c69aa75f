"""The exercises of lesson 2-1."""

import threading
import time

from udplab.kit.calm import uninterrupted
from udplab.kit.exercise import Exercise, WaitedOn, number, outcome, printed
from udplab.kit.server import Server
from udplab.kit.sockets import HOST, udp_socket
from udplab.loopback import experiments, listing

DRINK = "Grüße ☕"


def _count(answer):
    with Server(listing.respond) as server, udp_socket() as sock:
        reply = experiments.ask(sock, server.address, DRINK.encode("utf-8")).answer
    return number(int(reply.split()[3]), answer, "the number of bytes that the server counts")


count = Exercise(
    _count,
    "A server counts bytes, not letters: ü and ß take two bytes each in UTF-8, the cup takes three.",
    "len() of a str counts characters. The server sees bytes: encode the text first.",
    'len("Grüße ☕".encode("utf-8")) is 11: G, r, e and the space take 1 byte each, ü and ß 2, the cup 3.',
)


def _largest(answer):
    return number(65535 - 8, answer, "the largest payload in bytes")


largest = Exercise(
    _largest,
    "The 16-bit length of IPv6 leaves out its own header (RFC 8200, section 3), so only UDP's 8 bytes are lost.",
    "In IPv4 the number 65535 covers the IP header too. In IPv6 it does not; the UDP header still counts.",
    "65535 - 8 = 65527. IPv4 loses 20 bytes more, because its length field covers the IP header as well.",
)


def _shout(respond):
    with (
        Server(lambda data: outcome(respond, data, within=1.0)) as server,
        udp_socket() as sock,
    ):
        problem = _loud(server, sock)
    return problem and problem + _trouble(server)


def _loud(server, sock):
    """Return what is wrong with the answers of a server that should shout, or None."""
    sock.sendto(b"", server.address)
    for question in (b"hello", b"Is anybody there?", b"\xff\xfe"):
        expected = question.upper()
        try:
            got = experiments.ask(sock, server.address, question, timeout=2).answer
        except TimeoutError:
            silent = printed(None) if server.counts["dropped"] > 1 else ""
            return f"Expected the answer {expected!r} to {question!r}, but no answer came.{silent}"
        if got == b"" or server.counts["bad"] + server.counts["errors"]:
            what = "it answered" if got == b"" else "it stopped with an error"
            return f"To an empty datagram, expected None (silence) of your function, but {what}."
        if got != expected:
            return f"Expected the answer {expected!r} to {question!r}, but got {got!r}."
    return None


def _trouble(server):
    """Return what went wrong in the function, as the server's log has it."""
    reasons = [record.why.strip().splitlines()[-1] for record in server.log if record.why]
    return f" The server's log says: {reasons[-1]}" if reasons else ""


shout = Exercise(
    _shout,
    "Your function ran in a server thread and answered real datagrams. It never saw a socket.",
    'Bytes have a method .upper(). A function that returns None stays silent, and b"" counts as false.',
    """def respond(data):
    if not data:
        return None
    return data.upper()""",
    function=True,
)


HOSTILE = (
    b'it\'s "quoted"',
    b"bye\n('10.0.0.1', 53) says b'all is well'",
    b"\x1b[31mred",
    b"caf\xc3\xa9",
    b"\xff",
    b"\xfe",
)


def _log_line(line):
    lines = set()
    for data in (b"hello", b"good night", *HOSTILE):
        got = line(("127.0.0.1", 1060), data)
        if not isinstance(got, str):
            return f"Expected a str for the datagram {data!r}, but got {got!r}.{printed(got)}"
        if not got.isprintable():
            return f"Expected one printable line for the datagram {data!r}, but got {got!r}."
        for part in ("127.0.0.1", "1060", *([data.decode()] if data.replace(b" ", b"").isalpha() else [])):
            if part not in got:
                return f"Expected a line with {part!r} in it for the datagram {data!r}, but got {got!r}."
        lines.add(got)
    if len(lines) < 2 + len(HOSTILE):
        return "Expected a different line for each datagram, but two of them look the same: some text was left out."
    return None


log_line = Exercise(
    _log_line,
    "No datagram can forge a second line in your log or change the colour of your terminal.",
    r"The format {data!r} writes a newline as the two characters \ and n, and an escape code as \x1b.",
    """def log_line(peer, data):
    return f"{peer} says {data!r}\"""",
    function=True,
)


GOOD, LIE = b"Your data was 5 bytes long", b"Your data was 1,000,000 bytes long"


def _client(ask):
    with Server(listing.respond) as server, udp_socket() as silent:
        silent.bind((HOST, 0))
        for lies, first in ((0, ""), (1, "A stranger's datagram came first. "), (5, "A stranger's 5 came first. ")):
            if (got := _ask(ask, server.address, silent, lies)) != GOOD:
                return f"{first}Expected the server's answer {GOOD!r}, but got {got!r}.{printed(got)}"
        for nagging in (False, True, True):  # twice: in a stall of the machine, the stranger is silent as well
            stranger = "a stranger sent datagrams all the time" if nagging else "nobody sent anything"
            if problem := _given_up(ask, silent, nagging):
                return f"The server stayed silent, and {stranger}. Expected None after 0.5 s, but {problem}."
    return None


def _given_up(ask, silent, nagging):
    """Return how a learner's client fails to give up after 0.5 s where no answer comes, or None."""
    for _ in range(3):  # a busy machine may wake it late, but hardly three times
        begin = time.monotonic()
        try:
            got = _ask(ask, silent.getsockname(), silent, nagging=nagging)
        except WaitedOn:
            return "your client waited on"
        except TimeoutError:
            return "your client let TimeoutError through: catch it, and return None"
        if got is not None:
            return f"got {got!r}"
        seconds = time.monotonic() - begin
        if seconds < 0.45:
            return f"it came after {seconds:.2f} s"
        if seconds < 0.8:
            return None
    return f"it came after {seconds:.2f} s"


def _ask(ask, address, silent, lies=0, nagging=False):
    """Run a learner's client; return its answer.

    lies: how many datagrams a stranger sends before; nagging: whether it sends more, until the client is done
    """
    done = threading.Event()
    with udp_socket() as client, udp_socket() as stranger:
        client.bind((HOST, 0))
        target = client.getsockname()
        for _ in range(lies):
            stranger.sendto(LIE, target)

        def nag():
            while not done.wait(0.1):
                stranger.sendto(LIE, target)

        def rescue():  # end the waiting: silence for a client with a timeout, an answer for one without
            done.set()
            silent.sendto(GOOD, target)

        thread = threading.Thread(target=nag, name="udplab stranger", daemon=True)
        try:
            if nagging:
                with uninterrupted():
                    thread.start()
            return outcome(ask, client, address, b"hello", within=2.0, rescue=rescue)
        finally:
            done.set()
            if thread.ident is not None:
                thread.join()


client = Exercise(
    _client,
    "Your client survives a silent server and a stranger.",
    "recvfrom also says who sent the datagram: compare. Work out when to give up before the loop, and in each round "
    "set the timeout to the time that is left. Section 9 shows such a loop.",
    """import time


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
    return None""",
    function=True,
)
