"""Small notebooks, each with an edit that reactive notebooks get wrong: the kinds of a public suite, in other words.

The suite is https://github.com/YUUU23/notebook-benchmark, on which ipyflow's issue 173 reports. Where it needs R, a
database or scikit-learn, a notebook here has a few lines of Python that behave alike.

Cells are separated by " / ". An edit is the number of a cell and its new code.
"""

from typing import Final

BUILT_IN: Final = {
    "a function called by another name": (
        "def cut(items): items.pop(1) / shorten = cut / n = [4, 8, 15, 16] / shorten(n) / print(n)",
        "0: def cut(items): items.pop(2)",
    ),
    "a function that appends to its argument": (
        "def add(items): items.append(7) / n = [5, 1] / add(n) / print(n[-1], len(n))",
        "0: def add(items):\n    items.append(7)\n    items.append(9)",
    ),
    "two names of a list, one more append": (
        "p = ['x'] / q = p / q.append('y') / print(q[-1]) / print(p[-1])",
        "2: q.append('y')\np.append('z')",
    ),
    "two names of a list that grows in place": (
        "p = ['x'] / q = p / p += ['y'] / print(p) / print(q)",
        "2: p += ['z']",
    ),
    "two names of a list, one bound to a longer one": (
        "p = ['x'] / q = p / p = p + ['y'] / print(p) / print(q)",
        "2: p = p + ['z']",
    ),
    "a list twice in another": (
        "p = [23] / q = ['k'] / rows = [p, None, p, q] / rows[0].append(1) / print(rows) / print(q) / print(p)",
        "3: rows[0].append(2)",
    ),
    "an item set by another name": ("p = [1, 2] / q = p / q[1] = 6 / print(p[1]) / print(q)", "2: q[1] = 9"),
    "an item increased by another name": (
        "p = [1, 2] / q = p / q[1] += 1 / print(p) / print(q)",
        "2: q[1] += 2",
    ),
    "two lists whose names change places": (
        "p = [1] / q = [4] / p, q = q, p / q.append(9) / print(p, q)",
        "3: q.append(8)",
    ),
    "a dict that holds itself": (
        "d = {'k': {}} / d['k'] = d / e = d['k'] / e['k'] = 2 / f = d['k']\nprint(f)",
        "3: e['k'] = 4",
    ),
    "another name of a list, bound again": ("p = [1] / q = p / q = 5 / print(p, q)", "2: q = 6"),
    "two numbers whose names change places": ("p = 9 / q = 5 / p, q = q, p / print(p, q)", "1: q = 8"),
    "a value in a dict of a class": (
        ("class Shop:\n    rate = 3\n    stock = {}\n    def put(self, k, n): self.stock[k] = n"
        " / shop = Shop()\nshop.stock / shop.rate = 5 / shop.put('tea', 2) / print(shop.rate + sum(shop.stock.values()))"),
        "3: shop.put('tea', 3)",
    ),
    "an attribute behind two methods": (
        ("class Box:\n    def __init__(self, n): self.n = n\n    def get(self): return self.n\n    def put(self, n): self.n = n"
        " / box = Box(3)\nprint(box.get()) / box.put(10) / print(box.get())"),
        "2: box.put(20)",
    ),
    "a key in a dict of a class": (
        ("class Shop:\n    rate = 3\n    stock = {}\n    def put(self, k, n): self.stock[k] = n"
        " / shop = Shop()\nshop.stock / shop.rate = 5 / shop.put('tea', 2) / print(shop.rate, shop.stock)"),
        "3: shop.put('rice', 2)",
    ),
    "a deep copy": (
        "import copy / rows = [[1], [2]] / kept = copy.deepcopy(rows) / kept[0].append(5) / print(kept) / print(rows)",
        "3: kept[0].append(6)",
    ),
    "a shallow copy": (
        "import copy / rows = [[1], [2]] / kept = copy.copy(rows) / kept[0].append(5) / print(kept) / print(rows)",
        "3: kept[0].append(6)",
    ),
    "a function that returns nothing for some lists": (
        "flags = [False, True] / def price(flags):\n    if any(flags): return 50 / n = price(flags) / print(n)",
        "0: flags = [False, False]",
    ),
    "an inner function that appends": (
        "def f(items):\n    def g(items): items.append(3)\n    g(items) / n = [1] / f(n) / print(n)",
        "0: def f(items):\n    def g(items): items.append(4)\n    g(items)",
    ),
    "a function that returns a longer list": (
        "def f(items):\n    items = items + [1]\n    return items / n = [7] / n = f(n) / print(n)",
        "0: def f(items):\n    items = items + [1, 2]\n    return items",
    ),
    "a method of a class, replaced by another class": (
        ("class Desk:\n    n = 99\n    def tool(self):\n        class Adder:\n            def use(self, items, n):\n"
        "                items.append(n)\n                return items\n        return Adder()\n"
        "    def keep(self, n): self.n = n"
        " / items = [3, 2, 1]\nn = 10"
        " / def other():\n    class Taker:\n        def use(self, items, n):\n            items.pop(1)\n            return items\n"
        "    return Taker\nDesk.tool = other()"
        " / print(Desk.n)\ndesk = Desk()\ndesk.keep(Desk().tool().use(items, n)) / print(desk.n)"),
        ("2: def other():\n    class Taker:\n        def use(self, items, n):\n            items.pop()\n            return items\n"
        "    return Taker\nDesk.tool = other()"),
    ),
    "an item set to what a function returns": (
        "def f(items): return items[0] / n = [1, 2, 3] / n[1] = f(n) / print(n)",
        "0: def f(items): return items[2]",
    ),
    "a generator that becomes a list": (
        "def numbers():\n    yield 1\n    yield 2 / some = numbers() / n = list(some) / print(n[1])",
        "0: def numbers():\n    yield 1\n    yield 20",
    ),
    "a number that is increased": ("x = 3 / x += 1 / print(x + 1)", "1: x += 2"),
    "a number": ("x = 4 / print(x + 1)", "0: x = 5"),
    "which item is read below a change": (
        "n = [1, 2, 3] / n[0] = 10 / y = n[2] / print(y)",
        "2: y = n[1]",
    ),
    "what is appended": ("n = [1, 2] / n.append(3) / print(n[-1])", "1: n.append(4)"),
    "how many are added": ("n = [1] / n += [3, 2] / print(len(n))", "1: n += [6, 2, 1]"),
    "an expression that is appended": (
        "n = [1] / a = 4 / n.append(a) / print(n)",
        "2: n.append(a + 2)",
    ),
    "the second of two appends": (
        "n = [1] / a = 4 / n.append(a) / n.append(a + 2) / print(n)",
        "3: n.append(a + 8)",
    ),
    "a filter, bound to the name of its list": (
        "n = [3, 4, 5, 6] / n.append(9) / n = list(filter(lambda x: x % 2 != 0, n)) / print(n)",
        "2: n = list(filter(lambda x: x % 3 != 0, n))",
    ),
    "pairs": (
        "p = [1, 2] / q = [4, 5] / pairs = [(x, y) for x in p for y in q] / print(pairs)",
        "1: q = [4, 9]",
    ),
    "which item is taken out": ("rows = [[1], [2], [3]] / rows.pop(1); / print(len(rows), rows)", "1: rows.pop(2);"),
    "one of two lists": ("p = [1, 2] / q = [3, 2] / print(p[0] + q[1])", "1: q = [3, 7]"),
    "a list that is removed from another": (
        "p = [1, 2] / rows = [[1], p] / rows.remove(p) / print(rows) / print(p)",
        "0: p = [1, 5]",
    ),
    "a slice": ("n = [1, 2] / z = n[:] / z[0] = 10 / y = n[0] / print(z, y)", "2: z[0] = 12"),
    "the key of a sort": ("n = ['c', 'bbbb', 'ca'] / n.sort() / print(n[-1])", "1: n.sort(key=len)"),
    "a function for an index": ("n = [1, 2, 3] / def f(): return 0 / print(n[f()] + 1)", "1: def f(): return 2"),
    "an item": ("n = [1, 2] / n[0] = 4 / print(n[0] + 2)", "1: n[0] = 6"),
    "an item that is not shown": ("n = [1, 2] / n[0] = 10 / print(n[1])", "1: n[0] = 20"),
    "unpacking with one name more": (
        "a, b, *rest, d = range(9)\nprint(a, b, rest) / *c, = rest / print(c)",
        "0: a, b, *rest, d, _ = range(9)\nprint(a, b, rest)",
    ),
    "zipping what was unzipped": (
        ("both = [('a', 9), ('b', 92)] / names, counts = zip(*both) / print(names) / print(counts)"
        " / both = zip(names, counts) / print(list(both))"),
        "0: both = [('a', 9), ('c', 92)]",
    ),
    "a loop over the values of a dict": (
        "d = {'a': []} / for (_, items) in d.items():\n    items.append(0) / z = d['a'] / print(z)",
        "1: for (_, items) in d.items():\n    items.append(5)",
    ),
    "a loop over two values of a dict": (
        "d = {'b': [], 'a': []} / for (_, items) in d.items():\n    items.append(0) / z = d['a'] / print(d, z)",
        "1: for (_, items) in d.items():\n    items.append(5)",
    ),
    "two loops that append": (
        ("p = [1, 2] / q = [5, 4] / sums = [] / for i in range(len(p)):\n    for j in range(len(q)):\n        sums.append(q[i])"
        " / print(sums)"),
        "1: q = [5, 8]",
    ),
    "a loop that sets items": (
        "n = ['a', 'b', 'c'] / for i, c in enumerate(n):\n    if c == 'a':\n        n[i] = 3 / print(n)",
        "1: for i, c in enumerate(n):\n    if c == 'c':\n        n[i] = 3",
    ),
    "a function called in a loop": (
        "def f(items): items += [4, 5] / rows = [[1], []] / for items in rows:\n    f(items) / for items in rows:\n    print(items)",
        "0: def f(items): items += [4, 6]",
    ),
    "a loop over indices": (
        "n = [1, 2, 3] / for i in range(len(n)):\n    n[i] = 7 / print(n)",
        "1: for i in range(2, len(n)):\n    n[i] = 7",
    ),
    "keys deleted from a copy": (
        ("d = {} / d['a'] = 30\nd['b'] = 20 / kept = d.copy() / for k, v in d.items():\n    if v > 20:\n        del kept[k]"
        " / print(kept)\nprint(d)"),
        "3: for k, v in d.items():\n    if v > 10:\n        del kept[k]",
    ),
    "a dict merged with another": (
        "d = {'a': 8} / e = {'d': 3} / f = {'d': 1} / merged = d | e / print(merged)",
        "1: e = {'d': 4}",
    ),
    "a dict that is put into itself and taken out": (
        "d = {'a': 3, 'b': 3} / d['c'] = d / d['a'] = 11 / print(d) / d['c'] = d['c']['a'] / d['a'] = d['c'] / print(d)",
        "0: d = {'a': 3, 'b': 2}",
    ),
    "which list of a dict is appended to": (
        "d = {'a': [], 'b': []} / d['a'].append(1) / z = [1] / print(d, z)",
        "1: d['b'].append(1)",
    ),
    "a string that grows": ("s = 'h' / s += 'ello' / print(len(s))", "1: s += 'ell'"),
    "a string replaced in": (
        "s = 'abbbc' / t = s.replace('bb', 'd') / print(t, s)",
        "1: t = s.replace('bb', 'cba')",
    ),
}  # fmt: skip

