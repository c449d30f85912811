"""Convolution as a sum of shifted inputs: a backend in a package of its own."""

import numpy as np

import convlib


class Shifts(convlib.Backend):
    """One matrix product per position of the kernel."""

    name = "shifts"
    operations = ("conv",)
    strided = True

    def supports(self, op, spec, dtype):
        """Refuse what the hook cannot do, in words."""
        refusal = super().supports(op, spec, dtype)
        if refusal is None and spec.groups > 1:
            refusal = "takes one group only"
        return refusal

    def _conv(self, spec, x, w, bias, y, algorithm):
        y[...] = 0 if bias is None else bias.reshape(-1, *(1,) * spec.nd)
        for tap in np.ndindex(*spec.kernel):
            # The outputs that meet the input at this position, and what they meet, per axis.
            windows = [spec.reach(axis, t) for axis, t in enumerate(tap)]
            if any(start == stop for start, stop in windows):
                continue
            seen = []
            for axis, ((start, stop), t) in enumerate(zip(windows, tap, strict=True)):
                step = spec.stride[axis]
                first = start * step + t * spec.dilation[axis] - spec.pad_lo[axis]
                seen.append(slice(first, first + (stop - start - 1) * step + 1, step))
            met = np.tensordot(w[:, :, *tap], x[:, :, *seen], (1, 1))  # (OC, N, *met)
            y[:, :, *(slice(*window) for window in windows)] += met.swapaxes(0, 1)
