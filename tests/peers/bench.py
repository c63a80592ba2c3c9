"""Times the `paper` circuit in `qdllm bench`, MindQuantum and Qulacs in one run, in turns.

    python3.11 -m venv venv && venv/bin/pip install mindquantum qulacs mindspore
    cargo build --release -p qdllm-trainer
    venv/bin/python tests/peers/bench.py [--qdllm target/release/qdllm] [--rounds 5]

One thread everywhere. Microseconds a sample of the best round, and how many times longer a peer takes.
"Inference" is 11 encoder angles to 11 expectations; "gradient" adds the slopes of a weighted sum of them
by 144 parameters and 11 angles. Each peer's numbers are first compared with the reference vectors of the
tests, so that all of them run the same circuit.

MindQuantum's layer is `MQLayer` on MindSpore, what arXiv 2505.13205 ran. It computes all gradients in its
forward pass already, so its two columns are nearly equal; without MindSpore the simulator's
`get_expectation_with_grad`, the call inside that layer, is timed alone and named as such.

The last line is the row of the README's table.
"""

import argparse
import json
import os
import pathlib
import subprocess
import time

for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "QULACS_NUM_THREADS"]:
    os.environ[name] = "1"
os.environ.setdefault("GLOG_v", "3")

import numpy as np  # noqa: E402  (threads are fixed before it starts)

QUBITS = 11
VECTORS = pathlib.Path(__file__).parent.parent / "vectors/mindquantum_circuit.json"


def gates():
    """The ansatz as (name, qubits, parameter or None), in order."""
    number = iter(range(144))
    for _ in range(2):
        for j in range(10):
            for _ in range(3):
                yield "ry", (j,), next(number)
            if j < 9:
                yield "rzz", (j + 1, j + 2), next(number)
        for j in range(11):
            for _ in range(3):
                yield "rz", (j,), next(number)
        yield "cx", (10, 0), None
        for k in range(1, 9):
            yield "cx", (k, k + 1), None
            yield "cx", (k, k - 1), None


class MindQuantum:
    """The layer on MindSpore, or the call inside it."""

    def __init__(self):
        import mindquantum as mq
        from mindquantum.core.circuit import Circuit
        from mindquantum.core.gates import RX, RY, RZ, Rzz, X
        from mindquantum.core.operators import Hamiltonian, QubitOperator
        from mindquantum.simulator import Simulator

        encoder = Circuit([RX(f"x{q}").on(q) for q in range(QUBITS)]).as_encoder()
        kinds = {"ry": RY, "rz": RZ, "rzz": Rzz}
        ansatz = Circuit()
        for kind, qubits, parameter in gates():
            if kind == "cx":
                ansatz += X.on(qubits[1], qubits[0])
            else:
                ansatz += kinds[kind](f"a{parameter}").on(list(qubits))
        readouts = [Hamiltonian(QubitOperator(f"Z{q}")) for q in range(QUBITS)]
        self.ops = Simulator("mqvector", QUBITS).get_expectation_with_grad(
            readouts, encoder + ansatz.as_ansatz(), parallel_worker=1)
        self.name = f"MindQuantum {mq.__version__} get_expectation_with_grad"
        self.layer = None
        try:
            import mindspore
            from mindquantum.framework import MQLayer

            mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
            self.mindspore, self.MQLayer = mindspore, MQLayer
            self.name = f"MindQuantum {mq.__version__} MQLayer, MindSpore {mindspore.__version__}"
        except ImportError as error:
            print(f"no MindSpore ({error}): the simulator's own call is timed", flush=True)
            self.mindspore = None

    def load(self, parameters):
        self.parameters = np.asarray(parameters, dtype=np.float32)
        if self.mindspore:
            weight = self.mindspore.Tensor(self.parameters)
            self.layer = self.MQLayer(self.ops, weight=weight)
            slope = self.mindspore.ops.GradOperation(
                get_all=True, get_by_list=True, sens_param=True)
            self.slope = slope(self.layer, self.layer.trainable_params())

    def inference(self, angles):
        if self.layer is None:
            return np.real(self.ops(angles, self.parameters)[0])
        return self.layer(self.mindspore.Tensor(angles)).asnumpy()

    def gradient(self, angles, cotangent):
        if self.layer is None:
            _, by_angle, by_parameter = self.ops(angles, self.parameters)
            return (np.einsum("bmk,m->k", np.real(by_parameter), cotangent),
                    np.einsum("bmk,m->bk", np.real(by_angle), cotangent))
        rows = np.tile(np.asarray(cotangent, dtype=np.float32), (len(angles), 1))
        by_angle, by_parameter = self.slope(
            self.mindspore.Tensor(angles), self.mindspore.Tensor(rows))
        return by_parameter[0].asnumpy(), by_angle[0].asnumpy()