_TRIPS = (
    "import pandas as pd / path = 'trips.csv'"
    " / try:\n    df = pd.read_csv(path)\n    print(df.columns.tolist())\nexcept OSError:\n    print('failed')"
)
_STORE = "from foreign import Store / store = Store('store.json') / "
_FOREST = (
    "import random\nfrom foreign import Tree, split / random.seed(42) / data = list(range(40)) / train, test = split(data, 0.3, 42)"
    " / depths = [1, 20] / def fit(tree, xs): tree.fit(xs) / tree = Tree()\nfit(tree, train.copy())\nprint(tree.score(test.copy()))"
    " / for depth in depths:\n    small = Tree(depth)\n    fit(small, train.copy())\n    print(depth, small.score(test.copy()))"
)
FOREIGN: Final = """
import random
names = {}
def run(code): exec(code, names)
class Store:
    def __init__(self, path): self.path, self.all = path, {}
    def put(self, key, value): self.all[key] = value
    def get(self, key): return self.all.get(key)
class Tree:
    def __init__(self, depth=None): self.depth = depth
    def fit(self, xs): self.at, self.noise = sorted(xs)[: self.depth], random.random()
    def score(self, xs): return round(sum(xs) / len(xs) - len(self.at) + self.noise, 6)
def split(xs, size, seed):
    xs = random.Random(seed).sample(xs, len(xs))
    return xs[int(len(xs) * size):], xs[: int(len(xs) * size)]
"""
"""The module `foreign`, whose code no analysis reads."""

