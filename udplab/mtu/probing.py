"""Find the largest datagram that arrives by trying: a small version of RFC 8899 (DPLPMTUD).

The rules:

- Only an answer counts. The other end answers with the size that it got, so an answer proves that this size arrived.
- Silence counts after three tries (MAX_PROBES), since any datagram may be lost for another reason.
- ICMP messages decide nothing. Anyone may forge one, and some routers send none. They only say what to try next.

So it works through black holes, and on systems that do not tell which MTU they believe in. What it lacks of the
RFC: it does not search again when the path changes, and its probes carry no token that a forger would have to know.
"""

import errno
import time
from collections import namedtuple

from udplab.kit import terminal
from udplab.kit.server import Server
from udplab.kit.sockets import HEADERS, LARGEST, MAX_BYTES, connect, udp_socket
from udplab.loopback import listing as loopback
from udplab.mtu import kernel
from udplab.mtu.kernel import belief, set_fragmentation


def answer(host, port):
    """Answer each datagram with its size, until Ctrl-C: the other end of --probe."""
    terminal.show(Server(loopback.respond, host, port), loopback.in_words)


def probe(host, port, make_socket=udp_socket):
    """Find by size which datagrams arrive, and print that beside what the kernel believes."""
    with connect(host, port, make_socket) as sock:
        try:
            set_fragmentation(sock, "probe")
        except OSError as problem:
            print(f"{problem}\nWhat arrives may have travelled in pieces.")
        steps = []
        for step in search(sock):
            print(in_words(step), flush=True)
            steps.append(step)
        print(verdict(Search(steps, belief(sock))))


SMALLEST = 68 - HEADERS  # bytes of payload: every link of IPv4 carries packets of 68 bytes (RFC 791)
BASE = 1200 - HEADERS  # nearly every path carries that (RFC 8899, section 5.1.2; its 1200 has no IP header in it)
TRIES = 3  # MAX_PROBES of the same section

CONFIRMED, LOST, REFUSED = "confirmed", "no answer", "refused here"


class Step(namedtuple("Step", "size outcome low high told noted", defaults=(False, ()))):
    """One step of the search: a size and what became of it.

    size: bytes of payload
    outcome: CONFIRMED (an answer came), LOST (none, three times) or REFUSED (this system would not send it)
    low: the largest payload confirmed so far; high: the smallest that has failed
    told: whether an ICMP message "too big" came (the system passes it on as EMSGSIZE)
    noted: the other errors that showed up, in words; none of them ends the search
    """


class Search(namedtuple("Search", "steps believed")):
    """A whole search: its list of `Step`, and the MTU (bytes) in which the kernel then believes, or None."""


def narrow(outcome_of, hint=lambda: None):
    """Search for the largest payload that arrives; yield a `Step` after each trial. No socket is needed.

    outcome_of: a function of a size in bytes; it returns (outcome, told, noted), of which the last two may be left out
    hint: a function that returns the payload that somebody claims to be the largest, or None. It is tried, and
        the next larger one too: a claim is never believed. See `next_size`.
    """
    low, high = SMALLEST - 1, LARGEST + 1
    size = SMALLEST
    while True:
        outcome, *more = outcome_of(size)
        if outcome == CONFIRMED:
            low = size
        else:
            high = size
        yield Step(size, outcome, low, high, *more)
        if high - low <= 1:
            return
        first = low < BASE < high and high == LARGEST + 1
        size = BASE if first else next_size(low, high, hint())


def next_size(low, high, claim):
    """Return which size to try next, where `low` bytes arrive and `high` bytes do not.

    claim: the payload that the kernel claims to be the largest, or None
    """
    if claim == low:  # the claim has arrived: does one byte more?
        return low + 1
    if claim is not None and low < claim < high:  # not tried yet
        return claim
    return (low + high) // 2


def search(sock, timeout=0.3, clock=time.monotonic):
    """Search with a connected socket whose other end answers as `loopback.listing.respond` does; yield a `Step` each.

    timeout: seconds to wait for an answer, three times for each size.
    Forbid fragmentation first ("probe" of `kernel.set_fragmentation`). Otherwise the search finds the largest datagram
    that arrives, in one piece or in several.
    Raises OSError, in words, where not even the smallest datagram is answered.
    """

    def hint():
        believed = kernel.belief(sock)
        return None if believed is None else min(believed - HEADERS, LARGEST)

    for step in narrow(lambda size: trial(sock, size, timeout, clock), hint):
        if step.low < SMALLEST:
            host, port = sock.getpeername()[:2]
            seen = f" What was seen: {', '.join(step.noted)}." if step.noted else ""
            raise OSError(
                f"No answer from {host}, port {port}, even to {step.size} bytes.{seen} "
                f"Start the other end there, at this very address: python -m udplab.mtu {host} -p {port} --answer"
            )
        yield step


