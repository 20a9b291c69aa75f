"""The exercises of lesson 2-2."""

import itertools

from udplab.kit.exercise import Exercise, as_number, number, printed, short
from udplab.kit.paper import Clock, Enough, Paper
from udplab.kit.paper_waits import replacements, swapped
from udplab.kit.words import brief
from udplab.retry import checks, experiments, odds, plots, policies, solutions

WAITS = [0.05, 0.1, 0.2, 0.2, 0.2]


def _policy(policy):
    clock = Clock()
    with swapped(replacements(Paper(clock=clock), clocks=False), getattr(policy, "__globals__", {})):
        try:
            problems = [_waits(policy, policy()) for _ in range(2)]
        except Enough:  # it slept until the clock on paper came to its end
            problems = None
        if problems is None or clock.now > 1e-3:
            return "Your policy sleeps. It only says how long: request() does the waiting, and listens meanwhile."
    if problems[1] and not problems[0]:
        return f"The first question gets the right waits, the second one not: {problems[1]}"
    return problems[0]


def _waits(policy, waits):
    """Return what is wrong with what a policy returned, or None."""
    if not hasattr(waits, "__next__"):
        words = f"it returned {brief(waits)}.{printed(waits, policy)}"
        return f"Expected a generator, that is a function with yield in it, but {words}"
    got = [as_number(wait) for wait in itertools.islice(waits, 20)]
    if None in got:
        return "Expected waits in seconds, each a number, but one of them was something else."
    if len(got) == len(WAITS) and all(abs(a - b) < 1e-6 for a, b in zip(got, WAITS, strict=True)):
        return None
    listed = ", ".join(map(short, got[:8])) + (" ..." if len(got) > 8 else "")
    return f"Expected five waits, 0.05, 0.1 and then three of 0.2 s, but got {listed or 'none'}.{_slip(got)}"


def _slip(got):
    """Return what a policy with these waits got wrong, if it is a usual mistake, or ""."""
    if len(got) == 20:
        return " It never ends: nobody would give up."
    if got and max(got) > 0.2001:
        return " They must never exceed 0.2 s: which function gives the smaller of two numbers?"
    if len(got) == 3:
        return " It ends where it reaches 0.2 s: there it should stay."
    if len(got) != 5:
        return f" That makes {len(got)}."
    return " It should double from the first wait on."


policy = Exercise(
    _policy,
    "Your policy doubles, and stays at its limit instead of giving up there. request() takes it as it is.",
    [
        "A function with yield is a generator: each yield hands out one wait.",
        "A loop of five rounds, a variable that doubles in each, and min(delay, 0.2), which never exceeds 0.2.",
    ],
    solutions.policy,
    "The variable goes on doubling; only what is handed out has the limit.",
    function=True,
)


def _give_up(answer):
    both, fails = odds.failure(0.1, 0.2), 0.1 * 0.2
    value = as_number(answer)
    if value is not None and not 0 <= value <= 1:
        hint = " Percent are hundredths: 5 % is 0.05." if 1 < value <= 100 else ""
        return f"Expected a probability, a number from 0 to 1, but got {short(value)}.{hint}"
    slips = [
        (fails**3, "a try fails if the request is lost or the answer, not only if both are."),
        (
            (0.1 + 0.2) ** 3,
            "you added the two losses; but who has lost the request loses no answer. Multiply what passes.",
        ),
        (1 - (1 - both) ** 3, "that is how likely it is that one try at least fails."),
        ((1 - both) ** 3, "that is how likely it is that all three tries succeed."),
        (1 - both**3, "that is how likely it is that an answer comes."),
        (both, "that is how likely it is that one try fails."),
        (1 - both, "that is how likely it is that one try succeeds."),
        (both * 3, "three tries of three must fail: multiply, do not add."),
        (0.1**3, "the answers get lost too."),
        (0.2**3, "the requests get lost too."),
        (both**2, "there are three tries."),
        (both**4, "there are three tries."),
    ]
    what = "how likely it is that three tries of three fail"
    return number(odds.give_up(both, 3), answer, what, slips, tolerance=6e-5)


give_up = Exercise(
    _give_up,
    "A try succeeds if both pass: 0.9 * 0.8 = 0.72. It fails with 0.28, and three of three fail with 0.28 ** 3.",
    [
        "Begin with one try: what has to go well for it to succeed?",
        "A try succeeds only if the request passes and the answer passes. How likely does it fail? And three times?",
    ],
    solutions.give_up,
    "So two clients of a hundred give up.",
)


