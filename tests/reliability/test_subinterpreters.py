"""Subinterpreters are refused in words, where NumPy warns and SciPy hangs; the main interpreter goes on."""

import importlib
import sys

import pytest
from tools import python

MODULE = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
CODE = '''
import sys, {module} as interpreters
if {first}:
    import convlib
other = interpreters.create({options})
failed = interpreters.{run}(other, """
try:
    import convlib
except ImportError as error:
    print(type(error).__name__, error, flush=True)
else:
    print("imported", flush=True)
""")
assert failed is None, failed
import numpy as np, convlib
print(convlib.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))).item())
'''


@pytest.mark.parametrize("first", [False, True])
def test_a_subinterpreter_is_refused_in_words(first):
    try:
        importlib.import_module(MODULE)
    except ImportError:
        pytest.skip(f"this Python has no {MODULE}")
    run, options = ("exec", "'legacy'") if sys.version_info >= (3, 13) else ("run_string", "isolated=False")
    done = python("-c", CODE.format(module=MODULE, first=first, run=run, options=options))
    assert done.returncode == 0, done.stderr
    refused, served = done.stdout.splitlines()
    assert refused.startswith("ImportError convlib runs in the main interpreter only")
    assert "WSGIApplicationGroup" in refused
    assert served == "4.0"
