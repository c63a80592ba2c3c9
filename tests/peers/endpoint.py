"""The endpoint teacher against a real llama.cpp server: a line that fails, small budgets, SIGKILL.

    cargo build --release -p qdllm-trainer --features teacher
    pip install 'llama-cpp-python[server]==0.3.36' 'numpy==2.4.6'
    python tests/peers/endpoint.py --model SmolLM2-135M-Instruct.Q4_1.gguf   # about an hour on two cores
    python tests/peers/endpoint.py --self-test                               # a fake server, under a minute

Each way of asking runs undisturbed twice, then over a proxy that answers 429, 503, HTML, cuts and holds answers,
under a budget of requests, a budget of tokens and a large one, ended by SIGKILL at random moments. It fails when a
text is lost or labelled twice, a budget is passed, or a label differs by more than the server itself varies.
`qdllm teach --help` says where a model file comes from.
"""

import argparse
import hashlib
import json
import math
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "local-gguf"
LANES = 4
VOTES = 4
# Kills of each of the three starts: under a budget of requests, of tokens, and under a large one.
KILLS = [6, 6, 16]
# Faults and how many of a hundred requests they befall.
FAULTS = [("429", 10), ("503", 5), ("html", 4), ("cut", 6), ("held", 2)]


def require(held, message):
    if not held:
        sys.exit(f"FAILED: {message}")


def say(text):
    print(f"endpoint: {text}", file=sys.stderr, flush=True)


class Proxy:
    """A line to a server that fails by seeded chance and counts what passed."""

    def __init__(self, server, seed=None, patience=0.0):
        self.server, self.seed, self.patience = server, seed, patience
        self.lock = threading.Lock()
        self.arrived = self.tokens = self.uncounted = 0
        self.refused, self.faults, self.given = [], Counter(), Counter()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                proxy.serve(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def fault(self, number):
        if self.seed is None:
            return None
        draw = random.Random(f"{self.seed}/{number}").randrange(100)
        for fault, share in FAULTS:
            if draw < share:
                return fault
            draw -= share
        return None

    def serve(self, handler):
        try:
            self.answer(handler)
        except OSError:
            pass  # A client that was ended leaves a broken connection behind: no failure of the line.

    def answer(self, handler):
        length = int(handler.headers.get("content-length") or 0)
        body = handler.rfile.read(length)
        if len(body) < length:
            return
        with self.lock:
            self.arrived += 1
            fault = self.fault(self.arrived)
            self.faults[fault] += fault is not None
        error = b'{"error":{"message":"by chance"}}'
        if fault == "429":
            return reply(handler, 429, error, extra=("retry-after", "1"))
        if fault == "503":
            return reply(handler, 503, error)
        if fault == "html":
            return reply(handler, 200, b"<html><body>Sign in</body></html>")
        status, answer = ask(self.server + handler.path, body)
        with self.lock:
            if status != 200:
                self.refused.append(f"{status}: {answer[:300]!r}")
            else:
                usage = json.loads(answer).get("usage") or {}
                self.tokens += usage.get("total_tokens", 0)
                self.uncounted += "total_tokens" not in usage
        if fault == "held":
            time.sleep(self.patience * 1.2)
            return None
        reply(handler, status, answer, share=0.5 if fault else 1.0)
        if fault is None and status == 200:
            with self.lock:
                self.given[handler.path, body] += 1
        return None

    def twice(self):
        return sum(n - 1 for n in self.given.values())

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def ask(url, body):
    request = urllib.request.Request(url, data=body or None, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def reply(handler, status, body, extra=None, share=1.0):
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(body)))
    handler.send_header("connection", "close")
    if extra:
        handler.send_header(*extra)
    handler.end_headers()
    handler.wfile.write(body[: int(len(body) * share)])
    handler.close_connection = True


