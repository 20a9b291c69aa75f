"""The pictures of lesson 2-3; those of fragments are in `plots_of_fragments`.

Each draws on an Axes and returns its words. What is predicted is hollow or dashed.
"""

import numpy as np
from matplotlib.patches import Rectangle

from udplab.kit.picture import BLUE, GREEN, GREY, PURPLE, RED, below, hollow_and_full, resize, your_line
from udplab.kit.sockets import HEADERS
from udplab.mtu import experiments, probing

# --- The path, and a datagram on it ---


def hops(ax, mtus):
    """Draw a path: hosts as boxes, and links with their MTU."""
    resize(ax, 8, 1.4)
    half = boxes(ax, mtus)
    ax.set(xlim=(-half - 0.1, len(mtus) + half + 0.1), ylim=(-0.4, 0.7))
    names = [*(f"router{number}" for number in range(1, len(mtus))), "server"]
    ends = zip(["client", *names], names, mtus, strict=False)
    return "\n".join(f"{start} to {end}: MTU {limit}" for start, end, limit in ends)


def boxes(ax, mtus):
    """Draw the hosts, from x = 0 on, and the links; return half of a box's width, in links."""
    names = ["client", *(f"router{number}" for number in range(1, len(mtus))), "server"]
    half = 0.16 + 0.02 * len(mtus)
    for place, name in enumerate(names):
        ends = place in (0, len(mtus))
        ax.add_patch(Rectangle((place - half, -0.3), 2 * half, 0.6, facecolor="white" if ends else "#EEEEEE",
                               edgecolor=GREY, linewidth=2, zorder=2))  # fmt: skip
        ax.text(place, 0, name, ha="center", va="center", zorder=3)
    for link, limit in enumerate(mtus):
        ax.plot([link + half, link + 1 - half], [0, 0], color=GREY, linewidth=3, zorder=1)
        ax.text(link + 0.5, 0.2, f"MTU {limit}", ha="center", va="bottom", fontweight="bold")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return half


def count(pieces):
    """Return how many pieces there are, in words."""
    return {0: "nothing", 1: "in one piece"}.get(len(pieces), f"{len(pieces)} fragments")


# --- Sends, one after another ---

MARKS = {  # (outcome, arrived) -> mark, colour, words
    (experiments.SENT, True): ("o", GREEN, "sent, received"),
    (experiments.SENT, False): ("X", RED, "sent, lost"),
    (experiments.TOO_BIG, False): ("s", PURPLE, "error: over the belief"),
    (experiments.OLD_NEWS, False): ("^", BLUE, "error: old news"),
}


def send_by_send(ax, mtus, compared, you=None):
    """Draw what became of each `experiments.Send`, and what the kernel believed after it.

    you: the learner's guess of the belief at the end, in bytes
    """
    resize(ax, 8, 4.6)
    predicted, measured = compared.predicted, [] if compared.alone else compared.measured
    for number, limit in enumerate(mtus, start=1):
        ax.axhline(limit, color=GREY, linestyle=":", linewidth=1.5)
        ax.text(
            1.01, limit, f"link {number}:\nMTU {limit}", transform=ax.get_yaxis_transform(), va="center", fontsize=11
        )
    _beliefs(ax, mtus[0], predicted, color=GREY, linestyle="--", label="belief (predicted)")
    if measured:
        _beliefs(ax, mtus[0], measured, color="black", linewidth=1.2, label="belief (measured)")
    hollow = {"markerfacecolor": "white", "markersize": 17 if measured else 11, "zorder": 3}
    _marks(ax, predicted, not measured, hollow)
    _marks(ax, measured, True, {"markersize": 9, "zorder": 4})
    for number, send in enumerate(compared.result, start=1):
        if send.pieces > 1:
            ax.annotate(f"{send.pieces} pieces", (number, send.size + HEADERS), (0, -14), textcoords="offset points",
                        ha="center", va="top", fontsize=11)  # fmt: skip
    your_line(ax, you, f"{you}")
    numbers = range(1, len(predicted) + 1)
    ax.set(xlim=(0.5, len(predicted) + 0.5), xticks=numbers, ylabel="packet in bytes (payload + 28)")
    ax.set_xticklabels([f"send {n}\n{send.size} bytes" for n, send in zip(numbers, predicted, strict=True)])
    ax.set_title(compared.title("What becomes of each send"))
    low, high = min(*mtus, *(send.size + HEADERS for send in predicted)), max(mtus)
    ax.set_ylim(low - 0.25 * (high - low) - 10, high + 0.25 * (high - low) + 10)
    places = sorted({*mtus, *(send.size + HEADERS for send in predicted)}, reverse=True)
    ax.set_yticks(
        [at for at, above in zip(places, [2 * high, *places], strict=False) if above - at > (high - low) / 15]
    )
    below(ax, hollow_and_full() if measured else [])
    lines = _table(compared.how, compared.result)
    if measured and measured != predicted:
        lines += _table("predicted", predicted)
    return "\n".join([*lines, compared.verdict])


def _marks(ax, results, named, look):
    """Draw a mark for each send, by what became of it; named: whether the legend says which is which."""
    for key, (mark, colour, words) in MARKS.items():
        at = [n for n, send in enumerate(results, start=1) if (send.outcome, send.arrived) == key]
        if at:
            sizes = [results[n - 1].size + HEADERS for n in at]
            ax.plot(at, sizes, mark, color=colour, markeredgewidth=2, label=words if named else None, **look)


