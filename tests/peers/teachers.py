"""Makes tiny random checkpoints of every model family with what Hugging Face computes on them.

    python -m venv venv && venv/bin/pip install torch transformers peft
    venv/bin/python tests/peers/teachers.py trainer/tests/teacher/vectors

One folder a case: config.json and safetensors as a user would have them, and expected.safetensors with
the token ids (rows padded on the right, their lengths beside them), the logits of the language model,
the hidden states of every layer, and the logits of a classification head on the same decoder. Adapters
lie in folders of their own, with what PEFT computes when they are active. The trainer's tests hold the
Rust decoders against these numbers. With --check nothing is written: the numbers are computed again from
the checkpoints that are there and the largest difference is printed.

An adapter that `qdllm tune` wrote is loaded by PEFT and compared with what `qdllm teach` made of it:

    venv/bin/python tests/peers/teachers.py --tuned MODEL ADAPTER TEXTS.txt SOFT.jsonl
"""

import argparse
import hashlib
import json
import pathlib
import shutil

import torch
import transformers as hf
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

LENGTHS = [12, 5, 9]
LABELS = {0: "calm", 1: "glad", 2: "sad"}
COMMON = dict(
    vocab_size=64,
    max_position_embeddings=32,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
    id2label=LABELS,
    label2id={name: i for i, name in LABELS.items()},
)
LLAMA = dict(
    COMMON,
    hidden_size=32,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
)
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=100.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=64,
)
OPT = dict(COMMON, num_hidden_layers=2, num_attention_heads=4, ffn_dim=40, hidden_size=32, dropout=0.0)


def rope(**values):
    """Rotation parameters under the names of this version of transformers."""
    if hasattr(hf.LlamaConfig(), "rope_parameters"):
        return dict(rope_parameters=values)
    theta = values.pop("rope_theta")
    return dict(rope_theta=theta, rope_scaling=values if values["rope_type"] != "default" else None)


def gemma():
    base = dict(LLAMA, head_dim=12, query_pre_attn_scalar=24, sliding_window=4, num_hidden_layers=3)
    base["layer_types"] = ["sliding_attention", "full_attention", "sliding_attention"]
    if hasattr(hf.LlamaConfig(), "rope_parameters"):
        base["rope_parameters"] = {
            "sliding_attention": dict(rope_type="default", rope_theta=20.0),
            "full_attention": dict(rope_type="linear", rope_theta=300.0, factor=2.0),
        }
    else:
        base.update(rope_theta=300.0, rope_local_base_freq=20.0)
        base.update(rope_scaling=dict(rope_type="linear", factor=2.0))
    return hf.Gemma3TextConfig(**base)


def cases():
    plain = rope(rope_type="default", rope_theta=10000.0)
    return {
        "llama": hf.LlamaConfig(**LLAMA, **plain, tie_word_embeddings=False),
        "llama3": hf.LlamaConfig(**dict(LLAMA, max_position_embeddings=512), **rope(**LLAMA3), tie_word_embeddings=True, attention_bias=True),
        "qwen2": hf.Qwen2Config(**LLAMA, **plain, tie_word_embeddings=True),
        "qwen3": hf.Qwen3Config(**LLAMA, **plain, head_dim=12, tie_word_embeddings=False),
        "gemma3": gemma(),
        "mistral": hf.MistralConfig(**LLAMA, **plain, head_dim=12, sliding_window=4),
        "phi3": hf.Phi3Config(**LLAMA, **plain, sliding_window=6),
        "smollm3": hf.SmolLM3Config(
            **dict(LLAMA, num_hidden_layers=4), **plain, no_rope_layers=[1, 0, 1, 0], use_sliding_window=False
        ),
        "opt": hf.OPTConfig(**OPT, do_layer_norm_before=True, word_embed_proj_dim=32),
        "opt-post": hf.OPTConfig(**OPT, do_layer_norm_before=False, word_embed_proj_dim=20),
        "bloom": hf.BloomConfig(
            **{k: v for k, v in COMMON.items() if k != "max_position_embeddings"},
            hidden_size=36, n_layer=2, n_head=6, hidden_dropout=0.0, attention_dropout=0.0,
        ),
    }


ENCODERS = {
    "bert": hf.BertConfig(
        **COMMON, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4
    ),
    "roberta": hf.RobertaConfig(
        **dict(COMMON, pad_token_id=1, bos_token_id=0, max_position_embeddings=34, type_vocab_size=1),
        hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, layer_norm_eps=1e-5,
    ),
    "xlm-roberta": hf.XLMRobertaConfig(
        **dict(COMMON, pad_token_id=1, bos_token_id=0, max_position_embeddings=34, type_vocab_size=1),
        hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, layer_norm_eps=1e-5,
    ),
    "distilbert": hf.DistilBertConfig(**COMMON, dim=32, hidden_dim=40, n_layers=2, n_heads=4),
}


