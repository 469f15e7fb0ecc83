"""R-Net, the second stage of the face detector MTCNN, on patches with and without a face.

Network and weights are those of facenet-pytorch (K. Zhang et al., "Joint Face Detection and Alignment using Multi-task
Cascaded Convolutional Networks", 2016). The patches are the 200 grey ones of the data set Labeled Faces in the Wild
inside scikit-image: 100 faces, then 100 others. Both are read as files; neither package is imported.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emulation.workloads.catalogue import FloatScore, Workload
from emulation.workloads.packages import Package
from emulation.workloads.samples import Samples, Splits

FACENET = Package(name="facenet-pytorch", version="2.6.0", folder="facenet_pytorch")
SCIKIT_IMAGE = Package(name="scikit-image", version="0.26.0", folder="skimage")
PATCHES = (200, 25, 25)
FACE_COUNT = 100
SIZE = 24
"""Side of the images R-Net reads."""


class FaceNetwork(nn.Module):
    """Three convolutions and two fully connected layers with PReLU; 99,124 weights. Logits of (no face, face)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1 = nn.Linear(128, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, 3, 24, 24) to (N, 2)."""
        features = self.pool(self.prelu1(self.conv1(images)))
        features = self.pool(self.prelu2(self.conv2(features)))
        features = self.prelu3(self.conv3(features))
        rows = features.permute(0, 3, 2, 1).flatten(1)  # the order the weights were trained in: width, height, channel
        logits: Tensor = self.dense5_1(self.prelu4(self.dense4(rows)))
        return logits


def load_face_network() -> nn.Module:
    """Builds the network with the package's weights; the layer that refines the box is left out.

    Raises:
        ValueError: If the package is missing or its file holds other weights.
    """
    path = FACENET.file("data", "rnet.pt")
    network = FaceNetwork()
    try:
        state = torch.load(path, weights_only=True)
        network.load_state_dict({name: state[name] for name in network.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{path} holds other weights ({error}); install {FACENET.requirement}.") from error
    return network


def load_face_splits() -> Splits:
    """Loads the patches, 100 of each kind: in turn one calibrates, one tests, one validates, one tests.

    Patches are resized to 24 x 24, repeated for three colours, and scaled as the detector does: (grey - 127.5) / 128.

    Raises:
        ValueError: If the package is missing or holds other patches.
    """
    path = SCIKIT_IMAGE.file("data", "lfw_subset.npy")
    patches = np.load(path, allow_pickle=False)
    if patches.shape != PATCHES:
        raise ValueError(f"{path} must hold {PATCHES}, got {patches.shape}; install {SCIKIT_IMAGE.requirement}.")
    grey = torch.from_numpy(patches.astype(np.float32))[:, None].expand(-1, 3, -1, -1)
    small = functional.interpolate(grey, size=(SIZE, SIZE), mode="bilinear", antialias=True)
    inputs = ((small * 255 - 127.5) / 128).numpy()
    labels = (np.arange(len(patches)) < FACE_COUNT).astype(np.int64)

    def samples(first: int, step: int) -> Samples:
        return Samples(inputs=inputs[first::step].copy(), labels=labels[first::step].copy())

    return Splits(calibration=samples(0, 4), validation=samples(2, 4), test=samples(1, 2))


R_NET = Workload(
    name="r-net",
    description="Face detector's second stage, 5 layers with PReLU, on patches of 24 x 24 pixels.",
    example_shape=(3, SIZE, SIZE),
    classes=2,
    build=load_face_network,
    load_splits=load_face_splits,
    score=FloatScore(calibration=1.0, validation=1.0, test=1.0, command="facenet-pytorch==2.6.0", tolerance=1 / 50),
    origin="weights of facenet-pytorch (MIT); patches of Labeled Faces in the Wild inside scikit-image (BSD-3-Clause)",
    front_end="resizing and scaling of the patch",
    needs=(FACENET, SCIKIT_IMAGE),
)
