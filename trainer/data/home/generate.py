#!/usr/bin/env python3
"""Make a set of smart-home commands for each language of home-assistant-intents: train.tsv, test.tsv, foreign.tsv.

    pip download --no-deps home-assistant-intents==2026.10.27
    python generate.py home_assistant_intents-2026.10.27-py3-none-any.whl --out DIR
    python generate.py --out DIR --languages de,fi,th      # of the installed package

DIR gets a folder a language. Its classes are the intents whose templates can be shared out, so that no template of
test.tsv is in train.tsv; foreign.tsv holds texts of no class, by kind. Stdlib only; the same bytes every time.
"""
import argparse
import importlib.util
import json
import random
import re
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from templates import Grammar, Parser, draw, hold_out, pick, shuffled  # noqa: E402

SEED = "qdllm home 1"
TEST_ONE_IN = 5  # families of templates held out of each intent
ROWS, MOST_OF_A_CLASS, LEAST_OF_A_CLASS = 4800, 1000, 120
TRAIN_FOR_TEST = 4  # texts of train for each of test
FEWEST = {"train": 20, "test": 5}  # different texts of a class
NO_CLASS = ("HassRespond", "HassNevermind")  # small talk
# What intents are about: one that cannot be shared out gives foreign texts if no class is about the same.
SUBJECT = re.compile(r"Hass(Respond|Nevermind|Broadcast|GetWeather|.*(Timer|Media|Volume|List|GetCurrent))")
FOREIGN = {"left_out": 150, "answers": 60, "languages": 150, "words": 40, "letters": 40}
UNSPACED = ("zh-CN", "zh-HK", "zh-TW", "ja", "th")
# Too near to each other to be foreign.
RELATED = ["pt pt-BR gl es", "sr sr-Latn hr sl", "nb da sv", "zh-CN zh-HK zh-TW ja", "de de-CH lb nl af", "id ms", "hi ne",
           "cs sk", "ru uk bg mn", "ar fa ur", "ga cy kw"]
FIELDS = "area floor light device fan vacuum lock item scene message".split()
NAMES = "person place title list".split()
# What {name} may be, by the domain that the template asks for; other domains are devices.
DOMAINS = {"light": "light", "fan": "fan", "vacuum": "vacuum", "lock": "lock", "cover": "cover", "valve": "cover",
           "scene": "scene", "script": "scene", "button": "scene", "input_button": "scene", "person": "person",
           "weather": "place", "todo": "list", "media_player": "player", "lawn_mower": "mower",
           "climate": "heater"}
WILDCARDS = {"message": "message", "search_query": "title", "zone": "place", "timer_name": "item",
             "shopping_list_item": "item", "todo_list_item": "item"}
MOWERS = ["Worx", "Landroid", "Husqvarna"]
MINUTES = ["1", "2", "3", "5", "10", "15", "20", "25", "30", "40", "45", "50"]


