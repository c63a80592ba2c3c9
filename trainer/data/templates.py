"""Sentence templates, as the generators of data sets read them. All chance goes through random.Random.random(),
the one method whose sequence Python promises to keep.
"""
import hashlib
from collections import Counter


class Parser:
    """Recursive descent over hassil's syntax: (a|b) [optional] {slot} <rule> (a;b) for any order, and \\."""

    def __init__(self, text):
        self.text, self.pos = text, 0

    def parse(self, closing=""):
        branches, branch, kind = [], [], "alt"
        while self.pos < len(self.text) and self.text[self.pos] != closing:
            char = self.text[self.pos]
            self.pos += 1
            if char in "([":
                inner = self.parse(")" if char == "(" else "]")
                self.pos += 1
                branch.append(inner if char == "(" else ("opt", inner))
            elif char in "{<":
                end = self.text.index("}" if char == "{" else ">", self.pos)
                branch.append(("slot" if char == "{" else "rule", self.text[self.pos:end]))
                self.pos = end + 1
            elif char in "|;":
                kind = "alt" if char == "|" else "perm"
                branches.append(("seq", branch))
                branch = []
            else:
                if char == "\\":
                    char = self.text[self.pos]
                    self.pos += 1
                branch.append(("text", char))
        branches.append(("seq", branch))
        return branches[0] if len(branches) == 1 else (kind, branches)


def pick(values, rng):
    return values[int(rng.random() * len(values))]


def shuffled(values, rng):
    return [values[i] for _, i in sorted((rng.random(), i) for i in range(len(values)))]


class Grammar:
    """Templates whose rules and slots are known: `fill` gives what a slot says, `group` its name in a skeleton.

    A skeleton has no rule of `optional_rules`: a sentence can do without these.
    """

    def __init__(self, rules, fill, group=str.upper, optional_rules=()):
        self.rules, self.fill, self.group, self.optional_rules = rules, fill, group, optional_rules

    def expand(self, node, rng):
        """A random sentence."""
        kind, value = node
        if kind == "text":
            return value
        if kind == "seq":
            return "".join(self.expand(child, rng) for child in value)
        if kind == "alt":
            return self.expand(pick(value, rng), rng)
        if kind == "perm":
            return " ".join(self.expand(child, rng) for child in shuffled(value, rng))
        if kind == "opt":
            return self.expand(value, rng) if rng.random() < 0.5 else ""
        if kind == "rule":
            return self.expand(self.rules[value], rng)
        return self.fill(value, rng)

    def flatten(self, node, optional=False):
        """The template as text: slots by their groups, alternatives joined by |, optional parts on request."""
        kind, value = node
        if kind == "text":
            return value
        if kind == "seq":
            return "".join(self.flatten(child, optional) for child in value)
        if kind in ("alt", "perm"):
            return " | ".join(dict.fromkeys(self.flatten(child, optional) for child in value))
        if kind == "opt":
            return self.flatten(value, optional) if optional else ""
        if kind == "rule":
            return self.flatten(self.rules[value], optional) if value not in self.optional_rules else ""
        return self.group(value)

    def words(self, nodes, word):
        """All that the templates can say, of `word`s."""
        text = " ".join(self.flatten(node, optional) for node in nodes for optional in (False, True))
        return set(word.findall(text))


def hold_out(found, wanted, salt, grammar, word):
    """Splits families of templates, {skeleton: [nodes]}: up to `wanted` go to test, in the order of a hash.

    Only one whose own words the remaining families also use, so a test template is a new wording made of known
    words, and never the only home of a verb.
    """
    order = sorted(found, key=lambda skeleton: hashlib.sha256((salt + skeleton).encode()).hexdigest())
    said = {skeleton: grammar.words(found[skeleton], word) for skeleton in order}
    homes = Counter(w for words in said.values() for w in words)
    test, needed = [], set()
    for skeleton in order:
        words = needed | set(word.findall(skeleton))
        if len(test) < wanted and all(homes[w] > (w in said[skeleton]) for w in words):
            test.append(skeleton)
            homes.subtract(said[skeleton])
            needed = words
    return {"test": test, "train": [skeleton for skeleton in order if skeleton not in test]}


def draw(groups, count, make, rng):
    """`count` texts, taking the families in turn and a random template of each; {text: shape}.

    `make` turns a template into a text and its shape, or None where the text is not wanted.
    """
    out, misses = {}, {}
    groups = dict(groups)
    while len(out) < count and groups:
        for key in shuffled(list(groups), rng):
            if len(out) == count:
                break
            made = make(pick(groups[key], rng), rng)
            if made is None or made[0] in out:
                misses[key] = misses.get(key, 0) + 1
                if misses[key] > 200:  # a family with few different sentences is used up
                    del groups[key]
            else:
                out[made[0]], misses[key] = made[1], 0
    return out
