"""Clips of spoken sentences in noise, whose labels are exact because the speech is synthetic.

The program espeak-ng speaks; a clip is silence, a sentence, silence, another sentence and silence, with noise of one of
three kinds at one of three levels added. A frame is speech where the clean signal has energy.
"""

from __future__ import annotations

import io
import itertools
import subprocess
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from emulation.workloads.packages import Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

ESPEAK: Final = Program(name="espeak-ng", install="apt-get install -y espeak-ng")
RATE: Final = 16_000
FRAME: Final = 512
"""Samples of sound in a frame: 32 ms."""
FRAMES: Final = 250
"""Frames of a clip: 8 s."""
SPEECH_ENERGY: Final = 1e-5
"""Mean square of a frame of clean speech, above which it counts as speech."""
CLOSING: Final = 9
"""Gaps of fewer frames between two frames of speech count as speech, as the stops within a word do."""
VOICES: Final = ("en-us+m1", "en-us+f3", "en-gb+m3", "en-gb+f2", "en-us+m7", "en-us+f5")
LEVELS: Final = (20.0, 10.0, 5.0)
"""Decibels that speech is louder than the noise, over the frames of speech."""
SENTENCES: Final = (
    "The kettle is on and the milk is in the fridge.",
    "Please switch the light off when you leave the room.",
    "Three trains a day stop at the old station.",
    "Her brother plants tomatoes behind the garage.",
    "The lecture starts at nine and ends at noon.",
    "Nobody remembered where the ladder was kept.",
    "A cold wind blew across the empty harbour.",
    "The recipe needs two eggs and a spoon of sugar.",
    "He wrote the number on the back of an envelope.",
    "Turn left at the bridge and follow the river.",
    "The museum is closed on the first of January.",
    "They painted the kitchen yellow last summer.",
    "My watch has been ten minutes slow all week.",
    "The printer is out of paper again.",
    "We could hear the sea from the upper window.",
    "The children built a tower of wooden blocks.",
    "Is there a chemist open at this hour?",
    "The new bus takes the road along the canal.",
    "She keeps the spare key under a flower pot.",
    "It has not rained here since the end of May.",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clips:
    """Sound and what it is.

    Attributes:
        sound: float32 (N, 128000), 16,000 a second, from -1 to 1.
        speech: int64 (N, 250), 1 where a frame of 512 is speech.
    """

    sound: NDArray[np.float32]
    speech: NDArray[np.int64]


def make_clips(first: int, count: int) -> Clips:
    """Clips number ``first`` to ``first + count - 1``; each number is one voice, noise, level and pair of sentences.

    Raises:
        ValueError: If espeak-ng cannot speak.
    """
    made = [_clip(number) for number in range(first, first + count)]
    return Clips(sound=np.stack([sound for sound, _ in made]), speech=np.stack([speech for _, speech in made]))


def _clip(number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    draw = np.random.default_rng(number)
    clean = np.zeros(FRAMES * FRAME)
    half = len(clean) // 2
    texts = [SENTENCES[place % len(SENTENCES)] for place in (2 * number, 2 * number + 7)]
    for start, text in zip((0, half), texts, strict=True):
        sound = _spoken(text, VOICES[number % len(VOICES)])[: half - RATE // 2]
        begin = start + int(draw.integers(RATE // 4, half - len(sound)))
        clean[begin : begin + len(sound)] = sound
    energy = np.square(clean.reshape(FRAMES, FRAME)).mean(axis=1)
    loud = energy > SPEECH_ENERGY
    kinds = tuple(itertools.product(LEVELS, _NOISES))
    level, noise = kinds[number % len(kinds)]
    disturbance = noise(draw)
    share = np.sqrt(energy[loud].mean() / np.square(disturbance).mean() / 10 ** (level / 10))
    return (clean + share * disturbance).astype(np.float32), _closed(loud).astype(np.int64)


def _spoken(text: str, voice: str) -> NDArray[np.float64]:
    """A sentence at 16,000 samples a second, by straight lines between the samples espeak-ng makes."""
    command = [ESPEAK.name, "-v", voice, "-s", "150", "--stdout", text]
    try:
        sound = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(f"`{' '.join(command)}` failed ({error}); run `{ESPEAK.install}`.") from error
    with wave.open(io.BytesIO(sound)) as read:
        rate, values = read.getframerate(), np.frombuffer(read.readframes(len(sound)), dtype="<i2") / 2**15
    times = np.arange(len(values) * RATE // rate) / RATE
    return np.interp(times, np.arange(len(values)) / rate, values)


def _closed(loud: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fills gaps of fewer than `CLOSING` frames between frames that are loud."""
    places = np.flatnonzero(loud)
    filled = loud.copy()
    for before, after in itertools.pairwise(places):
        if after - before <= CLOSING:
            filled[before:after] = True
    return filled


def _white(draw: np.random.Generator) -> NDArray[np.float64]:
    return draw.standard_normal(FRAMES * FRAME)


def _rumbling(draw: np.random.Generator) -> NDArray[np.float64]:
    """White noise averaged over 32 samples: little is left above 500 Hz."""
    return np.convolve(draw.standard_normal(FRAMES * FRAME), np.ones(32) / 32, mode="same")


def _humming(draw: np.random.Generator) -> NDArray[np.float64]:
    """A tone of 100 to 400 Hz with its first three overtones."""
    phase = 2 * np.pi * draw.uniform(100, 400) * np.arange(FRAMES * FRAME) / RATE
    return np.asarray(sum(np.sin(phase * order + draw.uniform(0, 6)) / order for order in range(1, 5)))


_NOISES: Final = (_white, _rumbling, _humming)
