"""Compares `qdllm-hw transpile` with Qiskit level 3 on a folder of OpenQASM 2 circuits.

Usage: python3 transpile.py QDLLM_HW FOLDER [SEEDS] [--turned]

With --turned every qubit gets a random gate at the end and is measured, so that nothing at the end can be dropped.

Needs Qiskit (pip install qiskit); says so and stops where it is missing. Makes no claim of its own:
prints the median CZ counts of both, map by map. Circuits: set QDLLM_RANDOM_CIRCUITS to a folder and run
the test `a_hundred_random_circuits_compile_for_three_maps`.
"""

import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile


def baihua():
    across = [(q, q + 1) for q in range(156) if q % 13 < 12]
    down = [(q, q + 13) for q in range(143) if q % 13 % 4 == (2 if q // 13 % 2 == 0 else 0)]
    return across + down


def grid(rows, columns):
    n = rows * columns
    across = [(q, q + 1) for q in range(n) if q % columns + 1 < columns]
    return across + [(q, q + columns) for q in range(n - columns)]


MAPS = {"baihua": baihua(), "line:11": [(q, q + 1) for q in range(10)], "grid:3x4": grid(3, 4)}


def main():
    try:
        from qiskit import QuantumCircuit, qasm2, transpile
    except ImportError:
        sys.exit("qiskit is not installed: nothing is compared")
    arguments = [a for a in sys.argv[1:] if a != "--turned"]
    binary, folder = arguments[0], pathlib.Path(arguments[1])
    seeds = int(arguments[2]) if len(arguments) > 2 else 1
    files = sorted(folder.glob("*.qasm"))
    if "--turned" in sys.argv:
        place = tempfile.TemporaryDirectory()
        files = [turned(file, pathlib.Path(place.name)) for file in files]
    for name, edges in MAPS.items():
        both = [[a, b] for a, b in edges] + [[b, a] for a, b in edges]
        ours, plain, theirs = [], [], []
        for file in files:
            for extra, counts in (([], ours), (["--no-rewrite"], plain)):
                out = subprocess.run(
                    [binary, "transpile", "--qasm", file, "--target", name, "--json", *extra],
                    check=True, capture_output=True, text=True).stdout
                counts.append(max(c["report"]["cz"] for c in json.loads(out)["circuits"]))
            text = "\n".join(l for l in file.read_text().splitlines() if not l.startswith("gate ryy"))
            circuit = qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS + (ryy(qasm2),))
            theirs.append(min(
                transpile(circuit, coupling_map=both, basis_gates=["h", "rx", "ry", "rz", "cz"],
                          optimization_level=3, seed_transpiler=seed).count_ops().get("cz", 0)
                for seed in range(seeds)))
        worse = sum(a > b for a, b in zip(plain, theirs))
        print(f"{name}: median CZ {statistics.median(ours)} with rewrites, "
              f"{statistics.median(plain)} without, Qiskit {statistics.median(theirs)} "
              f"(best of {seeds}); sum {sum(ours)}, {sum(plain)}, {sum(theirs)}; "
              f"without rewrites more than Qiskit on {worse} of {len(files)}")


def turned(file, folder):
    rng = random.Random(file.name)
    lines = [l for l in file.read_text().splitlines() if not l.startswith(("measure", "barrier", "creg"))]
    at = next(i for i, l in enumerate(lines) if l.startswith("qreg"))
    n = int(lines[at].split("[")[1].split("]")[0])
    lines.insert(at + 1, f"creg c[{n}];")
    for q in range(n):
        angles = ",".join(repr(rng.uniform(-3.0, 3.0)) for _ in range(3))
        lines.append(f"u({angles}) q[{q}];")
    lines += [f"measure q[{q}] -> c[{q}];" for q in range(n)]
    path = folder / file.name
    path.write_text("\n".join(lines) + "\n")
    return path


def ryy(qasm2):
    from qiskit.circuit.library import RYYGate
    return qasm2.CustomInstruction("ryy", 1, 2, RYYGate, builtin=True)


if __name__ == "__main__":
    main()
