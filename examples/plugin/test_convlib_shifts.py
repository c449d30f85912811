"""The conformance suite, and how much of it the backend serves: a refusal too many is no failure there."""

from convlib.testing import check_backend, served_cases


def test_conformance():
    """Raise if a check fails."""
    check_backend("shifts")


def test_it_serves_what_it_did():
    """Count the cases."""
    assert len(served_cases("shifts")) >= 60
