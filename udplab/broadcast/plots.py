"""The plots of lesson 2-4, each with its text twin."""

import itertools

from matplotlib.lines import Line2D

from udplab.kit.picture import BLUE, GREEN, GREY, PURPLE, RED, axes, titled

HEARS, SILENT = {"marker": "o", "color": GREEN}, {"marker": "x", "color": GREY, "markeredgewidth": 2}
PROMISED = {"marker": "s", "color": BLUE, "markerfacecolor": "none", "markeredgewidth": 2}
LEGEND = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0, "handletextpad": 0.4}


# --- Who hears: a matrix ---


def matrix(predicted, measured, hosts, labels=None, title="Who hears?", reason=None, ax=None):
    """Draw one row for each `Trial`, one column for each host: predicted as a square, measured as a mark.

    measured: a list of Trials like `predicted`, or None where there is no LAN
    hosts: names; labels: the rows' names, at first their destinations
    reason: why there is no LAN, for the title
    """
    ax = axes(ax, figsize=(8, 1.3 + 0.62 * len(predicted)))
    labels = labels or [trial.destination for trial in predicted]
    for row, promise in enumerate(predicted):
        for column, host in enumerate(hosts):
            if host in promise.heard:
                ax.plot(column, row, markersize=24, linestyle="", **PROMISED)
            if measured is not None:
                hears = host in measured[row].heard
                ax.plot(column, row, linestyle="", markersize=14 if hears else 9, **(HEARS if hears else SILENT))
    keys = [("predicted:\nhears it", PROMISED, 17)]
    if measured is not None:
        keys += [("measured:\nheard it", HEARS, 12), ("measured:\nsilence", SILENT, 9)]
    handles = [Line2D([], [], linestyle="", markersize=size, label=label, **how) for label, how, size in keys]
    ax.legend(handles=handles, fontsize=11, labelspacing=1.1, **LEGEND)
    ax.set(xlim=(-0.5, len(hosts) - 0.5), ylim=(len(predicted) - 0.5, -0.5))
    ax.set_title(titled(title, measured, reason))
    ax.set_xticks(range(len(hosts)), hosts)
    ax.set_yticks(range(len(predicted)), labels)
    ax.tick_params(length=0)
    return ax


def describe_matrix(predicted, measured=None, labels=None):
    """Return the text twin of `matrix`: a line for each row, and whether the prediction was right."""
    labels = labels or [trial.destination for trial in predicted]
    width = max(map(len, labels))
    lines = [f"{label:{width}}  {hearers(trial)}" for label, trial in zip(labels, measured or predicted, strict=True)]
    if measured is None:
        return "\n".join([*lines, "(predicted, not measured)"])
    return "\n".join([*lines, f"Predicted and measured are the same: {predicted == measured}"])


def hearers(trial):
    """Return in words who heard a `Trial`."""
    if trial.error:
        return f"not sent: {trial.error}"
    return ", ".join(trial.heard) or "nobody"


# --- Who hears: the network ---


def network(plan, sender, predicted, measured=None, title=None, reason=None, ax=None):
    """Draw the hosts of a plan and an arrow to each that heard the datagram of a `Trial`.

    plan: hosts as from `udplab.lan.plan.plan_switch`; sender: a name
    measured: the Trial that is drawn; where it is None the predicted one is drawn, with dashed arrows
    reason: why nothing was measured, for the title
    """
    ax = axes(ax, figsize=(8, 3.6))
    trial, how = measured or predicted, "--" if measured is None else "-"
    places = _places(plan)
    for host in plan:
        for interface in host.interfaces:
            ax.plot(*zip(places[host.name], places[interface.link], strict=True), color=GREY, linewidth=1.5, zorder=1)
    for link in {interface.link for host in plan for interface in host.interfaces}:
        _box(ax, places[link], f"switch\n10.0.{link}.0/24", GREY, "#EEEEEE")
    listening = dict(trial.binds)
    for host in plan:
        heard = host.name in trial.heard
        edge = GREEN if heard else PURPLE if host.name == sender else GREY
        bound = listening.get(host.name, "")
        name = f"{host.name} (sends)" if host.name == sender else host.name
        lines = [name, *(interface.address for interface in host.interfaces), bound or "not listening"]
        _box(ax, places[host.name], "\n".join(lines), edge, "white", 3 if heard else 1.5)
    for host in plan:
        if host.name in trial.heard:
            _arrow(ax, places, plan, sender, host.name, how)
    title = title or f"{sender} sends to {trial.destination}"
    if trial.error:
        title += f": {trial.error}, nothing was sent"
    elif not trial.heard:
        title += ": nobody hears it"
    ax.set(xlim=(-0.9, 8.4), ylim=(-0.75, 4.1), xticks=[], yticks=[])
    ax.set_title(titled(title, measured, reason))
    ax.spines[:].set_visible(False)
    ax.grid(False)
    key = Line2D([], [], color=GREEN, linewidth=2.5, linestyle=how, marker=">", markersize=8)
    label = "a socket will hear it (prediction)" if measured is None else "a socket heard it"
    ax.legend([key], [label], loc="lower right", fontsize=11)
    return ax