class Client:
    """The real `qdllm teach`, run to its end or ended on the way."""

    def __init__(self, qdllm, folder, name, arguments):
        self.qdllm, self.folder, self.name, self.arguments = qdllm, folder, name, list(arguments)

    def but(self, *more, name=None):
        return Client(self.qdllm, self.folder, name or self.name, self.arguments + [str(m) for m in more])

    @property
    def labels(self):
        return self.folder / f"{self.name}.jsonl"

    def start(self):
        command = [self.qdllm, "teach", "--json", "--unlabelled", "texts.txt", "--out", self.labels, "--cache",
                   self.folder / f"{self.name}.cache", *self.arguments]
        environment = {k: v for k, v in os.environ.items() if k != "QDLLM_API_KEY"}
        with open(self.folder / f"{self.name}.log", "w") as log:
            return subprocess.Popen([str(c) for c in command], cwd=self.folder, env=environment,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def said(self):
        return (self.folder / f"{self.name}.log").read_text(errors="replace").strip()

    def run(self):
        return self.start().wait(), self.said()

    def run_interrupted(self, chance, most, longest, look):
        """Ends it by SIGKILL after a time by chance and starts it again; the start after `most` kills lives on."""
        kills = 0
        while True:
            child = self.start()
            try:
                status = child.wait(longest * chance.uniform(0.02, 1.0) if kills < most else None)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                status = None
            look()
            if status is not None:
                return status, self.said(), kills
            kills += 1


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Labels:
    """Soft labels as a reader from outside sees them: one row for every text, and no other."""

    def __init__(self, path, texts):
        head, *lines = path.read_text().splitlines()
        self.classes, self.rows = json.loads(head)["classes"], {}
        for line in lines:
            row = json.loads(line)
            require(len(row["logits"]) == len(self.classes), f"a row with {len(row['logits'])} logits")
            require(row["text_sha256"] not in self.rows, f"a text is labelled twice: {line}")
            self.rows[row["text_sha256"]] = row["logits"]
        for _, text in texts:
            require(digest(text) in self.rows, f"lost: `{text}`")
        require(len(self.rows) == len(texts), f"{len(self.rows)} rows for {len(texts)} texts")

    def accuracy(self, texts):
        right = sum(self.classes[largest(self.rows[digest(text)])] == label for label, text in texts)
        return right / len(texts)

    def likeness(self, other):
        """Largest difference of a centred logit, their correlation, share of equal decisions."""
        order = [other.classes.index(name) for name in self.classes]
        pairs, alike = [], 0
        for key, row in self.rows.items():
            theirs = [other.rows[key][i] for i in order]
            alike += largest(row) == largest(theirs)
            pairs += zip(centred(row), centred(theirs))
        norm = math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))
        correlation = sum(a * b for a, b in pairs) / norm if norm else math.nan
        return max(abs(a - b) for a, b in pairs), correlation, alike / len(self.rows)


def largest(row):
    return row.index(max(row))


def centred(row):
    mean = sum(row) / len(row)
    return [z - mean for z in row]


def calm(server, client, name, lanes, texts, requests_a_text):
    proxy = Proxy(server)
    client = client.but("--endpoint", proxy.url, "--concurrency", lanes, name=f"{client.name}.{name}")
    started = time.monotonic()
    status, said = client.run()
    seconds = time.monotonic() - started
    proxy.close()
    require(status == 0, f"qdllm teach failed: {said}")
    require(proxy.uncounted == 0, f"{proxy.uncounted} answers without usage")
    expected = len(texts) * requests_a_text
    require(proxy.arrived == expected, f"{proxy.arrived} requests instead of {expected}")
    return Labels(client.labels, texts), proxy, seconds


