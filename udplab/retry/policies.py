"""Policies: generators of waits, in seconds. When one ends, the client gives up."""


def exponential(first=0.1, limit=2.0):
    """Yield `first` and its doubles, as far as they do not exceed `limit`: the listing's 0.1, 0.2, 0.4, 0.8, 1.6."""
    delay = first
    while 0 < delay <= limit:  # a first wait of 0 would stay 0 for ever
        yield delay
        delay *= 2


def fixed(delay=0.1, tries=5):
    """Yield the same wait `tries` times."""
    for _ in range(tries):
        yield delay


def full_jitter(rng, first=0.1, limit=2.0):
    """Yield random waits between 0 and those of `exponential` (M. Brooker, "Exponential Backoff And Jitter", 2015)."""
    for delay in exponential(first, limit):
        yield rng.uniform(0, delay)


def internet(first=1.0, limit=16.0):
    """Yield the waits for a network that is unknown: 1 s at least, doubled (RFC 8085, sections 3.1.1 and 3.1.3)."""
    return exponential(max(first, 1.0), limit)


class Budget:
    """A retry budget, kept in a token bucket: so that many questions in vain do not become many more.

    Each question puts a share of a coin in, each further send of a question takes a whole one out. An empty bucket
    means: not again. (M. Brooker, "Fixing retries with token buckets and circuit breakers", 2022, pays for answers.)

    share: coins that a question puts in; most: how many the bucket holds. It is full at first.
    """

    def __init__(self, share=0.1, most=10):
        self.share, self.most, self.coins = share, most, most

    def delays(self, waits):
        """Yield the waits of a policy (seconds), as long as there are coins."""
        self.coins = min(self.coins + self.share, self.most)
        for number, wait in enumerate(waits):
            if number > 0:
                if self.coins < 1:
                    return
                self.coins -= 1
            yield wait


class Rto:
    """A wait that follows the round trips: the retransmission timeout of TCP (RFC 6298), in seconds.

    granularity: the step of the clock; lowest, highest: bounds. The RFC says that it SHOULD be 1 s at least (section
    2.4; Linux' TCP takes 0.2 s), and that a highest value is 60 s at least.
    """

    def __init__(self, granularity=0.001, lowest=1.0, highest=60.0):
        self.granularity, self.lowest, self.highest = granularity, lowest, highest
        self.smoothed = self.variation = None
        self.value = 1.0  # section 2.1: nothing is known yet

    def sample(self, round_trip, sends=1):
        """Learn from a round trip (seconds) of a question that was sent `sends` times; return the new value.

        After a second send nobody knows which one was answered: no sample (Karn's rule, section 3).
        """
        if sends > 1:
            return self.value
        if self.smoothed is None:
            self.smoothed, self.variation = round_trip, round_trip / 2
        else:
            self.variation += (abs(self.smoothed - round_trip) - self.variation) / 4
            self.smoothed += (round_trip - self.smoothed) / 8
        margin = max(self.granularity, 4 * self.variation)
        self.value = min(max(self.smoothed + margin, self.lowest), self.highest)
        return self.value

    def delays(self, tries=5):
        """Yield the value and double it after each wait in vain (section 5.5); it stays so until the next sample."""
        for _ in range(tries):
            yield self.value
            self.value = min(2 * self.value, self.highest)