LIBRARIES: Final = {
    "the axis along which a function is applied": (
        ("import pandas as pd\nimport numpy as np / df = pd.DataFrame([[1, 2], [3, 4]], columns=['A', 'B'])"
        " / df = df.apply(np.sum, axis=0) / print(df.tolist())"),
        "2: df = df.apply(np.sum, axis=1)",
    ),
    "the column from which another is made": (
        f"{_TRIPS} / df['much'] = df['tip'].apply(lambda x: 'yes' if x >= 3 else 'no') / print(df.head())",
        "3: df['much'] = df['fare'].apply(lambda x: 'yes' if x >= 3 else 'no')",
    ),
    "which column is deleted": (f"{_TRIPS} / del df['tip'] / print(len(df.columns), df.columns.tolist())", "3: del df['fare']"),
    "a column dropped in place or not": (
        f"{_TRIPS} / df.drop('tip', axis=1, inplace=True); / print(len(df.columns))",
        "3: df.drop('tip', axis=1, inplace=False);",
    ),
    "columns renamed in place": (
        f"{_TRIPS} / df.rename(columns={{'tip': 'extra'}}, inplace=True) / print(df.columns.tolist())",
        "3: df.rename(columns={'tip': 'extra', 'fare': 'price'}, inplace=True)",
    ),
    "a frame updated from another": (
        ("import pandas as pd / one = pd.DataFrame({'A': [1, 2]}) / two = pd.DataFrame({'A': [20, 20]})"
        " / two['A'] = [30, None] / one.update(two) / print(one.A.tolist())"),
        "3: two['A'] = [None, None]",
    ),
    "what is drawn": (
        ("import matplotlib.pyplot as plt\nimport numpy as np / across = 'cows' / up = 'weight' / x = np.array([10, 20])"
        " / y = np.array([8, 2]) / plt.figure()\nplt.xlabel(across)\nplt.ylabel(up)\n_ = plt.plot(x, y, '-')\n"
        "print(plt.gca().get_xlabel(), plt.gca().lines[0].get_xdata())\nplt.close()"),
        "3: x = np.array([1, 2])",
    ),
    "a new axis": (
        "import numpy as np / a = np.array([1, 2]) / a = a[np.newaxis, :] / print(a)",
        "2: a = a[:, np.newaxis]",
    ),
    "the index of an item that is read above a change": (
        "import numpy as np / x = np.array([1, 2, 3]) / i = 1 / y = x[i] / x[0] = 10 / print(x, y)",
        "2: i = 2",
    ),
    "an item that is read above a change": (
        "import numpy as np / x = np.array([1, 2, 3]) / y = x[1] / x[0] = 10 / print(x, y)",
        "2: y = x[0]",
    ),
    "an item that is read below a change": (
        "import numpy as np / x = np.array([1, 2, 3]) / x[0] = 10 / y = x[1] / print(x, y)",
        "3: y = x[0]",
    ),
    "an array increased in place": ("import numpy as np / a = np.arange(3) / a += 31 / print(a)", "2: a += 10"),
    "a longer array": (
        "import numpy as np / a = np.array([2, 1]) / b = np.append(a, 3) / print(len(a), b)",
        "2: b = np.append(a, [3, 4])",
    ),
    "arrays broadcast against each other": (
        ("import numpy as np / x = np.array([[4, 5]]) / y = np.array([[8], [5]]) / both = np.broadcast_arrays(x, y)"
        " / print(both, x, y)"),
        "2: y = np.array([[8], [5], [9]])",
    ),
    "the direction of a copy between arrays": (
        "import numpy as np / p = np.zeros(3) / q = np.ones(3)\nprint(q) / np.copyto(q, p) / print(q, p)",
        "3: np.copyto(p, q)",
    ),
    "an item of an array": ("import numpy as np / a = np.array([2, 1]) / a[0] = 41 / print(a[0])", "2: a[0] = 30"),
    "where items are placed": (
        "import numpy as np / a = np.arange(4) / even = a % 2 == 0 / np.place(a, even, [20, 40]) / print(a)",
        "2: even = a % 2 != 0",
    ),
    "a view": (
        "import numpy as np / x = np.array([1, 2]) / z = x[:] / z[0] = 20 / y = x[0] / print(y)",
        "3: z[0] = 10",
    ),
    "an item that is read after it is set": (
        "import numpy as np / x = np.array([1, 2]) / x[0] = 11 / y = x[0] / print(y)",
        "2: x[0] = 12",
    ),
    "the key in a store": (
        f"{_STORE}store.put('k', 'v'); / print(store.get('k')) / print(store.get('l'))",
        "2: store.put('l', 'v');",
    ),
    "the key in a store, by name": (
        f"{_STORE}key = 'l' / store.put(key, 'v'); / print(store.get('k')) / print(store.get('l'))",
        "2: key = 'k'",
    ),
    "a value in the memory of another language": (
        ("import sqlite3\nfrom operator import methodcaller / env = sqlite3.connect(':memory:') / n = [1, 8]\nname = 'y'"
        " / env.execute(f'drop table if exists {name}')\nenv.execute(f'create table {name} (n)')\n"
        "env.executemany(f'insert into {name} values (?)', [(each,) for each in n]);"
        " / ask = f'select avg(n) from {name}' / mean = methodcaller('execute', ask)(env).fetchone() / print(mean)"),
        "2: n = [1, 200]\nname = 'y'",
    ),
    "a name in another interpreter that writes a picture": (
        ("import foreign / df = [1, 2] / other = [10, 20] / given = list(df) / foreign.names['df'] = given"
        " / foreign.run(\"open('plot.txt', 'w').write(str(df))\")\nprint(open('plot.txt').read())"),
        "3: given = list(other)",
    ),
    "more of what a loop goes through, below a seed": (_FOREST, "4: depths = [1, 3, 20]"),
    "the size of a random part, below a seed": (_FOREST, "3: train, test = split(data, 0.6, 42)"),
}  # fmt: skip

