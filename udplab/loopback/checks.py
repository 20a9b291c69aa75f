"""What the larger exercises of lesson 2-1 are tried on: strangers, silence and bad bytes."""

import contextlib
import threading
import time

from udplab.kit.calm import uninterrupted
from udplab.kit.exercise import printed, said
from udplab.kit.server import Server
from udplab.kit.sockets import HOST, LARGEST, MAX_BYTES, arrivals, queued, udp_socket
from udplab.kit.watched import Running, WaitedOn, outcome
from udplab.kit.words import brief, shown
from udplab.loopback import listing

# --- Repair the client ---

TICKS = [n / 20 for n in range(1, 40)]  # seconds
ELSEWHERE = "127.0.0.2"  # another address of this machine: Linux has all of 127.0.0.0/8, other systems one only
USUAL, SECRET = b"Your data was 5 bytes long", b"five, and the word is swordfish"


def client(ask):
    """Return what is wrong with a learner's client, or None."""
    job = [listing.respond]
    with Server(lambda data: job[0](data)) as server, udp_socket() as silent, contextlib.ExitStack() as stack:
        silent.bind((HOST, 0))
        strangers = [stack.enter_context(udp_socket()) for _ in range(2)]
        try:
            strangers[1].bind((ELSEWHERE, server.address[1]))
        except OSError:  # this system has no such address
            strangers.pop()
        if problem := _answers(ask, server.address, job, strangers):
            return problem
        for every, words in SILENCES:
            if problem := _given_up(ask, silent, strangers[0], every):
                return f"The server stayed silent, and {words}. Expected None after 0.5 s, but {problem}."
    return None


SILENCES = [
    ((), "nobody sent anything"),
    ([0.4], "a stranger sent one datagram after 0.4 s"),
    (TICKS, "a stranger sent datagrams all the time"),
]


def _answers(ask, address, job, strangers):
    """Return how a client takes a wrong answer, or none, or None."""
    for lies, sender in ((0, None), (1, strangers[0]), (5, strangers[0]), (1, strangers[-1])):
        for answer, lie in ((USUAL, b"Your data was 1,000,000 bytes long"), (SECRET, USUAL)):
            job[0] = listing.respond if answer == USUAL else lambda data: SECRET
            got, _ = _ask(ask, address, sender, [lie] * lies)
            if got != answer or not isinstance(got, bytes):
                return _wrong(ask, got, answer, lie, lies, sender)
    return None


def _wrong(ask, got, answer, lie, lies, sender):
    """Return the sentence on a wrong answer of a client."""
    first = "A stranger's datagram came first. " if lies == 1 else f"A stranger's {lies} came first. " if lies else ""
    if lies and got == lie:
        if sender.getsockname()[0] == ELSEWHERE:
            first += f"It came from the server's port, but from {ELSEWHERE}. An address is both. "
        elif answer == SECRET:
            first += "What it says proves nothing: a stranger may say the same. Who sent it? "
        elif "connect" in getattr(getattr(ask, "__code__", None), "co_names", ()):
            first += "(It was in the queue before your question: connect() does not remove it.) "
    elif got is None and answer == SECRET:
        first += "A server may say anything: look at who sent it, not at what it says. "
    elif isinstance(got, tuple):
        first += "recvfrom returns two things, the datagram and who sent it. "
    return f"{first}Expected the server's answer {answer!r}, but got {brief(got)}.{printed(got, ask)}"


def _given_up(ask, silent, stranger, every):
    """Return how a learner's client fails to give up after 0.5 s where no answer comes, or None."""
    late = 0
    for _ in range(8):
        begin = time.monotonic()
        try:
            got, ticks = _ask(ask, silent.getsockname(), stranger, every=every, rescue=silent)
        except WaitedOn:
            return "your client waited on"
        except TimeoutError:
            return "your client let TimeoutError through: catch it, and return None"
        except BlockingIOError:
            return "your client let BlockingIOError through: a socket that does not block says so when nothing is there"
        seconds = time.monotonic() - begin
        if got is not None:
            return f"got {brief(got)}"
        if seconds < 0.45:
            return f"it came after {seconds:.2f} s"
        lies = sum(at < 0.48 for due, at in ticks if due in every)  # what came after that, the client need not have met
        if seconds < 0.75 and lies >= min(len(every), 3):
            return None
        # A busy machine may wake a client late: only those tries count in which others woke in time.
        late += all(at - due < 0.08 for due, at in ticks)
        if late == 3:
            break
    return f"it came after {seconds:.2f} s"


