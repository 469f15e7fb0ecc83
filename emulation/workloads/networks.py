"""The built-in networks, written plainly in torch.

Every network reads images (N, 1, 8, 8) with values 0 to 1 and returns ten logits (N, 10). In evaluation mode it uses
only operations the network reader knows: Conv2d, BatchNorm2d, ReLU, ReLU6, PReLU, add, cat, pooling, flatten, Linear.
Batch norm stays a layer of its own here; folding it is the reader's task.
"""

from torch import Tensor, cat, nn

CLASSES = 10


class NormalisedConvolution(nn.Module):
    """A square convolution that keeps the image size at stride 1, without bias, followed by batch norm."""

    def __init__(
        self, input_channels: int, output_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            input_channels, output_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(output_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Maps (N, input_channels, H, W) to (N, output_channels, H/stride, W/stride)."""
        normalised: Tensor = self.norm(self.convolution(features))
        return normalised


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with an identity shortcut; the last ReLU comes after the addition."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = NormalisedConvolution(channels, channels, 3)
        self.first_activation = nn.ReLU()
        self.second = NormalisedConvolution(channels, channels, 3)
        self.activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape (N, channels, H, W)."""
        change = self.second(self.first_activation(self.first(features)))
        joined: Tensor = self.activation(features + change)
        return joined


class InvertedResidualBlock(nn.Module):
    """Expand by 1 x 1, filter each channel by 3 x 3, project by 1 x 1, add; ReLU6 after the first two convolutions."""

    def __init__(self, channels: int, expanded_channels: int) -> None:
        super().__init__()
        self.expand = NormalisedConvolution(channels, expanded_channels, 1)
        self.expand_activation = nn.ReLU6()
        self.depthwise = NormalisedConvolution(expanded_channels, expanded_channels, 3, groups=expanded_channels)
        self.depthwise_activation = nn.ReLU6()
        self.project = NormalisedConvolution(expanded_channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape (N, channels, H, W)."""
        expanded = self.expand_activation(self.expand(features))
        filtered = self.depthwise_activation(self.depthwise(expanded))
        joined: Tensor = features + self.project(filtered)
        return joined


class SeparableBlock(nn.Module):
    """A depthwise 3 x 3 with ReLU6, then a 1 x 1 that changes the width, then a PReLU with one slope per channel."""

    def __init__(self, input_channels: int, output_channels: int, *, stride: int) -> None:
        super().__init__()
        self.depthwise = NormalisedConvolution(input_channels, input_channels, 3, stride=stride, groups=input_channels)
        self.depthwise_activation = nn.ReLU6()
        self.pointwise = NormalisedConvolution(input_channels, output_channels, 1)
        self.activation = nn.PReLU(output_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Maps (N, input_channels, H, W) to (N, output_channels, H/stride, W/stride)."""
        filtered = self.depthwise_activation(self.depthwise(features))
        mixed: Tensor = self.activation(self.pointwise(filtered))
        return mixed


class TwoScaleBlock(nn.Module):
    """A 1 x 1 branch beside a 1 x 1 then 3 x 3 branch; their outputs are concatenated along the channels."""

    def __init__(self, input_channels: int, branch_channels: int) -> None:
        super().__init__()
        self.narrow = NormalisedConvolution(input_channels, branch_channels, 1)
        self.narrow_activation = nn.ReLU()
        self.reduce = NormalisedConvolution(input_channels, branch_channels, 1)
        self.reduce_activation = nn.ReLU()
        self.wide = NormalisedConvolution(branch_channels, branch_channels, 3)
        self.wide_activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Maps (N, input_channels, H, W) to (N, 2 * branch_channels, H, W)."""
        narrow = self.narrow_activation(self.narrow(features))
        wide = self.wide_activation(self.wide(self.reduce_activation(self.reduce(features))))
        return cat((narrow, wide), dim=1)


class ResidualNetwork(nn.Module):
    """`digits`: seven compute layers, one residual block, one max and one average pooling; 27,408 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = NormalisedConvolution(1, 16, 3)
        self.stem_activation = nn.ReLU()
        self.residual = ResidualBlock(16)
        self.halve = nn.MaxPool2d(2)
        self.widen = NormalisedConvolution(16, 32, 3)
        self.widen_activation = nn.ReLU()
        self.mix = NormalisedConvolution(32, 32, 3)
        self.mix_activation = nn.ReLU()
        self.average = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(32 * 2 * 2, 64)
        self.hidden_activation = nn.ReLU()
        self.classify = nn.Linear(64, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, 1, 8, 8) to logits (N, 10)."""
        features = self.halve(self.residual(self.stem_activation(self.stem(images))))
        features = self.mix_activation(self.mix(self.widen_activation(self.widen(features))))
        features = self.flatten(self.average(features))
        logits: Tensor = self.classify(self.hidden_activation(self.hidden(features)))
        return logits


class DeepNetwork(nn.Module):
    """`digits-deep`: 22 compute layers in every kind of block above, global average pooling; 38,432 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = NormalisedConvolution(1, 16, 3)
        self.stem_activation = nn.ReLU()
        self.residual = ResidualBlock(16)
        self.inverted_fine = InvertedResidualBlock(16, 32)
        self.separable = SeparableBlock(16, 32, stride=2)
        self.inverted_first = InvertedResidualBlock(32, 64)
        self.inverted_second = InvertedResidualBlock(32, 64)
        self.two_scale = TwoScaleBlock(32, 24)
        self.inverted_last = InvertedResidualBlock(48, 96)
        self.widen = NormalisedConvolution(48, 96, 1)
        self.widen_activation = nn.ReLU()
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classify = nn.Linear(96, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, 1, 8, 8) to logits (N, 10)."""
        features = self.inverted_fine(self.residual(self.stem_activation(self.stem(images))))
        features = self.inverted_second(self.inverted_first(self.separable(features)))
        features = self.inverted_last(self.two_scale(features))
        features = self.flatten(self.average(self.widen_activation(self.widen(features))))
        logits: Tensor = self.classify(features)
        return logits


class PerceptronNetwork(nn.Module):
    """`digits-mlp`: three fully connected layers, 64 to 64 to 32 to 10; 6,464 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.first = nn.Linear(64, 64)
        self.first_activation = nn.ReLU()
        self.second = nn.Linear(64, 32)
        self.second_activation = nn.ReLU()
        self.classify = nn.Linear(32, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, 1, 8, 8) to logits (N, 10)."""
        features = self.first_activation(self.first(self.flatten(images)))
        features = self.second_activation(self.second(features))
        logits: Tensor = self.classify(features)
        return logits
