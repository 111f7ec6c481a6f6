#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""structure - sizes, parameters, circles and arrows of the sources, held against limits.

A module is a .c file with the header of its name. Module A has an arrow to B when A uses a function that B defines
and that is not static; the inline functions of a header use, but are not counted as used. A circle is a set of modules of which each leads to each other by arrows. An arrow goes
upward when it leads to a folder that LAYERS does not allow to the folder it comes from. Headers are counted as far
as they are internal: those of include/ are not looked at.

  structure.py [ROOT]           says what is over a limit and not in tests/docs/structure-exceptions, and what in there is old
  structure.py --arrows [ROOT]  prints the arrows, one a line
"""
import collections
import os
import re
import sys

LIMITS = {"file": 500, "header": 300, "function": 60, "parameters": 6, "circle": 4, "upward": 0}
WORDS = {
    "file": "lines",
    "header": "lines",
    "function": "lines",
    "parameters": "parameters",
    "circle": "modules",
    "upward": "uses",
}
EXCEPTIONS = "tests/docs/structure-exceptions"

# What a folder of src may call besides itself; ARCHITECTURE.md has the picture. Folders within a folder are free to
# call each other as far as INNER does not say otherwise.
LAYERS = {
    "util": "",
    "image": "util",
    "arena": "util",
    "zsmalloc": "arena util",
    "backends": "",
    "zcomp": "backends util",
    "blkmap": "zcomp zsmalloc arena util",
    "fs": "image blkmap zsmalloc arena util",
    "fuse": "fs util",
    "daemon": "image fuse fs blkmap zcomp zsmalloc arena util",
    "ctl": "fs image zcomp util",  # of fs one header, as check-layers says
}
# Folders within folders, lowest first: each may call those before it, and the files beside them may call all.
INNER = {
    "blkmap": ["spill", "slot", "cluster", "content", "upkeep"],
    "fuse": ["channel"],
}

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
# A definition as this tree writes them: the name at the left, arguments, and "{" alone in column 0.
DEFINITION = re.compile(
    r"^(?!typedef|struct \w+ \{|enum|union)((?:[A-Za-z_][\w \t*()]*?[ \t*])?)([A-Za-z_]\w*)"
    r"\(((?:[^;{}]|\n)*?)\)[^;{}()]*\n\{\n(.*?)^\}",
    re.S | re.M,
)
# Members are no functions, though callbacks may bear the name of one.
STRUCT = re.compile(r"^(?:struct|union|enum)[^;{}()=]*\{\n(.*?)^\}", re.S | re.M)
USE = re.compile(r"(?<![.>\w])(?<!struct )[A-Za-z_]\w*\b(?=\s*[(,;)}])")
# What may stand between the arguments and the body; the arguments end before it.
ATTRIBUTE = re.compile(r"\bZT_[A-Z_]+(\((?:[^()]|\([^()]*\))*\))?|__attribute__\(\((?:[^()]|\([^()]*\))*\)\)")


def bare(text):
    """Text without comments, strings and attributes, with the same number of lines."""
    for pattern in (COMMENT, ATTRIBUTE):
        text = pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)
    return text


def nr_parameters(arguments):
    """How many parameters stand between the brackets of a definition."""
    arguments = arguments.strip()
    if arguments in ("", "void"):
        return 0
    depth = 0
    count = 1
    for char in arguments:
        depth += (char == "(") - (char == ")")
        count += char == "," and depth == 0
    return count


def folder_of(module):
    """("blkmap", "slot") of src/blkmap/slot/words; the inner one is "" where there is none."""
    parts = module.split("/")
    return parts[1], parts[2] if len(parts) > 3 else ""


def is_upward(module, target):
    """Whether an arrow leads to a folder that the picture does not put below."""
    (layer, inner), (target_layer, target_inner) = folder_of(module), folder_of(target)
    if layer != target_layer:
        return target_layer not in LAYERS[layer].split()
    order = INNER.get(layer, [])
    if inner not in order:
        return False
    return target_inner not in order or order.index(target_inner) > order.index(inner)


class Tree:
    """All sources below src/."""

    def __init__(self, root):
        self.root = root
        self.found = []  # (kind, where, figure)
        self.uses = {}  # module -> words
        self.defines = collections.defaultdict(set)  # function -> modules
        self.own = {}  # module -> functions defined in it, static ones too
        self.nr_functions = 0
        for folder, _, names in os.walk(os.path.join(root, "src")):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    self.read(os.path.relpath(os.path.join(folder, name), root))

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as stream:
            text = stream.read()
        module = path[:-2]
        if folder_of(module)[0] not in LAYERS:
            sys.exit("%s: its folder is not in LAYERS of tests/docs/structure.py" % path)
        self.note("header" if path.endswith(".h") else "file", path, text.count("\n"))
        code = bare(text)
        own = self.own.setdefault(module, set())
        uses = self.uses.setdefault(module, set())
        if path.endswith(".c"):
            uses.update(USE.findall(STRUCT.sub("", code)))
        for match in DEFINITION.finditer(code):
            before, name, arguments, body = match.groups()
            self.nr_functions += 1
            first = code.count("\n", 0, match.start()) + 1
            self.note("function", "%s:%s" % (path, name), code.count("\n", 0, match.end()) + 2 - first)
            self.note("parameters", "%s:%s" % (path, name), nr_parameters(arguments))
            own.add(name)
            if path.endswith(".h"):
                uses.update(USE.findall(body))  # a prototype is no use
            elif "static" not in before.split():
                self.defines[name].add(module)

    def note(self, kind, where, figure):
        if figure > LIMITS[kind]:
            self.found.append((kind, where, figure))

    def arrows(self):
        arrows = collections.defaultdict(set)
        for module, words in self.uses.items():
            for word in words - self.own[module]:
                # A name with two owners may be either: most are main() and the like.
                for target in self.defines.get(word, ()):
                    if target != module and len(self.defines[word]) == 1:
                        arrows[module].add(target)
        return arrows

    def note_arrows(self):
        arrows = self.arrows()
        for module, targets in arrows.items():
            for target in targets:
                if is_upward(module, target):
                    self.note("upward", "%s->%s" % (module, target), 1)
        for circle in circles_of(arrows, self.uses):
            # The folder of the first names it: files come and go.
            self.note("circle", os.path.dirname(circle[0]), len(circle))


def circles_of(arrows, modules):
    """Strongly connected sets of modules, by Tarjan's algorithm."""
    index, low, stack, on_stack, circles = {}, {}, [], set(), []

    def visit(module):
        index[module] = low[module] = len(index)
        stack.append(module)
        on_stack.add(module)
        for target in sorted(arrows[module]):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in on_stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            circle = set()
            while module not in circle:
                circle.add(stack.pop())
            on_stack.difference_update(circle)
            circles.append(sorted(circle))

    for module in sorted(modules):
        if module not in index:
            visit(module)
    return circles