class Qulacs:
    """One state at a time; gradients by its adjoint method."""

    def __init__(self):
        import importlib.metadata

        import qulacs

        self.name = f"Qulacs {importlib.metadata.version('qulacs')}"
        self.state = qulacs.QuantumState(QUBITS)
        self.readouts = []
        for q in range(QUBITS):
            observable = qulacs.Observable(QUBITS)
            observable.add_operator(1.0, f"Z {q}")
            self.readouts.append(observable)
        self.qulacs = qulacs

    def load(self, parameters):
        # Its rotations turn the other way: exp(+i t P / 2).
        circuit = self.qulacs.ParametricQuantumCircuit(QUBITS)
        for q in range(QUBITS):
            circuit.add_parametric_RX_gate(q, 0.0)
        for kind, qubits, parameter in gates():
            if kind == "cx":
                circuit.add_CNOT_gate(*qubits)
            elif kind == "rzz":
                circuit.add_parametric_multi_Pauli_rotation_gate(
                    list(qubits), [3, 3], -parameters[parameter])
            else:
                add = getattr(circuit, f"add_parametric_{kind.upper()}_gate")
                add(qubits[0], -parameters[parameter])
        self.circuit = circuit

    def one(self, angles):
        for q in range(QUBITS):
            self.circuit.set_parameter(q, -float(angles[q]))

    def inference(self, angles):
        rows = []
        for row in angles:
            self.one(row)
            self.state.set_zero_state()
            self.circuit.update_quantum_state(self.state)
            rows.append([o.get_expectation_value(self.state) for o in self.readouts])
        return np.array(rows)

    def gradient(self, angles, cotangent):
        weighted = self.qulacs.Observable(QUBITS)
        for q in range(QUBITS):
            weighted.add_operator(float(cotangent[q]), f"Z {q}")
        total, rows = np.zeros(144), []
        for row in angles:
            self.one(row)
            self.inference([row])
            slopes = -np.array(self.circuit.backprop(weighted))
            total += slopes[QUBITS:]
            rows.append(slopes[:QUBITS])
        return total, np.array(rows)


def check(peer, cases):
    """The largest difference from the reference vectors."""
    worst = 0.0
    for case in cases:
        peer.load(case["ansatz_params"])
        angles = np.array([case["encoder_angles"]], dtype=np.float32)
        by_parameter, by_angle = peer.gradient(angles, case["cotangent"])
        for found, expected in [(peer.inference(angles)[0], case["expectations"]),
                                (by_parameter, case["grad_ansatz"]),
                                (by_angle[0], case["grad_encoder"])]:
            worst = max(worst, float(np.abs(found - np.array(expected)).max()))
    return worst


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ours(qdllm, threads):
    out = subprocess.run([qdllm, "bench", "--json", "--seconds", "1", "--threads", str(threads)],
                         check=True, capture_output=True, text=True)
    figures = [f for f in json.loads(out.stdout)["figures"] if f["threads"] == threads]
    return {f["work"]: f["best_us"] for f in figures}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qdllm", default="target/release/qdllm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16, help="samples a round of a peer")
    arguments = parser.parse_args()
    cases = json.loads(VECTORS.read_text())["cases"]
    peers = []
    for kind in [MindQuantum, Qulacs]:
        try:
            peers.append(kind())
        except ImportError as error:
            print(f"{kind.__name__} is left out: {error}", flush=True)
    for peer in peers:
        worst = check(peer, cases[:3])
        print(f"{peer.name}: differs from the reference vectors by {worst:.1e}", flush=True)
        # The layer works in single precision.
        assert worst < 1e-4, "this is not the same circuit"
    random = np.random.default_rng(0)
    angles = random.uniform(-3, 3, (arguments.batch, QUBITS)).astype(np.float32)
    best = {}

    def note(name, work, us):
        best[name, work] = min(us, best.get((name, work), float("inf")))

    for _ in range(arguments.rounds):
        for work, us in ours(arguments.qdllm, 1).items():
            note("qdllm", work, us)
        for peer in peers:
            scale = 1e6 / arguments.batch
            note(peer.name, "inference", scale * seconds(lambda: peer.inference(angles)))
            note(peer.name, "gradient",
                 scale * seconds(lambda: peer.gradient(angles, np.ones(QUBITS))))
    print("\n| one thread, us a sample | inference | gradient | inference ratio | gradient ratio |")
    print("| --- | --- | --- | --- | --- |")
    one, two = best["qdllm", "inference"], best["qdllm", "gradient"]
    print(f"| qdllm bench | {one:.2f} | {two:.2f} | 1 | 1 |")
    for peer in peers:
        a, b = best[peer.name, "inference"], best[peer.name, "gradient"]
        print(f"| {peer.name} | {a:.0f} | {b:.0f} | {a / one:.0f} | {b / two:.0f} |")


if __name__ == "__main__":
    main()
