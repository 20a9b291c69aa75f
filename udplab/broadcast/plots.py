"""The pictures of lesson 2-4; each draws on the Axes it is given, and returns its words."""

import dataclasses

from matplotlib.lines import Line2D

from udplab.broadcast import discovery
from udplab.kit.film import flight as fates
from udplab.kit.film.ladder import ladder
from udplab.kit.film.story import story
from udplab.kit.picture import BLUE, GREEN, GREY, PURPLE, RED, YOU, resize

HEARS, SILENT = {"marker": "o", "color": GREEN}, {"marker": "x", "color": GREY, "markeredgewidth": 2}
PROMISED = {"marker": "s", "color": BLUE, "markerfacecolor": "none", "markeredgewidth": 2}
YOURS = {"marker": "D", "color": "black", "markerfacecolor": "none", "markeredgewidth": 1.5}
LEGEND = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0, "handletextpad": 0.4}


# --- Who hears: a matrix ---


def matrix(ax, heard, labels=None, title="Who hears?", you=None):
    """Draw one row for each `Hearing`, one column for each host: predicted as a square, measured as a mark.

    heard: a `Compared` of lists of Hearings, in which the same hosts listen
    labels: the rows' names, at first their destinations
    you: a learner's predictions: a dict from a row's name to a set of hosts, or to None for a row without one
    """
    labels = labels or [each.destination for each in heard.predicted]
    hosts, yours = (
        list(heard.predicted[0].binds),
        {row: names for row, names in (you or {}).items() if names is not None},
    )
    resize(ax, 8, max(1.3 + 0.62 * len(labels), 2.75 if yours else 2.2))  # room for the legend too
    for row, promise in enumerate(heard.predicted):
        for column, host in enumerate(hosts):
            if host in promise.heard:
                ax.plot(column, row, markersize=26, linestyle="", **PROMISED)
            if not heard.alone:
                hears = host in heard.measured[row].heard
                ax.plot(column, row, linestyle="", markersize=11 if hears else 9, **(HEARS if hears else SILENT))
            if host in yours.get(labels[row], ()):
                ax.plot(column, row, linestyle="", markersize=17, **YOURS)
    _key(ax, not heard.alone, bool(yours))
    ax.set(xlim=(-0.5, len(hosts) - 0.5), ylim=(len(labels) - 0.5, -0.5))
    ax.set_title(heard.title(title))
    ax.set_xticks(range(len(hosts)), hosts)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(length=0)
    width = max(map(len, labels))
    lines = [f"{label:{width}}  {each.words}" for label, each in zip(labels, heard.result, strict=True)]
    lines += [f"you, for {row}: {', '.join(sorted(names)) or 'nobody'}" for row, names in yours.items()]
    return "\n".join([*lines, heard.verdict])


def _key(ax, measured, yours):
    """Draw the legend of a matrix."""
    keys = [("predicted:\nhears it", PROMISED, 17)]
    if measured:
        keys += [("measured:\nheard it", HEARS, 10), ("measured:\nsilence", SILENT, 9)]
    if yours:
        keys += [(f"{YOU}hears it", YOURS, 13)]
    handles = [Line2D([], [], linestyle="", markersize=size, label=label, **how) for label, how, size in keys]
    ax.legend(handles=handles, fontsize=11, labelspacing=1.0, **LEGEND)


# --- Through the switch ---


def by_switch(ax, film):
    """Draw a film as `ladder` does, with a line for each switch that a frame came to: there its copies begin.

    What passes in a switch is not captured, so a frame is drawn there at the moment at which it left its host.
    """
    switched, sent, copies = _switched(film)
    ladder(ax, switched)
    resize(ax, 8, 3)
    ax.set_ylim(top=-0.13 * ax.get_ylim()[0])  # room for words at what happens first
    for flight in film:
        if flight.source == flight.target:
            place = film.hosts.index(flight.source[0]), switched.schedule()[0][1]
            ax.annotate("its own copy", place, (8, -8), textcoords="offset points", fontsize=9, va="top")
    own = len(film) - copies
    counts = f"{sent} sent, {copies} passed on by the switch" + f", {own} for itself" * bool(own)
    title = f"Frames: {counts}"
    ax.set_title(film.title(title), pad=14)
    return "\n".join([*story(film).splitlines()[:-1], f"{title}."])