def trial(server, client, texts, requests_a_text, seed, kills_a_start=KILLS):
    """One way of asking: undisturbed runs, then a rough line, small budgets and SIGKILL, and what must hold."""
    labels, seen, seconds = calm(server, client, "calm", LANES, texts, requests_a_text)
    say(f"undisturbed: {seen.arrived} requests in {seconds:.0f} s")
    single, _, _ = calm(server, client, "single", 1, texts, requests_a_text)
    chance = random.Random(seed)
    patience = min(max(seconds / seen.arrived * 6 * LANES, 8.0), 90.0)
    proxy = Proxy(server, seed, patience)
    rough = client.but("--endpoint", proxy.url, "--concurrency", LANES, "--tries", 60, "--timeout", int(patience),
                       name=f"{client.name}.rough")
    longest = min(max(seconds / 8, 1.0), 20.0)
    # A third of the requests, then two thirds of the tokens, then enough of both.
    limits = [(seen.arrived // 3, None), (None, seen.tokens * 2 // 3), (seen.arrived * 20, seen.tokens * 40)]
    kills, stops = 0, []
    for stage, ((requests, tokens), most) in enumerate(zip(limits, kills_a_start)):
        budget = ["--budget-requests", requests] if requests is not None else []
        budget += ["--budget-tokens", tokens] if tokens is not None else []

        def look():
            require(requests is None or proxy.arrived <= requests, f"{proxy.arrived} requests of {requests}")
            require(tokens is None or proxy.tokens <= tokens, f"{proxy.tokens} tokens of {tokens}")

        status, said, ended = rough.but(*budget).run_interrupted(chance, most, longest, look)
        kills += ended
        say(f"rough, {budget}: {proxy.arrived} requests, {ended} kills")
        if stage < 2:
            require(status == 1 and "the budget is used up" in said, f"no stop at the budget: {status}: {said}")
            require(not rough.labels.exists(), "an unfinished file bears the result's name")
            stops.append((proxy.arrived, requests) if requests is not None else (proxy.tokens, tokens))
        else:
            require(status == 0, f"qdllm teach failed: {said}")
    proxy.close()
    interrupted = Labels(rough.labels, texts)
    # What was under way at a kill may have been given and is asked again, and of a text in several requests the
    # earlier ones; nothing else is.
    again = proxy.twice() - min(seen.twice(), proxy.twice())
    most = kills * LANES * requests_a_text
    require(again <= most, f"{again} answers were given again, {most} may be")
    require(not proxy.refused, f"the server refused: {proxy.refused[:1]}")
    own, resumed = single.likeness(labels), interrupted.likeness(labels)
    most = 2 * own[0] + 1e-3
    require(resumed[0] <= most, f"a logit of the interrupted run differs by {resumed[0]}, {most} is the server's own")
    of = "{} of {}".format
    return labels, {
        "texts": len(texts),
        "undisturbed: requests": seen.arrived,
        "undisturbed: tokens that the server counted": seen.tokens,
        "undisturbed: seconds": f"{seconds:.0f}",
        "rough: SIGKILL": kills,
        "rough: requests": proxy.arrived,
        "rough: 429, 503, HTML, cut, held": ", ".join(str(proxy.faults[name]) for name, _ in FAULTS),
        "rough: first stop, requests": of(*stops[0]),
        "rough: second stop, tokens that the server counted": of(*stops[1]),
        "rough: texts labelled once; lost; twice": f"{len(texts)}; 0; 0",
        "rough: answers asked for again after a kill": again,
        "largest difference of a logit, undisturbed runs": f"{own[0]:.4f}",
        "largest difference of a logit, rough run": f"{resumed[0]:.4f}",
        "accuracy, no label used": f"{labels.accuracy(texts):.3f}",
    }


class Server:
    """llama-cpp-python's server on a loopback port, ended with this program."""

    def __init__(self, options, opening, folder):
        # The server binds this port itself; it lies below those given to outgoing connections.
        port = 20000 + os.getpid() % 10000
        self.url = f"http://127.0.0.1:{port}"
        command = [options.python, "-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", str(port),
                   "--model_alias", NAME, "--n_ctx", "1024", "--logits_all", "true", "--verbose", "false",
                   "--n_threads", "2", "--model", str(options.model)]
        if opening:
            # The model's opening token before prompts of completions, whatever the model file says.
            command += ["--kv_overrides", "tokenizer.ggml.add_bos_token=bool:true"]
        self.log = folder / "server.log"
        with open(self.log, "a") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + 180
        while True:
            try:
                if ask(self.url + "/v1/models", b"")[0] == 200:
                    return
            except OSError:
                pass
            require(self.child.poll() is None, f"the server ended; see {self.log}")
            require(time.monotonic() < until, f"the server does not answer; see {self.log}")
            time.sleep(0.2)

    def close(self):
        self.child.kill()
        self.child.wait()


class FakeServer:
    """Chat answers of one letter with log-probabilities that depend on the prompt alone."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                prompt = json.dumps(body["messages"])
                time.sleep(0.02)
                top = [{"token": letter, "bytes": list(letter.encode()),
                        "logprob": -0.1 - int(digest(prompt + letter)[:4], 16) / 9000} for letter in "ABCDEFGH"]
                top.sort(key=lambda t: -t["logprob"])
                answer = {"object": "chat.completion", "model": NAME, "choices": [{
                    "index": 0, "finish_reason": "length",
                    "message": {"role": "assistant", "content": top[0]["token"]},
                    "logprobs": {"content": [dict(top[0], top_logprobs=top)]}}],
                    "usage": {"prompt_tokens": len(prompt) // 4, "completion_tokens": 1,
                              "total_tokens": len(prompt) // 4 + 1}}
                reply(self, 200, json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


class Bench:
    """What all trials share: texts, classes, the program, and how it is called for each way of asking."""

    def __init__(self, options, work):
        self.options, self.work = options, work
        lines = options.texts.read_text().splitlines()
        self.texts = list({text: (label, text) for label, text in (l.split("\t", 1) for l in reversed(lines))}.values())
        self.classes = sorted({label for label, _ in self.texts})
        random.Random(options.seed).shuffle(self.texts)

    def count(self, way):
        return getattr(self.options, way)

    def requests(self, way):
        return {"completions": len(self.classes), "votes": VOTES}.get(way, 1)

    def client(self, way, n):
        folder = self.work / way
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "texts.txt").write_text("".join(f"{text}\n" for _, text in self.texts[:n]))
        client = Client(self.options.qdllm, folder, way, ["--classes", ",".join(self.classes)])
        more = {
            # An empty text between quotation marks is one token to one tokenizer and two to another's pieces.
            "completions": ["--prompt", self.options.prompt, "--calibrate", "false"],
            # At temperature 0 the labels of two runs can be compared.
            "votes": ["--votes", VOTES, "--vote-temperature", "0", "--constrain", "grammar"],
            "chat": [],
        }
        if way not in more:
            return client
        return client.but("--ask", way, "--endpoint-model", NAME, *more[way])

    def as_it_comes(self, server):
        """What a server does with completions that was told nothing of an opening token."""
        status, said = self.client("completions", 2).but("--endpoint", server.url).run()
        if status == 0:
            return "answered"
        require("one token late" in said, f"the server as it comes: {said}")
        return "refused by qdllm, its log-probabilities stand one token late"

    def own_teacher(self, n, theirs):
        """Our own teacher's scores of the same prompts; None where it is not built in."""
        teach = [str(self.options.qdllm), "teach", "--help"]
        if "--method" not in subprocess.run(teach, capture_output=True, text=True, check=True).stdout:
            return None
        client = self.client("own", n).but("--model", self.options.model, "--method", "zero-shot", "--no-calibration",
                                           "--prompt", self.options.opening + self.options.prompt)
        status, said = client.run()
        require(status == 0, f"our own teacher failed: {said}")
        return Labels(client.labels, self.texts[:n]).likeness(theirs)


def self_test(options):
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, pathlib.Path(folder))
        texts = bench.texts[:60]
        kills = [2, 2, 4]
        _, column = trial(FakeServer().url, bench.client("chat", 60), texts, 1, options.seed, kills)
        require(column["rough: SIGKILL"] > 0, "nothing was interrupted")
        print("; ".join(f"{name}: {cell}" for name, cell in column.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", type=pathlib.Path, help="the model behind the server, a .gguf file")
    add("--self-test", action="store_true", help="tries this script against a fake server that it starts itself")
    add("--python", default=sys.executable, help="a Python with llama-cpp-python[server]")
    add("--qdllm", type=pathlib.Path, default=ROOT / "target/release/qdllm", help="the program on trial")
    add("--texts", type=pathlib.Path, default=ROOT / "trainer/data/commands/test.tsv", help="class and text a line")
    add("--ask", default="chat,completions,votes", help="ways of asking to try")
    add("--chat", type=int, default=200, help="texts for log-probabilities of chat answers")
    add("--votes", type=int, default=40, help="texts for votes, four each")
    add("--completions", type=int, default=12, help="texts for echoed completions, a request for each class")
    add("--prompt", default='The command "{text}" asks the smart home to', help="what a completion goes on from")
    add("--opening", default="<|im_start|>", help="the model's opening token, spelled")
    add("--seed", type=int, default=1, help="decides texts, faults and kills")
    options = parser.parse_args()
    options.qdllm = options.qdllm.resolve()
    require(options.qdllm.is_file(), f"{options.qdllm} is not built")
    if options.self_test:
        return self_test(options)
    require(options.model and options.model.is_file(), "--model names no .gguf file")
    options.model = options.model.resolve()
    work = ROOT / "target/endpoint"
    work.mkdir(parents=True, exist_ok=True)
    bench = Bench(options, work)

    say("the server as it comes")
    server = Server(options, False, work)
    as_it_comes = bench.as_it_comes(server)
    server.close()
    server = Server(options, True, work)
    columns, completions = {}, None
    for way in options.ask.split(","):
        n = bench.count(way)
        say(f"--ask {way}, {n} texts")
        labels, columns[way] = trial(server.url, bench.client(way, n), bench.texts[:n], bench.requests(way),
                                     options.seed)
        say(" | ".join(f"{name}: {cell}" for name, cell in columns[way].items()))
        if way == "completions":
            completions = n, labels
    server.close()
    print("| | " + " | ".join(f"`{way}`" for way in columns) + " |\n|" + " --- |" * (len(columns) + 1))
    for name in next(iter(columns.values())):
        print(f"| {name} | " + " | ".join(str(column[name]) for column in columns.values()) + " |")
    print(f"\ncompletions of the server as it comes: {as_it_comes}")
    if completions is None:
        return None
    like = bench.own_teacher(*completions)
    if like is None:
        print("NOT COMPARED with our own teacher: this qdllm is built without the feature `teacher`")
        return None
    print(f"our own teacher on the same file and prompts: correlation {like[1]:.5f}, largest difference of a logit "
          f"{like[0]:.3f}, same decision {like[2]:.3f}")
    require(like[1] > 0.99, "our own teacher reads the model otherwise")
    return None


if __name__ == "__main__":
    main()
