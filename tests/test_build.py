"""What setup.py builds with: only what changed is compiled, and a broken or foreign object is never taken."""

import importlib.util
import io
import json
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1] / "convlib/_ext/c/building.py"
spec = importlib.util.spec_from_file_location("building", HERE)
building = importlib.util.module_from_spec(spec)
spec.loader.exec_module(building)

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")

FILES = {
    "src/a.c": '#include "both.h"\n#include "a.h"\nint a(void) { return A + BOTH; }\n',
    "src/b.c": '#include "both.h"\nint b(void) { return BOTH; }\n',
    "src/a.h": "#define A 1\n",
    "src/both.h": "#define BOTH 2\n",
}


class Project:
    """Two sources and their headers, linked to one library; `build` returns the titles of what was made."""

    def __init__(self, monkeypatch):
        self.made = []
        make = building.make

        def noted(step, scratch):
            self.made.append(step.title)
            make(step, scratch)

        monkeypatch.setattr(building, "make", noted)
        for name, text in FILES.items():
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_text(text)

    def steps(self, flags=("-O1",), outside=(), version="compiler 1"):
        chains = []
        for name in "ab":
            path, listed = f"src/{name}.c", ("-MMD", "-MF", building.OUT + ".dep")
            command = ["cc", "-fPIC", *flags, *listed, "-c", path, "-o", building.OUT]
            chains.append([building.step(f"{name}.o", command, [path], outside, version)])
        objects = [chain[-1].output for chain in chains]
        return chains, building.step("ab.so", ["cc", "-shared", *objects, "-o", building.OUT], objects, [], version)

    def build(self, **options):
        self.made.clear()
        force = options.pop("force", False)
        chains, link = self.steps(**options)
        building.run(chains, [link], 2, force=force)
        return sorted(self.made)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Project(monkeypatch)


@pytest.fixture
def built(project):
    assert project.build() == ["a.o", "ab.so", "b.o"]
    return project


def test_what_did_not_change_is_not_made_again(built):
    assert built.build() == []


def test_times_and_folders_outside_do_not_matter(built):
    for name in FILES:
        os.utime(name)
    assert built.build(outside=["-I/nowhere/a/build/made/for/itself"]) == []


def test_a_header_rebuilds_what_includes_it(built):
    Path("src/a.h").write_text("#define A 3\n")
    assert built.build() == ["a.o", "ab.so"]
    Path("src/both.h").write_text("#define BOTH 3\n")
    assert built.build() == ["a.o", "ab.so", "b.o"]
    assert built.build() == []


def test_an_object_that_comes_out_the_same_is_not_linked_again(built):
    Path("src/a.h").write_text("#define A 1 /* as before */\n")
    assert built.build() == ["a.o"]


@pytest.mark.parametrize("change", [{"flags": ("-O2",)}, {"version": "compiler 2"}])
def test_other_flags_or_compilers_make_objects_of_their_own(built, change):
    assert built.build(**change) == ["a.o", "ab.so", "b.o"]
    assert built.build() == []  # those of the first way are still there
    assert built.build(**change) == []


def test_a_header_that_is_gone_is_missed(built):
    Path("src/a.h").unlink()
    with pytest.raises(building.BuildError, match=r"a\.h"):
        built.build()


@pytest.mark.parametrize("breaks", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:100])])
@pytest.mark.parametrize("title", ["a.o", "a.o.json"])
def test_a_broken_object_or_record_is_made_again(built, title, breaks):
    (path,) = Path(building.FOLDER).glob(f"a-*{title[1:]}")
    breaks(path)
    assert built.build() == ["a.o"]
    assert built.build() == []


@pytest.mark.parametrize("text", ["[]", "{}", "null"])
def test_a_record_of_something_else_is_not_believed(built, text):
    (path,) = Path(building.FOLDER).glob("a-*.o.json")
    path.write_text(text)
    assert built.build() == ["a.o"]


def test_all_is_made_again_if_asked(built):
    assert built.build(force=True) == ["a.o", "ab.so", "b.o"]


