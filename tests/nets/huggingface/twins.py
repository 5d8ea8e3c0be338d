"""GLA, DeltaNet and Gated DeltaNet as flash-linear-attention's formulas have them, in plain PyTorch, unit by unit.

Names of tensors and configurations are those of its models, which need triton to be imported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

COMMON = {"vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 40, "num_heads": 2}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "gla": {"model_type": "gla", **COMMON},
    "gla, convolution": {"model_type": "gla", **COMMON, "use_short_conv": True, "norm_eps": 1e-3, "expand_v": 2.0},
    "gla, plain norm": {"model_type": "gla", **COMMON, "fuse_norm": False, "elementwise_affine": False},
    "delta_net": {"model_type": "delta_net", **COMMON, "norm_eps": 1e-3},
    "delta_net, negative": {
        "model_type": "delta_net",
        **COMMON,
        "allow_neg_eigval": True,
        "use_short_conv": False,
        "tie_word_embeddings": True,
    },
    "gated_deltanet": {"model_type": "gated_deltanet", **COMMON, "head_dim": 12},
    "gated_deltanet, negative": {
        "model_type": "gated_deltanet",
        **COMMON,
        "head_dim": 8,
        "expand_v": 1,
        "conv_size": 3,
        "allow_neg_eigval": True,
        "norm_eps": 1e-3,
    },
}


class Twin:
    """A model with random weights, in float64.

    Args:
        configuration: as its config.json has it; what it leaves out is as the package says.
    """

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.configuration, kind = configuration, configuration["model_type"]
        self.kind, self.heads = kind, configuration["num_heads"]
        self.epsilon = configuration.get("norm_eps", 1e-6)
        self.negative = configuration.get("allow_neg_eigval", False)
        self.convolves = configuration.get("use_short_conv", kind != "gla")
        self.tied = configuration.get("tie_word_embeddings", False)
        dim = configuration["hidden_size"]
        if kind == "gated_deltanet":
            keys = self.heads * configuration["head_dim"]
            values = int(keys * configuration.get("expand_v", 2))
        else:
            keys = int(dim * configuration.get("expand_k", 0.5 if kind == "gla" else 1))
            values = int(dim * configuration.get("expand_v", 1))
        shapes = {"model.embeddings.weight": (configuration["vocab_size"], dim), "model.norm.weight": (dim,)}
        if not self.tied:
            shapes["lm_head.weight"] = (configuration["vocab_size"], dim)
        for layer in range(configuration["num_hidden_layers"]):
            own = self._shapes(dim, keys, values)
            shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in own.items()}
        generator = torch.Generator().manual_seed(0)
        self.tensors = {
            name: torch.randn(shape, generator=generator, dtype=torch.float64) * (0.2 if len(shape) > 1 else 0.5)
            + (1.0 if "norm" in name else 0.0)
            for name, shape in shapes.items()
        }

    def _shapes(self, dim: int, keys: int, values: int) -> dict[str, tuple[int, ...]]:
        wide, taps = self.configuration["intermediate_size"], self.configuration.get("conv_size", 4)
        shapes: dict[str, tuple[int, ...]] = {
            "attn_norm.weight": (dim,),
            "mlp_norm.weight": (dim,),
            "mlp.gate_proj.weight": (wide, dim),
            "mlp.up_proj.weight": (wide, dim),
            "mlp.down_proj.weight": (dim, wide),
            "attn.o_proj.weight": (dim, values),
        }
        for part, width in zip("qkv", (keys, keys, values), strict=True):
            shapes[f"attn.{part}_proj.weight"] = (width, dim)
            if self.convolves:
                shapes[f"attn.{part}_conv1d.weight"] = (width, 1, taps)
        if self.kind == "gla":
            shapes |= {"attn.gk_proj.0.weight": (16, dim), "attn.gk_proj.1.weight": (keys, 16)}
            shapes |= {"attn.gk_proj.1.bias": (keys,), "attn.g_proj.weight": (values, dim)}
            if self.configuration.get("elementwise_affine", True):
                fused = self.configuration.get("fuse_norm", True)
                shapes["attn.g_norm_swish_gate.weight" if fused else "attn.g_norm.weight"] = (values // self.heads,)
            return shapes
        shapes |= {"attn.b_proj.weight": (self.heads, dim), "attn.o_norm.weight": (values // self.heads,)}
        if self.kind == "gated_deltanet":
            shapes |= {"attn.a_proj.weight": (self.heads, dim), "attn.g_proj.weight": (values, dim)}
            shapes |= {"attn.A_log": (self.heads,), "attn.dt_bias": (self.heads,)}
        return shapes

    def save(self, folder: Path) -> None:
        """Write the checkpoint that the package would write."""
        folder.mkdir(exist_ok=True)
        save_file(self.tensors, folder / "model.safetensors", {"format": "pt"})
        (folder / "config.json").write_text(json.dumps(self.configuration))

    def logits(self, ids: Tensor) -> Tensor:
        """Of sequences from their start."""
        get = self.tensors.__getitem__
        h = get("model.embeddings.weight")[ids]
        for layer in range(self.configuration["num_hidden_layers"]):
            before = f"model.layers.{layer}."
            own = {name.removeprefix(before): t for name, t in self.tensors.items() if name.startswith(before)}
            h = h + self._attention(own, self._norm(h, own["attn_norm.weight"]))
            x = self._norm(h, own["mlp_norm.weight"])
            wide = F.silu(x @ own["mlp.gate_proj.weight"].T) * (x @ own["mlp.up_proj.weight"].T)
            h = h + wide @ own["mlp.down_proj.weight"].T
        head = get("model.embeddings.weight" if self.tied else "lm_head.weight")
        return self._norm(h, get("model.norm.weight")) @ head.T

    def _norm(self, x: Tensor, weight: Tensor | float) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + self.epsilon).sqrt() * weight

    def _projected(self, own: dict[str, Tensor], x: Tensor, part: str) -> Tensor:
        y = x @ own[f"attn.{part}_proj.weight"].T
        if self.convolves:
            taps = own[f"attn.{part}_conv1d.weight"]
            y = F.conv1d(F.pad(y.mT, (taps.shape[-1] - 1, 0)), taps, groups=len(taps)).mT
        if self.convolves or self.kind != "gla":
            y = F.silu(y)
        return y.unflatten(-1, (self.heads, -1))

    def _attention(self, own: dict[str, Tensor], x: Tensor) -> Tensor:
        q, k, v = (self._projected(own, x, part) for part in "qkv")
        if self.kind == "gla":
            low = x @ own["attn.gk_proj.0.weight"].T @ own["attn.gk_proj.1.weight"].T + own["attn.gk_proj.1.bias"]
            kept = (F.logsigmoid(low) / 16).exp().unflatten(-1, (self.heads, -1))
        else:
            q, k = (part / (part.square().sum(-1, keepdim=True) + 1e-6).sqrt() for part in (q, k))
            beta = (x @ own["attn.b_proj.weight"].T).sigmoid() * (2 if self.negative else 1)
            kept = torch.ones_like(beta)
            if self.kind == "gated_deltanet":
                pace = F.softplus(x @ own["attn.a_proj.weight"].T + own["attn.dt_bias"])
                kept = (-own["attn.A_log"].exp() * pace).exp()
            kept = kept[..., None]
        matrix, read = x.new_zeros(len(x), self.heads, k.shape[-1], v.shape[-1]), []
        for t in range(x.shape[1]):
            matrix = matrix * kept[:, t, :, :, None]
            written = v[:, t]
            if self.kind != "gla":
                held = torch.einsum("bhk,bhkv->bhv", k[:, t], matrix)
                written = beta[:, t, :, None] * (written - held)
            matrix = matrix + k[:, t, :, :, None] * written[:, :, None]
            read.append(torch.einsum("bhk,bhkv->bhv", q[:, t] * q.shape[-1] ** -0.5, matrix))
        norms = ("attn.g_norm_swish_gate.weight", "attn.g_norm.weight", "attn.o_norm.weight")
        weight = next((own[name] for name in norms if name in own), 1.0)
        y = self._norm(torch.stack(read, 1), weight).flatten(2)
        if self.kind != "delta_net":
            y = y * F.silu(x @ own["attn.g_proj.weight"].T)
        return y @ own["attn.o_proj.weight"].T
