"""The commands with 20 labels a class, over several draws of labels.

    cargo build --release -p qdllm-trainer --features teacher
    python tests/peers/draws.py --model A.gguf --model B      # standard library only

Prints what the teacher knows, what the student learns from it, and what the labels alone would have given.
`qdllm teach --help` says where the demo's two models come from.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "trainer/data/commands"
# What the causal model of the demo's teacher reads.
PROMPT = 'The command "{text}" asks the smart home to'
COLUMNS = ["teacher", "student", "linear control", "labels only"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="a teacher's file or folder; may be repeated")
    parser.add_argument("--draws", type=int, default=5, help="draws of labels")
    parser.add_argument("--labels-per-class", type=int, default=20, help="labels a class that are kept")
    parser.add_argument("--qdllm", default=ROOT / "target/release/qdllm")
    options = parser.parse_args()
    work = ROOT / "target/draws"
    work.mkdir(parents=True, exist_ok=True)

    def ask(*arguments):
        command = [str(a) for a in (options.qdllm, *arguments)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def row(name, figures):
        print(f"| {name} | " + " | ".join(f"{x:.4f}" for x in figures) + " |", flush=True)

    print("| draw | " + " | ".join(COLUMNS) + " |\n|" + " --- |" * (len(COLUMNS) + 1))
    models = [word for model in options.model for word in ("--model", pathlib.Path(model).resolve())]
    rows = []
    for draw in range(options.draws):
        print(f"draws: draw {draw}", file=sys.stderr)
        soft, student, alone = (work / f"{name}.{draw}.{end}" for name, end in
                                [("soft", "jsonl"), ("soft", "qdm"), ("labels", "qdm")])
        kept = ["--labels-per-class", options.labels_per_class, "--label-draw", draw, "--data", DATA / "train.tsv"]
        teacher = ask("teach", "--json", "--test", DATA / "test.tsv", "--out", soft, "--cache", work / "cache", *kept,
                      "--prompt", PROMPT, *models)
        distill = ["distill", "--json", "--restart", "--config", DATA / "demo.toml", *kept]
        ask(*distill, "--soft", soft, "--out", student)
        # 160 texts hold few n-grams that occur twice.
        ask(*distill, "--rows", 128, "--out", alone)
        taught = ask("eval", "--json", "--data", DATA / "test.tsv", student)
        labels = ask("eval", "--json", "--data", DATA / "test.tsv", alone, "--no-control")
        rows.append([teacher["test"]["accuracy"], taught["student"]["accuracy"], taught["control"]["accuracy"],
                     labels["student"]["accuracy"]])
        row(draw, rows[-1])
    row("mean", [sum(column) / len(rows) for column in zip(*rows)])


if __name__ == "__main__":
    main()
