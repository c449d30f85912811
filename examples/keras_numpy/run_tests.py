"""Run Keras's own tests of convolutions and poolings with `served`: ``python run_tests.py [pytest's options]``.

They come with the package keras.  Each test that passes must have reached convlib, but for those that say what Keras
itself refuses or computes; these are listed, and a test that is listed and does reach it is an error as well.
"""

import collections
import re
import sys
from pathlib import Path

import pytest
import served

SOURCES = Path(served.keras.__file__).parent / "src"
FILES = (
    "layers/convolutional/conv_test.py", "layers/convolutional/conv_transpose_test.py",
    "layers/convolutional/depthwise_conv_test.py", "layers/convolutional/separable_conv_test.py",
    "layers/pooling/average_pooling_test.py", "layers/pooling/max_pooling_test.py",
    "layers/pooling/adaptive_pooling1d_test.py", "layers/pooling/adaptive_pooling2d_test.py",
    "layers/pooling/adaptive_pooling3d_test.py", "ops/nn_test.py",
)  # fmt: skip
#: Of files that test other operators, too.
CHOSEN = re.compile(r"conv|pool", re.IGNORECASE)
#: Tests that compute no convolution or pooling, by what their names hold, and what they do.
ELSEWHERE = {
    "StaticShapeTest": "shapes of symbolic tensors", "DynamicShapeTest": "the same, with an unknown axis",
    "unknown_shape": "the same, for transposed convolution", "compute_output_shape": "the layer's formula",
    "get_config": "options", "serialization": "options", "bad_init_args": "options that Keras refuses",
    "invalid_output_shape": "shapes that Keras refuses", "zero_dims": "the same",
    "invalid_configuration": "the same", "conv_constraints": "constraints of weights",
    "lora_weight_name": "names", "enable_lora_with_alpha": "weights that are sums",
}  # fmt: skip


class Reached:
    """Counts the calls of convlib in each test, and what came of it."""

    def __init__(self):
        self.calls, self.outcomes = collections.Counter(), {}
        self._now = None
        for function in served.SERVED:
            setattr(served.nn, function.__name__, self._counted(function))

    def _counted(self, function):
        def call(*arguments, **options):
            result = function(*arguments, **options)
            self.calls[self._now] += 1  # that it did not refuse
            return result

        return call

    def pytest_collection_modifyitems(self, config, items):
        """Choose, and skip what Keras marks for backends that can train."""
        chosen = [item for item in items if CHOSEN.search(item.name) or "nn_test" not in item.nodeid]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
        for item in items:
            if "requires_trainable_backend" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="the NumPy backend does not train"))

    def pytest_configure(self, config):
        """Know the marks of Keras."""
        for mark in ("requires_trainable_backend", "multi_device"):
            config.addinivalue_line("markers", f"{mark}: one of Keras's")

    def pytest_runtest_setup(self, item):
        """Note whose calls are counted."""
        self._now = item.nodeid

    def pytest_runtest_logreport(self, report):
        """Note what came of a test."""
        if report.when == "call" or report.skipped or report.failed:
            self.outcomes[report.nodeid] = report.outcome


def main(options):
    """Run, report, and return the exit status."""
    reached = Reached()
    status = pytest.main(
        [*(str(SOURCES / name) for name in FILES), "-q", "-p", "no:cacheprovider", *options], plugins=[reached]
    )
    passed = [name for name, outcome in reached.outcomes.items() if outcome == "passed"]
    missed = [name for name in passed if not reached.calls[name]]
    unknown = [name for name in missed if not any(part in name for part in ELSEWHERE)]
    stale = [part for part in ELSEWHERE if not any(part in name for name in missed)]
    print(f"keras {served.keras.__version__}, JAX {'is loaded' if 'jax' in sys.modules else 'is not loaded'}: "
          f"{len(reached.outcomes)} tests, {len(passed)} passed, {len(passed) - len(missed)} of them by convlib in "
          f"{sum(reached.calls.values())} calls, {len(missed)} that compute neither")  # fmt: skip
    for name in unknown:
        print(f"did not reach convlib: {name}")
    for part in stale:
        print(f"listed as not reaching convlib, but does: {part}")
    return int(status) or bool(unknown or stale) or not passed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
