"""The published Python clients of both platforms against the stand-in server.

    QPU_API_TOKEN=qf_any QUAFU_API_KEY=qf_any python clients.py http://127.0.0.1:7700

Needs quarkstudio (its task client) and quafu-sdk. Submits a circuit whose counts tell the order of the
bits, reads the counts back through each client, and exits with 0 when they are right.
"""

import sys
import time

CIRCUIT = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[3];
creg c[3];
x q[0];
h q[1];
cx q[1],q[2];
barrier q;
measure q[0] -> c[0];
measure q[1] -> c[1];
measure q[2] -> c[2];
"""


def right(counts, shots):
    """c[0] is the rightmost character and always 1; the other two are equal, and random."""
    assert set(counts) == {"001", "111"}, counts
    assert sum(counts.values()) == shots, counts
    assert abs(counts["001"] - shots / 2) < 5 * (shots / 4) ** 0.5, counts


def quarkstudio(url):
    import quark

    quark.Task.URL = url
    client = quark.Task()
    assert client.status(0)["Baihua"] >= 0
    tid = client.run({"name": "bell", "chip": "Baihua", "circuit": CIRCUIT, "compile": True}, repeat=2)
    assert isinstance(tid, int), tid
    result = {}
    for _ in range(100):
        result = client.result(tid)
        if result:
            break
        time.sleep(0.05)
    assert result["status"] == "Finished" and result["tid"] == tid, result
    assert client.status(tid) == "Finished"
    right(result["count"], 2048)
    assert any(row["taskId"] == tid for row in client.query(chips="Baihua"))
    late = client.run({"name": "late", "chip": "Baihua", "circuit": "nonsense", "compile": False})
    for _ in range(100):
        if client.status(late) == "Failed":
            break
    assert client.result(late)["error"], "a failed task has a text"


def quafu_sdk(url):
    import quafu

    client = quafu.Client(base_url=url)
    assert client.whoami()["kind"] == "api_key"
    names = {row["name"]: row for row in client.devices()}
    assert names["Baihua"]["status"] == "online", names
    job = client.submit(CIRCUIT, target="Baihua", shots=2048)
    result = job.result(timeout=30)
    right(result.counts, 2048)
    assert result.shots_returned == 2048 and result.bit_order == "c0_rightmost"
    assert abs(result.expectation_z([0]) + 1) < 1e-12
    assert {m["cbit"] for m in result.measurements} == {0, 1, 2}
    pair = client.submit([CIRCUIT, CIRCUIT], target="sim", shots=1000)
    for one in pair.results(timeout=30):
        right(one.counts, 1000)
    assert len(client.device_calibration("Baihua").couplers) == 182
    try:
        client.submit(CIRCUIT, target="Baihua", shots=1000)
    except quafu.errors.PrecheckError:
        pass
    else:
        raise AssertionError("1000 shots are no multiple of 1024")


def main():
    url = sys.argv[1]
    quarkstudio(url)
    print("quarkstudio: right")
    quafu_sdk(url)
    print("quafu-sdk: right")


if __name__ == "__main__":
    main()
