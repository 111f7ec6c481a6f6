# SPDX-License-Identifier: GPL-2.0-or-later
"""results - samples, and what they say together: medians, spreads, ratios of paired rounds."""
from dataclasses import asdict, dataclass, field

from statistics import median

MORE_IS_BETTER = ("MB/s", "1/s", "x")


@dataclass
class Sample:
    """One measured work in one round. Times in seconds, steal in per cent."""

    section: str
    scenario: str
    work: str
    system: str
    round: int
    value: float
    unit: str
    seconds: float = 0.0
    nbytes: int = 0
    steal: float = 0.0
    cpu: dict = field(default_factory=dict)
    series: tuple = None  # name of a curve, and the place on it
    clean: bool = True
    locks: dict = None  # {kind: (waits, ns)} of the daemon, kinds that were waited for; None: not known

    def key(self):
        return self.section, self.scenario, self.work


@dataclass
class Summary:
    """All rounds of one work on one system."""

    unit: str
    median: float
    low: float
    high: float
    seconds: float  # median wall time
    cpu: dict  # median CPU seconds, per GiB where bytes are known
    per_gib: bool
    steal: float  # the highest among those that count
    clean: int  # rounds that count
    rounds: int
    series: tuple = None
    lock_ms: float = None  # median of the time that the daemon's threads waited for locks; None: not known
    lock_most: str = ""  # the kind that most of it was spent on


def lock_summary(samples):
    """Median ms of all kinds together, and the kind with the largest sum."""
    if all(s.locks is None for s in samples):
        return None, ""
    sums = {}
    for s in samples:
        for kind, (_, ns) in (s.locks or {}).items():
            sums[kind] = sums.get(kind, 0) + ns
    total = median(sum(ns for _, ns in (s.locks or {}).values()) for s in samples)
    return total / 1e6, max(sums, key=sums.get) if sums else ""


class Results:
    """Samples by work and system. Rounds with too much steal count only where no other one exists."""

    def __init__(self, samples):
        self.by_key = {}
        for sample in samples:
            self.by_key.setdefault(sample.key(), {}).setdefault(sample.system, []).append(sample)

    def keys(self):
        return list(self.by_key)

    def systems(self, key):
        return list(self.by_key.get(key, {}))

    def counting(self, key, system):
        samples = self.by_key.get(key, {}).get(system, [])
        return [s for s in samples if s.clean] or samples

    def summary(self, key, system):
        """The Summary, or None when it was not measured."""
        samples = self.counting(key, system)
        if not samples:
            return None
        values = [s.value for s in samples]
        gib = samples[0].nbytes / (1 << 30)
        cpu = {who: median(s.cpu.get(who, 0.0) for s in samples) / (gib or 1.0) for who in samples[0].cpu}
        lock_ms, lock_most = lock_summary(samples)
        return Summary(unit=samples[0].unit, median=median(values), low=min(values), high=max(values),
                       seconds=median(s.seconds for s in samples), cpu=cpu, per_gib=gib > 0,
                       steal=max(s.steal for s in samples), clean=sum(s.clean for s in samples),
                       rounds=len(self.by_key[key][system]), series=samples[0].series, lock_ms=lock_ms, lock_most=lock_most)

    def ratios(self, key, system, other, other_key=None):
        """Value by value for each round; rounds without a partner are left out."""
        ours = {s.round: s.value for s in self.counting(key, system)}
        theirs = {s.round: s.value for s in self.counting(other_key or key, other)}
        return [ours[nr] / theirs[nr] for nr in ours if theirs.get(nr)]

    def ratio(self, key, system, other, other_key=None):
        """Median of ratios(). None: nothing to compare."""
        ratios = self.ratios(key, system, other, other_key)
        return median(ratios) if ratios else None

    def speed(self, key, system, other):
        """How many times as fast (or as small) as the other one: above 1 is better, whatever the unit."""
        ratio = self.ratio(key, system, other)
        if ratio is None or self.counting(key, system)[0].unit in MORE_IS_BETTER:
            return ratio
        return 1.0 / ratio if ratio else None

    def as_json(self):
        return [asdict(s) for systems in self.by_key.values() for samples in systems.values() for s in samples]
