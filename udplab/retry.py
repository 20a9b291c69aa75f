"""Listing 2-2: a client that waits and tries again, because the server loses half of the requests on purpose.

    python -m udplab.retry server INTERFACE [-p PORT]
    python -m udplab.retry client HOST [-p PORT]

Two parts decide how a client tries again: a policy, which is a generator of waits, and `request`, which sends,
waits and counts. Both know only the clock and the socket that they are given.
"""

import collections
import os
import time

from udplab import terminal
from udplab.loopback import connect
from udplab.serving import MAX_BYTES, Server, reason, shown

LOSS = 0.5  # the share of the requests that the listing's server loses on purpose
REFUSED = (ConnectionRefusedError, ConnectionResetError)  # the second is Windows' word for it

# --- The listing ---


def respond(data):
    """Return the answer to one datagram: how many bytes the message had. A request ID in front of it comes back.

    What looks like an answer gets none: two servers would answer each other for ever (CVE-2024-2169).
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
            raise TimeoutError(f"{in_short(outcome)} Is a server at {host}, port {port}? If so, try again.")
        print(f"The server says {shown(outcome.answer)}")


def announced(delays):
    """Yield the delays, and print each before it begins."""
    for delay in delays:
        print(f"Waiting up to {delay:g} seconds for a reply", flush=True)
        yield delay


def in_words(record):
    """Return the line that tells what the server did with a datagram (a `serving.Record`)."""
    if record.done == "answered":
        return f"The client at {record.peer} says {shown(record.data)}"
    if record.why:
        return f"From {record.peer}: {record.done}: {reason(record, '?')}"
    if split(record.data)[1].startswith(b"Your data was "):
        return f"No answer to an answer from {record.peer}"
    return f"Pretending to drop packet from {record.peer}"


# --- Policies: generators of waits, in seconds. When one ends, the client gives up. ---


def exponential(first=0.1, limit=2.0):
    """Yield `first` and its doubles, as far as they do not exceed `limit`: the listing's 0.1, 0.2, 0.4, 0.8, 1.6."""
    delay = first
    while 0 < delay <= limit:  # 0 could be doubled for ever
        yield delay
        delay *= 2


def fixed(delay=0.1, tries=5):
    """Yield the same wait `tries` times."""
    for _ in range(tries):
        yield delay


def full_jitter(rng, first=0.1, limit=2.0):
    """Yield random waits between 0 and those of `exponential` (M. Brooker, "Exponential Backoff And Jitter", 2015)."""
    for delay in exponential(first, limit):
        yield rng.uniform(0, delay)


def internet(first=1.0, limit=16.0):
    """Yield the waits for a network of which nothing is known: 1 s at least, doubled (RFC 8085, section 3.1.1)."""
    return exponential(max(first, 1.0), limit)


class Rto:
    """A wait that follows the round trips: the retransmission timeout of TCP (RFC 6298), in seconds.

    granularity: the step of the clock; lowest, highest: bounds. The RFC wants 1 s and at least 60 s.
    """

    def __init__(self, granularity=0.001, lowest=1.0, highest=60.0):
        self.granularity, self.lowest, self.highest = granularity, lowest, highest
        self.smoothed = self.variation = None
        self.value = 1.0  # section 2.1: nothing is known yet

    def sample(self, round_trip, sends=1):
        """Learn from a round trip (seconds) of a question that was sent `sends` times; return the new value.

        After a second send nobody knows which one was answered: no sample (Karn's rule, section 3).
        """
        if sends > 1:
            return self.value
        if self.smoothed is None:
            self.smoothed, self.variation = round_trip, round_trip / 2
        else:
            self.variation += (abs(self.smoothed - round_trip) - self.variation) / 4
            self.smoothed += (round_trip - self.smoothed) / 8
        margin = max(self.granularity, 4 * self.variation)
        self.value = min(max(self.smoothed + margin, self.lowest), self.highest)
        return self.value

    def delays(self, tries=5):
        """Yield the value and double it after each wait in vain (section 5.5); it stays so until the next sample."""
        for _ in range(tries):
            yield self.value
            self.value = min(2 * self.value, self.highest)


# --- One question ---

