"""The statements of random notebooks, by what they are about. Each notebook has some of the subjects.

A statement that fails where it stands is not taken, so statements may use the names of other subjects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Subject:
    """What cells are about: the cells that a notebook begins with, statements, and what cells show; `{n}` is a digit.

    Of the cells at the beginning, a notebook has the statements that it needs.
    """

    begin: tuple[str, ...]
    statements: tuple[str, ...]
    shown: tuple[str, ...]


OBJECTS: Final = Subject(
    (
        (
            "import random, io\nrandom.seed(0)\n"
            "class Model:\n    def __init__(self): self.y, self.w = 0, [1]\n"
            "    def fit(self, y):\n        self.y = y\n        return self\n"
            "class Steps:\n    def __init__(self, w): self.w = w\n    def step(self): self.w[0] += 1\n"
            "def counter():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n    return up\n"
            "def numbers(n):\n    for i in range(n): yield i"
        ),
        "a, b = [1], [2]\nc, d = [3], {'k': [4]}\nx, y = 1, 2\nopen('x.txt', 'w').write('0');",
        "m = Model()\no = Steps(m.w)\nf = counter()\ng, h = numbers(5), lambda: a\nout = io.StringIO()",
    ),
    (
        "a = [{n}]",
        "b = a",
        "b = [a, {n}]",
        "b = a[:]",
        "a, b = b, a",
        "c = d.setdefault('k', [])",
        "c = [v for v in d.values()]",
        "d['k'] = a",
        "d = {{'k': b, 'n': {n}}}",
        "a.append({n})",
        "b.append({n})",
        "c += [{n}]",
        "a = a + [{n}]",
        "a = sorted(map(str, a))",
        "for i in range({n} % 3): a.append(i)",
        "x = {n}",
        "y = x + {n}",
        "x += y",
        "h = lambda: a",
        "h().append({n})",
        "def put(v): b.append(v)\nput({n})",
        "f = counter()",
        "y = f()",
        "m = Model()\no = Steps(m.w)",
        "_ = m.fit({n})",
        "m.fit(x);",
        "o.step();",
        "g = numbers({n})",
        "y = next(g, -1)",
        "g = iter(a)",
        "y = len(open('x.txt').read())",
        "y = random.random()",
        "random.seed({n})",
        "out = io.StringIO()",
        "out.write('{n}');",
        "class Model2(Model):\n    n = {n}\nm = Model2()\no = Steps(m.w)",
        "setattr(m, 'y', {n})",
        "vars(m)['y'] = [a]",
    ),
    (
        "print(a)",
        "print(b, c)",
        "print(c, d)",
        "print(x, y)",
        "print(m.y, m.w)",
        "print(f())",
        "print(h())",
        "print(next(g, None))",
        "print(open('x.txt').read())",
        "print(out.getvalue())",
        "print(random.random())",
        "print(a is b, a == b)",
        "",
    ),
)

FRAMES: Final = Subject(
    (
        "import pandas as pd",
        "df = pd.DataFrame({'k': ['p', 'q', 'p'], 'v': [1, 2, 3]})\ndf2, s = df, df['v']\nframes = [df]",
    ),
    (
        "df = pd.DataFrame({{'k': list('ppq'), 'v': [{n}, 1, 2]}})",
        "df2 = df",
        "df2 = df.copy()",
        "df2 = df[['k', 'v']]",
        "df2 = df[df['v'] > {n} % 3]",
        "df['w'] = df['v'] * {n}",
        "df['w'] = x",
        "df2['w'] = {n}",
        "df.loc[0, 'v'] = {n}",
        "df2.loc[df2['v'] > 1, 'v'] = {n}",
        "df.at[1, 'v'] += 1",
        "df = df.assign(z={n})",
        "df = df.dropna()",
        "df.insert(0, 'i{n}', x)",
        "df = df.rename(columns={{'w': 'u'}})",
        "df2 = df.sort_values('v')",
        "df.columns = [*df.columns]",
        "df.index = df.index + {n}",
        "df.index.name = 'n{n}'",
        "df.attrs['n'] = {n}",
        "s = df['v']",
        "s = df['v'] + {n}",
        "s.iloc[0] = {n}",
        "s[1] = {n}",
        "s = s.sort_values()",
        "s.name = 'n{n}'",
        "frames = [df, df2]",
        "frames.append(df)",
        "frames[0]['f'] = {n}",
        "for each in frames: each['e'] = {n}",
        "def clean(frame):\n    frame['c'] = {n}\n    return frame\ndf2 = clean(df)",
        "def doubled(frame): return frame.assign(v=frame['v'] * 2)\ndf = doubled(df)",
        "df2 = df.pipe(lambda frame: frame.assign(p={n}))",
        "df = pd.concat([df, df2])",
        "df = df.merge(df2[['k']].drop_duplicates(), on='k')",
        "grouped = df.groupby('k')['v']\ns = grouped.sum()",
        "df.to_csv('d{n}.csv', index=False)",
        "df = pd.read_csv('d{n}.csv')",
        "d['k'] = df",
        "m.frame = df",
        "del df['w']",
        "s2 = df.pop('v')\ndf['v'] = s2 + 1",
        "df['v'] += {n}",
        "df.drop(columns='w', errors='ignore', inplace=True)",
        "x = int(df['v'].sum())",
        "a = df['v'].tolist()",
        "a = df['v'].to_numpy().copy()",
        "pd.options.display.precision = {n} % 5 + 1",
    ),
    (
        "print(df.to_dict('list'), df.index.tolist())",
        "print(df2.to_dict('list'))",
        "print(s.tolist(), s.name)",
        "print([list(each.columns) for each in frames])",
        "print(df.groupby('k')['v'].sum().to_dict())",
        "print(df.attrs, df.index.name)",
        "print(df2 is df, df2.shape)",
        "print(df['v'] / 3)",
    ),
)

ARRAYS: Final = Subject(
    (
        "import numpy as np\nnp.random.seed(0)",
        "v, r = np.arange(4), np.random.default_rng(0)\nw = v[1:]",
    ),
    (
        "v = np.arange({n} % 3 + 2)",
        "v = v + {n}",
        "v += {n}",
        "v[0] = {n}",
        "w = v[1:]",
        "w = v",
        "w = v.copy()",
        "w = v.reshape(-1, 1)",
        "w[0] = {n}",
        "w *= 2",
        "v = np.append(v, {n})",
        "v.sort()",
        "v[::-1].sort()",
        "np.add(v, {n}, out=v)",
        "np.random.shuffle(v)",
        "np.random.seed({n})",
        "v = np.random.randint(0, 9, 3)",
        "r = np.random.default_rng({n})",
        "v = r.integers(0, 9, 3)",
        "r.shuffle(v)",
        "x = r.random()",
        "x = v.sum().item()",
        "np.save('v{n}.npy', v)",
        "v = np.load('v{n}.npy')",
        "np.set_printoptions(precision={n} % 5 + 1)",
        "v.fill({n})",
        "def zero(array): array[:1] = 0\nzero(v)",
        "c = [v, w]",
        "c[0][:1] = {n}",
        "a = v.tolist()",
        "v = np.array(a, dtype=object)",
        "for each in (v, w): each += 1",
        "t = v.T\nt[:1] = {n}",
        "v.flags.writeable = False\nv = v.copy()",
    ),
    (
        "print(v)",
        "print(v, w)",
        "print(v / 3)",
        "print(r.random())",
        "print(np.random.rand())",
        "print(np.shares_memory(v, w))",
        "print(c)",
    ),
)

FIGURES: Final = Subject(
    ("import matplotlib.pyplot as plt\nfig, ax = plt.subplots()",),
    (
        "fig, ax = plt.subplots()",
        "fig, axes = plt.subplots(1, 2)\nax = axes[0]",
        "ax = fig.add_subplot()",
        "ax.plot([1, {n}])",
        "ax.plot([x, y]);",
        "line, = ax.plot([1, 2], label='n{n}')",
        "ax.lines[0].set_ydata([{n}, x])",
        "ax.set_title('n{n}')",
        "ax.set(xlabel='n{n}');",
        "ax.legend(['{n}'])",
        "ax.axhline({n})",
        "ax.clear()",
        "for i in range({n} % 3): ax.plot([i])",
        "def draw(axes): axes.plot([{n}])\ndraw(ax)",
        "fig.suptitle('n{n}')",
        "ax2 = ax.twinx()\nax2.plot([{n}])",
        "ax2 = ax",
        "m.ax = ax",
        "m.ax.plot([{n}])",
        "plt.rcParams['lines.linewidth'] = {n} + 1",
        "plt.close(fig)",
        "df.plot(ax=ax)",
        "ax.bar([1, 2], [x, {n}])",
    ),
    (
        "print(len(ax.lines), ax.get_title())",
        "print([line.get_ydata()[-1] for line in ax.lines])",
        "print(ax.get_xlabel(), len(fig.axes))",
        "print([line.get_linewidth() for line in ax.lines])",
        "print(ax.get_legend() is None, len(ax.patches))",
        "print(fig.get_suptitle())",
    ),
)

ESTIMATORS: Final = Subject(
    (
        (
            "class Estimator:\n    def __init__(self, k=1): self.k = k\n"
            "    def get_params(self): return {'k': self.k}\n"
            "    def set_params(self, **params):\n        vars(self).update(params)\n        return self\n"
            "    def fit(self, X):\n        self.mean_ = sum(X) / max(len(X), 1) + self.k\n        self.seen_ = [*getattr(self, 'seen_', []), len(X)][-3:]\n        return self\n"
            "    def predict(self, X): return [v - self.mean_ for v in X]\n"
            "    def fit_predict(self, X): return self.fit(X).predict(X)\n"
            "class Pipeline:\n    def __init__(self, *steps): self.steps = steps\n"
            "    def fit(self, X):\n        for step in self.steps:\n            X = step.fit(X).predict(X)\n        return self\n"
            "def clone(e): return type(e)(**e.get_params())\n"
            "def cross(e, X): return [clone(e).fit(X[:i]).mean_ for i in (1, 2)]"
        ),
        "X, e = [1, 2, 4], Estimator().fit([1])\np = Pipeline(e, Estimator(2))\nmodels = {'e': e}",
    ),
    (
        "X = [{n}, 2, x]",
        "X = X + [{n}]",
        "X.append({n})",
        "e = Estimator({n}).fit(X)",
        "e.fit(X)",
        "_ = e.fit(X)",
        "fitted = e.fit(X)",
        "fitted = clone(e).fit(X)",
        "e.fit(X[:2]);",
        "e.set_params(k={n})",
        "e = e.set_params(k={n})",
        "e.k = {n}",
        "p = Pipeline(e, clone(e))",
        "p.fit(X)",
        "q = p.fit(X)",
        "p.steps[0].fit([{n}])",
        "Y = e.predict(X)",
        "Y = e.fit_predict(X)",
        "models = {{'e': e, 'c': clone(e)}}",
        "models['n'] = Estimator({n}).fit(X)",
        "for each in models.values(): each.fit(X)",
        "scores = [each.fit(X).mean_ for each in models.values()]",
        "scores = cross(e, X)",
        "best = max(models.values(), key=lambda each: each.mean_)",
        "best.fit([{n}])",
        "def train(model, data=X): return model.fit(data)\ntrain(e)",
        "import copy\nfitted = copy.deepcopy(e)",
        "import pickle\npickle.dump(vars(e), open('e{n}.pkl', 'wb'))",
        "import pickle\nvars(e).update(pickle.load(open('e{n}.pkl', 'rb')))",
        "x = e.fit(X).mean_",
    ),
    (
        "print(e.k, e.mean_, e.seen_)",
        "print([vars(step) for step in p.steps])",
        "print(e.predict(X))",
        "print({name: vars(each) for name, each in models.items()})",
        "print(vars(fitted), fitted is e)",
        "print(X, scores)",
        "print(vars(best))",
        "print(Y)",
    ),
)

FUNCTIONS: Final = Subject(
    (
        (
            "import functools\nLOG, TOTAL = [], 0\n"
            "def logged(function):\n    @functools.wraps(function)\n    def inner(*args):\n        LOG.append(function.__name__)\n        return function(*args)\n    return inner\n"
            "def adder(n):\n    held = [n]\n    def add(v):\n        held.append(v)\n        return sum(held)\n    add.held = held\n    return add\n"
            "def remember(v, kept=[]):\n    kept.append(v)\n    return list(kept)\n"
            "class Bag:\n    all = []\n    def __init__(self, *items):\n        self.items = list(items)\n        Bag.all.append(len(items))\n"
            "    def __iadd__(self, item):\n        self.items.append(item)\n        return self\n"
            "    def __call__(self, item):\n        self.items.insert(0, item)\n        return self.items\n"
            "    @property\n    def size(self): return len(self.items)\n"
            "    def __enter__(self): return self.items\n    def __exit__(self, *_): self.items.append('closed')"
        ),
        "add = adder(1)\nbag = Bag(1)\n@logged\ndef one(v): return v + 1\n@functools.lru_cache\ndef cached(v): return v + TOTAL",
    ),
    (
        "add = adder({n})",
        "y = add({n})",
        "add.held.clear()",
        "add({n});",
        "plus = functools.partial(add, {n})",
        "y = plus()",
        "@logged\ndef one(v): return v + {n}",
        "y = one({n})",
        "LOG.clear()",
        "LOG = []",
        "y = len(remember({n}))",
        "def remember(v, kept=a):\n    kept.append(v)\n    return list(kept)",
        "bag = Bag({n})",
        "bag += {n}",
        "bag({n});",
        "bag2 = bag",
        "bag2 += {n}",
        "with bag as items: items.append({n})",
        "items = bag.items",
        "items.pop()",
        "items += [{n}]",
        "Bag.all = []",
        "Bag.extra = {n}",
        "TOTAL = {n}",
        "def bump():\n    global TOTAL\n    TOTAL += {n}\nbump()",
        "bump()",
        "y = cached({n} % 2)",
        "cached.cache_clear()",
        "def gen():\n    for v in a:\n        yield v\n        LOG.append(v)\ng = gen()",
        "g = (v for v in bag.items)",
        "y = sum(1 for _ in zip(g, range(1)))",
        "tee, other = [*a], list(map(str, bag.items))",
        "fs = [lambda v=i: v + TOTAL for i in range({n} % 3 + 1)]",
        "y = fs[0]()",
        "counts = {{}}\nfor v in bag.items: counts[str(v)] = counts.get(str(v), 0) + 1",
        "match {n} % 2:\n    case 0: bag.items.append('even')\n    case _: LOG.append('odd')",
        "try:\n    a.remove({n})\nexcept ValueError: LOG.append({n})",
        "if (z := {n}) > 4: LOG.append(z)",
        "del items",
        "items = [*LOG]",
        "exec('LOG.append({n})')",
        "globals()['TOTAL'] = {n}",
    ),
    (
        "print(LOG)",
        "print(add(0), add.held)",
        "print(bag.items, bag.size)",
        "print(Bag.all)",
        "print(remember(0))",
        "print(TOTAL, cached(1))",
        "print(one(1), LOG)",
        "print(items)",
        "print([f() for f in fs])",
        "print(list(zip(g, range(2))))",
        "print(vars(Bag).get('extra'))",
    ),
)

FILES: Final = Subject(
    (
        "import json, os, pathlib, shutil\nfolder = pathlib.Path('out')\nfolder.mkdir(exist_ok=True)\npath = folder / 'a.json'",
        "path.write_text('[1]')",
    ),
    (
        "open('x{n}.txt', 'w').write('{n}');",
        "open('x{n}.txt', 'w').write(str(x));",
        "y = len(open('x{n}.txt').read())",
        "a = json.loads(path.read_text())",
        "with open('j{n}.json', 'w') as file: json.dump(a, file)",
        "with open('j{n}.json') as file: b = json.load(file)",
        "with open('x.txt') as file: y = len(file.read())",
        "shutil.copy(path, folder / 'c{n}.json');",
        "a = json.loads((folder / 'c{n}.json').read_text())",
        "lines = open('x.txt').read().split()",
        "def save(v): (folder / 's{n}.json').write_text(json.dumps(v))\nsave([x])",
        "y = len((folder / 's{n}.json').read_text())",
        "def load(): return json.loads(path.read_text())",
        "a = load()",
        "x = path.stat().st_size",
        "print('n{n}', x, file=open('p{n}.txt', 'w'))",
        "y = open('p{n}.txt').read()",
    ),
    (
        "print(path.read_text(), path.name)",
        "print(open('x.txt').read())",
        "print(sorted(os.listdir(folder)))",
        "print(load())",
    ),
)

SUBJECTS: Final = (FRAMES, ARRAYS, FIGURES, ESTIMATORS, FUNCTIONS, FILES)
