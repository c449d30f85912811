"""Run an ONNX model on convlib
===============================

Prints who serves each node, compares the results with ONNX Runtime's, and times both.  Inputs are random, of the shapes
that the model names; axes without a size get ``--size`` (default 1).  Without MODEL, a small network is made up.

Run:  python examples/onnx_model.py MODEL [--threads N] [--size N]
"""

# sphinx_gallery_thumbnail_path = "docs/pictures/channels_out.svg"

import argparse
import collections
import statistics
import sys
import time

import numpy as np

try:
    import onnx

    import convlib.onnx
except ImportError as error:
    sys.exit(f"skipped: this example needs onnx ({error}); ONNX Runtime, too, for the comparison")

import convlib


def made_up():
    """Return a network of two convolutions and a residual, in ONNX's text form."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        net (float[1, 3, 64, 64] x) => (float[1, 32, 32, 32] y) {
            first = Conv <pads = [1, 1, 1, 1]> (x, w1)
            active = Relu (first)
            second = Conv <pads = [1, 1, 1, 1]> (active, w2)
            sum = Add (second, active)
            both = Relu (sum)
            y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (both)
        }"""
    )
    rng = np.random.default_rng(0)
    for name, shape in (("w1", (32, 3, 3, 3)), ("w2", (32, 32, 3, 3))):
        weights = rng.standard_normal(shape).astype(np.float32) / np.sqrt(np.prod(shape[1:]))
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights.astype(np.float32), name))
    return model


def random_inputs(model, size):
    """Return random inputs by name."""
    rng, given = np.random.default_rng(0), {}
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in constants:
            kind = value.type.tensor_type
            shape = [dim.dim_value or size for dim in kind.shape.dim]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
            numbers = rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, 2, shape)
            given[value.name] = numbers.astype(dtype)
    return given


def milliseconds(run, rounds=9):
    """Return the median time of a call."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def compare(model, inputs, found, run, threads):
    """Compare with ONNX Runtime and time both; return whether they agree."""
    try:
        import onnxruntime
    except ImportError:
        print("not compared: ONNX Runtime is not installed")
        return True
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    expected = session.run(None, inputs)
    agrees = True
    for value, ours, theirs in zip(model.graph.output, found, expected, strict=True):
        scale = float(np.abs(theirs).max(initial=0)) or 1.0
        error = float(np.abs(ours.astype(float) - theirs.astype(float)).max(initial=0)) / scale
        agrees &= ours.shape == theirs.shape and error < 1e-3
        print(f"output {value.name!r} {ours.shape}: largest difference {error:.1e} of the largest value")
    ours, theirs = milliseconds(run), milliseconds(lambda: session.run(None, inputs))
    print(f"convlib {ours:.2f} ms, ONNX Runtime {theirs:.2f} ms, {threads} threads: {theirs / ours:.2f} times as fast")
    return agrees


# %%
# Prepare the model, run it, and compare.
def main():
    """Run the model; return 1 if ONNX Runtime disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--size", type=int, default=1)
    parser.add_argument("--threads", type=int, default=convlib.get_num_threads())
    arguments = parser.parse_args()
    convlib.set_num_threads(arguments.threads)
    try:
        model = onnx.load(arguments.model) if arguments.model else made_up()
    except Exception as error:  # of protobuf, and of the system
        sys.exit(f"cannot read {arguments.model}: {error}")
    prepared, inputs = convlib.onnx.prepare(model), random_inputs(model, arguments.size)
    found = prepared.run(inputs)
    for entry in prepared.served:
        print(entry)
    for by, count in collections.Counter(entry.by for entry in prepared.served).items():
        print(f"{by} served {count} of {len(prepared.served)} nodes")
    agrees = compare(model, inputs, found, lambda: prepared.run(inputs), arguments.threads)
    return 0 if agrees else 1


if __name__ == "__main__" and main():
    sys.exit(1)
