"""What theory says about trying again: the schedule, and the odds when each try fails by chance.

The tries are taken as independent: each fails with the same probability, whatever became of the others. A list of
delays stands for the policy, for example `list(retry.exponential())`.
"""

import math
from itertools import accumulate


def schedule(delays):
    """Return (times of the sends, time of the give-up), in seconds after the first send."""
    ends = list(accumulate(delays))
    return [0.0, *ends[:-1]], ends[-1]


def failure(loss, answer_loss=0.0):
    """Return the probability that a try fails: the request is lost, or it arrives and the answer is lost."""
    return 1 - (1 - loss) * (1 - answer_loss)


def sends(fail, tries):
    """Return {k: probability that a client sends k times}. The last k counts those that give up too."""
    odds = {k: fail ** (k - 1) * (1 - fail) for k in range(1, tries)}
    return odds | {tries: fail ** (tries - 1)}


def give_up(fail, tries):
    """Return the probability that all tries fail."""
    return fail**tries


def give_up_in_bursts(loss, delays, burst):
    """Return the probability that all tries fail where losses come in bursts (seconds, on average).

    Good and bad times follow one another by chance, as in `lossy.BadNetwork`. The tries are not independent there:
    how likely one fails after another did falls from 1 to `loss` with the time between them.
    """
    chance = loss
    for delay in delays[:-1]:
        chance *= loss + (1 - loss) * math.exp(-delay / (burst * (1 - loss)))
    return chance


def mean_sends(fail, tries):
    """Return how many times a client sends on average."""
    return sum(k * share for k, share in sends(fail, tries).items())


def mean_wait(fail, delays):
    """Return how many seconds a client waits in vain on average; one that gives up counts with all its waits.

    The k-th wait is in vain if the first k tries fail.
    """
    return sum(delay * fail**k for k, delay in enumerate(delays, 1))


def interval(chance, count):
    """Return (lowest, highest) number of hits among `count` that chance explains: outside of it lies 1 % at most."""
    if chance in (0, 1):
        return count * chance, count * chance
    tail = 0.005  # of the binomial distribution, on each side
    return _edge(chance, 1 - chance, count, tail), count - _edge(1 - chance, chance, count, tail)


def _edge(hit, miss, count, tail):
    """Return the lowest k for which at most `tail` of the binomial distribution lies below k.

    hit, miss: the probabilities of the two, both above 0, though a tiny one may leave exactly 1 for the other
    """
    below = 0.0
    for k in range(count + 1):
        ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        below += math.exp(ways + k * math.log(hit) + (count - k) * math.log(miss))
        if below > tail:
            return k
    return count
