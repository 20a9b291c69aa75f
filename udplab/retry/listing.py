"""Listing 2-2: a client that waits and tries again, because the server loses half of the requests on purpose.

    python -m udplab.retry server INTERFACE [-p PORT]
    python -m udplab.retry client HOST [-p PORT]

`serve` is the loop of the book's server. The programs run `respond` in a `Server`, which no datagram ends, and
`request`, which no error ends. How often to ask and how long to wait is a policy: a generator of waits.
"""

from udplab.kit import terminal
from udplab.kit.server import Server
from udplab.kit.sockets import MAX_BYTES, connect
from udplab.kit.words import reason, shown
from udplab.retry.policies import exponential
from udplab.retry.request import in_short, request, split

LOSS = 0.5  # the share of the requests that the listing's server loses on purpose

# --- The listing ---


def serve(sock, rng, loss=LOSS):
    """Answer about half of what comes, and lose the rest on purpose, for ever: the listing's loop."""
    while True:
        data, address = sock.recvfrom(MAX_BYTES)
        if rng.random() < loss:
            print(f"Pretending to drop packet from {address}")
            continue
        sock.sendto(f"Your data was {len(data)} bytes long".encode("ascii"), address)


def respond(data):
    """Return the answer to one datagram: how many bytes the message had. A request ID in front of it comes back.

    What looks like an answer gets none: two servers would answer each other for ever (CERT CA-1996-01, CVE-2024-2169).
    """
    token, message = split(data)
    if message.startswith(b"Your data was "):
        return None
    return token + f"Your data was {len(message)} bytes long".encode("ascii")


def forgetful(respond, rng, loss=LOSS):
    """Return a function like `respond` that stays silent for a share `loss` of the datagrams, as `rng` draws them."""
    return lambda data: None if rng.random() < loss else respond(data)


def server(interface, port):
    """Answer about half of the datagrams, and print what becomes of each, until Ctrl-C."""
    import random  # here, since only the server draws lots, and a client would pay for it

    terminal.show(Server(forgetful(respond, random.Random()), interface, port), in_words)


def client(host, port):
    """Ask the server, again and again with growing waits, and print its answer."""
    with connect(host, port) as sock:
        print(f"Client socket name is {sock.getsockname()}")
        outcome = request(sock, b"This is another message", announced(exponential()))
        if outcome.answer is None:
            raise TimeoutError(f"{in_short(outcome, host, port)} Is a server running there? If so, try again.")
        print(f"The server says {shown(outcome.answer)}")


def announced(delays):
    """Yield the delays, and print each before it begins."""
    for delay in delays:
        print(f"Waiting up to {delay:g} seconds for a reply", flush=True)
        yield delay


def in_words(record):
    """Return the line that tells what the server did with a datagram (a `kit.server.Record`)."""
    if record.done == "answered":
        return f"The client at {record.peer} says {shown(record.data)}"
    if record.why:
        return f"From {record.peer}: {record.done}: {reason(record, '?')}"
    if split(record.data)[1].startswith(b"Your data was "):
        return f"No answer to an answer from {record.peer}"
    return f"Pretending to drop packet from {record.peer}"