def trial(sock, size, timeout, clock=time.monotonic):
    """Send `size` bytes up to three times until they are confirmed; return (outcome, told, noted), see `Step`."""
    told, noted = False, []
    for _ in range(TRIES):
        sent, news = send(sock, size, noted)
        told = told or news
        if not sent:
            return REFUSED, told, tuple(noted)
        answered, news = confirmed(sock, size, timeout, noted, clock)
        told = told or news
        if answered:
            return CONFIRMED, told, tuple(noted)
    return LOST, told, tuple(noted)


def send(sock, size, noted):
    """Send `size` bytes; return whether the system took them, and whether an ICMP message "too big" showed up.

    What an ICMP message said about an earlier datagram makes a send fail, and this one is then not sent. So a
    refusal counts when it comes again and again. Other errors say nothing about size: they go into the list `noted`,
    and the wait for an answer, after which there is another try, goes on.
    """
    refusals = 0
    for _ in range(TRIES):
        try:
            if kernel.attempt(sock, size):
                return True, refusals > 0
            refusals += 1
        except OSError as error:
            note(error, noted)
    return refusals < TRIES, 0 < refusals < TRIES


def confirmed(sock, size, timeout, noted, clock=time.monotonic):
    """Wait for the answer that confirms `size` bytes, or an ICMP message; return whether each of the two came.

    An answer names a size, so a late one to another size cannot be taken for it.
    """
    wanted = f"Your data was {size} bytes long".encode("ascii")
    deadline = clock() + timeout
    while (left := deadline - clock()) > 0:
        sock.settimeout(left)
        try:
            if sock.recv(MAX_BYTES) == wanted:  # room for any, since Windows calls a cut one EMSGSIZE too
                return True, False
        except TimeoutError:
            break
        except OSError as error:
            if error.errno == errno.EMSGSIZE:  # no use to wait (RFC 8899, section 4.6.2); if about an earlier one, we
                return False, True  # try again
            note(error, noted)
    return False, False


def note(error, noted):
    """Put an error into a list of words, each but once."""
    words = error.strerror or type(error).__name__
    if words not in noted:
        noted.append(words)


def in_words(step):
    """Return the line that tells of a step."""
    return f"{step.size:6} bytes: {step.outcome}"


def report(search):
    """Return all that `probe` prints of a `Search`."""
    return "\n".join([*map(in_words, search.steps), verdict(search)])


def verdict(search):
    """Return what a `Search` has shown, in a few lines: what was confirmed, and apart from it what is believed."""
    steps, believed = search
    found = steps[-1].low
    lines = [f"Confirmed as received: up to {found} bytes of payload, that is a packet of {found + HEADERS} bytes."]
    if found == LARGEST:
        lines.append("No datagram of IPv4 is larger.")
    elif (found + 1, REFUSED) in [(step.size, step.outcome) for step in steps]:
        lines.append("One byte more is refused here: no link on the way is narrower than the first.")
    if believed is not None:
        lines.append(f"The kernel believes in an MTU of {believed} bytes.")
    if noted := sorted({words for step in steps for words in step.noted}):
        lines.append(f"Errors on the way that say nothing about size: {', '.join(noted)}.")
    if black_hole(steps):
        largest = max(step.size for step in steps if step.outcome == LOST and not step.told)
        lines.append(f"Black hole: {found + 1} to {largest} bytes are sent and lost, and no router says so.")
    return "\n".join(lines)


def black_hole(steps):
    """Return whether what sets the limit keeps silent: one byte more was lost, and no ICMP message came for it.

    Such a place is a black hole (RFC 2923, section 2.1). Other routers on the path may well have spoken.
    """
    return any(step.size == steps[-1].high and step.outcome == LOST and not step.told for step in steps)


def predict(mtus, black_hole=False):
    """Return the `Search` that Linux does on a path with these MTUs (bytes) that loses nothing by chance."""
    believed = mtus[0]

    def outcome_of(size):
        nonlocal believed
        packet = size + HEADERS
        if packet > mtus[0]:
            return REFUSED, False
        for limit in mtus:
            if packet > limit:
                if not black_hole:
                    believed = kernel.after_icmp(believed, limit)
                return LOST, not black_hole
        return CONFIRMED, False

    steps = list(narrow(outcome_of, lambda: min(believed - HEADERS, LARGEST)))
    return Search(steps, believed)
