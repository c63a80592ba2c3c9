"""Compares the CZ of circuits compiled by `qdllm-hw` with those of Qiskit and tket, file by file of a folder.

Usage: python3 cz.py QDLLM_HW FOLDER [--qubits 11] [--gates 5000] [--seeds 5] [--targets baihua,grid:3x4]
           [--turned] [--rewrite] [--only NAME] [--cache FILE]

Qiskit at level 3, the best of its seeds; tket by FullPeepholeOptimise, routing, KAKDecomposition, CliffordSimp and
SynthesiseTket. Of a mixture (--rewrite) the dearest circuit counts. Files without measurements are measured whole;
with --turned a random gate stands on every qubit at both ends, so that nothing can be dropped there. The peers'
figures are kept in the cache. Seconds are of the processor, ours only. Left out: what qasm.py leaves out, and files
with more gates.

Needs pip install qiskit pytket. Circuits to try it on: the folder `small` of QASMBench; or those that the test
`a_hundred_random_circuits_compile_for_three_maps` writes to the folder that QDLLM_RANDOM_CIRCUITS names.
"""

import argparse
import hashlib
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

import qasm

BASIS = ["h", "rx", "ry", "rz", "cz"]
# Gates that tket reads as they are.
READ = "h x y z s sdg t tdg rx ry rz u1 u2 u3 cx cz cy ch swap ccx cswap crz cu1 cu3 rzz".split()


def couplers(target):
    """The pairs of a target by name, as `qdllm-hw` takes it."""
    if target == "baihua":
        down = [(q, q + 13) for q in range(143) if q % 13 % 4 == (2 if q // 13 % 2 == 0 else 0)]
        return [(q, q + 1) for q in range(156) if q % 13 < 12] + down
    shape, size = target.split(":")
    rows, columns = map(int, size.split("x")) if shape == "grid" else (1, int(size))
    n = rows * columns
    return [(q, q + 1) for q in range(n) if q % columns + 1 < columns] + [(q, q + columns) for q in range(n - columns)]


def with_qiskit(circuit, pairs, seeds):
    from qiskit import transpile

    both = [[a, b] for a, b in pairs] + [[b, a] for a, b in pairs]
    options = {"coupling_map": both, "basis_gates": BASIS, "optimization_level": 3}
    return min(transpile(circuit, seed_transpiler=s, **options).count_ops().get("cz", 0) for s in range(seeds))


def with_tket(circuit, pairs):
    from pytket import OpType, passes, placement, qasm as reader
    from pytket.architecture import Architecture
    from qiskit import qasm2, transpile

    plain = transpile(circuit, basis_gates=READ, optimization_level=0)
    found = reader.circuit_from_qasm_str(qasm2.dumps(plain), maxwidth=64)
    map_of = Architecture(pairs)
    passes.SequencePass([
        passes.FullPeepholeOptimise(),
        passes.CXMappingPass(map_of, placement.GraphPlacement(map_of), directed_cx=False, delay_measures=True),
        passes.NaivePlacementPass(map_of),
        passes.KAKDecomposition(allow_swaps=False),
        passes.CliffordSimp(allow_swaps=False),
        passes.SynthesiseTket(),
        passes.AutoRebase({OpType.CZ, OpType.Rz, OpType.PhasedX}),
    ]).apply(found)
    return found.n_gates_of_type(OpType.CZ)


def with_ours(arguments, path, target):
    command = [arguments.binary, "transpile", "--qasm", path, "--target", target, "--json"]
    command += [] if arguments.rewrite else ["--no-rewrite"]
    spent = lambda: resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    start = spent()
    out = subprocess.run(command, capture_output=True, text=True)
    if out.returncode != 0:
        raise ValueError(out.stderr.strip())
    return max(c["report"]["cz"] for c in json.loads(out.stdout)["circuits"]), spent() - start


def texts(qiskit, arguments):
    """Name, text and circuit of each file that can be compared."""
    for path in sorted(arguments.folder.rglob("*.qasm")):
        name, text = str(path.relative_to(arguments.folder)), path.read_text()
        if arguments.only not in name or text.count(";") > arguments.gates:
            continue
        try:
            circuit = qiskit.load(text)
            gates, measures = qiskit.parts(circuit)
        except Exception as why:
            print(f"{name}: left out: {why}")
            continue
        if gates.num_qubits > arguments.qubits:
            continue
        sizes = [(register.name, register.size) for register in circuit.qregs]
        text = text if measures else qasm.measured(text, sizes)
        text = qasm.turned(text, sizes) if arguments.turned else text
        yield name, text, qiskit.load(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--qubits", type=int, default=11)
    parser.add_argument("--gates", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--targets", default="baihua,grid:3x4")
    parser.add_argument("--turned", action="store_true")
    parser.add_argument("--rewrite", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--cache", type=pathlib.Path)
    arguments = parser.parse_args()
    cache = json.loads(arguments.cache.read_text()) if arguments.cache and arguments.cache.exists() else {}
    rows, targets = [], arguments.targets.split(",")
    with tempfile.TemporaryDirectory() as folder:
        for name, text, circuit in texts(qasm.Qiskit(), arguments):
            path = pathlib.Path(folder) / "circuit.qasm"
            path.write_text(text)
            for target in targets:
                try:
                    ours, seconds = with_ours(arguments, path, target)
                except ValueError as why:
                    print(f"{name}: left out: {why}")
                    continue
                key = f"{hashlib.sha256(text.encode()).hexdigest()} {target} {arguments.seeds}"
                if key not in cache:
                    pairs = couplers(target)
                    cache[key] = [with_qiskit(circuit, pairs, arguments.seeds), with_tket(circuit, pairs)]
                    if arguments.cache:
                        arguments.cache.write_text(json.dumps(cache))
                rows.append((target, name, ours, *cache[key], seconds))
                mark = "  worse" if ours > min(cache[key]) else ""
                print(f"{target:9} {name:60} {ours:5} {cache[key][0]:5} {cache[key][1]:5} {seconds:7.2f} s{mark}", flush=True)
    print("target: files; CZ in sum (median) of ours, Qiskit, tket, the better of both; ours to the better; worse on")
    for target in targets:
        columns = list(zip(*[row[2:5] + (min(row[3:5]),) for row in rows if row[0] == target]))
        if not columns:
            sys.exit("nothing to compare")
        sums = ", ".join(f"{sum(c)} ({statistics.median(c):g})" for c in columns)
        worse = [f"{n} {a} > {min(q, t)}" for at, n, a, q, t, _ in rows if at == target and a > min(q, t)]
        print(f"{target}: {len(columns[0])}; {sums}; {sum(columns[0]) / max(sum(columns[3]), 1):.3f}; {len(worse)} {worse}")


if __name__ == "__main__":
    main()
