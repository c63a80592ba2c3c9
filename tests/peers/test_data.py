"""The files of trainer/data that need no other file are what their scripts write."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "trainer" / "data"


class Data(unittest.TestCase):
    def test_foreign_texts_are_what_the_script_makes(self):
        script = DATA / "foreign" / "generate.py"
        done = subprocess.run([sys.executable, "-B", script, "--check"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_foreign_texts_are_short_different_and_few_enough_to_embed(self):
        file = (DATA / "foreign" / "foreign.txt").read_bytes()
        texts = file.decode().splitlines()
        self.assertEqual(len(texts), len(set(texts)))
        self.assertTrue(1000 < len(texts) and len(file) <= 60_000)
        self.assertTrue(all(text.strip() == text != "" and len(text) <= 100 for text in texts))

    def test_a_home_is_split_by_templates_and_comes_out_the_same(self):
        verbs = {"TurnOn": ["turn on", "switch on"], "TurnOff": ["turn off", "switch off"]}
        ends = ["now please", "please now", "then now", "now then", "please then", "then please"]
        intents = {"Hass" + intent: {"data": [{"sentences": [
            "(%s) <the> {name} [in the {area}] %s" % ("|".join(verb), end) for end in ends]}]} for intent, verb in verbs.items()}
        source = {"lists": {}, "expansion_rules": {"the": "[the]"}, "intents": intents, "responses": {}}
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "data").mkdir()
            for language in ("en", "fi"):
                (folder / "data" / (language + ".json")).write_text(json.dumps(source))
            files = {}
            for out, languages in (("one", "en,fi"), ("two", "fi")):
                script = [sys.executable, "-B", DATA / "home" / "generate.py", folder, "--out", folder / out]
                subprocess.run(script + ["--languages", languages], check=True, capture_output=True)
                files[out] = {name: (folder / out / "fi" / name).read_text() for name in
                              ("train.tsv", "test.tsv", "foreign.tsv")}
        self.assertEqual(files["one"], files["two"])
        train, test, foreign = ({line.split("\t")[1] for line in text.splitlines()} for text in files["one"].values())
        self.assertTrue(train and test and foreign)
        self.assertFalse(train & test or train & foreign or test & foreign)
        for verb in ("turn on", "turn off"):
            ends = [{tuple(text.split()[-2:]) for text in side if text.startswith(verb)} for side in (train, test)]
            self.assertTrue(all(ends))
            self.assertFalse(ends[0] & ends[1], verb)


if __name__ == "__main__":
    unittest.main()
