"""One question, sent again and again until its answer comes or the policy ends."""

import collections
import errno
import os
import time

from udplab.kit.sockets import LARGEST, MAX_BYTES

REFUSED = (ConnectionRefusedError, ConnectionResetError)  # the second is Windows' word for it
# Errors that no further try can mend: the socket is closed, is none, or has no partner.
OURS = {errno.EBADF, errno.ENOTSOCK, errno.ENOTCONN, errno.EDESTADDRREQ}
LONGEST = 86_400  # seconds that one wait may take: a day
NOTED = 100  # errors that an attempt keeps


# --- One question ---

ID, END = b"id=", b": "  # a request ID is 16 hexadecimal digits between these two


class Attempt(collections.namedtuple("Attempt", "at wait ended sent errors ignored answered")):
    """One send of a question and the wait after it.

    at: when it was sent, in seconds on the client's clock
    wait: how long the policy lets it wait, in seconds
    ended: when the wait was over or the answer there, in seconds on the same clock
    sent: False if the system refused each send
    errors: what the system reported meanwhile, a tuple of OSError (the first 100)
    ignored: how many datagrams arrived meanwhile that were not the answer
    answered: True for the attempt in whose wait the answer came
    """

    __slots__ = ()

    @property
    def refused(self):
        """How often the system said meanwhile that the port is closed."""
        return sum(isinstance(error, REFUSED) for error in self.errors)


class Outcome(collections.namedtuple("Outcome", "question answer attempts")):
    """What became of a question.

    question, answer: bytes, without the request ID; answer is None if the client gave up
    attempts: a list of `Attempt`, one at least
    """

    __slots__ = ()

    @property
    def refused(self):
        """How often the system said in all that the port is closed."""
        return sum(each.refused for each in self.attempts)


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

    delays: an iterable of waits in seconds, such as `exponential()`; one at least
    token: the request ID; None makes a new one. With b"" any datagram counts as the answer, as in the listing.
    clock: a function that gives seconds and never goes back

    Whatever arrives meanwhile, a wait ends on time. What the system reports (a closed port, an unreachable network,
    a firewall) is noted in the `Attempt` and ends no wait early: the next try may pass. Raises ValueError, before it
    sends, for a wait that is none or a question that is too long; OSError for a socket that no try can use.
    """
    token = new_token() if token is None else token
    message = token + question
    if len(message) > LARGEST:
        raise ValueError(f"a question has {LARGEST:,} bytes at most, with its request ID: not {len(message):,}")
    attempts, answer = [], None
    for wait in checked(delays):
        at = clock()  # not after the send: a busy machine may go on only when the answer has come
        sent, errors = send(sock, message)
        answer, ignored = receive(sock, token, message, at + wait, clock, errors)
        attempts.append(Attempt(at, wait, clock(), sent, tuple(errors), ignored, answer is not None))
        if answer is not None:
            break
    if not attempts:
        raise ValueError("a policy must give one delay at least")
    return Outcome(question, answer, attempts)


def checked(delays):
    """Yield the waits; raise ValueError for one that is none. Those of a list are all looked at before the first."""
    for wait in delays if isinstance(delays, (list, tuple)) else ():
        check(wait)
    for wait in delays:
        check(wait)
        yield wait


def check(wait):
    """Raise ValueError, in words, for a wait that is no number of seconds, such as None, nan or inf."""
    try:
        fine = 0 <= wait <= LONGEST
    except TypeError:
        fine = False
    if not fine:
        raise ValueError(f"a wait is a number of seconds from 0 to {LONGEST:,}, not {wait!r}")


def send(sock, data):
    """Send over a connected socket; return whether it was sent, and a list of the errors (OSError) on the way.

    What became of an earlier datagram, such as a refusal, is reported by the next call on the socket. If that call
    is a send, it does not send (man 7 udp), so it has to be repeated.
    """
    errors = []
    while len(errors) < 3:
        try:
            sock.send(data)
            return True, errors
        except OSError as error:
            note(errors, error)
    return False, errors


def receive(sock, token, message, deadline, clock, errors):
    """Wait for the answer to `message`, which starts with `token`, until the clock says `deadline`.

    Returns (answer without the token, or None; how many other datagrams came). Errors are appended to `errors`.
    The message itself, come back, is not its answer.
    """
    ignored = 0
    while (left := deadline - clock()) > 0:
        sock.settimeout(left)
        try:
            data = sock.recv(MAX_BYTES)
        except TimeoutError:
            break
        except OSError as error:
            note(errors, error)
            continue
        if data.startswith(token) and data != message:
            return data[len(token) :], ignored
        ignored += 1
    return None, ignored


def note(errors, error):
    """Append an error to a list, the first 100; raise one that no further try can mend."""
    if error.errno in OURS:
        raise error
    if len(errors) < NOTED:
        errors.append(error)


# --- In words ---

HINTS = {  # what an error may mean, and what to do; a word such as "may" where the system does not tell the cause
    errno.EHOSTUNREACH: "that host cannot be reached, or a filter turned the question away: check the address",
    errno.ENETUNREACH: "there is no way to that network: check the address, and this machine's own network",
    errno.EMSGSIZE: "a datagram was too big for the way: send fewer bytes at once",
    errno.EPERM: "this machine did not let it out: look at its firewall",
    errno.EACCES: "this machine did not let it out: look at its routes and its firewall",
    errno.ENOBUFS: "this machine had no room to send it: ask less often",
    errno.ENETDOWN: "the network interface is switched off",
}


def in_short(outcome, host=None, port=None):
    """Return sentences about a question without an answer: how often it was sent, where to, and what was seen."""
    attempts = outcome.attempts
    tries, span = len(attempts), attempts[-1].ended - attempts[0].at
    place = "" if host is None else f" from {host}, port {port},"
    text = [f"No reply{place} in {tries} {'try' if tries == 1 else 'tries'} ({span:.1f} s)."]
    errors = [error for each in attempts for error in each.errors]
    if outcome.refused:
        text.append(f"The port was refused {times(outcome.refused)}: no program had it then.")
    others = [error for error in errors if not isinstance(error, REFUSED)]
    for number in dict.fromkeys(error.errno for error in others):
        same = [error for error in others if error.errno == number]
        hint = HINTS.get(number, "the next try may pass")
        text.append(f'The system reported "{same[0].strerror or same[0]}" {times(len(same))}: {hint}.')
    if ignored := sum(each.ignored for each in attempts):
        text.append(f"Datagrams that were not the answer came {times(ignored)} and were ignored.")
    return " ".join(text if len(text) > 1 else [*text, "Nothing came back."])


def times(count):
    """Return "once" or "N times"."""
    return "once" if count == 1 else f"{count} times"
