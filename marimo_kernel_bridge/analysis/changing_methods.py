"""Methods and functions that are known to mutate their object, by name and by the kind of object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from marimo_kernel_bridge.analysis.mutation import How
    from marimo_kernel_bridge.analysis.object_kinds import Kind

# Methods that mutate their object in every class that has them.
_CHANGING: Final = frozenset(
    """append appendleft extend extendleft insert remove discard clear popitem setdefault popleft reverse
    sort rotate update intersection_update difference_update symmetric_difference_update
    fill put itemset partial_fit add_node add_nodes_from add_edge add_edges_from remove_node remove_nodes_from
    remove_edge remove_edges_from add_weighted_edges_from push enqueue dequeue""".split()  # noqa: SIM905  # a list of words
)
# Methods that mutate their object only in certain calls: `x.pop(0)` of a list, not `re.sub`; `s.add(1)`, not `a.add(b)`.
_CHANGING_IF_DISCARDED: Final = frozenset(
    {"pop", "add", "resize", "partition", "shuffle", "set", "compile", "load"}
)
_FITTING: Final = frozenset({"fit", "train", "fit_generator"})
_DRAWING: Final = frozenset(
    """plot scatter bar barh hist hist2d fill fill_between fill_betweenx imshow contour contourf pcolormesh pcolor
    quiver streamplot errorbar boxplot violinplot pie stackplot step stem axhline axvline axhspan axvspan hlines vlines
    text annotate legend grid set_title set_xlabel set_ylabel set_zlabel set_xlim set_ylim set_zlim set_xticks set_yticks
    set_xticklabels set_yticklabels set_xscale set_yscale set_aspect set_axis_off set_facecolor tick_params
    invert_yaxis invert_xaxis add_patch add_artist add_collection add_line margins axis suptitle tight_layout
    subplots_adjust colorbar set_size_inches set_figheight set_figwidth plot_surface plot_wireframe autoscale
    set twinx loglog semilogx semilogy autofmt_xdate add_subplot set_prop_cycle spines
    clear cla clf remove delaxes twiny secondary_xaxis secondary_yaxis inset_axes indicate_inset indicate_inset_zoom subplots subplot_mosaic
    subfigures hexbin matshow spy eventplot broken_barh stairs ecdf violin bxp arrow table barbs quiverkey tricontour tricontourf
    tripcolor triplot bar_label clabel axline figtext figimage specgram psd csd cohere acorr xcorr angle_spectrum magnitude_spectrum
    phase_spectrum plot_trisurf plot_date minorticks_on minorticks_off ticklabel_format locator_params label_outer sharex sharey
    relim autoscale_view sca view_init align_labels align_xlabels align_ylabels align_titles""".split()  # noqa: SIM905  # a list of words
)
_DRAWS_RANDOM: Final = frozenset(
    """random rand randn randint integers normal standard_normal uniform choice choices shuffle permutation
    poisson binomial exponential gamma beta sample gauss randrange multivariate_normal lognormal laplace bytes
    standard_t chisquare dirichlet multinomial geometric weibull random_sample betavariate expovariate""".split()  # noqa: SIM905  # a list of words
)
_FITTING_WITH_RESULT: Final = frozenset({"fit", "fit_transform", "fit_predict", "train", "fit_generator"})
# Methods that change their object, and what it was made of, further each time they are called.
_TRAINING: Final = frozenset({"step", "write", "writelines", "writerow", "writerows", "writestr", "learn"})
# Packages whose `fit` leaves its object as it was.
_FITTED_ELSEWHERE: Final = ("statsmodels", "lmfit", "scipy", "arch")
_FITTED_FURTHER: Final = ("keras", "tensorflow")
# Functions that mutate an argument.
CHANGES_ARGUMENT: Final = {
    "shuffle": 0,
    "heappush": 0,
    "heappop": 0,
    "heapify": 0,
    "insort": 0,
    "setattr": 0,
    "sca": 0,  # pyplot goes on drawing on it
    "setp": 0,
}


def change_by_call(name: str, kind: Kind, *, direct: bool) -> How | None:
    """Return how a method call mutates its object, whether or not its value is used; None if it does not.

    `direct`: the method is called on the name itself, not on a part of its object.
    """
    if kind == "plot":
        return "plot" if name in _DRAWING or name.startswith(("set_", "add_")) else None
    if kind == "random":
        return "random" if name in _DRAWS_RANDOM else None
    if name in _CHANGING and not (name == "update" and kind == "live"):
        return "method" if direct else "nested"
    if name == "pop" and kind in {"list", "dict", "set"}:
        return "method"
    return "inplace" if name in {"insert", "pop"} and kind == "frame" else None


def change_by_discarded_call(name: str, kind: Kind) -> tuple[How, bool] | None:
    """Return how a call whose value is discarded mutates its object, and whether the mutation is idempotent."""
    if name in _FITTING:
        return "fit", True
    if kind == "plot":
        return None
    if name in _CHANGING_IF_DISCARDED:
        return ("other" if kind == "unknown" else "method"), False
    if name.startswith(("set_", "add_", "append_")):
        return "other", name.startswith("set_")
    return None


def change_by_training(name: str, kind: Kind, origin: str, *, discarded: bool) -> How | None:
    """Return how a method mutates its object that a run would show, and few texts do; None if it does not.

    `origin` is the imported function or class that made the object.
    """
    if kind in {"plot", "array", "frame", "value", "list", "dict", "set", "random"}:
        return None
    if name == "pop" and kind == "unknown":  # a value that is used; see `change_by_discarded_call` for others
        return "other"
    if name in _FITTING_WITH_RESULT and not origin.startswith(_FITTED_ELSEWHERE):
        return "train" if origin.startswith(_FITTED_FURTHER) else "fit"
    in_place = name.endswith("_") and not name.endswith("__")
    return "train" if discarded and (in_place or name in _TRAINING) else None
