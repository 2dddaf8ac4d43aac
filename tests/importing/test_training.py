"""Models that several cells train: an import shows what Jupyter shows, and what a fresh run shows after an edit."""

import sys
from pathlib import Path

import pytest
from reactive import Reactive, in_order, prepared

TORCH = """
class Parameter:
    def __init__(self, value): self.value, self.grad = value, 0.0
    def __isub__(self, by):
        self.value -= by
        return self
    def sub_(self, by): self.value -= by
class Linear:
    def __init__(self): self.weight = Parameter(0.0)
    def __call__(self, x): return Loss(self, self.weight.value * x)
    def parameters(self): return [self.weight]
class Loss:
    def __init__(self, model, value): self.model, self.value = model, value
    def __float__(self): return float(self.value)
    def backward(self): self.model.weight.grad = -1.0
class SGD:
    def __init__(self, parameters, lr): self.parameters, self.lr = list(parameters), lr
    def zero_grad(self): pass
    def step(self):
        for parameter in self.parameters: parameter.value -= self.lr * parameter.grad
"""
ESTIMATORS = """
class Mean:
    def __init__(self, start=0): self.start = start
    def __repr__(self): return 'Mean()'
    def fit(self, X, y):
        self.mean_ = self.start + sum(y) / len(y)
        return self
    def fit_transform(self, X): return [self.fit(X, X).mean_ for x in X]
    def predict(self, X): return [self.mean_ for x in X]
    def partial_fit(self, X, y):
        self.mean_ = getattr(self, 'mean_', 0) + sum(y)
        return self
class Pipeline:
    def __init__(self, steps): self.steps = steps
    def fit(self, X, y):
        for name, step in self.steps: step.fit(X, y)
        return self
    def predict(self, X): return self.steps[-1][1].predict(X)
"""
BASE = "import copy\ndef clone(estimator): return type(estimator)(estimator.start)"


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Small stand-ins of torch and scikit-learn, with what matters here."""
    (tmp_path / "torch.py").write_text(TORCH)
    (tmp_path / "sklearn").mkdir()
    for name, text in {"__init__": "", "base": BASE, "dummy": ESTIMATORS}.items():
        (tmp_path / "sklearn" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("torch", "sklearn", "sklearn.base", "sklearn.dummy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in ("torch", "sklearn", "sklearn.base", "sklearn.dummy"):
        sys.modules.pop(name, None)


def converted(codes):
    result = prepared(codes)
    reactive = Reactive([cell.code for cell in result.cells])
    assert reactive.problems() == [], reactive.codes
    shown, expected = reactive.run(), in_order(codes)
    assert not any("Error" in text for text in expected)
    for number, cell in enumerate(result.cells):
        assert shown[number] == "".join(expected[each - 1] for each in cell.positions), reactive.codes
    return result, reactive, shown


def assert_an_edit_shows_what_a_fresh_run_shows(codes, old, new):
    result, reactive, shown = converted(codes)
    (number,) = [number for number, code in enumerate(reactive.codes) if old in code]
    edited = Reactive([code.replace(old, new) for code in reactive.codes], namespace=reactive.namespace)
    shown |= edited.run(edited.downstream(number))
    expected = in_order([code.replace(old, new) for code in codes])
    for place, cell in enumerate(result.cells):
        assert shown[place] == "".join(expected[each - 1] for each in cell.positions), edited.codes


def assert_any_cell_shows_the_same_again(reactive, first):
    """Run each cell again with what depends on it, from last to first. `first` is what the first run has shown, by cell."""
    for number in reversed(range(len(reactive.codes))):
        assert all(text == first[other] for other, text in reactive.run(reactive.downstream(number)).items())


MODEL = "import torch\nmodel = torch.Linear()"
OPTIMIZER = "optimizer = torch.SGD(model.parameters(), lr=0.1)"
LOOP = "for epoch in range(50):\n    loss = model(2.0)\n    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()"
SHOWN = "print(round(float(model(1.0)), 4))"


@pytest.mark.parametrize(
    "codes",
    [
        [f"{MODEL}\n{OPTIMIZER}", LOOP, SHOWN],
        [MODEL, OPTIMIZER, LOOP, SHOWN],
        [MODEL, "params = model.parameters()\noptimizer = torch.SGD(params, lr=0.1)", LOOP, SHOWN],
        [f"{MODEL}\n{OPTIMIZER}", f"{LOOP}\n{SHOWN}", SHOWN, "print(float(model(2.0)) > 1)"],
        [MODEL, "for epoch in range(50):\n    for p in model.parameters():\n        p -= 0.1", SHOWN],
        [MODEL, "for epoch in range(50):\n    for p in model.parameters():\n        p.value -= 0.1", SHOWN],
        [MODEL, "for epoch in range(50):\n    for p in model.parameters():\n        p.sub_(0.1)", SHOWN],
        [MODEL, "for epoch in range(50):\n    model.weight.value += 0.1", SHOWN],
        [
            f"{MODEL}\n{OPTIMIZER}",
            "def train(model, optimizer, rounds):\n    for epoch in range(rounds):\n        model(2.0).backward()\n        optimizer.step()",
            "train(model, optimizer, 50)",
            SHOWN,
        ],
        [
            f"{MODEL}\n{OPTIMIZER}\ndef train(rounds):\n    for epoch in range(rounds):\n        model(2.0).backward()\n        optimizer.step()",
            "train(50)",
            SHOWN,
        ],
        [
            MODEL,
            "def fit(net, rounds, lr):\n    optimizer = torch.SGD(net.parameters(), lr=lr)\n    for epoch in range(rounds):\n        net(2.0).backward()\n        optimizer.step()\n    return optimizer.lr",
            "rate = fit(model, 50, 0.1)",
            SHOWN,
        ],
        [
            MODEL,
            "def step(optimizer):\n    model(2.0).backward()\n    optimizer.step()\ndef fit(net, rounds):\n    params = net.parameters()\n    optimizer = torch.SGD(params, lr=0.1)\n    for epoch in range(rounds):\n        step(optimizer)",
            "print(fit(model, 50))",
            SHOWN,
        ],
    ],
)
def test_an_edited_training_loop_starts_from_a_new_model(codes):
    assert_an_edit_shows_what_a_fresh_run_shows(codes, "50", "10")


GOES_ON = LOOP.replace("50", "5")


@pytest.mark.parametrize(
    "codes",
    [
        [f"{MODEL}\n{OPTIMIZER}", LOOP, GOES_ON, SHOWN],
        [f"{MODEL}\n{OPTIMIZER}", f"{LOOP}\n{SHOWN}", f"{GOES_ON}\n{SHOWN}"],
        [f"{MODEL}\n{OPTIMIZER}", LOOP, SHOWN, GOES_ON, SHOWN],
        [MODEL, OPTIMIZER, LOOP, SHOWN, GOES_ON, SHOWN],
        [f"{MODEL}\n{OPTIMIZER}", "losses = []", f"{LOOP}\n    losses.append(float(loss))", f"{GOES_ON}\n    losses.append(float(loss))\n{SHOWN}", "print(len(losses))"],
        [
            f"{MODEL}\n{OPTIMIZER}",
            "def train(model, optimizer, rounds):\n    for epoch in range(rounds):\n        model(2.0).backward()\n        optimizer.step()",
            f"train(model, optimizer, 50)\n{SHOWN}",
            SHOWN,
            f"train(model, optimizer, 5)\n{SHOWN}",
        ],
    ],
)  # fmt: skip
def test_training_that_goes_on_is_one_cell_with_what_it_goes_on_with(codes):
    _, reactive, first = converted(codes)
    assert_any_cell_shows_the_same_again(reactive, first)
    assert "copy.deepcopy" not in "".join(reactive.codes)
    assert_an_edit_shows_what_a_fresh_run_shows(codes, "50", "10")
    assert_an_edit_shows_what_a_fresh_run_shows(codes, "5)", "2)")


def test_so_is_training_by_a_library_of_which_nothing_is_known(tmp_path, monkeypatch):
    text = f"{TORCH}\nModel, Trainer = Linear, SGD"
    (tmp_path / "other.py").write_text(text)
    monkeypatch.delitem(sys.modules, "other", raising=False)
    made = "model = Model()\ntrainer = Trainer(model.parameters(), lr=0.1)"
    loop = "for epoch in range(50):\n    model(2.0).backward()\n    trainer.step()\n" + SHOWN
    _, reactive, first = converted(
        ["from other import Model, Trainer", made, loop, loop.replace("50", "5"), SHOWN]
    )
    assert_any_cell_shows_the_same_again(reactive, first)


def test_training_that_goes_on_in_many_cells_is_ordered_behind_what_shows_the_model():
    codes = [f"{MODEL}\n{OPTIMIZER}", LOOP, SHOWN, SHOWN, SHOWN, GOES_ON, SHOWN]
    result, reactive, _ = converted(codes)
    assert [cell.positions for cell in result.cells] == [(1, 2), (3,), (4,), (5,), (6,), (7,)]
    assert "model_1 = model" in reactive.codes[4]
    assert_an_edit_shows_what_a_fresh_run_shows(codes, "50", "10")


def test_data_that_a_model_is_called_with_stay_in_their_cell():
    net = "class Net(nn.Module):\n    def forward(self, x):\n        return x"
    made = "model = Net()\ncriterion = nn.MSELoss()\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)"
    loop = (
        "for epoch in range(3):\n    loss = criterion(model(X), y)\n    loss.backward()\n    optimizer.step()"
    )
    data = "X, y = torch.ones(4, 2), torch.ones(4, 1)"
    result = prepared(["import torch\nimport torch.nn as nn", data, net, made, loop, "print(model(X))"])
    assert [cell.positions for cell in result.cells] == [(1,), (2,), (3,), (4, 5), (6,)]


IMPORTED = "from sklearn.dummy import Mean, Pipeline\nmodel = Mean()"


@pytest.mark.parametrize("fit", ["model.fit(0, [{}])", "_ = model.fit(0, [{}])", "x = model.fit(0, [{}])"])
def test_an_estimator_that_is_fitted_again_is_made_anew(fit):
    codes = [IMPORTED, fit.format(1), "print(model.predict([0]))", fit.format(7), "print(model.predict([0]))"]
    _, reactive, first = converted(codes)
    assert any("= clone(model" in code for code in reactive.codes)
    assert_any_cell_shows_the_same_again(reactive, first)
    assert_an_edit_shows_what_a_fresh_run_shows(codes, "[1]", "[3]")


def test_an_estimator_that_a_pipeline_holds_is_not_made_anew():
    codes = [
        IMPORTED,
        "pipe = Pipeline([('m', model)])",
        "_ = pipe.fit(0, [1])",
        "print(model.predict([0]))",
        "_ = model.fit(0, [5])",
        "print(pipe.predict([0]))",
    ]
    _, reactive, _ = converted(codes)
    assert "clone" not in "".join(reactive.codes)


def test_what_an_estimator_has_learned_in_part_is_kept():
    codes = [
        IMPORTED,
        "_ = model.partial_fit(0, [1])",
        "print(model.predict([0]))",
        "_ = model.partial_fit(0, [5])",
        "print(model.predict([0]))",
    ]
    _, reactive, first = converted(codes)
    assert "clone" not in "".join(reactive.codes)
    assert_any_cell_shows_the_same_again(reactive, first)
    assert_an_edit_shows_what_a_fresh_run_shows(codes, "[5]", "[6]")


def test_an_estimator_in_a_dictionary_is_fitted_itself_not_in_a_copy_of_the_dictionary():
    codes = [
        IMPORTED,
        "models = {'a': model, 'b': Mean()}",
        "models['a'].fit(0, [1])\nmodels['b'].fit(0, [2])\nNone",
        "models['b'].fit(0, [3])\nNone",
        "print(models['b'].predict([0]))",
    ]
    _, reactive, _ = converted(codes)
    assert "models.copy()" not in "".join(reactive.codes)
    assert_an_edit_shows_what_a_fresh_run_shows(codes, "[3]", "[4]")


def test_what_fit_transform_has_learned_reaches_the_cells_below():
    codes = [IMPORTED, "y = model.fit_transform([1, 2])", "print(model.predict([0]))"]
    assert_an_edit_shows_what_a_fresh_run_shows(codes, "[1, 2]", "[5]")


def test_a_name_clone_of_the_notebook_is_left_to_it():
    codes = [
        f"{IMPORTED}\ndef clone(x): return 'mine'",
        "_ = model.fit(0, [1])",
        "print(model.predict([0]), clone(1))",
        "_ = model.fit(0, [7])",
        "print(model.predict([0]), clone(1))",
    ]
    _, reactive, _ = converted(codes)
    assert "imported_clone(model" in "\n".join(reactive.codes)
