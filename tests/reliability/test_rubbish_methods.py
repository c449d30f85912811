"""Rubbish for the methods of objects that functions return: plans, streams, layers, pictures, prepared models."""

from importlib.util import find_spec

import numpy as np
import pytest

import convlib
from convlib import costs, layers, show
from reliability.test_rubbish_beside import faults

PLAN = convlib.plan_conv1d((1, 2, 7), np.ones((3, 2, 3), "f4"), dtype="f4")
CHUNK, STATE = np.ones((1, 2, 5), "f4"), np.zeros((1, 2, 2), "f4")
SCENE = show.conv2d((3, 3), (2, 2))
LAYER = layers.Conv2d(3, 3, in_channels=2)
STATES = LAYER.state()


def threads(count):
    try:
        convlib.set_num_threads(count)
    finally:
        convlib.set_num_threads(None)


def stream(*, state, chunk):
    made = PLAN.stream(state)
    made(chunk)
    made.reset(state)


#: Arguments that are served, by position and by name.
CALLS = {
    "set_num_threads": (threads, (1,), {}),
    "plan": (lambda x, *, out: PLAN(x, out), (np.ones((1, 2, 7), "f4"),), {"out": None}),
    "stream": (stream, (), {"state": STATE, "chunk": CHUNK}),
    "Scene.frame": (SCENE.frame, (1,), {}),
    "Scene.text": (SCENE.text, (1,), {}),
    "Scene.save": (SCENE.save, ("a.txt",), {"step": None, "seconds": 0.5}),
    "Layer.load_state": (LAYER.load_state, (STATES,), {}),
    "Layer.load_state of an array": (lambda weight, bias: LAYER.load_state({"weight": weight, "bias": bias}),
                                     (STATES["weight"], STATES["bias"]), {}),
    "Layer.save": (LAYER.save, ("a.npz",), {}),
    "Layer.load": (LAYER.load, ("kept.npz",), {}),
    "connections": (costs.connections, (9, 2), {"exact": False}),
}  # fmt: skip
if find_spec("matplotlib"):
    CALLS["Scene.plot"] = (SCENE.plot, (1,), {})
#: What is raised beside, as docstrings say.
DOCUMENTED = {"Layer.load": (OSError,), "Layer.save": (OSError,), "Scene.save": (OSError, ImportError)}
if find_spec("onnx"):
    from onnx import TensorProto, helper

    from convlib import onnx

    FLOATS = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
              for name, shape in (("x", (1, 2, 5, 5)), ("y", (1, 2, 2, 2)))]  # fmt: skip
    NODE = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    MODEL = helper.make_model(helper.make_graph([NODE], "g", FLOATS[:1], FLOATS[1:]))
    PREPARED = onnx.prepare(MODEL)
    X = np.ones((1, 2, 5, 5), "f4")
    CALLS |= {
        "Prepared.run": (PREPARED.run, ([X],), {}),
        "Prepared.run of an input": (lambda x: PREPARED.run({"x": x}), (X,), {}),
        "Prepared.profile": (PREPARED.profile, ([X],), {"repeats": 1}),
        "run_node of an input": (lambda x: onnx.run_node(NODE, [x]), (X,), {}),
    }


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Let files be written where they bother no one."""
    monkeypatch.chdir(tmp_path)
    LAYER.save("kept")


@pytest.mark.parametrize("name", CALLS)
def test_rubbish_is_refused(name):
    call, args, options = CALLS[name]
    call(*args, **options)
    assert not list(faults(name, call, args, options, 0, DOCUMENTED.get(name, ())))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 20))
def test_much_rubbish_is_refused(seed):
    assert not [fault for name, (call, args, options) in CALLS.items()
                for fault in faults(name, call, args, options, seed, DOCUMENTED.get(name, ()))]  # fmt: skip