def _ask(ask, address, stranger, first=(), every=(), rescue=None):
    """Run a learner's client; return its answer and the ticks of that time.

    first: what the stranger sends before; every: at which of the ticks it sends more, until the client is done
    rescue: a socket that ends the client's waiting

    The ticks are a list of when each was due and when it came, in seconds.
    """
    done, ticks = threading.Event(), []
    with udp_socket() as client:
        client.bind((HOST, 0))
        target = client.getsockname()
        for lie in first:
            stranger.sendto(lie, target)

        def nag(begin):
            for due in TICKS:
                if done.wait(begin + due - time.monotonic()):
                    return
                if due in every:
                    stranger.sendto(b"Your data was 1,000,000 bytes long", target)
                ticks.append((due, time.monotonic() - begin))

        def end():  # silence for a client with a timeout, an answer for one without
            done.set()
            if rescue:
                rescue.sendto(USUAL, target)

        thread = threading.Thread(target=nag, args=(time.monotonic(),), name="udplab stranger", daemon=True)
        try:
            with uninterrupted():
                thread.start()
            return outcome(ask, client, address, b"hello", within=1.5, rescue=end), ticks
        finally:
            done.set()
            if thread.ident is not None:
                thread.join()


# --- Your own server ---

QUESTIONS = b"hello", b"Is anybody there?", b"\xff\xfe\x00", b"", bytes(LARGEST), "Grüße ☕".encode(), b"hello"


def server(serve):
    """Return what is wrong with a learner's server, or None."""
    sock = udp_socket()
    sock.bind((HOST, 0))
    address = sock.getsockname()
    with udp_socket() as one, udp_socket() as two:
        for each in (one, two):
            each.bind((HOST, 0))
        with Running(serve, sock, wake=lambda: one.sendto(b"", address)) as call:
            problem = _served(call, address, one, two)
    if call.ended:  # one that goes on may wait for ever: without its socket it would spin
        sock.close()
    if problem is None and not call.ended:
        return (
            "Your server answers, but it could not be stopped: a bare `except:` catches even what ends a program, "
            "Ctrl-C too. Name what you catch, such as `except OSError:`. (To end it now: Kernel, Restart Kernel.)"
        )
    return problem


def _served(call, address, one, two):
    """Return what is wrong with the answers of a running server, or None."""
    for number, question in enumerate(QUESTIONS):
        asker = (one, two)[number % 2]
        asker.sendto(question, address)
        if problem := _answered(call, address, asker, question, QUESTIONS[max(number - 2, 0)]):
            return problem + (" It came from another client than the one before." if number == 1 else "")
    one.sendto(b"1", address)
    two.sendto(b"22", address)
    for asker, question in ((one, b"1"), (two, b"22")):
        if problem := _answered(call, address, asker, question, question):
            return f"Two clients asked at the same time. {problem}"
    more = [data for data, _ in arrivals(one, 0.05)] + queued(two)
    return f"Each question wants one answer. {len(more)} more came, such as {shown(more[0])}." if more else None


def _answer_to(question):
    """Return the answer to a question."""
    return b"Your data was %d bytes long" % len(question)


def _answered(call, address, asker, question, before):
    """Return what is wrong with a server's answer to a question that was sent, or None.

    before: what the same client had asked before
    """
    expected, deadline = _answer_to(question), time.monotonic() + 1.5
    while (left := deadline - time.monotonic()) > 0:
        try:
            asker.settimeout(min(left, 0.1))  # a server that has ended is not waited for
            got, peer = asker.recvfrom(MAX_BYTES)
        except TimeoutError:
            if not call.over:
                continue
            break
        if peer != address:
            return f"The answer to {shown(question, 40)} came from another socket, {peer}: use the one that you got."
        if got == _answer_to(before) != expected:
            return f"Each question wants one answer. That to {shown(before, 40)} came once more."
        slip = ""
        if question and not question.isascii() and got != expected:
            slip = " The server counts bytes, not characters."
        elif len(question) == LARGEST and got != expected:
            slip = " How much room did recvfrom get?"
        return None if got == expected else f"Expected {expected!r}, but got {shown(got)}.{slip}"
    came = f"To {shown(question, 40)}, of {len(question)} bytes, no answer came. "
    if call.errors:
        return f"{came}Your server had ended with {said(call.errors[0])}."
    if call.over:
        return f"{came}Your function had come to its end. A server answers again and again: it needs a loop."
    return f"{came}Each datagram wants an answer, an empty one too, sent to the one who asked."