deadline = Exercise(
    checks.deadline,
    "The deadline is a point in time, so no flood can move it.",
    [
        "settimeout() counts from each recv anew. What should it count from?",
        "Compute deadline = clock() + 0.5 once, before the loop. In the loop, wait only for deadline - clock(), while "
        "that is more than 0; settimeout makes recv raise TimeoutError.",
    ],
    solutions.ask,
    "startswith and a slice look at the front only: a token anywhere else proves nothing.",
    function=True,
)


def question_to_read():
    """Return the `experiments.Trial` of the exercise `read`: the first that was answered after both kinds of loss."""
    for batch in experiments.ask_often(200, lambda rng: policies.exponential(), 0.5, 0.5, seed=4):
        for trial in batch:
            kinds = [fate.request for fate in trial.fates]
            if trial.outcome.answer is not None and len(kinds) == 4 and 0 < sum(kinds[:-1]) < 3:
                return trial
    raise LookupError("no such question in 200")


def ladder(ax):
    """Draw the question of the exercise `read`. The words say what can be seen, without the two numbers asked for."""
    trial = question_to_read()
    plots.tries(ax, trial.outcome, trial.fates)
    lines = []
    for turn, (attempt, fate) in enumerate(zip(trial.outcome.attempts, trial.fates, strict=True), 1):
        arrow = "reaches the server" if fate.request else "ends before the server"
        back = (
            "" if not fate.request else ", and one comes back" if attempt.answered else ", and one back ends half-way"
        )
        wait = "" if attempt.answered else f"; the client waits {attempt.wait:g} s"
        lines.append(f"try {turn}: an arrow {arrow}{back}{wait}")
    return "\n".join(lines)


def _read(answer):
    try:
        arrived, seconds = answer
    except (TypeError, ValueError):
        return f"Expected a pair such as (1, 0.3), but got {brief(answer)}."
    arrived, seconds = as_number(arrived), as_number(seconds)
    if arrived is None or seconds is None:
        return f"Expected a pair of numbers such as (1, 0.3), but got {brief(answer)}."
    trial = question_to_read()
    sends, right = len(trial.fates), sum(fate.request for fate in trial.fates)
    if arrived != right:
        return f"{short(arrived)} is not the number of requests that arrived. {_miscounted(arrived, sends)}"
    spent, last = experiments.spent(trial.outcome), trial.outcome.attempts[-1].wait
    if abs(seconds - spent) < 0.06:  # the arrows are drawn with a little height
        return None
    slips = [
        (spent + last, "the last wait was not sat out: its answer came at once"),
        (trial.outcome.attempts[-2].wait, "that is one wait: add up all that were sat out"),
        (last, "that is how long the last try might have waited"),
        (spent * 1000, "give seconds, not milliseconds"),
        (0, "the answer came in the last try: which waits were before it?"),
    ]
    why = [words for wrong, words in slips if abs(seconds - wrong) < 0.06] or ["add up the waits before the last try"]
    return f"{short(arrived)} is right. {short(seconds)} s is not when the answer came: {why[0]}."


def _miscounted(arrived, sends):
    """Return a hint for a wrong number of requests, without the right one."""
    if arrived == sends:
        return "That is how often the client sent. Not each arrow gets to the server's line."
    if arrived == 1:
        return "A request whose answer was lost has arrived all the same."
    return "Count the arrows from the client that get to the server's line."


read = Exercise(
    _read,
    "A server may do the same work more than once for one question. So a request should do no harm when repeated.",
    [
        "A request that arrived is an arrow that reaches the server's line, even if the answer to it was lost.",
        "The answer came in the last try. Add up the waits that the client sat out before it.",
    ],
    solutions.read,
    "The first two waits and the third were sat out: 0.1 + 0.2 + 0.4 s; the answer to the fourth request came at once.",
)


once = Exercise(
    checks.once,
    "Each order is executed once, and answered as often as it is asked. This is called at-most-once execution.",
    [
        "A request that comes again has the same token as before. What do you have to keep?",
        "If the token is not in `done`, put the result of work(message) there. Then return what is there.",
    ],
    solutions.once,
    "It asks whether the token is there, not what the answer is: an empty answer counts as false.",
    function=True,
)