# ---------------------------------------------------------------- what stands for a slot
def read_fills():
    """{language: {field: [values]}}"""
    fills, names, fields = {}, False, FIELDS
    for line in (HERE / "fills.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            fields = NAMES if "persons" in line else FIELDS
            continue
        languages, *cells = line.split(" ; ")
        values = dict(zip(fields, (cell.split(" | ") for cell in cells)))
        for language in languages.split():
            fills.setdefault(language, {}).update(values)
    return {language: {**fills["en"], **own} for language, own in fills.items()}


class Language:
    """The templates of a language, and what it says for a slot."""

    def __init__(self, name, source, fills):
        self.name = name
        self.fills = {**fills, "heater": fills["device"][1:2], "player": fills["device"][2:], "mower": MOWERS}
        self.lists, self.intents, self.commands = source["lists"], source["intents"], []
        self.answers = sorted(set(strings(source["responses"])))
        rules = {rule: Parser(text).parse() for rule, text in source["expansion_rules"].items()}
        self.grammar = Grammar(rules, self.fill, group)
        self.word = re.compile(r"\w" if name in UNSPACED else r"[^\W\d_]+")
        self.domains = []  # of the template that is expanded

    def fill(self, slot, rng):
        """A value, marked, so that shape() can tell it from the rest."""
        name = slot.split(":")[0]
        if name == "name":
            name = DOMAINS.get(pick(self.domains, rng), "device") if self.domains else "device"
        return "\x01%s\x02%s\x03" % (group(name), self.value(name, rng))

    def value(self, name, rng):
        if name == "timer_command":
            return pick(self.commands or self.fills["message"], rng)
        if name == "cover":
            name = "cover_classes" if "cover_classes" in self.lists else "device"
        values = self.lists.get(name, {})
        if "values" in values:
            node = Parser(listed(pick(values["values"], rng))).parse()
            return re.sub("\x01.*?\x02|\x03", "", self.grammar.expand(node, rng))
        if "range" in values:
            return number(name, values["range"], rng)
        return pick(self.fills[WILDCARDS.get(name, name)], rng)

    def text(self, template, rng):
        """A sentence and its shape: what is left of it without its fills."""
        node, self.domains = template
        marked = " ".join(self.grammar.expand(node, rng).split())
        text = self.finished(re.sub("\x01.*?\x02|\x03", "", marked))
        return text, self.finished(re.sub("\x01(.*?)\x02.*?\x03", r"\1", marked))

    def finished(self, text):
        text = " ".join(text.lower().replace("\t", " ").split())
        if self.name in UNSPACED:  # spaces stand only between Latin words and numbers
            text = re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])", "", text)
        return text

    def families(self, intent):
        """{skeleton: [templates]}, the unit of the split."""
        found = {}
        for block in self.intents[intent]["data"]:
            for sentence in block["sentences"]:
                made = template(sentence, block)
                skeleton = " ".join(self.grammar.flatten(made[0]).split())
                found.setdefault(skeleton, []).append(made)
        return found


def template(sentence, block):
    """Its parse, and the domains that it asks of {name}."""
    return Parser(sentence).parse(), block.get("requires_context", {}).get("domain", [])


def group(slot):
    """Kinds of slots that say the same, under one name."""
    return re.sub(r"timer_(hours|minutes|seconds)", "timer", slot.split(":")[0]).upper()


def listed(value):
    return str(value["in"]) if isinstance(value, dict) else str(value)


