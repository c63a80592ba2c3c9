#!/usr/bin/env python3
"""Make foreign.txt, the texts that belong to no class of whatever a student is trained for.

    python generate.py            # writes foreign.txt here; --check compares with it and writes nothing

Sentences of many domains from grammar.txt, other languages from languages.txt, and texts that mean nothing:
shuffled sentences, words at random, made-up words, mashed keys, numbers and signs. Stdlib only; the same bytes
every time.
"""
import argparse
import random
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from templates import Grammar, Parser, pick, shuffled  # noqa: E402

SEED = "qdllm foreign 1"
PER_TEMPLATE = 3
AS_WRITTEN = ("logs", "tweets")  # capitals and punctuation of these domains are part of them
QUESTION = re.compile(r"(what|wh(o|y|en|ere|ich)|how|is|are|do|does|did|can|could|should|will|would)\b", re.I)
KEYS = ["qwertyuiop", "asdfghjkl", "zxcvbnm", "asdf", "jkl;", "qazwsx", "12345"]
SYLLABLES = "ba ke lo mu ri ta vo zen gra pli sto nul fen dor kaz wim eth osk ula ix".split()
SIGNS = ["{n}", "{n}.{n}", "+{n} {n} {n}", "{n}-{n}-{n}", "???", "!!!", "...", ":-)", "({n})", "{n}%", "${n}", "#{n}", "a{n}b",
         "http://example.org/{n}", "user{n}@example.com", "/var/tmp/{n}.log", "{n} x {n}", "v{n}.{n}", "0x{n}", "- - -", "room {n}", "ref. no. {n}",
         "page {n} of {n}", "{n} km/h", "line {n}: syntax error"]


def read_grammar(lines):
    """The lists and, by domain, the templates."""
    lists, domains = {}, {}
    for line in lines:
        if not line or line.startswith("#"):
            continue
        domain, listed = re.fullmatch(r"\[([\w ]+)\]", line), re.fullmatch(r"(\w+) = (.+)", line)
        if domain:
            templates = domains.setdefault(domain[1], [])
        elif listed:
            lists[listed[1]] = listed[2].split(" | ")
        else:
            templates.append(Parser(line).parse())
    return lists, domains


def several(make, count, tries=20):
    """Up to `count` different texts."""
    return list(dict.fromkeys(make() for _ in range(tries)))[:count]


def styled(text, rng):
    """As people write: all lower case and bare, or with a capital and a mark at the end, or in between."""
    text, chance = " ".join(text.split()), rng.random()
    if chance < 0.55:
        return text.lower()
    if chance < 0.85 and text[-1].isalnum():
        text += "?" if QUESTION.match(text) else "."
    return text[0].upper() + text[1:]


def sentences(lists, domains, rng):
    grammar = Grammar({}, lambda slot, rng: pick(lists[slot], rng))
    for domain, templates in domains.items():
        for node in templates:
            for text in several(lambda: grammar.expand(node, rng), PER_TEMPLATE):
                yield text if domain in AS_WRITTEN else styled(text, rng)


def nonsense(known, rng):
    """Texts without a meaning; `known` are the sentences, for their words."""
    words = sorted({word.strip(".,?!:;()[]") for text in known for word in text.lower().split()} - {""})

    def some(least, most, make, joint=" "):
        return joint.join(make() for _ in range(least + int(rng.random() * (most - least + 1))))

    def signs():
        return re.sub(r"\{n\}", lambda _: str(int(10 ** (rng.random() * 4))), pick(SIGNS, rng))

    def keys():
        row = pick(KEYS, rng)
        return some(2, 9, lambda: pick(row, rng), "")

    yield from several(lambda: " ".join(shuffled(pick(known, rng).lower().split(), rng)), 70, 100)
    yield from several(lambda: some(2, 9, lambda: pick(words, rng)), 70, 100)
    yield from several(lambda: pick(words, rng), 50, 100)
    yield from several(lambda: some(1, 4, lambda: some(2, 4, lambda: pick(SYLLABLES, rng), "")), 40, 100)
    yield from several(lambda: some(1, 3, keys), 40, 100)
    yield from several(signs, 40, 100)


def build():
    lists, domains = read_grammar((HERE / "grammar.txt").read_text(encoding="utf-8").splitlines())
    rng = random.Random(SEED)
    texts = list(sentences(lists, domains, rng))
    for line in (HERE / "languages.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            texts += [text.strip() for text in line.split("\t")[1].split(" | ")]
    texts += nonsense(texts[:], rng)
    # Shuffled, so that each part of the file is a fair sample of the whole.
    return "".join(text + "\n" for text in shuffled(list(dict.fromkeys(texts)), rng))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if foreign.txt differs")
    args = parser.parse_args()
    made, file = build().encode(), HERE / "foreign.txt"
    if args.check:
        sys.exit(0 if file.is_file() and file.read_bytes() == made else "differs: foreign.txt")
    file.write_bytes(made)
    print("%d texts, %d bytes" % (made.count(b"\n"), len(made)))


if __name__ == "__main__":
    main()
