"""A backend in a package of its own: convolution by one tensordot per tap."""

from itertools import product

import numpy as np

from convlib import Backend


class ExampleBackend(Backend):
    """Convolution only, and only in floating point."""

    name = "example"
    operations = ("conv",)
    strided = True
    algorithms = {"conv": ("taps",)}

    def supports(self, op, spec, dtype):
        """See `Backend.supports`."""
        if dtype.kind != "f":
            return f"computes in floats, not {dtype}"
        return super().supports(op, spec, dtype)

    def _conv(self, spec, x, w, bias, y, algorithm):
        y[...] = 0 if bias is None else bias.reshape(-1, *(1,) * spec.nd)
        for tap in product(*map(range, spec.kernel)):
            outputs, inputs = [slice(None)], [slice(None)]
            for axis, t in enumerate(tap):
                first, last = spec.reach(axis, t)
                step = spec.stride[axis]
                begin = first * step + t * spec.dilation[axis] - spec.pad_lo[axis]
                outputs.append(slice(first, last))
                end = begin + (last - first - 1) * step + 1
                inputs.append(slice(begin, end, step) if last > first else slice(0, 0))
            for group in range(spec.groups):
                seen = x[:, group * spec.icg : (group + 1) * spec.icg][(slice(None), *inputs)]
                outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
                part = np.tensordot(w[(outs, slice(None), *tap)], seen, axes=(1, 1))
                y[:, outs][(slice(None), *outputs)] += np.moveaxis(part, 0, 1)


class NotABackend:
    """What an entry point must not lead to."""


class Misnamed(ExampleBackend):
    """A backend whose name differs from its entry point's."""

    name = "another"