def _switched(film):
    """Return (the film with a host in the place of each switch in use, frames sent to switches, their copies)."""
    joined = {node.name: [end for link in film.links if node.name in link.ends for end in link.ends if end != node.name]
              for node in film.nodes if node.kind == "switch"}  # fmt: skip
    flights, sent, copies = [], set(), 0
    for flight in film:
        source, target = flight.source[0], flight.target[0]
        switch = next((name for name, ends in joined.items() if source in ends and target in ends), None)
        if source == target or switch is None:
            flights.append(flight)
            continue
        if (flight.source, flight.left, switch) not in sent:
            sent.add((flight.source, flight.left, switch))
            flights.append(dataclasses.replace(flight, target=(switch, ""), arrived=flight.left, fate=fates.FORWARDED))
        flights.append(dataclasses.replace(flight, source=(switch, "")))
        copies += 1
    nodes, order = {node.name: node for node in film.nodes}, []
    for switch, ends in joined.items():  # beside its first host; a router last, since the next subnet is behind it
        ends = sorted(ends, key=lambda end: (end not in order, nodes[end].kind == "router"))
        order += [ends[0], *[switch] * (switch in {each[2] for each in sent}), *ends[1:]]
    hosts = tuple(dataclasses.replace(nodes[name], kind="host") for name in dict.fromkeys(order))
    return dataclasses.replace(film, nodes=hosts, links=(), flights=flights), len(sent), copies


# --- What it costs ---


def cost(ax, costs, title="What a message costs", you=None):
    """Draw the `Cost`s as bars: frames that leave the sender, and frames that come to a bystander.

    costs: a `Compared` of lists of Costs
    you: a learner's prediction of the frames that come to the bystander at the first unicast
    """
    resize(ax, 8, 3.6)
    wide = 0.36
    datagrams, questions, bystander = (
        [getattr(each, field) for each in costs.result] for field in ("datagrams", "questions", "bystander")
    )
    bars = (
        (-wide / 2, datagrams, 0, "leave the sender: UDP", BLUE, ""),
        (-wide / 2, questions, datagrams, "leave the sender: ARP", PURPLE, ".."),
        (wide / 2, bystander, 0, "come to a bystander", RED, "//"),
    )
    for shift, counts, left, label, colour, hatch in bars:
        places = [row + shift for row in range(len(counts))]
        drawn = ax.barh(places, counts, wide, left, color=colour, hatch=hatch, edgecolor="white", label=label)
        if shift > 0:
            ax.bar_label(drawn, padding=4)
        elif left:
            both = zip(datagrams, questions, strict=True)
            ax.bar_label(drawn, [f"{udp} + {arp}" if arp else str(udp) for udp, arp in both], padding=4)
    if you is not None:
        label = f"{YOU}{you:g} to the bystander"
        ax.plot(you, 1 + wide / 2, linestyle="", markersize=11, label=label, clip_on=False, zorder=5, **YOURS)
    ax.set(xlabel="frames", ylim=(len(costs.result) - 0.5, -0.5))
    ax.set_yticks(range(len(costs.result)), [each.way for each in costs.result])
    ax.set_title(costs.title(title))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.margins(x=0.1)
    ax.grid(axis="y", visible=False)
    ax.legend(fontsize=11)
    return cost_words(costs)


def cost_words(costs):
    """Return a line for each `Cost` of a `Compared`, and the verdict."""
    lines = [
        f"{each.way:19}  out: {each.datagrams} with UDP, {each.questions} with ARP; at a bystander: {each.bystander}"
        for each in costs.result
    ]
    return "\n".join([*lines, costs.verdict])


# --- Reply implosion ---


def timeline(ax, answers, title):
    """Draw `discovery.Answer`s, a row for each in the order of sending: when it was sent, and when it was read.

    answers: a `Compared` of lists of Answers. The axis of time goes to 110 ms at least: two pictures can be compared.
    """
    rows = list(enumerate(answers.result, 1))
    kept = [(row, answer) for row, answer in rows if answer.heard is not None]
    lost = [(row, answer) for row, answer in rows if answer.heard is None]
    for row, answer in kept:
        ax.plot([answer.sent * 1e3, answer.heard * 1e3], [row, row], color="#BBBBBB", linewidth=1, zorder=1)
    for chosen, field, marker, colour, label in (
        (kept, "sent", "o", BLUE, "sent"),
        (kept, "heard", "s", GREEN, "read by the asker"),
        (lost, "sent", "X", RED, "sent, and lost"),
    ):
        if chosen:
            times = [getattr(answer, field) * 1e3 for _, answer in chosen]
            size, face = (8, "none") if marker == "o" else (5, colour)
            ax.plot(times, [row for row, _ in chosen], marker, color=colour, markersize=size, markerfacecolor=face,
                    label=label)  # fmt: skip
    end = max(answer.heard or answer.sent for answer in answers.result) * 1e3
    ax.set(xlabel="time after the question in ms", ylabel="answer number", xlim=(-3, 1.03 * max(110, end)))
    ax.set_title(answers.title(title))
    ax.set_ylim(len(rows) + 1, 0)
    ax.set_yticks([1, *range(10, len(rows) + 1, 10)])
    ax.legend(**LEGEND)
    sides = [("measured", answers.measured), ("predicted", answers.predicted)]
    lines = [f"{how}: {_fate(found)}" for how, found in sides if found is not None]
    return "\n".join([*lines, answers.map(discovery.lost).verdict])


def _fate(answers):
    lost = discovery.lost(answers)
    return f"kept {len(answers) - lost} + dropped {lost} = {len(answers)}"
