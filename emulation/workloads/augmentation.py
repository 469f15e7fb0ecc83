"""Random changes to training images: rotation, scale, shear, shift and stroke weight.

Different hands slant, stretch and press differently; these changes stand in for the writers a small training set lacks.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Largest changes; each image draws its own, uniformly from minus to plus the limit.

    Attributes:
        rotation_degrees: Turn around the centre.
        scale: Stretch of each axis alone, as a share: 0.1 is a factor of 0.9 to 1.1.
        shear: Slant, in pixels sideways per pixel down.
        shift_pixels: Move along each axis.
        contrast: Stroke weight: pixels are raised to a power of exp(-contrast) to exp(contrast).
    """

    rotation_degrees: float = 15.0
    scale: float = 0.15
    shear: float = 0.2
    shift_pixels: float = 0.5
    contrast: float = 0.3

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Changes each image by its own draw.

        Args:
            images: Float images (N, 1, S, S), values 0 to 1, background 0.
            generator: Source of every draw.

        Returns:
            New images of the same shape, values 0 to 1.
        """
        count, size = images.shape[0], images.shape[-1]
        pixel = 2.0 / size  # sampling coordinates run from -1 to 1 over the image
        places = functional.affine_grid(
            self._affine_maps(count, pixel, generator), list(images.shape), align_corners=False
        )
        moved = functional.grid_sample(images, places, align_corners=False)
        power = torch.exp(self.contrast * _uniform((count, 1, 1, 1), generator))
        return moved.clamp(0.0, 1.0) ** power

    def _affine_maps(self, count: int, pixel: float, generator: torch.Generator) -> Tensor:
        """Draws (count, 2, 3) maps from places in the new image to places in the old one."""
        angle = math.radians(self.rotation_degrees) * _uniform((count,), generator)
        stretch = 1.0 + self.scale * _uniform((count, 2), generator)
        shear = self.shear * _uniform((count,), generator)
        shift = self.shift_pixels * pixel * _uniform((count, 2), generator)
        cosine, sine = torch.cos(angle), torch.sin(angle)
        across = torch.stack((cosine * stretch[:, 0], (cosine * shear - sine) * stretch[:, 1], shift[:, 0]), dim=1)
        down = torch.stack((sine * stretch[:, 0], (sine * shear + cosine) * stretch[:, 1], shift[:, 1]), dim=1)
        return torch.stack((across, down), dim=1)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draws from -1 to 1."""
    return 2.0 * torch.rand(shape, generator=generator) - 1.0
