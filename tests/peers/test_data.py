"""The files of trainer/data that need no other file are what their scripts write."""
import subprocess
import sys
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


if __name__ == "__main__":
    unittest.main()
