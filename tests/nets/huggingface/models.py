"""Small models of transformers with random weights, large enough that every part of them matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from mnesis.tasks.language.tokenizer import BPETokenizer

VOCABULARY = 61
GROUPED = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
PLAIN = {key: value for key, value in GROUPED.items() if key != "num_key_value_heads"}
GPT = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128, "bos_token_id": 1}
STRETCHED = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 10000.0}

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", GROUPED),
    "llama, yarn": ("Llama", {**GROUPED, "rope_parameters": STRETCHED}),
    "mistral": ("Mistral", {**GROUPED, "sliding_window": 7}),
    "qwen2": ("Qwen2", GROUPED),
    "qwen3": ("Qwen3", {**GROUPED, "head_dim": 8}),
    "smollm3": ("SmolLM3", {**GROUPED, "no_rope_layer_interval": 2}),
    "gemma2": (
        "Gemma2",
        {
            **GROUPED,
            "head_dim": 8,
            "sliding_window": 7,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
        },
    ),
    "gemma3": (
        "Gemma3",
        {**GROUPED, "num_hidden_layers": 4, "head_dim": 8, "sliding_window": 7, "sliding_window_pattern": 2},
    ),
    "gpt2": ("GPT2", {**GPT, "eos_token_id": 2}),
    "gpt-neox": ("GPTNeoX", {**PLAIN, "rotary_pct": 0.25}),
    "olmo2": ("Olmo2", GROUPED),
    "phi3": ("Phi3", GROUPED),
    "phi": ("Phi", GROUPED),
    "cohere": ("Cohere", GROUPED),
    "granite": (
        "Granite",
        {
            **GROUPED,
            "embedding_multiplier": 3.0,
            "logits_scaling": 2.0,
            "residual_multiplier": 0.5,
            "attention_multiplier": 0.3,
        },
    ),
    "gemma": ("Gemma", {**GROUPED, "head_dim": 8}),
    "starcoder2": ("Starcoder2", GROUPED),
}


def model(name: str, **options: Any) -> Any:
    """A model by its name above, in float64, with weights of a deviation of 0.2 and spread norms."""
    architecture, own = MODELS[name]
    return built(architecture, {**own, **options})


def built(architecture: str, options: dict[str, Any]) -> Any:
    """A causal language model of an architecture."""
    of_text = f"{architecture}TextConfig"
    configuration = getattr(transformers, of_text if architecture == "Gemma3" else f"{architecture}Config")
    head = "LMHeadModel" if architecture == "GPT2" else "ForCausalLM"
    torch.manual_seed(0)
    made = getattr(transformers, architecture + head)(configuration(**options)).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, dtype=parameter.dtype), alpha=0.2)
    return made


def folder_of(name: str, folder: Path, **options: Any) -> Path:
    """A folder with a small model in float32 and a tokenizer, as ``save_pretrained`` writes them."""
    tokenizer = BPETokenizer.train([" Mary went to the kitchen. Where is John?"] * 3, 280)
    made = model(name, vocab_size=tokenizer.vocabulary, **options).float()
    made.save_pretrained(folder)
    inside = tokenizers.Tokenizer.from_str(tokenizer.serialize())
    transformers.PreTrainedTokenizerFast(tokenizer_object=inside, eos_token="<|end|>").save_pretrained(folder)
    return folder