def _places(plan):
    """Return where each host (by name) and each switch (by number) stands."""
    near = [host for host in plan if not host.forwards and host.interfaces[0].link == 0]
    beyond = [host for host in plan if not host.forwards and host.interfaces[0].link == 1]
    spots = [(0, 3.1), (0, 0.5), (2.3, 3.4), (2.3, 0.1)]
    if len(near) > len(spots) or len(beyond) > 2:
        raise ValueError(f"there is room for {len(spots)} hosts on the sender's subnet and for 2 beyond the router")
    places = dict(zip([host.name for host in near], spots, strict=False))
    places |= {0: (2.3, 1.8), 1: (6.1, 1.8), "router": (4.2, 1.8)}
    return places | {host.name: (7.6, 3.1 - 2.6 * number) for number, host in enumerate(beyond)}


def _box(ax, place, text, edge, face, width=1.5):
    shape = {"boxstyle": "round,pad=0.4", "facecolor": face, "edgecolor": edge, "linewidth": width}
    ax.text(*place, text, ha="center", va="center", fontsize=10, bbox=shape, zorder=3)


def _arrow(ax, places, plan, sender, name, linestyle):
    """Draw the way from the sender to a host that heard it, past the switches and the router."""
    ends = {host.name: [interface.link for interface in host.interfaces] for host in plan}
    if name == sender:
        x, y = places[name]
        ax.annotate("heard its own", (x, y - 0.62), (x, y - 1.12), ha="center", fontsize=10,
                    arrowprops={"arrowstyle": "-|>", "color": GREEN, "linewidth": 2.5,
                                "linestyle": linestyle})  # fmt: skip
        return
    shared = [link for link in ends[sender] if link in ends[name]]
    stops = [sender, shared[0], name] if shared else [sender, ends[sender][0], "router", ends[name][0], name]
    for start, end in itertools.pairwise(stops):
        last = end == name
        ax.annotate("", _edge(places[start], places[end]) if last else places[end], places[start], zorder=2,
                    arrowprops={"arrowstyle": "-|>" if last else "-", "color": GREEN, "linewidth": 2.5,
                                "linestyle": linestyle, "mutation_scale": 18,
                                "shrinkA": 0, "shrinkB": 0})  # fmt: skip


def _edge(start, end, half_width=0.7, half_height=0.52):
    """Return where the line from `start` enters the box around `end`."""
    across, up = start[0] - end[0], start[1] - end[1]
    share = min(half / abs(way) for half, way in ((half_width, across), (half_height, up)) if way)
    return end[0] + share * across, end[1] + share * up


def describe_network(sender, predicted, measured=None):
    """Return the text twin of `network`."""
    trial = measured or predicted
    kinds = {}
    for name, kind in trial.binds.items():
        kinds.setdefault(kind, []).append(name)
    binds = "; ".join(f"{', '.join(names)} at {kind}" for kind, names in kinds.items())
    verb = "heard by" if measured else "predicted, not measured: heard by"
    return f"{sender} sends to {trial.destination}\nlistening: {binds or 'nobody'}\n{verb}: {hearers(trial)}"


# --- What it costs ---

WAYS = {"unicast": (RED, "s", "--"), "broadcast": (BLUE, "o", ":")}