FILES: Final = {
    "the folders that are made": (
        ("import os / top = 'top' / below = 'a/b' / path = f'{top}/{below}'"
        " / try:\n    os.makedirs(path)\n    print('made', below)\nexcept FileExistsError:\n    print('there', below)"
        " / def folders(top): return [name for _, names, _ in os.walk(top) for name in names] / print(folders(top))"),
        "2: below = 'a/b/c'",
    ),
    "the new name of a folder": (
        ("import os / old = 'old' / new = 'new1'"
        " / try:\n    os.mkdir(old)\n    print('made', old)\nexcept FileExistsError:\n    print('there', old)"
        " / os.rename(old, new) / print(sorted(name for name in os.listdir() if os.path.isdir(name)))"),
        "2: new = 'new'",
    ),
    "what is appended to a file": (
        ("path = 'n.txt' / text = 'abc'"
        " / with open(path, 'a') as file:\n    file.write(text) / with open(path) as file:\n    print(file.read())"),
        "1: text = '33'",
    ),
    "the text of one of two files": (
        ("one = 'n1.txt' / two = 'n2.txt' / p = 'ab' / q = 'cd' / paths = [one, two] / texts = [p, q]"
        " / for path, t in zip(paths, texts):\n    with open(path, 'w') as f:\n        f.write(t)"
        " / both = ''\nfor path, t in zip(paths, texts):\n    with open(path) as f:\n        both += f.read() / print(both)"),
        "3: q = 'cdef'",
    ),
    "which text is written to two files": (
        ("one = 'n1.txt' / two = 'n2.txt' / p = 'ab' / q = 'cd' / paths = [one, two] / texts = [p, q]"
        " / for path, t in zip(paths, texts):\n    with open(path, 'w') as f:\n        f.write('abc')"
        " / both = ''\nfor path, t in zip(paths, texts):\n    with open(path) as f:\n        both += f.read() / print(both)"),
        "6: for path, t in zip(paths, texts):\n    with open(path, 'w') as f:\n        f.write(t)",
    ),
    "the name of a file": (
        ("path = 'mine.txt' / rows = [['3', 'b'], ['d', 'e']]"
        " / with open(path, 'w') as file:\n    for row in rows:\n        for c in row:\n            file.write(c);"
        " / import os\nfor each in ('mine2.txt', 'mine.txt'):\n    if os.path.isfile(each):\n        print(open(each).read())\n"
        "    print(each, os.path.isfile(each))"),
        "0: path = 'mine2.txt'",
    ),
    "the folder of a file": (
        ("import os / one = 'tmp' / two = 'tmp2' / d = two / path = d + '/n.txt'"
        " / try:\n    os.mkdir(d)\n    print('made', d)\nexcept FileExistsError:\n    print('there', d)"
        " / if os.path.exists(d):\n    with open(path, 'w') as file:\n        file.write('abc')\n    print(open(path).read())\n"
        "for each in (one, two):\n    print(each, os.path.isdir(each))"),
        "3: d = one",
    ),
    "the text of a file": (
        ("path = 'n.txt' / text = 'abc'"
        " / with open(path, 'w') as file:\n    file.write(text); / with open(path) as file:\n    print(file.read())"),
        "1: text = 'abcd'",
    ),
}  # fmt: skip
