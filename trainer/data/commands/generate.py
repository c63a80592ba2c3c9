#!/usr/bin/env python3
"""Make the smart-home command set (train.tsv, test.tsv) from the templates of home-assistant-intents.

    pip download --no-deps home-assistant-intents==2026.10.27
    python generate.py home_assistant_intents-2026.10.27-py3-none-any.whl --out .
    python generate.py home_assistant_intents-2026.10.27-py3-none-any.whl --check

The source may also be the wheel's home_assistant_intents/data/en.json. Stdlib only. The result depends on
nothing but that file, grammar.py, templates.py and SEED: all chance goes through random.Random.random(), the one
method whose sequence Python promises to keep.
"""
import argparse
import hashlib
import json
import random
import re
import sys
import zipfile
from pathlib import Path

from grammar import (CLASSES, DROP, GROUPS, IMPERATIVE, OPTIONAL_RULES, POLITE, REJECT, REWRITE,
                     REWRITE_INTENT, RULES, SLOTS, name_slot, spell)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from templates import Grammar, Parser, draw, hold_out, pick, shuffled  # noqa: E402

SALT = "2"  # of the split: of 0..8, one of middling difficulty (README.md)
SEED = "qdllm commands 1"
EN_JSON_SHA256 = "0b9d606a216b1712409a3d822a8edfb9ff4458e51e421792882ea24e0ce1d456"
PER_CLASS = {"test": 150, "train": 600}
TEST_ONE_IN, TEST_AT_LEAST = 5, 4  # families of templates held out of each class

# ---------------------------------------------------------------- templates
WORD = re.compile(r"[a-z']+")


def group(slot):
    return GROUPS.get(slot, slot)


def fill(slot, rng):
    """Slot fills stay marked, so that shape() can tell them from the rest."""
    return "<%s=%s>" % (group(slot), pick(SLOTS[slot], rng))


GRAMMAR = Grammar({name: Parser(text).parse() for name, text in RULES.items()}, fill,
                  lambda slot: group(slot).upper(), OPTIONAL_RULES)


# ---------------------------------------------------------------- templates and their split
def load_intents(source):
    if source.suffix == ".whl":
        with zipfile.ZipFile(source) as wheel:
            raw = wheel.read("home_assistant_intents/data/en.json")
    else:
        raw = source.read_bytes()
    if hashlib.sha256(raw).hexdigest() != EN_JSON_SHA256:
        sys.exit("%s: not the en.json of the pinned version (see --help)" % source)
    return json.loads(raw)["intents"]


def repair(intent, domains, template):
    """The template with the tables of grammar.py applied: none, one or several."""
    if any(re.search(rule, intent + " " + template) for rule in DROP):
        return []
    if "{name}" in template:
        slot = name_slot(intent, domains, template)
        if slot is None:
            return []
        template = template.replace("{name}", "{%s}" % slot)
    for prefix, pattern, replacement in REWRITE_INTENT:
        if re.match(prefix, intent):
            template = re.sub(pattern, replacement, template)
    for pattern, replacement in REWRITE:
        template = re.sub(pattern, replacement, template)
    return template.split("\n")


def skeleton_of(node):
    """The template without its optional words, articles and places: equal for near-identical templates."""
    text = re.sub(r"((it )?\b(in|on|of) )?(the )?\bPLACE|\b(the|my|a)( \| (the|my|a))*\b|\|", "", GRAMMAR.flatten(node))
    return " ".join(text.split())


def families(intents, names):
    """{skeleton: [templates]}, the unit of the split."""
    found = {}
    for name in names:
        for block in intents["Hass" + name]["data"]:
            domains = block.get("requires_context", {}).get("domain", [])
            for source in block["sentences"]:
                for template in repair(name, domains, source):
                    node = Parser(template).parse()
                    found.setdefault(skeleton_of(node), {}).setdefault(template, node)
    return {skeleton: list(members.values()) for skeleton, members in found.items()}


def split(found):
    wanted = max(TEST_AT_LEAST, round(len(found) / TEST_ONE_IN))
    return hold_out(found, wanted, SALT, GRAMMAR, WORD)