ID, END = b"id=", b": "  # a request ID is 16 hexadecimal digits between these two

Attempt = collections.namedtuple("Attempt", "at wait ended sent refused ignored answered")
Attempt.__doc__ = """One send of a question and the wait after it.

at: when it was sent, in seconds on the client's clock
wait: how long the policy lets it wait, in seconds
ended: when the wait was over or the answer there, in seconds on the same clock
sent: False if the system refused each send
refused: how often the system said meanwhile that the port is closed
ignored: how many datagrams arrived meanwhile that were not the answer
answered: True for the attempt in whose wait the answer came
"""

Outcome = collections.namedtuple("Outcome", "question answer attempts")
Outcome.__doc__ = """What became of a question.

question, answer: bytes, without the request ID; answer is None if the client gave up
attempts: a list of `Attempt`, one at least
"""


def new_token():
    """Return a request ID that nobody can guess: 64 random bits in hexadecimal digits."""
    return ID + os.urandom(8).hex().encode("ascii") + END


def split(data):
    """Return (request ID, rest) of a datagram; the ID is b"" if there is none."""
    end = len(ID) + 16
    if data.startswith(ID) and data[end:].startswith(END) and not data[len(ID) : end].strip(b"0123456789abcdef"):
        return data[: end + len(END)], data[end + len(END) :]
    return b"", data


def request(sock, question, delays, token=None, clock=time.perf_counter):
    """Send a question over a connected socket until the answer comes or the delays end; return the `Outcome`.

    delays: an iterable of waits in seconds, such as `exponential()`; one at least, or ValueError is raised
    token: the request ID; None makes a new one. With b"" any datagram counts as the answer, as in the listing.
    clock: a function that gives seconds and never goes back

    Whatever arrives meanwhile, a wait ends on time. A closed port (refused) ends no wait early: a server may start
    in time. Raises OSError for other errors of the socket, such as an unreachable network.
    """
    token = new_token() if token is None else token
    attempts, answer = [], None
    for wait in delays:
        at = clock()  # not after the send: a busy machine may go on only when the answer has come
        sent, refused = send(sock, token + question)
        deadline, ignored = at + wait, 0
        while answer is None and (left := deadline - clock()) > 0:
            sock.settimeout(left)
            try:
                data = sock.recv(MAX_BYTES)
            except TimeoutError:
                break
            except REFUSED:
                refused += 1
                continue
            if data.startswith(token):
                answer = data[len(token) :]
            else:
                ignored += 1
        attempts.append(Attempt(at, wait, clock(), sent, refused, ignored, answer is not None))
        if answer is not None:
            break
    if not attempts:
        raise ValueError("a policy must give one delay at least")
    return Outcome(question, answer, attempts)


def send(sock, data):
    """Send over a connected socket; return whether it was sent, and how often the port was refused before.

    The refusal of an earlier datagram is reported by the next call on the socket. If that call is a send, it does
    not send (man 7 udp), so it has to be repeated.
    """
    for refused in range(3):
        try:
            sock.send(data)
            return True, refused
        except REFUSED:
            pass
    return False, 3


def in_short(outcome):
    """Return a sentence or two about a question without an answer: how often it was sent and what was seen."""
    attempts = outcome.attempts
    tries, span = len(attempts), attempts[-1].ended - attempts[0].at
    refused, ignored = (sum(getattr(each, name) for each in attempts) for name in ("refused", "ignored"))
    text = f"No reply in {tries} {'try' if tries == 1 else 'tries'} ({span:.1f} s)."
    if refused:
        text += f" The port was refused {times(refused)}: no program had it then."
    if ignored:
        text += f" Datagrams that were not the answer came {times(ignored)} and were ignored."
    return text if refused or ignored else text + " Nothing came back."


def times(count):
    """Return "once" or "N times"."""
    return "once" if count == 1 else f"{count} times"


def main(argv=None):
    """Run the listing from the command line."""
    host = 'the address to listen on ("" is every one), or the host to ask'
    words = "Send and receive UDP, where datagrams are often lost on purpose."
    terminal.play("retry", words, server, client, host, argv)


if __name__ == "__main__":
    main()
