"""Listing 2-2 as the book means it: its two programs on two machines, with a wire between them."""

import contextlib
import dataclasses
import select
import subprocess

from udplab import lan
from udplab.kit.compared import Compared, measured_or
from udplab.kit.film.composed import Hop, model
from udplab.kit.film.flight import ARRIVED, DELIVERED, Film
from udplab.kit.sockets import HEADERS
from udplab.lan.plan import plan_switch
from udplab.retry.request import new_token

PROGRAM = "python", "-m", "udplab.retry"
HEARD = "Your data was 23 bytes long"
QUESTION, ANSWER = (len(new_token()) + size + HEADERS for size in (23, len(HEARD)))  # bytes of the two packets


@dataclasses.dataclass(frozen=True)
class Visit:
    """What a client on alice asked a server on bob.

    said: what the client's program printed, as text
    film: the `Film` of what moved
    """

    said: str
    film: Film


def on_two_machines(delay=0.02, loss=0.1, seed=5):
    """Run the listing's server on bob and its client on alice; return `Compared` `Visit`s.

    delay: seconds that the wire to alice takes, each way; loss: the share of frames that it loses; seed: of its lots;
        with 5 the first frame is lost
    The prediction is the shortest visit: nothing is lost, neither by the wire nor by the server on purpose.
    """
    return measured_or(
        lambda reason: Compared(predict_visit(reason), None, reason),
        lambda: Compared(predict_visit("the shortest visit"), _visit(delay, loss, seed)),
    )


def predict_visit(reason):
    """Return the `Visit` in which the first question is answered; reason: why it is only predicted, in words."""
    hops = [Hop("alice", "bob", QUESTION, fate="delivered"), Hop("bob", "alice", ANSWER, fate="delivered")]
    said = f"Waiting up to 0.1 seconds for a reply\nThe server says {HEARD.encode()!r}\n"
    return Visit(said, model(plan_switch(("alice", "bob")), hops, reason, switched=True))


def _visit(delay, loss, seed):
    """Measure: see `on_two_machines`."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with lan.switch("alice", "bob") as net, net["bob"].start(*PROGRAM, "server", "0.0.0.0", **pipes) as server:
        try:
            select.select([server.stdout], [], [], 10)  # until it says that it listens, or why not
            net.wire("alice", delay=delay)
            with net["alice"].socket() as first, contextlib.suppress(ConnectionRefusedError):
                first.settimeout(5)  # nobody has the port: when that is told, ARP is done with, before the film
                first.connect((net["bob"].address, 9))
                first.send(b"")
                first.recv(1)
            net.wire("alice", delay=delay, loss=loss, seed=seed)
            with net.record() as film:
                client = net["alice"].run(*PROGRAM, "client", "bob", **pipes)
        finally:
            server.terminate()
    film = film.only("UDP")
    if HEARD in client.stdout:  # the program and its socket have ended when the film looks for them
        for each in film:
            if each.fate == ARRIVED and each.target[0] == "alice":
                each.fate, each.why = DELIVERED, "the client printed it"
    return Visit(client.stdout, film)
