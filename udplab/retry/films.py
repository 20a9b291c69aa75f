"""Films of lesson 2-2: what moved between client and server, from their records. Both are on one machine, one clock."""

from udplab.kit.film.composed import Read, Sent, loopback
from udplab.kit.film.flight import Note

CLIENT, SERVER = "client", "server"


def of_tries(outcome, log):
    """Return the Film of a question (`request.Outcome`) to a server that loses requests on purpose; log: the server's.

    What the server stayed silent to is shown as the lesson wants it: as lost on its way.
    """
    sends, reads, zero = [], [], outcome.attempts[0].at
    for attempt, record in zip(outcome.attempts, log, strict=True):
        lost = record.done != "answered"
        sends.append(Sent(attempt.at, CLIENT, SERVER, record.data, lost="lost on purpose" if lost else ""))
        if not lost:
            reads += [Read(record.time, SERVER, record.data, record.size)]
            sends += [Sent(record.sent, SERVER, CLIENT, record.answer)]
            reads += [Read(attempt.ended, CLIENT, record.answer, len(record.answer))]
    film = loopback(sends, reads)
    film.notes += [
        Note(each.ended - zero, CLIENT, f"nothing for {each.wait:g} s")
        for each in outcome.attempts
        if not each.answered
    ]
    return film


def of_turns(outcomes, log):
    """Return the Film of questions that were asked in turn, without request IDs, through a slow network.

    outcomes: a list of `request.Outcome`; log: that of the server, which got each of their sends
    """
    attempts = [attempt for outcome in outcomes for attempt in outcome.attempts]
    zero = attempts[0].at
    sends = [Sent(attempt.at, CLIENT, SERVER, each.data) for attempt, each in zip(attempts, log, strict=True)]
    reads = [Read(each.time, SERVER, each.data, each.size) for each in log]
    sends += [Sent(each.sent, SERVER, CLIENT, each.answer) for each in log]
    notes = []
    for number, outcome in enumerate(outcomes, 1):
        reads.append(Read(outcome.attempts[-1].ended, CLIENT, outcome.answer, len(outcome.answer)))
        words = f"question {number}: {outcome.answer.decode('ascii', 'replace')}"
        notes.append(Note(outcome.attempts[-1].ended - zero, CLIENT, words))
    film = loopback(sends, reads, why="it comes when the client has gone")
    film.notes += notes
    return film


def of_herd(herd):
    """Return the Film of an `experiments.Herd`: 100 clients as one, the server's queue, and what finds no room in it.

    Its time goes in steps, as that of the experiment.
    """
    sends, reads = [], []
    for number, (_, sent, read) in enumerate(herd.travels):
        data = b"%d" % number
        sends.append(Sent(sent * herd.step, "clients", SERVER, data, arrived=sent * herd.step + herd.step / 10))
        if read is not None:
            reads.append(Read(read * herd.step + herd.step / 2, SERVER, data, len(data)))
    return loopback(sends, reads)
