"""Trains the two controls with scikit-learn and fastText and prints them beside `qdllm controls`.

    python -m venv venv && venv/bin/pip install scikit-learn fasttext-wheel
    cargo build --release -p qdllm-trainer
    venv/bin/python tests/peers/controls.py FOLDER [FOLDER ...] [--qdllm target/release/qdllm]

Each folder holds train.tsv and valid.tsv of `label<TAB>text`. TF-IDF with logistic regression is
deterministic on both sides; fastText is run with several seeds, and on the Python side with several
numbers of buckets as well, because its hash of word pairs does not depend on the seed while which
pairs share a row moves the accuracy. Mean and standard deviation are printed for it.
"""

import argparse
import json
import pathlib
import random
import re
import statistics
import subprocess
import tempfile
import time

import fasttext
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import FeatureUnion

BUCKETS = [99991, 100003, 100019, 100043, 100057]


def read(path):
    with open(path, encoding="utf-8", newline="\n") as lines:
        rows = [line.rstrip("\r\n").split("\t", 1) for line in lines if line.strip()]
    return [label for label, _ in rows], [text for _, text in rows]


def scores(truth, found):
    accuracy = sum(t == f for t, f in zip(truth, found)) / len(truth)
    return accuracy, f1_score(truth, found, average="macro")


def sklearn_tfidf(train, valid):
    start = time.perf_counter()
    features = FeatureUnion([
        ("words", TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)),
        ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2,
                                       sublinear_tf=True)),
    ])
    matrix = features.fit_transform(train[1])
    classifier = LogisticRegression(C=1.0, max_iter=1000, tol=1e-5).fit(matrix, train[0])
    seconds = time.perf_counter() - start
    return [(*scores(valid[0], classifier.predict(features.transform(valid[1]))), seconds)]


def python_fasttext(train, valid):
    def tokens(text):
        return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))

    results = []
    for seed, buckets in enumerate(BUCKETS):
        rows = list(zip(*train))
        random.Random(seed).shuffle(rows)
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.writelines(f"__label__{label} {tokens(text)}\n" for label, text in rows)
            file.flush()
            start = time.perf_counter()
            model = fasttext.train_supervised(
                file.name, dim=10, wordNgrams=2, bucket=buckets, lr=0.5, epoch=25, thread=1,
                seed=seed + 1, verbose=0)
            seconds = time.perf_counter() - start
        # A list of texts, because the one-text call does not work with NumPy 2.
        labels, _ = model.predict([tokens(text) for text in valid[1]])
        found = [label[0].removeprefix("__label__") for label in labels]
        results.append((*scores(valid[0], found), seconds))
    return results


def ours(qdllm, folder, control, seeds):
    results = []
    for seed in seeds:
        out = subprocess.run(
            [qdllm, "controls", "--json", "--only", control, "--seed", str(seed),
             "--data", folder / "train.tsv", "--test", folder / "valid.tsv"],
            check=True, capture_output=True, text=True)
        [found] = json.loads(out.stdout)["controls"]
        results.append((found["accuracy"], found["macro_f1"], found["train_seconds"]))
    return results


def line(name, results):
    columns = []
    for values in list(zip(*results))[:2]:
        spread = f" ±{statistics.stdev(values):.4f}" if len(values) > 1 else " " * 8
        columns.append(f"{statistics.mean(values):.4f}{spread}")
    seconds = statistics.mean(result[2] for result in results)
    print(f"{name:28}  {columns[0]}  {columns[1]}  {seconds:7.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--qdllm", default="target/release/qdllm")
    arguments = parser.parse_args()
    fasttext.FastText.eprint = lambda text: None
    for folder in arguments.folders:
        train, valid = read(folder / "train.tsv"), read(folder / "valid.tsv")
        print(f"\n{folder.name}: {len(train[0])} texts to train, {len(valid[0])} to test")
        print(f"{'':28}  accuracy        macro F1        seconds")
        line("TF-IDF, scikit-learn", sklearn_tfidf(train, valid))
        line("TF-IDF, qdllm", ours(arguments.qdllm, folder, "tfidf", [0]))
        line("fastText, Python package", python_fasttext(train, valid))
        line("fastText, qdllm", ours(arguments.qdllm, folder, "fasttext", range(len(BUCKETS))))


if __name__ == "__main__":
    main()
