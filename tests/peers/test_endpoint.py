"""Tests of what endpoint.py takes for a proof. Run: python -m unittest discover tests/peers"""

import json
import math
import pathlib
import tempfile
import unittest

import endpoint


def read(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "soft.jsonl"
        lines = [json.dumps({"classes": ["off", "on"]})]
        lines += [json.dumps({"text_sha256": endpoint.digest(text), "logits": logits}) for text, logits in rows]
        path.write_text("\n".join(lines) + "\n")
        return endpoint.Labels(path, [("on", "a"), ("off", "b")])


class Labels(unittest.TestCase):
    def test_each_text_must_be_there_once_and_nothing_else(self):
        a, b, c = ("a", [0.0, 1.0]), ("b", [1.0, 0.0]), ("c", [1.0, 0.0])
        read([b, a])
        for rows in [a], [a, b, a], [a, c], [a, b, c]:
            with self.assertRaises(SystemExit, msg=rows):
                read(rows)

    def test_likeness_is_that_of_centred_logits(self):
        one = read([("a", [0.0, 1.0]), ("b", [3.0, 1.0])])
        difference, correlation, agreement = one.likeness(read([("a", [5.0, 6.0]), ("b", [-1.0, -3.0])]))
        self.assertLess(difference, 1e-12)
        self.assertEqual(agreement, 1.0)
        self.assertTrue(math.isclose(correlation, 1.0))
        difference, _, agreement = one.likeness(read([("a", [1.0, 0.0]), ("b", [3.0, 1.0])]))
        self.assertAlmostEqual(difference, 1.0)
        self.assertEqual(agreement, 0.5)


if __name__ == "__main__":
    unittest.main()
