"""A language model of bytes, trained here on Python's own standard library.

The model guesses the next byte of source code from up to 64 before it. It is trained once for each version of Python,
in a few minutes of one core, and kept in the user's cache folder (`weights_path`). Which files train, validate and test
is decided by a checksum of their names, so that no file is in two sets.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import sysconfig
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from emulation.tasks import Task, TaskMetric
from emulation.workloads.catalogue import FloatScore, Workload
from emulation.workloads.samples import Samples, Splits
from emulation.workloads.transformers import Attention, FeedForward

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

BYTES = 256
CONTEXT = 64
WIDTH = 128
HEADS = 4
BLOCKS = 2
STEPS = 1800
BATCH = 32
LEARNING_RATE = 3e-3
SEED = 0
WINDOWS = {"calibration": 128, "validation": 256, "test": 256}
"""Windows of `CONTEXT` bytes of each set."""
LEFT_OUT = ("site-packages", "/test", "idlelib")
"""Parts of names of files that are not read: no part of the library, or mostly data."""
PARTS = 20
"""Of these parts of all files, one validates and one tests."""


class Block(nn.Module):
    """Attention to the places up to each, then two layers; a layer norm before both, their results added."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(WIDTH), Attention(WIDTH, HEADS)
        self.layers_norm, self.layers = nn.LayerNorm(WIDTH), FeedForward(WIDTH, 4 * WIDTH)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Keeps the shape (N, places, width)."""
        features = features + self.attention(self.attention_norm(features), mask)
        changed: Tensor = features + self.layers(self.layers_norm(features))
        return changed


class ByteNetwork(nn.Module):
    """Two blocks and the layer that scores the next byte; 425,984 weights, without the embedding."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        self.score = nn.Linear(WIDTH, BYTES)
        later = torch.full((CONTEXT, CONTEXT), -math.inf).triu(1)
        self.register_buffer("mask", later, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Maps embedded bytes (N, 64, 128) to logits (N, 64, 256) of the byte after each."""
        for block in self.blocks:
            features = block(features, self.mask)
        logits: Tensor = self.score(self.norm(features))
        return logits


class ByteModel(nn.Module):
    """What is trained: the embedding of bytes and places, which is the front end, and the network."""

    def __init__(self) -> None:
        super().__init__()
        self.byte, self.place = nn.Embedding(BYTES, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.network = ByteNetwork()

    def embed(self, windows: Tensor) -> Tensor:
        """Maps bytes (N, 64) to (N, 64, 128)."""
        embedded: Tensor = self.byte(windows) + self.place.weight
        return embedded

    def forward(self, windows: Tensor) -> Tensor:
        """Maps bytes (N, 64) to logits (N, 64, 256)."""
        logits: Tensor = self.network(self.embed(windows))
        return logits


@cache
def library_bytes() -> dict[str, NDArray[np.uint8]]:
    """The source code of the running Python's standard library, one file after the other, by set."""
    folder = Path(sysconfig.get_path("stdlib"))
    parts: dict[str, list[bytes]] = {name: [] for name in WINDOWS}
    for path in sorted(folder.rglob("*.py")):
        if not any(part in path.as_posix() for part in LEFT_OUT):
            number = zlib.crc32(path.relative_to(folder).as_posix().encode()) % PARTS
            parts[{0: "validation", 1: "test"}.get(number, "calibration")].append(path.read_bytes())
    return {name: np.frombuffer(b"".join(files), dtype=np.uint8) for name, files in parts.items()}


def fixed_windows(code: NDArray[np.uint8], count: int) -> tuple[Tensor, Tensor]:
    """Windows (count, 64) at a regular stride, and the byte after each of their bytes.

    Raises:
        ValueError: If there are too few bytes.
    """
    last = len(code) - CONTEXT - 1
    if last < count:
        raise ValueError(
            f"{count} windows of {CONTEXT} bytes need more than {len(code)} bytes of source code; this Python comes "
            "without its standard library's source, so use one that has it."
        )
    starts = np.linspace(0, last, count).astype(np.int64)
    windows = torch.from_numpy(code[starts[:, None] + np.arange(CONTEXT + 1)].astype(np.int64))
    return windows[:, :-1], windows[:, 1:]


def train_bytes(code: NDArray[np.uint8], *, steps: int) -> ByteModel:
    """Trains a model from `SEED` on random windows, on one thread.

    The weights it starts from, the windows and the order of sums are fixed, so a machine repeats it.
    """
    generator = torch.Generator().manual_seed(SEED)
    model = _new_model()
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.05)
    whole = torch.from_numpy(code.copy())
    places = torch.arange(CONTEXT + 1)
    loss_of = nn.CrossEntropyLoss()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for step in range(1, steps + 1):
            starts = torch.randint(len(code) - CONTEXT, (BATCH, 1), generator=generator)
            windows = whole[starts + places].long()
            loss = loss_of(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            if step % 100 == 0:
                logger.info("byte-lm: step %d of %d, %.3f bits per byte", step, steps, float(loss) / math.log(2))
    finally:
        torch.set_num_threads(threads)
    return model.eval()


def _new_model() -> ByteModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = ByteModel()
        for embedding in (model.byte, model.place):
            nn.init.normal_(embedding.weight, std=0.02)
    return model


def weights_path() -> Path:
    """Where the trained model is kept: ``$XDG_CACHE_HOME/bitfront`` (else ``~/.cache``), by Python version."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "bitfront" / f"byte-lm-python{platform.python_version()}-{STEPS}-steps.safetensors"


def trained_model() -> ByteModel:
    """The trained model from the cache, or else trained now and kept there.

    Raises:
        ValueError: If the file in the cache is damaged, or the cache cannot be written.
    """
    path = weights_path()
    if not path.is_file():
        logger.warning("byte-lm is trained once, %d steps, some minutes of one core; kept in %s", STEPS, path)
        _keep(train_bytes(library_bytes()["calibration"], steps=STEPS), path)
    model = _new_model()
    try:
        model.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} holds no trained byte-lm ({error}); delete it, and it is trained again.") from error
    return model.eval()


def _keep(model: ByteModel, path: Path) -> None:
    """Writes the model whole or not at all, so that two processes that train at once do no harm."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(safetensors.torch.save(model.state_dict()))
        part.replace(path)
    except OSError as error:
        raise ValueError(
            f"The trained byte-lm cannot be kept in {path.parent} ({error}); set XDG_CACHE_HOME to a folder you may "
            "write to."
        ) from error


def load_byte_network() -> nn.Module:
    """The trained network, without its embedding."""
    return trained_model().network


def load_byte_splits() -> Splits:
    """Embedded windows of 64 bytes, and the byte after each of their bytes as labels: 128, 256 and 256 windows."""
    model, code = trained_model(), library_bytes()

    def samples(name: str) -> Samples:
        windows, following = fixed_windows(code[name], WINDOWS[name])
        with torch.inference_mode():
            embedded = model.embed(windows).numpy()
        return Samples(inputs=embedded, labels=following.numpy().copy())

    return Splits(calibration=samples("calibration"), validation=samples("validation"), test=samples("test"))


BYTE_LM = Workload(
    name="byte-lm",
    description="Transformer of 2 blocks that guesses the next byte of Python source code, 13 layers and 4 products.",
    example_shape=(CONTEXT, WIDTH),
    classes=BYTES,
    build=load_byte_network,
    load_splits=load_byte_splits,
    task=Task(metric=TaskMetric.BITS_PER_BYTE),
    score=FloatScore(
        calibration=1.894, validation=1.954, test=2.026, command="1,800 steps on Python 3.11", tolerance=0.15
    ),
    origin="trained here, once, on the standard library of the Python that runs (PSF-2.0)",
    front_end="embedding of bytes and their places",
)