def read_exceptions(path):
    """Lines "KIND WHERE FIGURE reason": what is over a limit, by how much at most, and why."""
    exceptions = {}
    with open(path, encoding="utf-8") as stream:
        lines = [line.strip() for line in stream if line.strip() and not line.startswith("#")]
    if lines != sorted(lines):
        sys.exit("%s: its lines are not sorted" % path)
    for line in lines:
        words = line.split(None, 3)
        if len(words) < 4 or words[0] not in LIMITS or not words[2].isdigit():
            sys.exit('%s: not "KIND WHERE FIGURE reason": %s' % (path, line))
        exceptions[words[0], words[1]] = int(words[2])
    return exceptions


def compare(found, exceptions):
    """Say what is over its limit or its exception, and which exception has become too large. Return: how many."""
    nr = 0
    for kind, where, figure in sorted(found):
        most = exceptions.pop((kind, where), LIMITS[kind])
        if figure > most:
            print("%s: %s has %d %s, %d at most" % (where, kind, figure, WORDS[kind], most))
        elif figure < most:
            print("%s: %s has %d %s now: lower its exception from %d" % (where, kind, figure, WORDS[kind], most))
        nr += figure != most
    for kind, where in sorted(exceptions):
        print("%s: %s %s is within the limit now: take the line out" % (EXCEPTIONS, kind, where))
    return nr + len(exceptions)


def main():
    arguments = sys.argv[1:]
    root = next((a for a in arguments if not a.startswith("--")), ".")
    sys.setrecursionlimit(10000)
    tree = Tree(root)
    least = int(os.environ.get("STRUCTURE_LEAST", "1000"))
    if tree.nr_functions < least:
        sys.exit("structure: only %d functions found: it does not see the sources" % tree.nr_functions)
    if "--arrows" in arguments:
        for module, targets in sorted(tree.arrows().items()):
            for target in sorted(targets):
                print(module, "->", target)
        return 0
    tree.note_arrows()
    return 1 if compare(tree.found, read_exceptions(os.path.join(root, EXCEPTIONS))) else 0


sys.exit(main())
