"""A handler that raises while a backend is first imported: its exception goes through, and nothing stays broken."""

import sys

import pytest
from tools import python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

CODE = """
import contextlib, os, signal, sys
import numpy as np
import convlib
from convlib.registry import plugins

def handler(*_):
    raise KIND("from the handler")

calls = 0

def load(last=None):
    # Load the backend; a signal comes at the `last` call of a function.
    def count(frame, event, argument):
        global calls
        calls += event == "call"
        if calls == last:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGTERM)
    sys.setprofile(count)
    try:
        plugins.load(NAME)
    finally:
        sys.setprofile(None)
    return calls

def attempt(last):
    said = "loaded"
    try:
        load(last)
    except BaseException as error:
        said = type(error).__name__ + " " + str(error)
    x, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))
    return said, convlib.conv2d(x, w, backend=NAME).tolist() == [[[[9, 9], [9, 9]]]]

def in_child(call, *args):
    reading, writing = os.pipe()
    if os.fork() == 0:
        answer = None
        with contextlib.suppress(BaseException):
            answer = call(*args)
        os.write(writing, repr(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.wait()
    return eval(answer)

signal.signal(signal.SIGTERM, handler)
every = in_child(load)
found = [in_child(attempt, every * i // ROUNDS + 1) for i in range(ROUNDS)]
print(every > ROUNDS, set(found) - {("loaded", True)})  # some code under the import may catch a TypeError
"""


LONG = [(kind, name, 200) for kind in ("SystemExit", "TypeError", "Warning") for name in ("native", "im2col", "fft")]


@pytest.mark.parametrize(
    ("kind", "name", "rounds"),
    [
        ("SystemExit", "native", 6),
        ("TypeError", "im2col", 6),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in LONG),
    ],
)
def test_an_import_that_a_handler_ends_is_made_again(kind, name, rounds):
    done = python("-c", f"KIND, NAME, ROUNDS = {kind}, {name!r}, {rounds}\n{CODE}")
    assert done.stdout == f"True {{('{kind} from the handler', True)}}\n", done.stderr[-2000:]
