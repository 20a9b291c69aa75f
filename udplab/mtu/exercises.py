"""The exercises of lesson 2-3."""

from udplab.kit.exercise import Exercise, as_words, meant, number
from udplab.kit.words import brief
from udplab.mtu import checks, experiments, solutions


def _largest(answer):
    slips = [
        (1420, "that is the whole packet, headers and all."),
        (1420 - 20, "UDP's header takes 8 bytes."),
        (1420 - 8, "the IP header takes 20 bytes."),
        (1500 - 28, "one link carries less."),
        (9000 - 28, "the other links carry less."),
        (1500, "one link carries less, and the headers count too."),
        (9000, "the other links carry less, and the headers count too."),
        ((1420 - 20) // 8 * 8 - 8, "only fragments are cut to multiples of 8."),
        (1420 - 48, "an IP header of IPv4 has 20 bytes."),
        (1420 - 28 * 4, "the headers are there once, not once for each link."),
    ]
    return number(1420 - 28, answer, "the largest payload in bytes", slips)


largest = Exercise(
    _largest,
    "The smallest link decides, wherever it is. The order does not matter, nor do the other links.",
    [
        "Which link decides? And what does an MTU count?",
        "The path MTU is the smallest MTU on the path. It counts the whole packet: IP header, UDP header, payload.",
    ],
    solutions.largest,
    "The smallest MTU, less an IP header of 20 bytes and a UDP header of 8.",
)


def _pieces(count):
    return checks.pieces(count, solutions.pieces)


pieces = Exercise(
    _pieces,
    "Two things are easy to miss: the UDP header is cut up too, and every piece but the last holds a multiple of 8.",
    [
        "What is cut up is size + 8 bytes. A piece has an IP header of 20 bytes of its own.",
        "The room in a piece is mtu - 20, rounded down to a multiple of 8 for every piece but the last. Take away "
        "piece by piece while what is left does not fit into one.",
    ],
    solutions.pieces,
    "It takes away whole pieces as long as the rest does not fit; the last piece needs no rounding.",
    function=True,
)


find = Exercise(
    checks.find,
    "You have written the heart of RFC 8899. It needs no ICMP message, and a lost datagram does not fool it.",
    [
        "Keep two numbers: low, which arrives, and high, which does not. Try the middle, and move one of them.",
        "A datagram may be lost by chance: believe in a failure only after three.",
    ],
    solutions.find,
    "Each step halves the range, so 17 steps are enough, with three tries each for what does not arrive.",
    function=True,
)

STALE = (1472, 1372, 1372, 1373)
SPELLED = dict.fromkeys(["sent", "ok", "true"], "sent")
SPELLED |= dict.fromkeys(["error", "emsgsize", "oserror", "refused", "false"], "error")


def _stale(answer):
    words = as_words(answer)
    if len(words) != len(STALE):
        return f'Expected a list of {len(STALE)} words, each "sent" or "error", but got {brief(answer)}.'
    given = [meant(word, SPELLED) for word in words]
    for turn, (word, got) in enumerate(zip(words, given, strict=True), 1):
        if got is None:
            return f'Word {turn} is neither "sent" nor "error", but {brief(word)}.'
    reasons = {
        experiments.SENT: "It fits what the kernel believes by then, and no old error is waiting.",
        experiments.OLD_NEWS: "It fits, but what has become of the datagram before it?",
        experiments.TOO_BIG: "How big is it with its headers, and what does the kernel believe by then?",
    }
    for turn, (send, got) in enumerate(zip(experiments.predict_sends((1500, 1400), STALE), given, strict=True), 1):
        if got != ("sent" if send.outcome == experiments.SENT else "error"):
            said = "it is sent" if got == "sent" else "an error comes"
            return f"Send {turn}, of {send.size} bytes: you say that {said}. {reasons[send.outcome]}"
    return None


stale = Exercise(
    _stale,
    "The second send failed for what the first had done. The last one failed for what it was itself.",
    [
        "Go through them one by one. What does the kernel believe by then?",
        "Does the socket have an old error to report? It does so once, in place of the send.",
    ],
    solutions.stale,
    "The router's message comes after the first send has returned, so the second one gets the error.",
)


resend = Exercise(
    checks.resend,
    "An old error is reported once and then gone. An error that comes back is about this datagram.",
    [
        "How often is an old error reported? And one that is about this datagram?",
        "Catch OSError, raise it again if its errno is not errno.EMSGSIZE, and send once more. If that fails too, the "
        "datagram is really too big.",
    ],
    solutions.send,
    "Two tries tell the two kinds apart, and nothing is sent twice, since a send that fails sends nothing.",
    function=True,
)


survive = Exercise(
    checks.survive,
    "Your client knows what an error is about: at send, nothing was sent; at recv, the question is on its way already.",
    [
        "Which call reported the error? Was the question sent then?",
        "Keep in a variable whether it was sent. In a loop: send if not, then recv; catch TimeoutError first (return "
        "None), then OSError, and count those.",
    ],
    solutions.survive,
    "An old error takes the place of one call: that call is made again, and only that one.",
    function=True,
)
