"""Tests of what qasm.py takes for a proof. Run: python -m unittest discover tests/peers"""

import unittest

import qasm

HEAD = "OPENQASM 2.0;\nqreg q[2];\ncreg c[2];\n"


class Texts(unittest.TestCase):
    def test_gates_stand_behind_the_registers_and_before_the_measurements(self):
        lines = qasm.turned(HEAD + "h q[0];\nmeasure q -> c;\n", [("q", 2)]).splitlines()
        self.assertEqual([line.split("(")[0] for line in lines[3:]], ["U", "U", "h q[0];", "U", "U", "measure q -> c;"])
        lines = qasm.turned(qasm.measured(HEAD, [("q", 2)]), [("q", 2)]).splitlines()
        self.assertEqual(lines[3], "creg all_bits[2];")
        self.assertEqual(lines[-2:], ["measure q[0] -> all_bits[0];", "measure q[1] -> all_bits[1];"])

    def test_outputs_are_parities(self):
        readouts = [{"bits": [0, 1], "negated": False}, {"bits": [1], "negated": True}]
        found = qasm.parities({0b00: 0.25, 0b10: 0.5, 0b11: 0.25}, readouts)
        self.assertEqual(found, {0b10: 0.25, 0b01: 0.5, 0b00: 0.25})
        self.assertEqual(qasm.difference(found, {0b10: 0.25, 0b01: 0.25}), 0.25)


if __name__ == "__main__":
    unittest.main()
