"""Comparisons: check contenders against float64 truth, then time them side by side, one process each.

The list of problems is made in `problems` and `models`, that of contenders in `contenders` and `peers`; `race` measures
and gives a `result`, of which `text`, `terminal`, `plot` and `page` are views.  `diff` compares two results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .result import Report

__all__ = ["compare"]


def compare(
    problem: str | Sequence[Any] | Mapping[str, str] | None = None, *, suite: str | None = None,
    onnx: str | None = None, op: str | None = None, backends: Sequence[str] | None = None, vs: Sequence[str] = (),
    batch: int | None = None, layout: str | None = None, dtype: str | Sequence[str] | None = None,
    threads: int | Sequence[int] | None = None, sweep: str | None = None, seconds: float = 0.15,
    progress: Callable[[str], None] | None = None, **options: Any,
) -> Report:  # fmt: skip
    """Check backends and peers against float64 truth on problems, then time them side by side.

    Each contender runs in a process of its own, in rounds that take turns, until the rounds agree.

    Parameters
    ----------
    problem : str, sequence or mapping, optional
        A problem string, several, or a mapping of names to problem strings; or arrays, whose shapes and type count but
        not their numbers: x, w and perhaps the bias with ``op="conv2d"``, x alone with ``op="max_pool2d"``.
    suite : str, optional
        Instead of `problem`: a list that comes with the package, such as "resnet50", or a file with a problem per line.
    onnx : str, optional
        Instead of `problem`: an ONNX model, whose convolutions and poolings are compared.
    op : str, optional
        The operation in place of the problem's, such as "conv2d", "grad_input", "grad_weight" or "max_pool2d".
    backends : sequence of str, optional
        Backends, "backend:algorithm", ``"native:*"`` for each implementation, "plan"; by default all that can run.
    vs : sequence of str, default ()
        Peers: "torch", "onnxruntime", "openvino", "ncnn", "cv2.dnn", "opencv", "scipy".
    batch : int, optional
        Batch size in place of the problem's.
    layout : {"NCHW", "NHWC"}, optional
        Layout in place of the problem's.
    dtype : str or sequence of str, optional
        "float32" or "float64", or both; by default the arrays' or "float32".
    threads : int or sequence of int, optional
        Threads of each contender; by default those of the machine.
    sweep : str, optional
        Sizes to vary, such as "kh=kw=1..31"; padding that keeps the size of an axis goes on doing so.
    seconds : float, default 0.15
        Timing budget per problem and contender; noise adds up to twice as much.
    progress : callable, optional
        Called with a text now and then.
    **options
        With arrays: keywords of the function `op`, such as stride and padding, or kernel_size.

    Returns
    -------
    report : Report
        Print it for the table and the verdict; `to_json`, `to_csv`, `to_html` and `plot` give the other forms.

    Raises
    ------
    SpecError
        If an argument is unknown or a problem breaks a rule.
    BackendError
        If a backend is unknown or cannot run here.

    Examples
    --------
    >>> import convlib
    >>> report = convlib.compare("n1 ic2 ih8 iw8 oc3 kh3 kw3 ph1", backends=["native", "cython"], seconds=0.01)
    >>> [row.status for row in report.comparisons[0].rows]
    ['ok', 'ok']
    """
    from .asked import carry_out

    return carry_out(
        problem, suite=suite, onnx=onnx, op=op, backends=backends, vs=vs, batch=batch, layout=layout, dtype=dtype,
        threads=threads, sweep=sweep, seconds=seconds, progress=progress, options=options,
    )  # fmt: skip