def test_what_is_written_while_it_is_read_is_not_recorded(project):
    command = ["sh", "-c", f"cat src/a.h > {building.OUT}; sleep 0.1; echo '#define A 9' > src/a.h"]
    copy = building.step("copy.h", command, ["src/a.h"], [])
    building.run([[copy]], [], 1)
    assert Path(copy.output).read_text() == FILES["src/a.h"]
    assert not building.is_fresh(copy)


def test_a_failure_says_what_the_compiler_said_and_leaves_nothing(built):
    old = Path("src/b.c").read_text()
    Path("src/b.c").write_text("int b(void) { return wrong; }\n")
    with pytest.raises(building.BuildError, match=r"(?s)cannot make b\.o.*cc .*src/b\.c:1.*wrong"):
        built.build()
    Path("src/b.c").write_text(old)
    assert built.build() == []
    assert not [path for path in Path(building.FOLDER).iterdir() if path.is_dir()]


def test_a_compiler_that_is_not_there_is_named():
    with pytest.raises(building.BuildError, match=r"no C compiler: .*'absent-cc'.*CC"):
        building.identify("absent-cc", "-O2")


def test_a_compiler_that_is_a_module_of_python_is_asked_itself(tmp_path, monkeypatch):
    (tmp_path / "compiler.py").write_text("import sys; print('asked for', *sys.argv[1:])")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = building.identify(sys.executable, "-m", "compiler", "cc", "-target", "x86_64-linux-gnu.2.28")
    assert said.splitlines()[0] == "asked for cc --version"


def test_variables_that_compilers_read_count(monkeypatch):
    building.identify.cache_clear()
    plain = building.identify("cc")
    monkeypatch.setenv("CPATH", "/elsewhere")
    building.identify.cache_clear()
    assert building.identify("cc", "-O2") == plain + "CPATH=/elsewhere\n"
    building.identify.cache_clear()


def test_two_builds_at_once_do_not_meet(project):
    failed = []

    def build():
        try:
            chains, link = project.steps()
            building.run(chains, [link], 2)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    _, link = project.steps()
    assert Path(link.output).stat().st_size
    assert project.build() in ([], ["ab.so"])  # linked from an object that another build replaced by its like
    assert project.build() == []


def test_only_what_belongs_to_the_checkout_is_listed(project):
    rule = Path("rule.dep")
    rule.write_text(
        f"a.o: src/a.c {Path('src/a.h').absolute()} \\\n /usr/include/x.h src/with\\ space.h env/site-packages/y.h\n"
    )
    assert building.listed(rule) == {"src/a.c", "src/a.h", "src/with space.h"}


def test_the_record_holds_digests_of_all_that_went_in(built):
    (path,) = Path(building.FOLDER).glob("a-*.o.json")
    record = json.loads(path.read_text())
    assert record == {
        name: building.digest(name) for name in ["src/a.c", "src/a.h", "src/both.h", path.with_suffix("").as_posix()]
    }


def test_progress_is_a_line_per_source_where_no_terminal_is(project, monkeypatch, capsys):
    monkeypatch.setattr(building, "open_terminal", building.contextlib.nullcontext)
    project.build()
    lines = capsys.readouterr().err.splitlines()
    assert [line[:5] for line in lines[:2]] == ["[1/2]", "[2/2]"]
    assert {line.split()[1] for line in lines[:2]} == {"a.c", "b.c"}
    assert lines[2].startswith("compiled 2 of 2 parts in ")
    project.build()
    assert capsys.readouterr().err == "nothing to compile\n"


def test_progress_on_a_terminal_names_what_runs():
    terminal = io.StringIO()
    progress = building.Progress(7, terminal)
    with progress.working_on("gemm_avx2.c"), progress.working_on("pool_avx2.c"):
        progress.show()
    progress.show()
    progress.finish()
    first, second, last = terminal.getvalue().split("\r\x1b[K")[1:]
    assert (first, second) == ("[0/7] 0 s  gemm_avx2.c  pool_avx2.c", "[2/7] 0 s")
    assert last == "compiled 2 of 7 parts in 0 s\n"