def _beliefs(ax, first, results, **look):
    """Draw the belief before the first send and after each one, as steps."""
    beliefs = [first, *(send.believed for send in results)]
    ax.step(np.arange(len(beliefs)) + 0.5, beliefs, where="post", **look)


def _table(how, results):
    """Return the lines of a table of sends."""
    lines = [f"{how:9}  size  send()                  received         belief after it"]
    for number, send in enumerate(results, start=1):
        got = "no" if not send.arrived else "yes" if send.pieces == 1 else f"yes, {send.pieces} pieces"
        lines.append(f"{number:9} {send.size:5}  {send.outcome:23} {got:16} {send.believed}")
    return lines


# --- Probing ---

OUTCOMES = {
    probing.CONFIRMED: ("o", GREEN),
    probing.LOST: ("X", RED),
    probing.REFUSED: ("s", PURPLE),
}


def search(ax, compared, you=None):
    """Draw a `probing.Search` step by step; the band is what is still possible.

    you: the learner's guess of the number of steps
    """
    resize(ax, 8, 4.4)
    steps = compared.result.steps
    numbers = np.arange(1, len(steps) + 1)
    later = [step.size for step in steps[1:]]
    span = max(later) - min(later)
    bottom, top = min(later) - 0.62 * span, max(later) + 0.3 * span
    heights = [min(later) - 0.25 * span, *later]  # the first step is far below: it stands at the edge
    ax.fill_between(numbers, [max(step.low, bottom) for step in steps], [min(step.high, top) for step in steps],
                    step="post", color="#DDDDDD", label="still possible after this step")  # fmt: skip
    if not compared.alone:
        ahead = [heights[0], *(step.size for step in compared.predicted.steps[1:])]
        ax.plot(np.arange(1, len(ahead) + 1), ahead, "D", color=GREY, markersize=15, markerfacecolor="none",
                label="predicted")  # fmt: skip
    look = {"markerfacecolor": "white", "markeredgewidth": 2} if compared.alone else {}
    for outcome, (mark, colour) in OUTCOMES.items():
        at = [n for n in numbers if steps[n - 1].outcome == outcome]
        if at:
            ax.plot(at, [heights[n - 1] for n in at], mark, color=colour, markersize=10, label=outcome, **look)
    for n, step, height in zip(numbers, steps, heights, strict=True):
        text = str(step.size) if n > 1 else f"{step.size}\n↓"
        under = step.outcome == probing.CONFIRMED
        ax.annotate(text, (n, height), (0, -13 if under else 11), textcoords="offset points", ha="center",
                    va="top" if under else "bottom", fontsize=10.5)  # fmt: skip
    your_line(ax, you, f"{you} steps", axis="x")
    ax.set(xlabel="step", ylabel="payload in bytes", xticks=numbers, ylim=(bottom, top))
    ax.set_title(compared.title("The search, step by step"))
    below(ax)
    return f"{probing.report(compared.result)}\n{compared.verdict}"


# --- Whom to believe? ---

WAYS = {"listing": ("s", RED, -0.25), "told": ("^", PURPLE, 0.0), "probed": ("o", GREEN, 0.25)}  # mark, colour, place


def claims(ax, compared):
    """Draw for several paths what each way of asking says (`experiments.Claims`), beside the truth.

    The sizes stand side by side in order, not to scale: so 1280, 1400 and 1500 are apart, and 9000 has room.
    """
    results = compared.result
    resize(ax, 8, 1.7 + 0.55 * len(results))
    sizes = sorted({getattr(each, way) for each in [*results, *compared.predicted] for way in (*WAYS, "true")})
    for row, (ahead, result) in enumerate(zip(compared.predicted, results, strict=True)):
        if row % 2:
            ax.axhspan(row - 0.5, row + 0.5, color="#F4F4F4", zorder=0)
        at = sizes.index(result.true)
        ax.plot([at, at], [row - 0.42, row + 0.42], color="black", linewidth=2, label=None if row else "true", zorder=2)
        for way, (mark, colour, place) in WAYS.items():
            named = None if row else way
            ax.plot(sizes.index(getattr(ahead, way)), row + place, mark, color=colour, markersize=11,
                    markerfacecolor="white", zorder=3, label=named if compared.alone else None)  # fmt: skip
            if not compared.alone:
                ax.plot(sizes.index(getattr(result, way)), row + place, mark, color=colour, markersize=6, zorder=4,
                        label=named)  # fmt: skip
    names = [", ".join(map(str, result.links)) + ("\n(black hole)" if result.black_hole else "") for result in results]
    ax.set_yticks(range(len(results)), names)
    ax.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    ax.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(len(results) - 0.5, -0.5), ylabel="links of the path")
    ax.set_xlabel("packet in bytes (in order, not to scale)")
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.set_title(compared.title("Which MTU?"))
    below(ax, [] if compared.alone else hollow_and_full())
    lines = ["links, black hole?            listing   told  probed   true"]
    for each in results:
        links = ", ".join(map(str, each.links)) + (", black hole" if each.black_hole else "")
        lines.append(f"{links:28} {each.listing:8} {each.told:6} {each.probed:7} {each.true:6}")
    return "\n".join([*lines, compared.verdict])
