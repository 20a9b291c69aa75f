"""The pictures of lesson 2-4; each draws on the Axes it is given, and returns its words."""

from matplotlib.lines import Line2D

from udplab.broadcast import discovery
from udplab.kit.picture import BLUE, GREEN, GREY, RED, resize

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
            if heard.measured is not None:
                hears = host in heard.measured[row].heard
                ax.plot(column, row, linestyle="", markersize=11 if hears else 9, **(HEARS if hears else SILENT))
            if host in yours.get(labels[row], ()):
                ax.plot(column, row, linestyle="", markersize=17, **YOURS)
    _key(ax, heard.measured is not None, bool(yours))
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
        keys += [("you: hears it", YOURS, 13)]
    handles = [Line2D([], [], linestyle="", markersize=size, label=label, **how) for label, how, size in keys]
    ax.legend(handles=handles, fontsize=11, labelspacing=1.0, **LEGEND)


# --- What it costs ---


def cost(ax, costs, title="What a message costs", you=None):
    """Draw the `Cost`s as bars: frames that leave the sender, and frames that come to a bystander.

    costs: a `Compared` of lists of Costs
    you: a learner's prediction of the frames that come to the bystander at the first unicast
    """
    resize(ax, 8, 3.6)
    wide = 0.36
    bars = (
        (-wide / 2, "leave the sender", BLUE, "", lambda each: each.datagrams + each.questions),
        (wide / 2, "come to a bystander", RED, "//", lambda each: each.bystander),
    )
    for shift, label, colour, hatch, count in bars:
        places = [row + shift for row in range(len(costs.result))]
        drawn = ax.barh(places, [count(each) for each in costs.result], wide, color=colour, hatch=hatch,
                        edgecolor="white", label=f"frames that {label}")  # fmt: skip
        ax.bar_label(drawn, padding=4)
    if you is not None:
        label = f"you: {you:g} to the bystander"
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
