"""Sentence templates, as the generators of data sets read them. All chance goes through random.Random.random(),
the one method whose sequence Python promises to keep.
"""


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
