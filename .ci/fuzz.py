"""Coverage-guided fuzzing of the public functions: ``python .ci/fuzz.py FOLDER [-max_total_time=60]``.

Atheris chooses bytes; they choose a function and rubbish or sensible values for its arguments, as the test
`tests/reliability/test_rubbish.py` does at random.  Whatever is neither an answer nor an error of the documented kinds
stops the run, and its bytes are kept in FOLDER as crash-...; files that are there already are tried first.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
with atheris.instrument_imports(include=["convlib"]):
    from reliability import test_rubbish as rubbish

    import convlib

import numpy as np


def call_of(data):
    """Return a function's name and arguments, of which up to three are not what it takes."""
    name = data.PickValueInList(rubbish.FUNCTIONS)
    args, options = rubbish.sensible(name)
    args, options = list(args), dict(options)
    places = [*range(len(args)), *options]
    for _ in range(data.ConsumeIntInRange(0, 3)):
        place = data.PickValueInList(places)
        (args if isinstance(place, int) else options)[place] = value_of(data)
    return name, args, options


def value_of(data):
    """Return a piece of rubbish, or a small number, pair or array of numbers that may be valid."""
    kind = data.ConsumeIntInRange(0, 4)
    if kind == 0:
        return data.PickValueInList(rubbish.RUBBISH)
    if kind == 1:
        return data.ConsumeIntInRange(-2, 9)
    if kind == 2:
        return tuple(data.ConsumeIntInRange(-1, 5) for _ in range(data.ConsumeIntInRange(0, 4)))
    if kind == 3:
        return data.PickValueInList(["same", "full", "causal", "reflect", "NHWC", "HWIO", "relu", *convlib.backends()])
    shape = [data.ConsumeIntInRange(0, 6) for _ in range(data.ConsumeIntInRange(1, 5))]
    return np.ones(shape, data.PickValueInList(["f4", "f8", "f2", "i1", "u1", "i8", "c8", "?", ">f4"]))


def one_input(data):
    """Try what some bytes stand for."""
    name, args, options = call_of(atheris.FuzzedDataProvider(data))
    with np.errstate(all="raise"):
        try:
            rubbish.call(name, args, options)
        except rubbish.ALLOWED as error:
            if len(str(error)) > 2000:
                raise AssertionError(f"{name}: an error of {len(str(error))} letters") from error


def main():
    """Run until the time is over, or something is found."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/fuzz")
    folder.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], str(folder), f"-artifact_prefix={folder}/", *sys.argv[2:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
