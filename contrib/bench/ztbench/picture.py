# SPDX-License-Identifier: GPL-2.0-or-later
"""picture - an SVG with a panel for each work: bars for systems, or curves for cost against size."""
import math
from xml.sax.saxutils import escape

from ztbench.report import number
from ztbench.results import MORE_IS_BETTER

COLUMNS = 3
WIDTH = 400  # of a panel
GAP = 24
ROW = 18
HEAD = 44
NAME = 92  # room for the names of systems
VALUE = 62  # room for the figures behind bars
CURVE_HEIGHT = 230
LEGEND_ROW = 16
COLOURS = {
    "ztmpfs": "#1f6fb4", "zstd1": "#4a90c8", "cluster4k": "#76b0dc", "never": "#9cc7e6", "accel": "#5b7fa8",
    "null": "#8a8a8a", "null4k": "#ababab", "tmpfs": "#4c9a4c", "zram-ext4": "#d0722c", "zram-xfs": "#e29a5f",
    "btrfs-zstd": "#8d5fb0", "btrfs-lzo": "#b491cd",
}
UNITS = {"x": "times", "1/s": "requests/s", "us": "us"}


class Svg:
    """Elements in the order in which they were drawn."""

    def __init__(self):
        self.elements = []

    def text(self, x, y, words, size=12, anchor="start", weight="normal", colour="#222"):
        self.elements.append('<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" font-weight="%s" fill="%s">%s</text>' % (
            x, y, size, anchor, weight, colour, escape(words)))

    def rect(self, x, y, width, height, colour):
        self.elements.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (x, y, max(0.5, width), height, colour))

    def line(self, x1, y1, x2, y2, colour="#bbb", width=1.0):
        self.elements.append('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%.1f"/>' % (
            x1, y1, x2, y2, colour, width))

    def polyline(self, points, colour):
        self.elements.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>' % (
            " ".join("%.1f,%.1f" % point for point in points), colour))
        for x, y in points:
            self.elements.append('<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>' % (x, y, colour))

    def document(self, width, height):
        return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
                'font-family="sans-serif">\n<rect width="100%%" height="100%%" fill="#fff"/>\n%s\n</svg>\n' % (
                    width, height, width, height, "\n".join(self.elements)))


def colour(system):
    return COLOURS.get(system, "#555")


def fit(words, width, size):
    """Words shortened to a width; 0.6 of the size is what a letter of a sans-serif face takes at most on average."""
    most = int(width / (0.6 * size))
    return words if len(words) <= most else words[:most - 1] + "…"


class BarPanel:
    """One work: a bar for each system, with a whisker from the lowest to the highest round."""

    def __init__(self, results, key):
        self.title = key[2]
        self.rows = [(system, results.summary(key, system)) for system in results.systems(key)]
        unit = self.rows[0][1].unit
        self.note = "%s, %s; %s, %s is better" % (key[0], key[1], UNITS.get(unit, unit),
                                                 "more" if unit in MORE_IS_BETTER else "less")
        self.height = HEAD + ROW * len(self.rows) + 8

    def draw(self, svg, x, y):
        svg.text(x, y + 14, fit(self.title, WIDTH, 13), 13, weight="bold")
        svg.text(x, y + 31, fit(self.note, WIDTH, 11), 11, colour="#666")
        room = WIDTH - NAME - VALUE
        scale = room / max(max(s.high for _, s in self.rows), 1e-9)
        for i, (system, s) in enumerate(self.rows):
            top = y + HEAD + i * ROW
            svg.text(x + NAME - 6, top + 12, system, 11, "end")
            svg.rect(x + NAME, top + 2, s.median * scale, ROW - 5, colour(system))
            if s.high > s.low:
                middle = top + ROW / 2 - 0.5
                svg.line(x + NAME + s.low * scale, middle, x + NAME + s.high * scale, middle, "#222", 1.2)
            svg.text(x + NAME + max(s.median, s.high) * scale + 5, top + 12, number(s.median) + ("" if s.clean else " *"), 11)