def randomise(model, seed):
    """Weights large enough that every part of a layer moves the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator)
            gemma_norm = "gemma" in model.config.model_type and weight.dim() == 1
            if weight.dim() == 1 and name.endswith("weight") and not gemma_norm:
                weight.copy_(1 + 0.2 * noise)
            else:
                weight.copy_((0.2 if weight.dim() == 1 else 0.25) * noise)


def inputs(seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.zeros(len(LENGTHS), max(LENGTHS), dtype=torch.long)
    for row, length in zip(ids, LENGTHS):
        row[:length] = torch.randint(4, 64, (length,), generator=generator)
    return ids, (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()


@torch.no_grad()
def expected(causal, head, ids, mask):
    out = {"ids": ids.int(), "lengths": torch.tensor(LENGTHS, dtype=torch.int32)}
    if causal is not None:
        got = causal(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        out["logits"] = got.logits * mask[..., None]
    else:
        got = head.base_model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    for layer, states in enumerate(got.hidden_states):
        out[f"states.{layer}"] = states * mask[..., None]
    out["head"] = head(input_ids=ids, attention_mask=mask).logits
    return {name: tensor.contiguous() for name, tensor in out.items()}


def build(name, config):
    """The language model (none for an encoder) and a classifier that share one decoder."""
    seed = sum(map(ord, name))
    config._attn_implementation = "eager"
    head = hf.AutoModelForSequenceClassification.from_config(config).float().eval()
    randomise(head, seed)
    if name in ENCODERS:
        return None, head
    causal = hf.AutoModelForCausalLM.from_config(config).float().eval()
    randomise(causal, seed + 1)
    causal.base_model.load_state_dict(head.base_model.state_dict())
    causal.tie_weights()
    return causal, head


def write(folder, name, config):
    causal, head = build(name, config)
    if name == "gemma3":  # Stored in 16 bits: rounded first, so that both sides see the same numbers.
        for model in (causal, head):
            model.load_state_dict({k: v.bfloat16().float() for k, v in model.state_dict().items()})
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tensors = dict((causal or head).state_dict())
    if causal is not None:
        tensors["score.weight"] = head.score.weight
        if config.tie_word_embeddings:
            tensors.pop("lm_head.weight")
    dtype = {"gemma3": torch.bfloat16, "qwen2": torch.float16}.get(name, torch.float32)
    if dtype == torch.float16:
        for model in (causal, head):
            model.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})
        tensors = {k: v.half() for k, v in tensors.items()}
    tensors = {k: v.detach().clone().to(dtype).contiguous() for k, v in tensors.items()}
    if name == "llama3":  # In two shards, as large models come.
        files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        where = {k: files["layers.1." in k or "score" in k] for k in sorted(tensors)}
        for file in files:
            part = {k: v for k, v in tensors.items() if where[k] == file}
            save_file(part, folder / file, metadata={"format": "pt"})
        size = sum(v.numel() * v.element_size() for v in tensors.values())
        index = dict(metadata=dict(total_size=size), weight_map=where)
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (causal or head).config.to_json_file(folder / "config.json", use_diff=False)
    ids, mask = inputs(7)
    save_file(expected(causal, head, ids, mask), folder / "expected.safetensors")
    return causal, head


def adapters(out):
    """LoRA on a classifier of the llama case, and rank-stabilised LoRA on the bloom case's language model."""
    ids, mask = inputs(7)
    causal, head = build("llama", cases()["llama"])
    config = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
    tuned = get_peft_model(head, config).eval()
    save(tuned, out / "llama-lora", 31, ids, mask)
    causal, head = build("bloom", cases()["bloom"])
    config = LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=4, use_rslora=True, target_modules=["query_key_value"]
    )
    save(get_peft_model(causal, config).eval(), out / "bloom-lora", 37, ids, mask)


def save(tuned, folder, seed, ids, mask):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(tuned.named_parameters()):
            if "lora_" in name or "modules_to_save" in name:
                weight.copy_(0.2 * torch.randn(weight.shape, generator=generator))
        logits = tuned(input_ids=ids, attention_mask=mask).logits
    shutil.rmtree(folder, ignore_errors=True)
    tuned.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    if logits.dim() == 3:
        logits = logits * mask[..., None]
    save_file({"logits": logits.contiguous()}, folder / "expected.safetensors")


def check(out):
    ids, mask = inputs(7)
    for name in [*cases(), *ENCODERS]:
        folder = out / name
        head = hf.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
        causal = None
        if name not in ENCODERS:
            causal = hf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        frozen, now = load_file(folder / "expected.safetensors"), expected(causal, head, ids, mask)
        worst = max((frozen[k] - now[k]).abs().max().item() for k in frozen)
        print(f"{name:12} {worst:.2e}")


@torch.no_grad()
def tuned(model, adapter, texts, soft):
    """What PEFT computes with an adapter of `qdllm tune`, beside the soft labels of `qdllm teach --method head`."""
    classes = json.loads((pathlib.Path(adapter) / "qdllm.json").read_text())["classes"]
    tokenizer = hf.PreTrainedTokenizerFast(tokenizer_file=str(pathlib.Path(model) / "tokenizer.json"))
    base = hf.AutoModelForSequenceClassification.from_pretrained(
        model, num_labels=len(classes), dtype=torch.float32, ignore_mismatched_sizes=True
    )
    whole = PeftModel.from_pretrained(base, adapter).eval()
    rows = [json.loads(line) for line in pathlib.Path(soft).read_text().splitlines()[1:]]
    logits = {row["text_sha256"]: torch.tensor(row["logits"]) for row in rows if "logits" in row}
    worst = 0.0
    for text in pathlib.Path(texts).read_text().splitlines():
        ids = tokenizer(text, return_tensors="pt").input_ids
        ours = logits[hashlib.sha256(text.encode()).hexdigest()]
        worst = max(worst, (whole(input_ids=ids).logits[0] - ours).abs().max().item())
    print(f"{len(rows)} texts, largest difference {worst:.1e} (soft labels hold four decimals)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path, nargs="?")
    parser.add_argument("--tuned", nargs=4, metavar=("MODEL", "ADAPTER", "TEXTS", "SOFT"))
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    if args.tuned:
        return tuned(*args.tuned)
    if args.out is None:
        parser.error("the folder of the checkpoints is missing")
    if args.check:
        return check(args.out)
    for name, config in {**cases(), **ENCODERS}.items():
        write(args.out / name, name, config)
    adapters(args.out)
    print(f"torch {torch.__version__}, transformers {hf.__version__}")


if __name__ == "__main__":
    main()
