# SPDX-License-Identifier: GPL-2.0-or-later
"""picture - what the bench shows, described for `ztmpfsctl draw`: bars for systems, and curves for cost against size."""
import subprocess

from ztbench.bars import STREAM, TREE
from ztbench.report import number
from ztbench.results import MORE_IS_BETTER

# draw's colours: 0 to 5, and 6 is grey
COLOURS = {"ztmpfs": 0, "zram-ext4": 1, "zstd1": 2, "accel": 3, "cluster4k": 4, "never": 5, "zram-xfs": 1, "btrfs-zstd": 3, "btrfs-lzo": 5}
GREY = 6
COLUMNS = 3
WIDTH, NAMES = 330, 90  # pixels: of a chart; of the names before its bars
UNITS = {"x": "times", "1/s": "requests/s", "us": "us"}
BAR_MOST = 2.5  # times the bar; what is beyond is cut

# The README's picture: title, work. What a tmpfs holds needs no measurement.
HELD = "content / memory held"
FRONT = (
    ("Memory: one large file", STREAM + (HELD,)),
    ("Memory: a tree of files", TREE + (HELD,)),
    ("A large file written, with sync", STREAM + ("write",)),
    ("A large file read, caches dropped", STREAM + ("read, cold",)),
    ("4 KiB random writes, with fsync", ("random", "buffered, 1 job", "write, with fsync")),
    ("A tree unpacked, with sync", TREE + ("untar, with sync",)),
)
FRONT_NAMES = {"ztmpfs": "ztmpfs", "zram-ext4": "zram + ext4", "tmpfs": "tmpfs"}
FRONT_UNITS = {"x": "content for each byte of memory", "MB/s": "MB/s", "1/s": "requests/s", "s": "seconds"}


class Description:
    """Lines of words with tabs between them."""

    def __init__(self, title, columns, width=WIDTH, names=NAMES):
        self.lines = []
        self.charts = 0
        self.add("picture", title, columns, width, names)

    def add(self, *words):
        self.lines.append("\t".join(" ".join(str(word).split()) for word in words))

    def chart(self, kind, title, note):
        self.charts += 1
        self.add("chart", kind, title, note)

    def bar(self, name, colour, value, low=0, high=0, words=""):
        self.add("series", name, colour)
        self.add("point", 0, "%.9g" % value, "%.9g" % low, "%.9g" % high, words)

    def text(self):
        return "\n".join(self.lines) + "\n"


def draw(description, program, path):
    """Return: whether there was something to draw. program: ztmpfsctl."""
    if not description.charts:
        return False
    with open(path, "w", encoding="utf-8") as f:
        subprocess.run([program, "draw"], input=description.text(), stdout=f, text=True, check=True)
    return True


def better(unit):
    return "more" if unit in MORE_IS_BETTER else "less"


def add_bars(d, results, key):
    rows = [(system, results.summary(key, system)) for system in results.systems(key)]
    unit = rows[0][1].unit
    d.chart("bars", key[2], "%s, %s; %s, %s is better" % (key[0], key[1], UNITS.get(unit, unit), better(unit)))
    for system, s in rows:
        low, high = (s.low, s.high) if s.high > s.low else (0, 0)
        d.bar(system, COLOURS.get(system, GREY), s.median, low, high, number(s.median) + ("" if s.clean else " *"))


def works(results, caption, chosen=None):
    """A chart for each work, or for the chosen ones, and one for each curve."""
    d = Description(caption, COLUMNS)
    curves = {}
    for key in results.keys():
        if chosen is not None and key not in chosen:
            continue
        of_curve = False
        for system in results.systems(key):
            s = results.summary(key, system)
            if s.series:
                of_curve = True
                curves.setdefault(s.series[0], {}).setdefault(system, []).append((s.series[1], s.median))
        if not of_curve:
            add_bars(d, results, key)
    for title, systems in curves.items():
        d.chart("lines", title, "less is better")
        d.add("axis", "x", "log", "size")
        d.add("axis", "y", "log", "cost")
        for system, points in systems.items():
            d.add("series", system, COLOURS.get(system, GREY))
            for x, y in sorted(points):
                d.add("point", x, "%.9g" % y)
    return d


def bars(all_bars, caption):
    """Each bar as far as it was reached: the line is where all of them should be, whatever is asked for."""
    d = Description(caption, 1, 1000, 440)
    todo = [bar for bar in all_bars if bar.share() is not None]
    if todo:
        d.chart("bars", "Goals, and how far they are reached", "beyond the line: reached")
        d.add("mark", 1, "the goal")
    for bar in todo:
        figures = "%.2f, %s %.2f" % (bar.measured, bar.sense, bar.need)
        d.bar(bar.work, 2 if bar.reached() == "yes" else 5, min(bar.share(), BAR_MOST), words=figures)
    return d


def front(results, caption):
    """Beside tmpfs and zram; works that were not measured on both ztmpfs and zram are left out."""
    d = Description(caption, COLUMNS, 300, 84)
    for title, key in FRONT:
        found = {system: results.summary(key, system) for system in FRONT_NAMES}
        if found["ztmpfs"] is None or found["zram-ext4"] is None:
            continue
        values = {system: s.median for system, s in found.items() if s is not None}
        if key[2] == HELD:
            values["tmpfs"] = 1.0
        unit = found["ztmpfs"].unit
        d.chart("bars", title, "%s, %s is better" % (FRONT_UNITS.get(unit, unit), better(unit)))
        for system, name in FRONT_NAMES.items():
            if system in values:
                d.bar(name, COLOURS.get(system, GREY), values[system], words=number(values[system]))
    return d
