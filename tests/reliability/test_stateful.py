"""Settings and registry against a model of each: whatever is done in whatever order, both agree after every step."""

import os
from contextlib import ExitStack

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import convlib
from convlib import config, registry
from convlib.backends.naive import NaiveBackend
from convlib.registry import plugins

X, W = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
MIB = 1 << 20
#: What each setting is called, how a block sets it, how it is read, and what its variable is.
SETTINGS = {
    "threads": (convlib.num_threads, convlib.get_num_threads, "CONVLIB_NUM_THREADS", (1, 2, 7, 64)),
    "workspace": (convlib.max_workspace, config.get_max_workspace, "CONVLIB_MAX_WORKSPACE", (MIB, 5 * MIB, 2**40)),
    "accuracy": (convlib.accuracy, config.get_accuracy, "CONVLIB_ACCURACY", ("fast", "strict")),
}
BAD = {
    "threads": (0, 65, "2", None, True), "workspace": (0, MIB - 1, 2**62, "x", 1.5), "accuracy": ("", 1, None, "FAST"),
}  # fmt: skip
STEPS = settings(max_examples=15, stateful_step_count=30, deadline=None)


class Settings(RuleBasedStateMachine):
    """Blocks nest, fail to open, end by errors; variables and the process's own number of threads change below."""

    def __init__(self):
        super().__init__()
        self.stack, self.model = [], []
        self.process, self.variables = None, {}
        self.defaults = {name: read() for name, (_, read, *_) in SETTINGS.items()}

    def expected(self, name):
        inner = [value for kind, value in self.model if kind == name]
        if inner:
            return inner[-1]
        if name == "threads" and self.process is not None:
            return self.process
        return self.variables.get(name, self.defaults[name])

    @rule(name=st.sampled_from(sorted(SETTINGS)), data=st.data())
    def enter(self, name, data):
        value = data.draw(st.sampled_from(SETTINGS[name][3]))
        block = ExitStack()
        block.enter_context(SETTINGS[name][0](value))
        self.stack.append(block)
        self.model.append((name, value))

    @rule(name=st.sampled_from(sorted(SETTINGS)), data=st.data())
    def enter_what_is_refused(self, name, data):
        value = data.draw(st.sampled_from(BAD[name]))
        with pytest.raises((convlib.SpecError, TypeError)), SETTINGS[name][0](value):
            raise AssertionError("entered")

    @precondition(lambda self: self.stack)
    @rule(failing=st.booleans())
    def leave(self, failing):
        self.model.pop()
        block = self.stack.pop()
        if failing:
            with pytest.raises(ZeroDivisionError), block:
                raise ZeroDivisionError
        else:
            block.close()

    @rule(count=st.sampled_from((None, 1, 3, 64)))
    def set_threads(self, count):
        convlib.set_num_threads(count)
        self.process = count

    @rule(name=st.sampled_from(sorted(SETTINGS)), data=st.data())
    def set_variable(self, name, data):
        value = data.draw(st.sampled_from((None, *SETTINGS[name][3])))
        self.variables.pop(name, None)
        os.environ.pop(SETTINGS[name][2], None)
        if value is not None:
            os.environ[SETTINGS[name][2]] = str(value)
            self.variables[name] = value
        config.read_environment()

    @rule()
    def call(self):
        assert convlib.conv2d(X, W).max() == 18

    @invariant()
    def agrees(self):
        for name, (_, read, *_) in SETTINGS.items():
            assert read() == self.expected(name), name

    def teardown(self):
        while self.stack:
            self.stack.pop().close()
        convlib.set_num_threads(None)
        for _, _, variable, _ in SETTINGS.values():
            os.environ.pop(variable, None)
        config.read_environment()


def backend_called(chosen, answer):
    """Return a backend whose convolutions say who made them."""

    class Marked(NaiveBackend):
        name = chosen

        def _conv(self, spec, x, w, bias, y, algorithm):
            y[...] = answer

    return Marked