class CurvePanel:
    """Cost against size: a curve for each system, both axes logarithmic."""

    def __init__(self, title, curves):
        self.title = title
        self.curves = curves  # {system: [(x, y)]}
        self.height = HEAD + CURVE_HEIGHT + 20 + LEGEND_ROW * math.ceil(len(curves) / 4) + 8

    def draw(self, svg, x, y):
        svg.text(x, y + 14, fit(self.title, WIDTH, 13), 13, weight="bold")
        svg.text(x, y + 31, "less is better; both axes are logarithmic", 11, colour="#666")
        points = [point for curve in self.curves.values() for point in curve]
        x_low, x_high = span([p[0] for p in points], 2)
        y_low, y_high = span([p[1] for p in points], 10)
        left, right, top, bottom = x + 48, x + WIDTH - 14, y + HEAD, y + HEAD + CURVE_HEIGHT

        def place(px, py):
            return (left + (right - left) * share(px, x_low, x_high), bottom - (bottom - top) * share(py, y_low, y_high))

        self.axes(svg, place, (x_low, x_high), (y_low, y_high))
        for system, curve in self.curves.items():
            svg.polyline([place(px, py) for px, py in curve], colour(system))
        for i, system in enumerate(self.curves):
            lx, ly = x + 48 + i % 4 * 88, bottom + 34 + i // 4 * LEGEND_ROW
            svg.rect(lx, ly - 9, 10, 10, colour(system))
            svg.text(lx + 14, ly, system, 11)

    def axes(self, svg, place, x_range, y_range):
        for value in decades(*y_range):
            x1, y1 = place(x_range[0], value)
            x2, _ = place(x_range[1], value)
            svg.line(x1, y1, x2, y1, "#ddd")
            svg.text(x1 - 5, y1 + 4, short(value), 10, "end", colour="#666")
        seen = sorted({p[0] for curve in self.curves.values() for p in curve})
        free = -1e9
        for value in seen:
            px, py = place(value, y_range[0])
            label = short(value)
            if px - 3.5 * len(label) > free:  # labels that would touch the one before are left out
                svg.text(px, py + 14, label, 10, "middle", colour="#666")
                free = px + 3.5 * len(label) + 4


def span(values, factor):
    """A range that holds all values, a factor wide at least, the lower end above zero."""
    low, high = max(min(values), 1e-9), max(max(values), 1e-9)
    while high < low * factor:
        low, high = low / math.sqrt(factor), high * math.sqrt(factor)
    return low, high


def share(value, low, high):
    return (math.log(max(value, low)) - math.log(low)) / (math.log(high) - math.log(low))


def decades(low, high):
    """1, 2 and 5 times powers of ten within a range; only the powers where there are many."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high < low * 200 else (1,)
    return [step * 10.0 ** power for power in powers for step in steps if low <= step * 10.0 ** power <= high]


def short(value):
    """A number for an axis: powers of two as sizes, others with k and M."""
    for factor, unit in ((1 << 30, "Gi"), (1 << 20, "Mi")):
        if value >= factor and value == int(value) and int(value) % factor == 0:
            return "%d%s" % (value // factor, unit)
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return "%g%s" % (value / factor, unit)
    return "%g" % float("%.2g" % value)


def panels(results, chosen):
    """One for each work, and one for each curve; chosen: keys of works, None for all."""
    curves, found = {}, []
    for key in results.keys():
        if chosen is not None and key not in chosen:
            continue
        for system in results.systems(key):
            s = results.summary(key, system)
            if s.series:
                curves.setdefault(s.series[0], {}).setdefault(system, []).append((s.series[1], s.median))
        if not s.series:
            found.append(BarPanel(results, key))
    found += [CurvePanel(title, {name: sorted(points) for name, points in by_system.items()})
              for title, by_system in curves.items()]
    return found


def draw(results, path, caption, chosen=None):
    """Panels of the chosen works or of all, in columns of even height; nothing to draw leaves no file."""
    todo = panels(results, chosen)
    if not todo:
        return False
    svg = Svg()
    columns = min(COLUMNS, len(todo))
    width = columns * (WIDTH + GAP) + GAP
    svg.text(GAP, 30, caption, 13)
    bottoms = [48] * columns
    for panel in todo:
        i = bottoms.index(min(bottoms))
        panel.draw(svg, GAP + i * (WIDTH + GAP), bottoms[i])
        bottoms[i] += panel.height + GAP
    with open(path, "w", encoding="utf-8") as f:
        f.write(svg.document(width, max(bottoms)))
    return True


BAR_TEXT, BAR_ROOM, BAR_FIGURES = 470, 360, 250
BAR_MOST = 2.5  # times the bar; what is beyond is cut


def draw_bars(bars, path, caption):
    """Each bar as far as it was reached: the line is where all of them should be, whatever is asked for."""
    todo = [bar for bar in bars if bar.share() is not None]
    if not todo:
        return False
    svg = Svg()
    svg.text(GAP, 30, caption, 13)
    left, bottom = GAP + BAR_TEXT, 62 + ROW * len(todo)
    for i, bar in enumerate(todo):
        top = 58 + i * ROW
        width = min(bar.share(), BAR_MOST) / BAR_MOST * BAR_ROOM
        svg.text(left - 8, top + 12, fit(bar.work, BAR_TEXT - 8, 11), 11, "end")
        svg.rect(left, top + 2, width, ROW - 5, "#4c9a4c" if bar.reached() == "yes" else "#c0504d")
        figures = "%.2f (%.2f to %.2f), %s %.2f" % (bar.measured, bar.low, bar.high, bar.sense, bar.need)
        svg.text(left + BAR_ROOM + 10, top + 12, figures, 11)
    at = left + BAR_ROOM / BAR_MOST
    svg.line(at, 56, at, bottom, "#222", 1.5)
    svg.text(at, bottom + 14, "the bar", 11, "middle")
    with open(path, "w", encoding="utf-8") as f:
        f.write(svg.document(left + BAR_ROOM + BAR_FIGURES + GAP, bottom + 28))
    return True