def number(name, limits, rng):
    if name.startswith("timer"):
        return pick(MINUTES, rng)
    if name == "temperature":
        return str(16 + int(rng.random() * 13))
    step = max(limits.get("step", 5), (limits["to"] - limits["from"]) // 20)
    first = limits["from"] or step
    return str(first + step * int(rng.random() * ((limits["to"] - first) // step + 1)))


def strings(value):
    """The sentences in the answers of a language that are no programs of templates."""
    if isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif "{" not in value and 6 <= len(value) <= 90:
        yield " ".join(value.lower().split())


# ---------------------------------------------------------------- the three files
def split(language):
    """{intent: {side: {skeleton: [templates]}}}; an intent that cannot be shared out has no side test."""
    sides = {}
    for intent in sorted(language.intents):
        found = language.families(intent)
        nodes = {skeleton: [node for node, _ in templates] for skeleton, templates in found.items()}
        wanted = 0 if intent in NO_CLASS else max(1, round(len(found) / TEST_ONE_IN))
        held = hold_out(nodes, wanted, SEED, language.grammar, language.word)
        sides[intent] = {side: {s: found[s] for s in skeletons} for side, skeletons in held.items() if skeletons}
    return {intent: of for intent, of in sides.items() if of}


def sentences(language, templates, count, rng, avoid=(), taken=()):
    def make(template, rng):
        text, shape = language.text(template, rng)
        return (text, shape) if text and text not in taken and shape not in avoid else None

    return draw(templates, count, make, rng)


def build(language, others):
    """{file: rows} of a language."""
    rng = random.Random("%s %s" % (SEED, language.name))
    sides = split(language)
    for intent in ("HassTurnOn", "HassTurnOff"):
        language.commands += sentences(language, sides.get(intent, {}).get("train", {}), 20, rng)
    classes = [intent for intent, of in sides.items() if len(of) == 2]
    share = min(MOST_OF_A_CLASS, max(LEAST_OF_A_CLASS, ROWS // max(1, len(classes))))
    made = {}
    for intent in classes:
        test = sentences(language, sides[intent]["test"], share // TRAIN_FOR_TEST, rng)
        train = sentences(language, sides[intent]["train"], share, rng, set(test.values()), test)
        made[intent] = {"train": train, "test": test}
    # A text that two intents say has no right label.
    homes = {}
    for intent, of in made.items():
        for texts in of.values():
            for text in texts:
                homes.setdefault(text, set()).add(intent)
    made = {intent: {side: [t for t in texts if len(homes[t]) == 1] for side, texts in of.items()}
            for intent, of in made.items()}
    kept = [i for i, of in made.items() if all(len(of[side]) >= few for side, few in FEWEST.items())]
    rows = {side + ".tsv": [(intent[4:], text) for intent in kept for text in made[intent][side]] for side in FEWEST}
    subjects = {subject(intent) for intent in kept} | {"devices"}
    left = {(intent, skeleton): templates for intent, of in sides.items() if subject(intent) not in subjects
            for side in of.values() for skeleton, templates in side.items()}
    left_out = sentences(language, left, FOREIGN["left_out"], rng, (), homes)
    rows["foreign.tsv"] = foreign(language, others, rows, left_out, rng)
    language.commands = []  # as others find it
    return {file: shuffled(these, rng) for file, these in rows.items()}


def subject(intent):
    found = SUBJECT.match(intent)
    return (found[2] or found[1]).replace("Volume", "Media") if found else "devices"


def foreign(language, others, rows, left_out, rng):
    """Texts of no class, labelled by their kind; none is a text of the classes."""
    own = {text for _, text in rows["train.tsv"] + rows["test.tsv"]}
    words = sorted({word for text in own for word in (list(text) if language.name in UNSPACED else text.split())})
    joint = "" if language.name in UNSPACED else " "
    related = next((group.split() for group in RELATED if language.name in group.split()), [language.name])
    found = {"left_out": list(left_out), "answers": shuffled(language.answers, rng)}
    found["languages"] = shuffled([text for other in others if other.name not in related for text in
                                   sentences(other, some_families(other, rng), 4, rng)], rng)
    found["words"] = [joint.join(pick(words, rng) for _ in range(3 + int(rng.random() * 5))) for _ in range(80)]
    found["letters"] = ["".join(shuffled(list(pick(sorted(own), rng)), rng)).strip() for _ in range(80)] if own else []
    return [(kind, text) for kind, texts in found.items()
            for text in [t for t in dict.fromkeys(texts) if t not in own][:FOREIGN[kind]]]


def some_families(language, rng):
    blocks = [block for intent in sorted(language.intents) for block in language.intents[intent]["data"]]
    return {i: [template(pick(block["sentences"], rng), block)] for i, block in
            enumerate(pick(blocks, rng) for _ in range(6))}


# ---------------------------------------------------------------- the package, and the command
def load(source):
    """{language: its file} of the wheel or of the installed package."""
    if source is None:
        package = importlib.util.find_spec("home_assistant_intents")
        if package is None:
            sys.exit("home-assistant-intents is not installed; install it, or name its wheel (see --help)")
        source = Path(package.origin).parent
    if source.is_dir():
        return {file.stem: json.loads(file.read_bytes()) for file in sorted((source / "data").glob("*.json"))}
    with zipfile.ZipFile(source) as wheel:
        files = sorted(name for name in wheel.namelist() if re.search(r"intents/data/[\w-]+\.json$", name))
        return {Path(name).stem: json.loads(wheel.read(name)) for name in files}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", help="the wheel, or the folder of the installed package")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--languages", type=lambda text: text.split(","), help="only these, such as de,fi,th")
    args = parser.parse_args()
    fills = read_fills()
    sources = load(args.source)
    languages = {name: Language(name, sources[name], fills.get(name, fills["en"])) for name in sources}
    unknown = set(args.languages or []) - set(languages)
    if unknown:
        sys.exit("no such language: %s; there are %s" % (", ".join(sorted(unknown)), ", ".join(languages)))
    print("language  intents  train  test  foreign")
    for name in args.languages or languages:
        rows = build(languages[name], list(languages.values()))
        intents = len({label for label, _ in rows["test.tsv"]})
        if intents >= 2:
            (args.out / name).mkdir(parents=True, exist_ok=True)
            for file, these in rows.items():
                (args.out / name / file).write_bytes("".join("%s\t%s\n" % row for row in these).encode())
        print("%-8s %8d %6d %5d %8d%s" % (name, intents, *(len(these) for these in rows.values()),
                                          "" if intents >= 2 else "  too few: no files"), flush=True)


if __name__ == "__main__":
    main()
