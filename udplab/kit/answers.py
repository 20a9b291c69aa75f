"""What a server answers, to whom, and what an error of its socket means: rules without a socket."""


def as_bytes(answer: object) -> bytes:
    """Return an answer that is not exactly of type bytes as one that is. Raises TypeError for what is no bytes."""
    if not isinstance(answer, bytes):
        raise TypeError(f"respond() must return bytes or None, not {type(answer).__name__}")
    return bytes(memoryview(answer))


def is_itself(own: tuple[str, int], peer: tuple[str, int]) -> bool:
    """Return whether `peer` is the socket at `own`, which at "0.0.0.0" has all of 127.0.0.0/8 too."""
    return peer == own or (own[0] == "0.0.0.0" and peer[0].startswith("127.") and peer[1] == own[1])


def unanswerable(peer: tuple[str, int], address: tuple[str, int]) -> str:
    """Return why a datagram from `peer` gets no answer from the server at `address`, or "".

    Source port 0 means "no answer wanted" (RFC 768). An answer to oneself would be answered for ever.
    """
    if peer[1] == 0:
        return "source port 0"
    return "from this server itself" if is_itself(address, peer) else ""


def from_an_earlier_answer(error: OSError) -> bool:
    """Return whether an error of recvfrom tells what became of an answer, as on Windows.

    WSAECONNRESET: it met a closed port. WSAENETRESET, 10052: its time to live ended (recvfrom, winsock2.h).
    """
    return isinstance(error, ConnectionResetError) or getattr(error, "winerror", None) == 10052