def cost(predicted, measured, field, title, reason=None, ax=None):
    """Draw a field of `Cost` records ("sent" or "interrupted") against the number of hosts.

    measured: a list of Costs, or None where there is no LAN; reason: why there is none
    """
    ax = axes(ax)
    for way, (colour, marker, line) in WAYS.items():
        promise = [record for record in predicted if record.way == way]
        numbers = [record.hosts for record in promise]
        ax.plot(numbers, [getattr(r, field) for r in promise], line, color=colour, label=f"{way}, predicted")
        if measured is not None:
            found = [record for record in measured if record.way == way]
            ax.plot([r.hosts for r in found], [getattr(r, field) for r in found], marker, color=colour, markersize=8,
                    label=f"{way}, measured")  # fmt: skip
    what = {"sent": "frames sent", "interrupted": "hosts that got a frame"}[field]
    ax.set(xlabel="hosts on the subnet", ylabel=what, xticks=numbers)
    ax.set_title(titled(title, measured, reason))
    ax.set_ylim(0, 1.12 * max(getattr(record, field) for record in predicted))
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper left")
    return ax


def describe_cost(predicted, measured=None):
    """Return the text twin of `cost`: a line for each record."""
    lines = [
        f"{record.hosts:2} hosts, message for {record.wanted:2}, {record.way:9}: "
        f"frames sent {record.sent:2}, hosts that got a frame {record.interrupted:2}"
        for record in measured or predicted
    ]
    if measured is None:
        return "\n".join([*lines, "(predicted, not measured)"])
    return "\n".join([*lines, f"Predicted and measured are the same: {predicted == measured}"])


# --- Reply implosion ---


def timeline(predicted, measured, title, reason=None, ax=None):
    """Draw `discovery.Answer`s, a row for each in the order of sending: when it was sent, and when it was read.

    measured: what is drawn; where it is None, with the `reason`, the prediction is
    """
    answers = measured or predicted
    ax = axes(ax)
    kept = [(row, answer) for row, answer in enumerate(answers, 1) if answer.heard is not None]
    lost = [(row, answer) for row, answer in enumerate(answers, 1) if answer.heard is None]
    for row, answer in kept:
        ax.plot([answer.sent * 1e3, answer.heard * 1e3], [row, row], color="#BBBBBB", linewidth=1, zorder=1)
    for chosen, field, marker, colour, label in (
        (kept, "sent", "o", BLUE, "sent"),
        (kept, "heard", "s", GREEN, "read by the asker"),
        (lost, "sent", "X", RED, "sent, and lost"),
    ):
        if chosen:
            times = [getattr(answer, field) * 1e3 for _, answer in chosen]
            ax.plot(times, [row for row, _ in chosen], marker, color=colour, markersize=5, label=label)
    ax.set(xlabel="time after the question in ms", ylabel="answer number")
    ax.set_title(titled(title, measured, reason))
    ax.set_ylim(len(answers) + 1, 0)
    ax.set_yticks([1, *range(10, len(answers) + 1, 10)])
    ax.margins(x=0.04)
    ax.legend(**LEGEND)
    return ax


def describe_timeline(predicted, measured=None):
    """Return the text twin of `timeline`, measured and predicted."""
    lines = []
    for answers, how in ((measured, "measured"), (predicted, "predicted")):
        if answers:
            kept, count = sum(answer.heard is not None for answer in answers), len(answers)
            fate = f"kept {kept} + dropped {count - kept} = {count}"
            lines.append(f"{how}: {fate}, some were lost: {kept < count}")
    return "\n".join(lines)


def losses(predicted, measured, answers, reason=None, ax=None):
    """Draw how many of the `answers` are lost, against the spread of their random delays.

    predicted, measured: dicts from the spread in seconds to a number; measured is None where there is no LAN
    """
    ax = axes(ax)
    ax.plot([s * 1e3 for s in predicted], list(predicted.values()), "--", color=PURPLE, label="predicted")
    if measured is not None:
        ax.plot([s * 1e3 for s in measured], list(measured.values()), "o", color=BLUE, markersize=9, label="measured")
    ax.set(xlabel="answers are spread over ... ms", ylabel=f"answers lost, of {answers}")
    ax.set_title(titled("How many answers are lost", measured, reason))
    ax.set_ylim(-0.5, answers)
    ax.legend(loc="upper right")
    return ax


def describe_losses(predicted, measured, answers):
    """Return the text twin of `losses`: a line for each spread."""
    lines = []
    for spread, lost in (measured or predicted).items():
        how = "" if measured else " (predicted)"
        fate = f"kept {answers - lost} + dropped {lost} = {answers}"
        lines.append(f"spread over {spread * 1e3:3.0f} milliseconds: {fate}{how}, some were lost: {lost > 0}")
    return "\n".join(lines)
