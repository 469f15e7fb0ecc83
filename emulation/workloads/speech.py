"""Silero VAD: whether each 32 ms of a recording are speech.

Network and weights are those of silero-vad (its 16 kHz model), written plainly: a clip of n frames is an image of
height n, so that what the package does frame after frame are convolutions of height 1, and the state it carries from
frame to frame is an LSTM over the height. The spectrum before it is a fixed transform and no layer here; its filters
are read from the same file.

The package also holds ``silero_vad_16k.safetensors``, which is another training of the same network; the weights here
are those of ``silero_vad.jit``.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from emulation.tasks import Answers, Task
from emulation.workloads.catalogue import FloatScore, Workload
from emulation.workloads.packages import Package
from emulation.workloads.samples import Samples, Splits
from emulation.workloads.speech_clips import ESPEAK, FRAME, FRAMES, make_clips

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SILERO = Package(name="silero-vad", version="6.2.3", folder="silero_vad")
CONTEXT = 64
"""Samples before a frame that it is seen with, and after it, mirrored."""
HOP = 128
BANDS = 129
STEPS = 4
"""Spectra of a frame."""
CLIPS = {"calibration": (0, 6), "validation": (6, 12), "test": (18, 12)}
"""First clip and number of clips of each set."""


class SpeechNetwork(nn.Module):
    """Four convolutions, an LSTM and one output; 111,232 weights of convolutions, 131,072 of the LSTM."""

    def __init__(self) -> None:
        super().__init__()
        widths, strides = (BANDS, 128, 64, 64, 128), (1, 2, 2, 1)
        self.encoder = nn.ModuleList(
            nn.Conv2d(widths[place], widths[place + 1], (1, 3), stride=(1, strides[place]), padding=(0, 1))
            for place in range(4)
        )
        self.rnn = nn.LSTM(128, 128, batch_first=True)
        self.final = nn.Linear(128, 1)

    def forward(self, spectra: Tensor) -> Tensor:
        """Maps magnitudes (N, 129, frames, 4) to logits (N, frames)."""
        features = spectra
        for convolution in self.encoder:
            features = torch.relu(convolution(features))
        states, _ = self.rnn(features.flatten(2).transpose(1, 2))
        logits: Tensor = self.final(torch.relu(states)).flatten(1)
        return logits


@cache
def _state() -> dict[str, Tensor]:
    """The package's 16 kHz model. A TorchScript file holds code of its own, which is loaded and not run."""
    path = SILERO.file("data", "silero_vad.jit")
    prefix = "_model."
    state = importlib.import_module("torch.jit").load(str(path), map_location="cpu").state_dict()
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def load_speech_network() -> nn.Module:
    """Builds the network with the package's weights.

    Raises:
        ValueError: If the package is missing or its file holds other weights.
    """
    network = SpeechNetwork()
    try:
        given = _state()
        state = {
            f"encoder.{place}.{kind}": tensor.unsqueeze(2) if kind == "weight" else tensor
            for place in range(4)
            for kind in ("weight", "bias")
            for tensor in (given[f"encoder.{place}.reparam_conv.{kind}"],)
        }
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            state[f"rnn.{kind}_l0"] = given[f"decoder.rnn.{kind}"]
        state |= {
            "final.weight": given["decoder.decoder.2.weight"][..., 0],
            "final.bias": given["decoder.decoder.2.bias"],
        }
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{SILERO.name} holds another network ({error}); install {SILERO.requirement}.") from error
    return network


def spectra(sound: NDArray[np.float32]) -> Tensor:
    """Magnitudes (N, 129, frames, 4) of recordings (N, frames * 512) at 16 kHz."""
    padded = functional.pad(torch.from_numpy(sound), (CONTEXT, 0))
    frames = padded.unfold(1, CONTEXT + FRAME, FRAME)
    count, places = frames.shape[:2]
    mirrored = functional.pad(frames.reshape(count * places, 1, -1), (0, CONTEXT), mode="reflect")
    waves = functional.conv1d(mirrored, _state()["stft.forward_basis_buffer"], stride=HOP)
    magnitudes = torch.hypot(waves[:, :BANDS], waves[:, BANDS:])
    return magnitudes.reshape(count, places, BANDS, STEPS).transpose(1, 2).contiguous()


def load_speech_splits() -> Splits:
    """Makes the clips and their spectra: 6 clips of 250 frames calibrate, 12 validate, 12 test.

    Raises:
        ValueError: If the package or espeak-ng is missing.
    """
    made = {name: make_clips(first, count) for name, (first, count) in CLIPS.items()}
    samples = {name: Samples(inputs=spectra(clips.sound).numpy(), labels=clips.speech) for name, clips in made.items()}
    return Splits(**samples)


SILERO_VAD = Workload(
    name="silero-vad",
    description="Speech detector with 4 convolutions, an LSTM and one output, on clips of 250 frames of 32 ms.",
    example_shape=(BANDS, FRAMES, STEPS),
    classes=2,
    build=load_speech_network,
    load_splits=load_speech_splits,
    task=Task(answers=Answers.DECISIONS),
    score=FloatScore(
        calibration=1439 / 1500,
        validation=2903 / 3000,
        test=2872 / 3000,
        command="silero-vad==6.2.3, speech of espeak-ng 1.51",
        tolerance=0.02,
    ),
    origin="weights of silero-vad 6.2.3 (MIT), file silero_vad.jit; sentences of ours spoken by espeak-ng",
    front_end="magnitudes of a short-time Fourier transform: 4 spectra of 129 bands a frame, by the package's filters",
    needs=(SILERO, ESPEAK),
)
