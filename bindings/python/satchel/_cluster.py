"""Clustering: points around centroids."""

from __future__ import annotations

import ctypes
import dataclasses
import os
from ctypes import byref
from typing import Any, Callable, Iterator, Optional, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from . import _constants as c
from . import _native as n
from . import _structs as s
from ._context import Cancel, Context, cancel_pointer, default_context

Points = Union[NDArray[Any], "os.PathLike[str]", str, Any]

_INIT = {"random": c.CONSTANTS["SATCHEL_INIT_RANDOM"],
         "k-means++": c.CONSTANTS["SATCHEL_INIT_PLUS_PLUS"],
         "parallel": c.CONSTANTS["SATCHEL_INIT_PARALLEL"]}
_NO_ITERATIONS = -1
_FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class KMeansProgress:
    """How far a clustering is."""

    iteration: int  #: 0: seeding; 1 to iterations; iterations + 1: final labels
    iterations: int  #: at most
    moved: int  #: points whose label changed
    shift: float  #: root of the summed squared movement of the centroids
    elapsed_ms: int


@dataclasses.dataclass(frozen=True)
class KMeansInfo:
    """What a clustering cost."""

    products: int  #: point-centroid pairs scored in int8
    rechecks: int  #: pairs scored in double
    memory_bytes: int  #: working memory held at most
    seed_ms: int
    iterate_ms: int
    final_ms: int


@dataclasses.dataclass(frozen=True, eq=False)
class KMeans:
    """Points around centroids: `centroids, labels, inertia = satchel.kmeans(x, 100)`."""

    centroids: NDArray[np.float32]  #: float32 (k, D)
    labels: NDArray[np.int32]  #: int32 (N,): the nearest centroid of each point
    inertia: float  #: sum of the squared distances (or inner products) to them
    iterations: int  #: done
    stop: str  #: "iterations", "unchanged" (a fixed point) or "tolerance"
    empty: int  #: clusters without a point in the end
    info: KMeansInfo

    def __iter__(self) -> Iterator[Any]:
        return iter((self.centroids, self.labels, self.inertia))