class Registry(RuleBasedStateMachine):
    """Backends come and go, under names that are free and that are not, while blocks choose among them."""

    names = Bundle("names")

    def __init__(self):
        super().__init__()
        self.before = convlib.backends()
        self.added, self.blocks, self.count = {}, [], 0

    @rule(target=names, name=st.sampled_from(["one", "two", "three", "native", "naive"]))
    def register(self, name):
        self.count += 1
        kind = backend_called(name, 1000 + self.count)
        if name in self.added or name in self.before:
            with pytest.raises(convlib.BackendError, match="belongs to"):
                convlib.register_backend(kind)
        else:
            convlib.register_backend(kind)
            self.added[name] = 1000 + self.count
        return name

    @rule(name=consumes(names))
    def unregister(self, name):
        if name in self.added and name not in [block for block, _ in self.blocks]:
            convlib.unregister_backend(name)
            del self.added[name]
        elif name not in self.added:
            with pytest.raises(convlib.BackendError, match="was not added"):
                convlib.unregister_backend(name)

    @rule(name=st.sampled_from(["one", "two", "three", "cython", "none"]))
    def use(self, name):
        if name in self.added or name in self.before:
            block = ExitStack()
            block.enter_context(convlib.use_backend(name))
            self.blocks.append((name, block))
        else:
            with pytest.raises(convlib.BackendError, match="unknown backend"):
                convlib.use_backend(name)

    @precondition(lambda self: self.blocks)
    @rule()
    def leave(self):
        self.blocks.pop()[1].close()

    @rule(name=st.sampled_from(["one", "two", "three"]))
    def call_by_name(self, name):
        if name in self.added:
            assert convlib.conv2d(X, W, backend=name).max() == self.added[name]
        else:
            with pytest.raises(convlib.BackendError, match="unknown backend"):
                convlib.conv2d(X, W, backend=name)

    @invariant()
    def the_block_serves(self):
        inner = self.blocks[-1][0] if self.blocks else None
        assert convlib.conv2d(X, W).max() == self.added.get(inner, 18)
        assert set(convlib.backends()) == {*self.before, *self.added}

    def teardown(self):
        while self.blocks:
            self.blocks.pop()[1].close()
        for name in self.added:
            registry.unregister_backend(name)


@pytest.mark.parametrize("machine", [Settings, Registry])
def test_model_and_library_agree(machine):
    run_state_machine_as_test(machine, settings=STEPS)
    assert not set(convlib.backends()) & {"one", "two", "three"}


@pytest.mark.slow
@pytest.mark.parametrize("machine", [Settings, Registry])
def test_model_and_library_agree_for_long(machine):
    run_state_machine_as_test(machine, settings=settings(STEPS, max_examples=300, stateful_step_count=60))
    assert not set(convlib.backends()) & {"one", "two", "three"}


def finds(machine):
    """Return whether a machine fails; some faults show as an error of hypothesis, whose two runs then differ."""
    quick = settings(STEPS, max_examples=100, database=None, phases=[Phase.generate])  # no matter how short it can be
    try:
        run_state_machine_as_test(machine, settings=quick)
    except (Exception, pytest.fail.Exception):  # the latter is none of the former
        return True
    return False


def test_choices_kept_too_long_would_be_noticed(monkeypatch):
    """A registry that forgets to say that it has changed."""
    monkeypatch.setattr(plugins, "changed", lambda: None)
    found = finds(Registry)
    monkeypatch.undo()
    plugins.changed()
    assert found


def test_settings_that_outlive_their_block_would_be_noticed(monkeypatch):
    monkeypatch.setattr(config, "_innermost", lambda variable: variable.get())
    found = finds(Settings)
    monkeypatch.undo()
    assert found


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_settings_end_with_a_stack_of_blocks(name):
    block, read, _, values = SETTINGS[name]
    before = read()
    with ExitStack() as stack:
        stack.enter_context(block(values[-1]))
        assert read() == values[-1]
    assert read() == before
