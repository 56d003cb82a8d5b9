"""The algebra of reparameterization: linear branches of one input as one convolution.

A convolution, an identity, an average pool, each with or without batch normalization, and any
sum of them that reads one tensor x, is y = K * x + b for one kernel K and one bias b:

* batch normalization in evaluation is y -> s y + t with s = gamma / sqrt(var + eps) and
  t = beta - s mean, so K -> s K and b -> s b + t, output channel by output channel;
* the identity is a 1x1 kernel of ones on the diagonal, an n x n average pool that counts its
  padding a kernel of 1 / n^2 on the diagonal;
* kernels of different sizes add after the smaller is put in the centre of the larger one.

Torch modules and ONNX graphs are both fused through this module (float64 throughout).
Sources: RepVGG (arXiv 2101.03697), QARepVGG (arXiv 2212.01593).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """y = kernel * x + bias.

    Attributes
    ----------
    kernel : float64 [Cout, Cin / groups, kh, kw].
    bias : float64 [Cout].
    groups : of the convolution.
    strides, dilations : (vertical, horizontal).
    pads : (top, left, bottom, right) zeros around the input.
    """

    kernel: Array
    bias: Array
    groups: int = 1
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @classmethod
    def identity(cls, channels: int) -> Affine:
        """Return the map that changes nothing, as a depthwise 1x1 convolution."""
        return cls(np.ones((channels, 1, 1, 1)), np.zeros(channels), channels)

    @classmethod
    def average(cls, channels: int, size: int, stride: int) -> Affine:
        """Return an average pool of odd size that counts its padding, as a depthwise one."""
        kernel = np.full((channels, 1, size, size), 1.0 / size**2)
        half = size // 2
        return cls(
            kernel, np.zeros(channels), channels, (stride, stride), pads=(half, half, half, half)
        )

    @property
    def cin(self) -> int:
        """Input channels."""
        return int(self.kernel.shape[1]) * self.groups

    @property
    def cout(self) -> int:
        """Output channels."""
        return int(self.kernel.shape[0])

    def then(self, scale: Array | float, shift: Array | float = 0.0) -> Affine:
        """Return scale y + shift, with one number a channel or one for all."""
        factors = np.broadcast_to(np.asarray(scale, np.float64), self.bias.shape)
        return replace(
            self,
            kernel=self.kernel * factors[:, None, None, None],
            bias=self.bias * factors + shift,
        )

    def then_batch_norm(
        self, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float
    ) -> Affine:
        """Return the map followed by batch normalization in evaluation."""
        scale = gamma / np.sqrt(variance + eps)
        return self.then(scale, beta - mean * scale)

    def can_add(self, other: Affine) -> bool:
        """Whether the sum of the two is one convolution."""
        pointwise = (1, 1) in (self.kernel.shape[2:], other.kernel.shape[2:])
        return (
            (self.cin, self.cout, self.strides) == (other.cin, other.cout, other.strides)
            and self._is_centred()
            and other._is_centred()
            and (self.dilations == other.dilations or pointwise)
            and (self.groups == other.groups or self._is_depthwise() or other._is_depthwise())
        )

    def __add__(self, other: Affine) -> Affine:
        if not self.can_add(other):
            raise ValueError("these maps do not add up to one convolution")
        groups = min(self.groups, other.groups)
        larger = max(self, other, key=lambda one: one.kernel.shape[2:])
        size = larger.kernel.shape[2:]
        return replace(
            larger,
            kernel=self._spread(groups, size) + other._spread(groups, size),
            bias=self.bias + other.bias,
            groups=groups,
        )

    def _is_depthwise(self) -> bool:
        return self.groups == self.cin == self.cout

    def _is_centred(self) -> bool:
        """Whether the kernel is odd and the zeros around the input keep it in the middle."""
        (kh, kw), (dv, dh) = self.kernel.shape[2:], self.dilations
        vertical, horizontal = dv * (kh // 2), dh * (kw // 2)
        odd = kh % 2 == 1 and kw % 2 == 1
        return odd and self.pads == (vertical, horizontal, vertical, horizontal)

    def _spread(self, groups: int, size: tuple[int, ...]) -> Array:
        """Return the same kernel for fewer groups, in the centre of a larger window."""
        (kh, kw), per_group = self.kernel.shape[2:], self.cin // groups
        top, left = (size[0] - kh) // 2, (size[1] - kw) // 2
        wide = np.zeros((self.cout, per_group, *size))
        window = wide[:, :, top : top + kh, left : left + kw]
        if groups == self.groups:
            window[:] = self.kernel
        else:  # depthwise: output channel i reads input channel i alone
            channels = np.arange(self.cout)
            window[channels, channels % per_group] = self.kernel[:, 0]
        return wide
