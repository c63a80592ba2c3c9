"""Compares how `qdllm-hw` reads OpenQASM 2 and 3 with Qiskit, file by file of a folder.

Usage: python3 qasm.py QDLLM_HW FOLDER [--qubits 11] [--seconds 120] [--rewrite]

Of each file two texts are compiled, the file's own and one with a random gate on every qubit at both ends, so that
nothing of its unitary is hidden. Each result is loaded by Qiskit as strict OpenQASM 2, or 3, and the distribution
of what is measured must be that of Qiskit's reading of the same text. Files without measurements are measured whole.
Left out, and counted: what Qiskit cannot read, what has more qubits, `if`, `reset`, gates after measurements.

Needs pip install qiskit qiskit-qasm3-import. Circuits to try it on: the folder `small` of QASMBench.
"""

import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

TOLERANCE = 1e-7


class LeftOut(Exception):
    pass


def turned(text, sizes):
    """The text with a random gate on each qubit behind the registers and before the measurements."""
    rng = random.Random(len(text))
    lines = text.splitlines()
    last = max(i for i, line in enumerate(lines) if re.match(r"\s*(qreg|creg|qubit|bit)\b", line))
    ends = (i for i, line in enumerate(lines) if i > last and re.search(r"^\s*measure\b|=\s*measure\b", line))
    at = next(ends, len(lines))
    angles = lambda: ",".join(repr(rng.uniform(-3.0, 3.0)) for _ in range(3))
    gates = lambda: [f"U({angles()}) {name}[{i}];" for name, size in sizes for i in range(size)]
    return "\n".join(lines[: last + 1] + gates() + lines[last + 1 : at] + gates() + lines[at:]) + "\n"


def measured(text, sizes):
    """The text with all its qubits measured at the end."""
    total = sum(size for _, size in sizes)
    version = 3 if re.search(r"^\s*OPENQASM\s+3", text, re.MULTILINE) else 2
    lines = [f"bit[{total}] all_bits;" if version == 3 else f"creg all_bits[{total}];"]
    qubits = [f"{name}[{i}]" for name, size in sizes for i in range(size)]
    return text.rstrip() + "\n" + "\n".join(lines + [f"measure {q} -> all_bits[{k}];" for k, q in enumerate(qubits)]) + "\n"


def parities(distribution, readouts):
    """The distribution of outputs, each the parity of bits of an outcome, negated or not."""
    found = {}
    for outcome, p in distribution.items():
        word = 0
        for k, readout in enumerate(readouts):
            parity = sum(outcome >> bit & 1 for bit in readout["bits"]) + readout["negated"]
            word |= (parity & 1) << k
        found[word] = found.get(word, 0.0) + p
    return found


def difference(a, b):
    return max((abs(a.get(x, 0.0) - b.get(x, 0.0)) for x in {*a, *b}), default=0.0)


class Qiskit:
    def __init__(self):
        try:
            from qiskit import QuantumCircuit, qasm2, qasm3
            from qiskit.quantum_info import Statevector
        except ImportError:
            sys.exit("qiskit is not installed: nothing is compared")
        self.qasm2, self.qasm3 = qasm2, qasm3
        self.circuit, self.state = QuantumCircuit, Statevector

    def load(self, text, strict=False):
        if re.search(r"^\s*OPENQASM\s+3", text, re.MULTILINE):
            return self.qasm3.loads(text)
        more = () if strict else self.qasm2.LEGACY_CUSTOM_INSTRUCTIONS
        return self.qasm2.loads(text, custom_instructions=more)

    def parts(self, circuit):
        """The gates as a circuit of the qubits in use, and (qubit, bit) of each measurement."""
        place = {q: i for i, q in enumerate(circuit.qubits)}
        bit = {b: i for i, b in enumerate(circuit.clbits)}
        gates, measures = [], {}
        for step in circuit.data:
            on = [place[q] for q in step.qubits]
            if step.operation.name == "measure":
                if on[0] in measures:
                    raise LeftOut("measured twice")
                measures[on[0]] = bit[step.clbits[0]]
            elif step.operation.name != "barrier":
                if step.clbits or step.operation.name == "reset" or any(q in measures for q in on):
                    raise LeftOut("if, reset or gates after measurements")
                gates.append((step.operation, on))
        used = sorted({q for _, on in gates for q in on} | set(measures))
        small = self.circuit(len(used))
        for gate, on in gates:
            small.append(gate, [used.index(q) for q in on])
        return small, [(used.index(q), b) for q, b in measures.items()]

    def distribution(self, circuit):
        """Probabilities of the measured bits, numbered as they are; and which bits there are."""
        gates, measures = self.parts(circuit)
        found = {}
        for index, p in enumerate(self.state(gates).probabilities()):
            outcome = sum((index >> q & 1) << b for q, b in measures)
            found[outcome] = found.get(outcome, 0.0) + float(p)
        return found, sorted(b for _, b in measures)


def compiled(qiskit, arguments, path, form, qubits):
    command = [arguments.binary, "transpile", "--qasm", path, "--target", f"full:{qubits}", "--json", "--format", form]
    command += ["--basis", "u"] + ([] if arguments.rewrite else ["--no-rewrite"])
    out = subprocess.run(command, capture_output=True, text=True, timeout=arguments.seconds)
    if out.returncode != 0:
        raise ValueError(out.stderr.strip())
    total = {}
    for circuit in json.loads(out.stdout)["circuits"]:
        found, _ = qiskit.distribution(qiskit.load(circuit["qasm"], strict=True))
        for word, p in parities(found, circuit["readouts"]).items():
            total[word] = total.get(word, 0.0) + circuit["weight"] * p
    return total


def compare(qiskit, arguments, text, folder):
    """What is different, or nothing."""
    try:
        circuit = qiskit.load(text)
    except Exception as error:
        raise LeftOut(f"Qiskit cannot read it: {error}") from error
    gates, measures = qiskit.parts(circuit)
    if gates.num_qubits > arguments.qubits:
        raise LeftOut("more qubits")
    sizes = [(register.name, register.size) for register in circuit.qregs]
    text = text if measures else measured(text, sizes)
    texts = [text, turned(text, sizes)] if circuit.num_qubits <= arguments.qubits else [text]
    for i, text in enumerate(texts):
        path = folder / f"{i}.qasm"
        path.write_text(text)
        found, bits = qiskit.distribution(qiskit.load(text))
        want = parities(found, [{"bits": [bit], "negated": False} for bit in bits])
        for form in ["qasm2", "qasm3"]:
            gap = difference(want, compiled(qiskit, arguments, path, form, max(gates.num_qubits, circuit.num_qubits)))
            if not gap <= TOLERANCE:
                return f"text {i} as {form}: a probability differs by {gap}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--qubits", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rewrite", action="store_true")
    arguments = parser.parse_args()
    qiskit = Qiskit()
    equal, left_out, failed = 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(arguments.folder.rglob("*.qasm")):
            name = path.relative_to(arguments.folder)
            try:
                what = compare(qiskit, arguments, path.read_text(), pathlib.Path(folder))
            except LeftOut as reason:
                left_out += 1
                print(f"{name}: left out: {reason}")
                continue
            except (ValueError, subprocess.TimeoutExpired) as error:
                what = error
            equal, failed = equal + (what is None), failed + (what is not None)
            if what is not None:
                print(f"{name}: {what}", flush=True)
    print(f"{equal} equal, {failed} not read or different, {left_out} left out")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
