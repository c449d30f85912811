"""Pictures of convolution and pooling: windows step by step, matrices, receptive fields, kernels and feature maps.

Each function returns a `Scene`: frames of plain data, whose positions come from the spec that computes every result.
`Scene.text` draws one for a terminal, `Scene.plot` and `Scene.save` by Matplotlib, if that is installed.

An input is an array, whose numbers are shown, or its shape as a tuple.
"""

from __future__ import annotations

from .images import feature_maps, kernels
from .matrices import im2col, toeplitz, toeplitz_matrix
from .operators import avg_pool2d, conv2d, conv_transpose2d, max_pool2d
from .receptive import receptive_field
from .scene import Frame, Panel, Scene

__all__ = [
    "Frame", "Panel", "Scene", "avg_pool2d", "conv2d", "conv_transpose2d", "feature_maps", "im2col", "kernels",
    "max_pool2d", "receptive_field", "toeplitz", "toeplitz_matrix",
]  # fmt: skip