def kmeans(x: Points, k: Optional[int] = None, init: "Union[str, NDArray[Any], None]" = None, *,
           iterations: Optional[int] = None, seed: int = 0, objective: Optional[str] = None,
           mode: Optional[str] = None, tolerance: Optional[float] = None,
           threads: Optional[int] = None, memory_budget: Optional[int] = None,
           progress: Optional[Callable[[KMeansProgress], None]] = None,
           dimension: Optional[int] = None, offset: int = 0, count: Optional[int] = None,
           cancel: Optional[Cancel] = None, context: Optional[Context] = None) -> KMeans:
    """Clusters points around k centroids: exact Lloyd iterations, at the speed of int8 products.

    The labels are those of a search in double precision, ties to the lowest index; labels,
    centroids and inertia are the same bits on every CPU, for any number of threads and any memory
    budget.

    Args:
        x: points (N, D). A float32 array whose rows are contiguous is used where it is,
            numpy.memmap too; anything else is converted. Or the path of a file of raw
            little-endian float32 rows, read in blocks, which may be larger than memory: see
            `dimension`.
        k: clusters; None: as many as `init` has, else the root of N.
        init: first centroids (k, D), or how to choose them: "random", "k-means++" or "parallel"
            (k-means||, for large k); None: by size.
        iterations: at most; 0: none, only seeding and labels.
        seed: the same seed gives the same result.
        objective: "euclidean" (default), or "inner_product": centroids of length 1 (spherical).
        mode: "exact" (default), or "fast": samples first and stops early; see docs/kmeans.md.
        tolerance: stop when the centroids' summed squared movement is at most this times the mean
            variance of the coordinates; by default only when no label changes.
        threads: at most; None: the context's.
        memory_budget: bytes of working memory; None: what speed asks for.
        progress: called with a KMeansProgress after each pass; what it raises ends the clustering.
            Ctrl-C takes effect then too.
        dimension: D of a file. `offset`: bytes before its first row; `count`: rows, None: to the
            end.
        cancel: fire it from another thread to stop.

    Raises:
        InvalidArgument: k of 0 or over N, NaN or infinity in x, shapes that do not fit.
    """
    given = None if init is None or isinstance(init, str) else _matrix(init, "init")
    points, held = _points(x, dimension, offset, count)
    if k is None:
        k = (len(given) if given is not None
             else int(n.library.satchel_kmeans_default_k(points.count)))
    options = _options(iterations, seed, objective, mode, tolerance, threads, memory_budget)
    if given is not None:
        if given.shape != (k, points.dimension):
            raise ValueError(f"init has shape {given.shape}; must be ({k}, {points.dimension})")
        options.initial = given.ctypes.data
    elif isinstance(init, str):
        options.init = _init(init)
    _check_k(k)
    # Larger than N is an error, which the library words; until then it needs no room.
    rows = k if k <= points.count else 1
    centroids = np.empty((rows, max(points.dimension, 0)), dtype=np.float32)
    labels = np.empty(points.count, dtype=np.int32)
    info = s.KMeansInfo()
    call = _Call(options, progress)
    with (context or default_context())._handle as owner, cancel_pointer(cancel) as stop:
        options.cancel = stop.value if stop else None
        n.call(n.library.satchel_kmeans, owner, byref(points), k, centroids.ctypes.data,
               labels.ctypes.data, byref(info), ctypes.sizeof(info), byref(options))
    del call, held
    return KMeans(centroids, labels, info.inertia, info.iterations, c.STOP.name(info.stop),
                  info.empty, KMeansInfo(info.products, info.rechecks, info.memory_bytes,
                                         info.seed_ms, info.iterate_ms, info.final_ms))


