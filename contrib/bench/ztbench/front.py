# SPDX-License-Identifier: GPL-2.0-or-later
"""front - the README's picture: what memory holds and how fast it is, beside tmpfs and zram, on light and dark pages."""
from xml.sax.saxutils import escape

from ztbench.bars import STREAM, TREE
from ztbench.picture import fit
from ztbench.report import number
from ztbench.results import MORE_IS_BETTER

# Systems as a reader knows them, in the order of the bars.
NAMES = {"ztmpfs": "ztmpfs", "zram-ext4": "zram + ext4", "tmpfs": "tmpfs"}
UNITS = {"x": "content for each byte of memory", "MB/s": "MB/s", "1/s": "requests/s", "s": "seconds"}
HELD = "content / memory held"

# Title, work. What a tmpfs holds needs no measurement.
PANELS = (
    ("Memory: one large file", STREAM + (HELD,)),
    ("Memory: a tree of files", TREE + (HELD,)),
    ("A large file written, with sync", STREAM + ("write",)),
    ("A large file read, caches dropped", STREAM + ("read, cold",)),
    ("4 KiB random writes, with fsync", ("random", "buffered, 1 job", "write, with fsync")),
    ("A tree unpacked, with sync", TREE + ("untar, with sync",)),
)

COLUMNS, WIDTH, GAP, HEAD, ROW = 3, 300, 22, 42, 22
LABEL, FIGURE = 82, 56  # room before and behind a bar
# Each colour on a light and on a dark page.
STYLE = """<style>
text { font-family: sans-serif; fill: #24292f }
.note { fill: #57606a } .ztmpfs { fill: #1f6fb4 } .zram-ext4 { fill: #d0722c } .tmpfs { fill: #8c959f }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .note { fill: #9da7b1 } .ztmpfs { fill: #58a6e8 } .zram-ext4 { fill: #e8955a } .tmpfs { fill: #7d8590 }
}
</style>"""


def text(x, y, words, size, more=""):
    return '<text x="%.0f" y="%.0f" font-size="%d"%s>%s</text>' % (x, y, size, more, escape(words))


def rows(results, key):
    """(system, median) for each bar, and the unit; no rows where ztmpfs or zram was not measured."""
    found = {system: results.summary(key, system) for system in NAMES}
    if found["ztmpfs"] is None or found["zram-ext4"] is None:
        return [], ""
    values = {system: s.median for system, s in found.items() if s is not None}
    if key[2] == HELD:
        values["tmpfs"] = 1.0
    return [(system, values[system]) for system in NAMES if system in values], found["ztmpfs"].unit


def panel(title, bars, unit, x, y):
    scale = (WIDTH - LABEL - FIGURE) / max(value for _, value in bars)
    note = "%s, %s is better" % (UNITS.get(unit, unit), "more" if unit in MORE_IS_BETTER else "less")
    out = [text(x, y + 14, fit(title, WIDTH, 14), 14, ' font-weight="bold"'), text(x, y + 31, note, 11, ' class="note"')]
    for i, (system, value) in enumerate(bars):
        top = y + HEAD + i * ROW
        out.append(text(x + LABEL - 8, top + 13, NAMES[system], 12, ' text-anchor="end"'))
        out.append('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>' % (
            system, x + LABEL, top + 1, max(1.0, value * scale), ROW - 6))
        out.append(text(x + LABEL + value * scale + 6, top + 13, number(value), 12))
    return out


def draw(results, path, caption):
    """The panels for which there are results; none leaves no file."""
    todo = [(title,) + rows(results, key) for title, key in PANELS]
    todo = [(title, bars, unit) for title, bars, unit in todo if bars]
    if not todo:
        return False
    height = HEAD + len(NAMES) * ROW + GAP
    out = []
    for i, (title, bars, unit) in enumerate(todo):
        out += panel(title, bars, unit, GAP + i % COLUMNS * (WIDTH + GAP), GAP + i // COLUMNS * height)
    lines = (len(todo) + COLUMNS - 1) // COLUMNS
    width, bottom = COLUMNS * (WIDTH + GAP) + GAP, GAP + lines * height + 8
    out.append(text(GAP, bottom, caption, 11, ' class="note"'))
    with open(path, "w", encoding="utf-8") as f:
        f.write('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">\n%s\n%s\n</svg>\n' % (
            width, bottom + 14, width, bottom + 14, STYLE, "\n".join(out)))
    return True
