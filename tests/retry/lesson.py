"""Lesson 2-2, for the tests that go through all lessons."""

from udplab.retry import experiments, panel, plots, plots_of_many, policies

NOTEBOOK = "2-2-retry.ipynb"
NEEDS_LAN = False


def asked(loss, first=0.1, limit=2.0):
    """Return the `Trial` of one question through a network that loses `loss` of what is sent."""
    return experiments.asked(1, list(policies.exponential(first, limit)), loss)[0]


def tries(ax, *settings):
    trial = asked(*settings)
    return plots.tries(ax, trial.outcome, trial.fates)


def of_policies(ax):
    names = ("exponential", "fixed", "full jitter", "internet", "mine")
    results = {name: [asked(0)] for name in names}
    return plots_of_many.policies(ax, results, dict(zip(names, (5, 31, 5, 5, 2), strict=True)))


def herd(ax, sizes):
    each = experiments.Herd(0.01, sizes, [], 0, 0)
    return plots_of_many.herd(ax, {"without jitter": each, "with jitter": each})


def adaptive(ax, delays):
    track = experiments.follow(delays, policies.Rto(lowest=0))
    return plots_of_many.adaptive(ax, delays, track, track, 0.01, delays)


def give_up(ax, **options):
    return plots_of_many.give_up(ax, {0: 0, 0.5: 31, 1: 1000}, {0: 0, 0.5: 237, 1: 1000}, 1000, 5, **options)


WAITS = list(policies.exponential())
PLOTS = {
    "tries": lambda ax: tries(ax, 0.6, 0.1, 2),
    "tries, none answered": lambda ax: tries(ax, 1, 0.1, 2),
    "tries, many": lambda ax: tries(ax, 1, 0.05, 16),
    "tries, at once": lambda ax: tries(ax, 0, 0.01, 0.16),
    "schedule": lambda ax: plots.schedule(ax, WAITS, asked(0.6).outcome),
    "schedule, none answered": lambda ax: plots.schedule(ax, WAITS, asked(1).outcome, you=2000),
    "schedule, a tenth": lambda ax: plots.schedule(
        ax, list(policies.exponential(0.01, 0.2)), asked(1, 0.01, 0.2).outcome, you=310
    ),
    "silences": lambda ax: plots.silences(ax, {"silent": asked(1).outcome, "dead port": asked(1).outcome}),
    "how often sent": lambda ax: plots_of_many.how_often(ax, [asked(0.5)] * 1000, 0.5, 5),
    "how often sent, all fail": lambda ax: plots_of_many.how_often(ax, [asked(1)] * 10_000, 1, 9, you=5000),
    "give up": give_up,
    "give up, guessed": lambda ax: give_up(ax, you=6),
    "policies": of_policies,
    "herd": lambda ax: herd(ax, [0] * 10 + [100] + [0] * 19 + [81] + [0] * 39 + [62] + [0] * 79 + [43]),
    "herd, small": lambda ax: herd(ax, [1] * 10),
    "adaptive": lambda ax: adaptive(ax, [0.002] * 30 + [0.015] * 30 + [0.002] * 30),
    "adaptive, slow": lambda ax: adaptive(ax, [1.0, 0.1, 3.0]),
}
PLAYGROUNDS = {
    "2-2, first settings": (panel.questions, {}),
    "2-2, all is lost": (panel.questions, {"loss": 100, "answer_loss": 100}),
    "2-2, nothing is lost": (panel.questions, {"loss": 0, "first": 2, "limit": 16}),
    "2-2, most tries": (panel.questions, {"loss": 100, "first": 0.05, "limit": 16}),
    "2-2, longest waits": (panel.questions, {"loss": 99, "first": 2, "limit": 16, "jitter": True}),
    "2-2, fixed": (panel.questions, {"name": "fixed", "loss": 90, "answer_loss": 50}),
    "2-2, herd": (panel.herds, {}),
    "2-2, large herd": (panel.herds, {"clients": 300, "capacity": 1, "jitter": 50}),
    "2-2, adaptive": (panel.adaptive, {}),
    "2-2, adaptive, down": (panel.adaptive, {"one": 20, "two": 1, "fixed": 60}),
}

PROGRAMS = {
    "server": ["server", "127.0.0.1"],
    "client": ["client", "127.0.0.1"],
    "hosts": [["client"], ["server"]],  # to each, a strange HOST is appended
}


def id_comes_back(number):
    """Return a question with a request ID, and the start of its answer."""
    token = b"id=%016x: " % number
    return token + b"probe", token + b"Your data was 5 bytes long"


IMPORTS = "import random\nfrom udplab.retry.listing import forgetful, respond\n"
NETWORK = "from udplab.retry.lossy import BadNetwork\nnetwork = BadNetwork(.1, .1, duplicate=.3, reorder=.3, seed=1)\n"
FLOODED = {
    "listing": (IMPORTS + "server = Server(respond)", id_comes_back),
    "that loses half": (IMPORTS + "server = Server(forgetful(respond, random.Random(1)))", id_comes_back),
    "behind a bad network": (IMPORTS + NETWORK + "server = Server(respond, make_socket=network.socket)", id_comes_back),
}

BROWSER = {  # the first playground of the lesson is that of the herd
    "control": "jitter (0 to 100 %)",
    "moved": "jitter ",
    "guess": ("guess-end", "400", "schedule-plot", "gives up at 400 ms"),
    "exercise": ("exercise-odds", "0.28", "Not yet.", "(1 - 0.9 * 0.8) ** 3"),
    "picture": None,
}