# ---------------------------------------------------------------- sentences
def shape(marked):
    """What is left of a sentence without its fills and articles: test and train share no shape."""
    text = re.sub(r"<(\w+)=[^>]*>", lambda m: m.group(1).upper(), marked)
    return " ".join(w for w in text.split() if w not in ("the", "my", "our", "a"))


def finish(label, marked, rng):
    """The sentence as spoken, or None when it is odd."""
    text = " ".join(re.sub(r"<\w+=([^>]*)>", r"\1", marked).lower().split())
    text = re.sub(r"^make (.*?) to ", r"make \1 ", text)
    text = re.sub(r" to (highest|lowest)\b", r" to the \1", text)
    text = re.sub(r"\b(all (?:of )?(?:the |my )?(?:\w+ ){0,2}?(?:light|lamp|fan))\b", r"\1s", text)
    if any(only in ("", label) and re.search(pattern, text) for only, pattern in REJECT):
        return None
    # Speech drops articles before plurals and at the start: "switch off kitchen lights", "tv on".
    if rng.random() < 0.3:
        text = re.sub(r"\b(on|off|out|turn|switch|activate|deactivate) the ((?:\w+ ){0,2}(?:lights|lamps|fans)\b)",
                      r"\1 \2", text)
    if rng.random() < 0.6:
        text = re.sub(r"^the ", "", text)
    if rng.random() < 0.5:
        text = re.sub(r"\b\d+(?![\dk%])", lambda m: spell(int(m.group())), text)
    text = re.sub(r"\ba (?=(8|11|18|8\d|eight|eleven|eighteen|eighty)\b)", "an ", text)
    if IMPERATIVE.match(text) and rng.random() < 0.35:
        text = pick(POLITE, rng).format(text)
    return text if 2 <= len(text.split()) <= 14 else None


def make(label, node, rng, taken, avoid):
    """A text and its shape, or None when it is odd or not for this side."""
    marked = GRAMMAR.expand(node, rng)
    text = finish(label, marked, rng)
    return None if text is None or text in taken or shape(marked) in avoid else (text, shape(marked))


def build(intents):
    """The two files' texts, and for the report: (class, side, held skeletons, templates, texts)."""
    rows, taken, report = {"train": [], "test": []}, set(), []
    for label, names in CLASSES.items():
        found, shapes = families(intents, names), set()
        for side, skeletons in split(found).items():  # test first: train avoids its shapes
            rng = random.Random("%s %s %s" % (SEED, label, side))
            texts = draw({s: found[s] for s in skeletons}, PER_CLASS[side],
                         lambda node, rng: make(label, node, rng, taken, shapes), rng)
            taken.update(texts)
            shapes.update(texts.values())
            rows[side] += [(label, text) for text in texts]
            report.append((label, side, skeletons, sum(len(found[s]) for s in skeletons), list(texts)))
    files = {side + ".tsv": "".join("%s\t%s\n" % row for row in shuffled(rows[side], random.Random(SEED + side)))
             for side in rows}
    return files, report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the downloaded wheel, or its en.json")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent, metavar="DIR")
    parser.add_argument("--check", action="store_true", help="write nothing; compare with the files in DIR")
    parser.add_argument("--families", action="store_true", help="also list the held-out families")
    args = parser.parse_args()
    files, report = build(load_intents(args.source))
    if args.check:
        stale = [name for name, text in files.items()
                 if not (args.out / name).is_file() or (args.out / name).read_bytes() != text.encode()]
        sys.exit("differs: " + ", ".join(stale) if stale else 0)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (args.out / name).write_bytes(text.encode())
    print("class        side   families  templates  texts  mean words")
    for label, side, skeletons, templates, texts in report:
        mean = sum(len(text.split()) for text in texts) / len(texts)
        print("%-12s %-6s %8d %10d %6d %11.1f" % (label, side, len(skeletons), templates, len(texts), mean))
        if args.families and side == "test":
            print("".join("    %s\n" % skeleton for skeleton in skeletons), end="")


if __name__ == "__main__":
    main()
