"""The shared generators of random numbers that a notebook may seed: what seeds each, what draws from it, what keeps it.

A table, and the rules for reading calls by it. Decides nothing about cells.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True)
class SharedGenerator:
    """A generator that a library shares among all of its callers.

    `state` are the functions of its module that return and set its state, none where no public function does.
    `draws_except` are the functions of the module that do not draw; `draws` are those that do, where the module has
    many others, with `*` for any name that begins so. `unseen` are functions of any object that draw without naming it.
    """

    module: str
    name: str
    seeds: frozenset[str]
    state: tuple[str, str] | None
    draws_except: frozenset[str] = frozenset()
    draws: tuple[str, ...] = ()
    unseen: frozenset[str] = frozenset()

    def is_drawn_from_by(self, path: str) -> bool:
        """Return whether a function of a library draws, by its full path."""
        if self.draws:
            return any(
                path.startswith(known[:-1]) if known.endswith("*") else path == known for known in self.draws
            )
        return (
            path.startswith(f"{self.module}.")
            and path.removeprefix(f"{self.module}.").partition(".")[0] not in self.draws_except
        )


_OF_ALL: Final = frozenset(
    """keras.utils.set_random_seed tensorflow.keras.utils.set_random_seed transformers.set_seed
    lightning.seed_everything lightning.pytorch.seed_everything pytorch_lightning.seed_everything""".split()  # noqa: SIM905  # a list of words
)
"""Functions of libraries that seed all generators."""

GENERATORS: Final = (
    SharedGenerator(
        "numpy.random",
        "repeat_numpy_draws",
        _OF_ALL | {"numpy.random.seed"},
        ("get_state", "set_state"),
        draws_except=frozenset(
            """seed RandomState default_rng get_state set_state Generator SeedSequence PCG64 PCG64DXSM MT19937
            BitGenerator Philox SFC64 bit_generator""".split()  # noqa: SIM905  # a list of words
        ),
        unseen=frozenset({"sample", "rvs", "train_test_split", "shuffle", "resample", "bootstrap"}),
    ),
    SharedGenerator(
        "random",
        "repeat_draws",
        _OF_ALL | {"random.seed"},
        ("getstate", "setstate"),
        draws_except=frozenset({"seed", "Random", "SystemRandom", "getstate", "setstate"}),
    ),
    SharedGenerator(
        "torch",
        "repeat_torch_draws",
        _OF_ALL | {"torch.manual_seed", "torch.random.manual_seed"},
        ("get_rng_state", "set_rng_state"),
        draws=tuple(
            """torch.rand* torch.normal torch.bernoulli torch.multinomial torch.poisson torch.nn.init.*
            torch.nn.Linear torch.nn.Bilinear torch.nn.Lazy* torch.nn.Conv* torch.nn.Embedding* torch.nn.RNN* torch.nn.LSTM*
            torch.nn.GRU* torch.nn.Transformer* torch.nn.MultiheadAttention torch.nn.functional.dropout*
            torch.utils.data.random_split torchvision.models.*""".split()  # noqa: SIM905  # a list of words
        ),
        unseen=frozenset(
            """normal_ uniform_ random_ bernoulli_ exponential_ cauchy_ geometric_ log_normal_ rsample
            xavier_uniform_ xavier_normal_ kaiming_uniform_ kaiming_normal_ trunc_normal_ orthogonal_""".split()  # noqa: SIM905  # a list of words
        ),
    ),
    SharedGenerator(
        "tensorflow",
        "tensorflow_seed",
        frozenset({"tensorflow.random.set_seed", "tensorflow.compat.v1.set_random_seed"}),
        None,
        draws=("tensorflow.random.*", "tensorflow.keras.*", "keras.*"),
        unseen=frozenset({"fit", "shuffle"}),
    ),
)
_LEARNING: Final = re.compile(
    r"sklearn\.(?:\w+\.)*(?:make_\w+|permutation_importance|\w*(?:KMeans|Mixture|Forest|ExtraTrees?|Tree|Boosting|Bagging|Boost)"
    r"(?:Classifier|Regressor)?|IsolationForest|SGD\w+|MLP\w+|Perceptron|PassiveAggressive\w+|TSNE|SpectralClustering|\w*ShuffleSplit"
    r"|Repeated\w+|RandomizedSearchCV|TruncatedSVD|FastICA|\w*NMF|LatentDirichletAllocation|RBFSampler|Nystroem|\w+RandomProjection)"
)
"""What scikit-learn draws for from NumPy's generator, unless it is given one: data, and objects where they are fitted."""
_NOT_LEARNING: Final = re.compile(r".*\.make_(?:pipeline|union|column_transformer|column_selector|scorer)")
_LOADER: Final = "torch.utils.data.DataLoader"
"""What draws whenever somebody takes data from it."""
_DROPOUT: Final = "torch.nn.Dropout"
"""The beginning of the names of what draws whenever the model is called."""


def draws(
    call: ast.Call, origins: Mapping[str, str], generator: SharedGenerator, functions: AbstractSet[str]
) -> bool:
    """Return whether a call draws, directly or by one of the notebook's `functions` that do."""
    path = path_of(call.func, origins)
    last = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if path in generator.seeds:
        return False
    if path is not None and generator.is_drawn_from_by(path):
        return True
    if last in functions:
        return True
    if (
        last == "resample"
        and isinstance(call.func, ast.Attribute)
        and not (path or "").startswith("sklearn.")
    ):
        return False  # of a frame, or of a signal: only scikit-learn's draws
    if (last not in generator.unseen and not _learns(path, generator)) or (path or "").startswith("random."):
        return False
    return not any(keyword.arg in {"random_state", "seed", "rng", "generator"} for keyword in call.keywords)


def _learns(path: str | None, generator: SharedGenerator) -> bool:
    return (
        generator.module == "numpy.random"
        and _LEARNING.fullmatch(path or "") is not None
        and not _NOT_LEARNING.fullmatch(path or "")
    )


def drawing_objects(
    trees: Sequence[ast.Module],
    origins: Mapping[str, str],
    generator: SharedGenerator,
    dropping: AbstractSet[str],
) -> frozenset[str]:
    """Return the names of objects that draw when they are used: loaders of data, models with dropout, estimators.

    `dropping` are the classes and functions of the notebook that make models with dropout.
    """
    if generator.module not in {"torch", "numpy.random"}:
        return frozenset()
    is_torch = generator.module == "torch"
    found: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as value) if any(
                    (
                        path_of(call.func, origins) == _LOADER
                        or is_dropout(call, origins)
                        or getattr(call.func, "id", "") in dropping
                    )
                    if is_torch
                    else _learns(path_of(call.func, origins), generator)
                    and draws(call, origins, generator, frozenset())
                    for call in ast.walk(value)
                    if isinstance(call, ast.Call)
                ):
                    found.add(name)
    return frozenset(found)


def is_dropout(call: ast.Call, origins: Mapping[str, str]) -> bool:
    """Return whether a call makes a layer of dropout."""
    return (path_of(call.func, origins) or "").startswith(_DROPOUT)


def path_of(node: ast.expr, origins: Mapping[str, str]) -> str | None:
    """Return the full path that an expression names, starting at its module: `numpy.random.seed`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in origins:
        return None
    return ".".join([origins[node.id].replace(":", "."), *reversed(parts)])


def calls_in(body: Sequence[ast.AST], *, into: bool) -> Iterator[ast.Call]:
    """Yield the calls that code makes when it runs; with `into`, also those in functions that it defines."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if not into and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [*node.decorator_list, *node.args.defaults]
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += ast.iter_child_nodes(node)
