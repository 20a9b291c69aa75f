"""Listing 2-2 as the book means it: its two programs on two machines, with a wire between them."""

import contextlib
import dataclasses
import subprocess

from udplab import lan
from udplab.kit.compared import compared
from udplab.kit.film.flight import Film
from udplab.kit.film.told import Hop, model
from udplab.lan.plan import plan_switch

PROGRAM = "python", "-m", "udplab.retry"
QUESTION, ANSWER = 21 + 23 + 28, 21 + 27 + 28  # bytes of the two packets: request ID, message, headers of IPv4 and UDP


@dataclasses.dataclass(frozen=True)
class Visit:
    """What a client on alice asked a server on bob.

    said: what the client's program printed, as text
    film: the `Film` of what moved
    """

    said: str
    film: Film


def on_two_machines(delay=0.02, loss=0.1, seed=1):
    """Run the listing's server on bob and its client on alice; return `Compared` `Visit`s.

    delay: seconds that the wire to alice takes, each way; loss: the share of frames that it loses; seed: of its lots
    The prediction is the shortest visit: nothing is lost, neither by the wire nor by the server on purpose.
    """
    return compared(predict_visit(), _visit, delay, loss, seed)


def predict_visit():
    """Return the `Visit` in which the first question is answered."""
    hops = [Hop("alice", "bob", QUESTION, fate="delivered"), Hop("bob", "alice", ANSWER, fate="delivered")]
    said = "Waiting up to 0.1 seconds for a reply\nThe server says b'Your data was 23 bytes long'\n"
    return Visit(said, model(plan_switch(("alice", "bob")), hops, "no measurement", switched=True))


def _visit(delay, loss, seed):
    """Measure: see `on_two_machines`."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with lan.switch("alice", "bob") as net, net["bob"].start(*PROGRAM, "server", "0.0.0.0", **pipes) as server:
        try:
            server.stdout.readline()  # it listens
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
    return Visit(client.stdout, film.only("UDP"))