def kmeans_assign(x: Points, centroids: Any, *, objective: Optional[str] = None,
                  threads: Optional[int] = None, memory_budget: Optional[int] = None,
                  offset: int = 0, count: Optional[int] = None, cancel: Optional[Cancel] = None,
                  context: Optional[Context] = None
                  ) -> Tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The nearest of given centroids (k, D) for each point of x (N, D).

    Returns labels, int32 (N,), and distances, float64 (N,): squared distances, or inner products.
    `x` is an array or the path of a file, as for kmeans(); so are the other arguments. It is one
    pass over the points, and Ctrl-C takes effect after it.
    """
    places = _matrix(centroids, "centroids")
    points, held = _points(x, places.shape[1], offset, count)
    options = _options(None, 0, objective, None, None, threads, memory_budget)
    labels = np.empty(points.count, dtype=np.int32)
    distances = np.empty(points.count, dtype=np.float64)
    with (context or default_context())._handle as owner, cancel_pointer(cancel) as stop:
        options.cancel = stop.value if stop else None
        n.call(n.library.satchel_kmeans_assign, owner, byref(points), len(places),
               places.ctypes.data, labels.ctypes.data, distances.ctypes.data, byref(options))
    del held
    return labels, distances


# ---------------------------------------------------------------- arguments


def _array(given: Any, what: str) -> NDArray[np.float32]:
    """Two-dimensional float32, not copied if it is that already."""
    with np.errstate(over="ignore"):  # becomes infinity, which the library refuses by row
        array = np.asarray(given, dtype=np.float32)
    if array.ndim != 2:
        raise ValueError(f"{what} has shape {array.shape}; must be two-dimensional: rows, "
                         "dimension")
    return array


def _matrix(given: Any, what: str) -> NDArray[np.float32]:
    return np.require(_array(given, what), requirements=["C", "A"])


def _points(x: Points, dimension: Optional[int], offset: int,
            count: Optional[int]) -> "Tuple[s.Points, Any]":
    """The struct for x, and what must live as long."""
    points: s.Points = s.Points(struct_size=ctypes.sizeof(s.Points))
    if isinstance(x, (str, os.PathLike)):
        return _file_points(points, os.fsencode(x), dimension, offset, count)
    if offset or count is not None:
        raise ValueError("offset and count go with a file; slice the array instead")
    array = _array(x, "x")
    if dimension is not None and array.shape[1] != dimension:
        raise ValueError(f"x has shape {array.shape}, but dimension is {dimension}")
    if not _has_plain_rows(array):
        array = _matrix(array, "x")
    points.count, points.dimension = array.shape
    points.rows = array.ctypes.data
    # Of fewer than two rows NumPy's stride says nothing.
    points.stride = array.strides[0] // _FLOAT_BYTES if len(array) > 1 else 0
    return points, array


def _has_plain_rows(array: NDArray[Any]) -> bool:
    """Rows of floats one after the other, at rising places: what the library reads as it is."""
    step, item = array.strides
    return ((item == _FLOAT_BYTES or array.shape[1] <= 1) and step % _FLOAT_BYTES == 0
            and step >= _FLOAT_BYTES * array.shape[1] and bool(array.flags.aligned))


def _file_points(points: s.Points, path: bytes, dimension: Optional[int], offset: int,
                 count: Optional[int]) -> "Tuple[s.Points, Any]":
    if dimension is None:
        raise ValueError("x is a path: give the dimension of its rows")
    if b"\0" in path:
        raise ValueError("the path holds a NUL character")
    if count is None:
        size, row = max(os.path.getsize(path) - offset, 0), _FLOAT_BYTES * max(dimension, 1)
        if size % row:
            raise ValueError(f"{size} bytes of {os.fsdecode(path)!r} are no whole number of rows "
                             f"of {dimension} float32; give the count")
        count = size // row
    points.count, points.dimension, points.offset = count, dimension, offset
    points.path = path
    return points, path


def _init(init: str) -> int:
    try:
        return _INIT[init]
    except KeyError:
        choices = ", ".join(repr(choice) for choice in _INIT)
        raise ValueError(f"init {init!r} is none of {choices}, and no array") from None


def checked_seed(seed: int) -> int:
    """ctypes would cut off what does not fit."""
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"seed is {seed}; must be 0 to 2**64 - 1")
    return seed


def _check_k(k: int) -> None:
    if k < 0 or k >= 1 << (8 * ctypes.sizeof(ctypes.c_size_t)):
        raise ValueError(f"k is {k}")


def _options(iterations: Optional[int], seed: int, objective: Optional[str], mode: Optional[str],
             tolerance: Optional[float], threads: Optional[int],
             memory_budget: Optional[int]) -> s.KMeansOptions:
    options: s.KMeansOptions = n.new(s.KMeansOptions, "satchel_kmeans_options_init")
    if iterations is not None:
        # In C a zero is the default.
        options.iterations = iterations if iterations != 0 else _NO_ITERATIONS
    options.seed = checked_seed(seed)
    options.objective = c.OBJECTIVE.value(objective)
    options.mode = c.MODE.value(mode)
    options.tolerance = tolerance or 0.0
    options.threads = threads or 0
    options.memory_budget = memory_budget or 0
    return options


class _Call:
    """Keeps the progress function of one call alive. There is always one, because Python looks at
    its signals inside it."""

    def __init__(self, options: s.KMeansOptions,
                 progress: Optional[Callable[[KMeansProgress], None]]) -> None:
        self.progress = progress
        self.function = s.KMeansProgressFunction(self._report)
        options.progress = self.function

    def _report(self, user: Any, given: Any) -> int:
        try:
            if self.progress is not None:
                p = given.contents
                self.progress(KMeansProgress(p.iteration, p.iterations, p.moved, p.shift,
                                             p.elapsed_ms))
            return 0
        except BaseException as raised:
            n.pending.raised = raised
            return 1
