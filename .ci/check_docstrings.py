"""Check the docstrings of everything public by numpydoc's rules, those that pyproject.toml chooses.

numpydoc's own command reads source files, where the functions of one, two and three axes share one template.  This one
looks at the docstrings that users see.
"""

import dataclasses
import importlib
import sys
import tomllib
from pathlib import Path

from numpydoc.docscrape import get_doc_object
from numpydoc.validate import ERROR_MSGS, Validator, validate

MODULES = ("convlib", "convlib.dask", "convlib.layers", "convlib.networks", "convlib.onnx", "convlib.show",
           "convlib.testing", "convlib.textbook", "convlib.tuning")


class Public(Validator):
    """A validator of an object in hand instead of a name to import."""

    def __init__(self, obj_name):
        super().__init__(get_doc_object(obj_name))

    source_file_name = None
    source_file_def_line = None


def public_objects():
    """Yield (name, object) of everything in the public modules' __all__ that has a docstring of its own."""
    for module_name in MODULES:
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name != module_name:
                raise
            continue
        for name in module.__all__:
            thing = getattr(module, name)
            if callable(thing):
                yield f"{module_name}.{name}", thing


def main():
    """Print each violation; return how many there are."""
    settings = tomllib.loads(Path(__file__).parent.with_name("pyproject.toml").read_text())
    excluded = set(settings["tool"]["numpydoc_validation"]["checks"]) - {"all"}
    checks = set(ERROR_MSGS) - excluded
    violations = objects = 0
    for name, thing in public_objects():
        objects += 1
        for code, text in validate(thing, validator_cls=Public)["errors"]:
            # The fields of a dataclass are documented as its attributes.
            if code not in checks or (code == "PR01" and dataclasses.is_dataclass(thing)):
                continue
            violations += 1
            print(f"{name}: {code} {text}")
    print(f"{objects} public docstrings, {violations} violations")
    return violations


if __name__ == "__main__":
    sys.exit(main() > 0)
