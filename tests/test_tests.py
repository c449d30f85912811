"""Every test of this folder can fail, and what says so finds the ones that cannot."""

import importlib.util
from pathlib import Path

import pytest

LINT = Path(__file__).parent.parent / ".ci" / "check_tests.py"
if not LINT.exists():
    pytest.skip("needs a checkout, with .ci", allow_module_level=True)
spec = importlib.util.spec_from_file_location("check_tests", LINT)
lint = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lint)


@pytest.mark.parametrize("path", sorted(lint.TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(lint.TESTS)))
def test_every_test_can_fail(path):
    assert list(lint.complaints(path.read_text())) == []


FAULTS = {
    "returns": "def test_a():\n    if other():\n        return\n    assert this()",
    "returns:": "def test_a():\n    for a in b:\n        assert a\n        return",
    "checks nothing": "def test_a():\n    compute()",
    "test_b checks nothing": "def another():\n    compute()\n\ndef test_b():\n    another()",
    "test_c checks nothing": "def test_c():\n    if offered():\n        assert this()",
    "a skip without a reason": "def test_a():\n    if other():\n        pytest.skip()\n    assert this()",
    "a skip without": "@pytest.mark.skip\ndef test_a():\n    assert this()",
    "skip without": "@pytest.mark.skipif(other())\ndef test_a():\n    assert this()",
    "without a reason": "@pytest.mark.skip()\ndef test_a():\n    assert this()",
    "drops an error": "def test_a():\n    try:\n        compute()\n    except Wrong:\n        pass\n    assert this()",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(fault):
    ((_, complaint),) = lint.complaints(FAULTS[fault])
    assert fault in complaint


SOUND = (
    "def test_a():\n    with pytest.raises(Wrong):\n        compute()",
    "def another():\n    np.testing.assert_allclose(a, b)\n\ndef middle():\n    another()\n\n"
    "def test_a():\n    middle()",
    "def test_a():\n    def inner():\n        return 1\n    assert inner() == 1",
    "def test_a():\n    if this():\n        assert a\n    else:\n        assert b",
    "@pytest.mark.skipif(other(), reason='needs this')\ndef test_a():\n    assert this()",
    "def test_a():\n    if other():\n        pytest.skip('needs this')\n    check(this())",
    "def another():\n    return 1",
)


@pytest.mark.parametrize("text", SOUND)
def test_what_is_sound_passes(text):
    assert list(lint.complaints(text)) == []
