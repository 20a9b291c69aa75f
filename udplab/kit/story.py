"""A film in words: for people who do not see it, for the notebook's text, and for the stage's caption."""

from udplab.kit import flight as fates

SHOWN = 60  # flights that are told one by one


def scale(seconds):
    """Return (unit, factor) that suit a film of this length: seconds * factor is in that unit."""
    if seconds < 1e-3:
        return "µs", 1e6
    return ("ms", 1e3) if seconds < 1 else ("s", 1)


def at(seconds, length):
    """Return a moment of a film of this length (both in s) as text, such as "37.8 µs"."""
    unit, factor = scale(length)
    return f"{seconds * factor:.{1 if length * factor < 1000 else 0}f} {unit}"


def outcome(flight):
    """Return what became of a flight, in words, with the reason."""
    return f"{flight.fate} ({flight.why})" if flight.why else flight.fate


def story(film, shown=SHOWN):
    """Return the text of a film: a line for each flight and each note, in the order of time; of long ones, a part."""
    lines = [f"Predicted, not measured: {film.predicted}"] if film.predicted else []
    told = [(each.left, _flight(film, each)) for each in film] + [(each.time, _note(film, each)) for each in film.notes]
    told.sort(key=lambda each: each[0])
    if len(told) <= shown:
        lines += [line for _, line in told]
    else:
        lines += [line for _, line in told[: shown // 2]]
        lines += [f"... {len(told) - shown // 2 * 2} more lines like these ..."]
        lines += [line for _, line in told[-(shown // 2) :]]
    return "\n".join([*lines, summary(film)])


def summary(film):
    """Return how many frames there were and what became of them, in a line."""
    counts = {}
    for flight in film:
        counts[flight.fate] = counts.get(flight.fate, 0) + 1
    fates_told = ", ".join(f"{count} {fate}" for fate, count in counts.items())
    return f"{len(film)} frames in {at(film.length, film.length)}: {fates_told or 'nothing moved'}."


def _flight(film, flight):
    when = at(flight.left, film.length)
    until = f" to {at(flight.arrived, film.length)}" if flight.arrived is not None else ""
    line = f"{when}{until}, {flight.source[0]} to {flight.target[0]}: {flight.words}: {outcome(flight)}"
    if flight.taken is not None and flight.fate in (fates.DELIVERED, fates.PENDING):
        line += f", read at {at(flight.taken, film.length)}"
    return line


def _note(film, note):
    return f"{at(note.time, film.length)}, {note.host}: {note.words}"


def events(film):
    """Return [(time in s, words)]: what happens, in the order of time, simultaneous things joined."""
    told = {}
    for flight in film:
        source, target = flight.source[0], flight.target[0]
        told.setdefault(flight.left, {}).setdefault(f"{source} sends {flight.words}, to ", []).append(target)
        if flight.arrived is None:
            told[flight.left].setdefault(f"It is {outcome(flight)} on its way to ", []).append(target)
        else:
            told.setdefault(flight.arrived, {}).setdefault(f"{flight.words}: {outcome(flight)}, at ", []).append(target)
        if flight.taken is not None and flight.fate in (fates.DELIVERED, fates.PENDING):
            told.setdefault(flight.taken, {}).setdefault(f"{flight.words}: read by the program on ", []).append(target)
    for note in film.notes:
        told.setdefault(note.time, {}).setdefault(f"{note.host}: {note.words}", [])
    return [
        (time, " ".join(f"{words}{', '.join(targets)}." for words, targets in told[time].items()))
        for time in sorted(told)
    ]
