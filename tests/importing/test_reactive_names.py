"""The analysis, case by case: cells on the left of `=>`, what becomes of them on the right.

`|` parts cells, `; ` stands for a new line and `~` at its start for four columns; blank lines do not count. Requests of the analysis (cells to
join, functions to define again) are met first, as the importer does.
"""

import pytest
from reactive import assert_shows_the_same_again_and_again, in_order, prepared


def lines(text):
    return "\n".join(f"    {part[1:]}" if part.startswith("~") else part for part in text.split("; "))


def without_blank_lines(code):
    return "\n".join(line for line in code.split("\n") if line.strip())


def converted(text):
    result = prepared([lines(cell.strip()) for cell in text.split(" | ")])
    return [without_blank_lines(cell.code) for cell in result.cells if cell.positions]


def expected(text):
    return [lines(cell.strip()) for cell in text.split(" | ")]


CASES = """
# What is legal stays as it is
x = 1 | x                                    => x = 1 | x
x = 1; x = 2 | x                             => x = 1; x = 2 | x
_x = 1; _x | _x = 2; _x                      => _x = 1; _x | _x = 2; _x
for i in r: pass | 1                         => for i in r: pass | 1
def f(x): return x | x = 1 | x               => def f(x): return x | x = 1 | x
df.x = 1 | df.x                              => df.x = 1 | df.x
__x__ = 1 | __x__                            => __x__ = 1 | __x__
l = [1] | l.append(2)                        => l = [1] | l_1 = l.copy(); l_1.append(2)

# Temporaries that nobody else reads
for i in a: i | for i in b: i                => for _i in a: _i | for _i in b: _i
x = 1; print(x) | x = 2; print(x)            => _x = 1; print(_x) | _x = 2; print(_x)
with a as f: f | with b as f: f              => with a as _f: _f | with b as _f: _f
x, *y = a; y | x, *y = b; x                  => _x, *_y = a; _y | _x, *_y = b; _x
(n := 1) | (n := 2); n                       => (_n := 1) | (_n := 2); _n
try:; ~x = 1; except E as e:; ~x = e | e = 1 => try:; ~x = 1; except E as _e:; ~x = _e | _e = 1
fig, ax = s() | fig, ax = s()                => _fig, _ax = s() | _fig, _ax = s()
x = 1 | f(x=x) | x = 2; f(x=x)               => x = 1 | f(x=x) | _x = 2; f(x=_x)
x = 1; o.x | x = 2; o.x                      => _x = 1; o.x | _x = 2; o.x
x = 1; "x" | x = 2; "x"                      => _x = 1; "x" | _x = 2; "x"
x = 1  # x | x = 2  # x                      => _x = 1  # x | _x = 2  # x

# Cells that become one stay on their side of those that use the same connection
c = k() | n = 0; def f():; ~global n; ~n += 1 | c.execute(a) | f(); c.execute(b) | c.execute(d) => c = k() | c.execute(a) | n = 0; def f():; ~global n; ~n += 1; f(); c.execute(b) | c.execute(d)

# Where names of functions are shown, they stay
def f(): 1 | f | def f(): 2 | help(f)        => def f(): 1 | f | @shown_as("f"); def f_1(): 2 | help(f_1)
def f(): 1 | f | def f(): 2 | f()            => def f(): 1 | f | def f_1(): 2 | f_1()

# What a cell shows before it changes it, it shows again
l = [1] | print(l); l[0] = 2                 => l = [1] | l_1 = l.copy(); print(l_1); l_1[0] = 2
l = [1] | l[0] = 2; print(l)                 => l = [1] | l[0] = 2; print(l)
d = pd.DataFrame(x) | d["a"] = d["b"] * 2    => d = pd.DataFrame(x) | d["a"] = d["b"] * 2

# Names in strings that are evaluated where they stand
a = 1; pd.eval("a + b") | a = 2; eval('a')   => a = 1; pd.eval("a + b") | a_1 = 2; eval('a_1')
x = 1; d.query("a > @x") | x = 2; d.query("a > @x") => x = 1; d.query("a > @x") | x_1 = 2; d.query("a > @x_1")
_x = 1; d.query("a > @_x")                   => x = 1; d.query("a > @x")
x = 1 | eval("x") | x = 2 | ne.evaluate("2*x") => x = 1 | x  # read in strings; eval("x") | x_1 = 2 | x_1  # read in strings; ne.evaluate("2*x_1")
a = 1; a | df.eval("a + @a") | a = 2; a      => a = 1; a | a  # read in strings; df.eval("a + @a") | a_1 = 2; a_1

# What is in a tuple may change
t = (1, [2]) | t[1].append(3) | t            => t = (1, [2]) | t_1 = copy.deepcopy(t); t_1[1].append(3) | t_1

# What moves on when one looks into it: one cell with what began it
z = zip(a, b) | 1 | list(z)                  => z = zip(a, b); list(z) | 1
it = iter(r) | 1 | next(it)                  => it = iter(r); next(it) | 1
f = open(p) | t = f.read() | f.close() | t   => f = open(p); t = f.read(); f.close() | t
def g():; ~yield 1 | i = g() | next(i)       => def g():; ~yield 1 | i = g(); next(i)
x = lib.make() | next(x)                     => x = lib.make(); next(x)
f = open(p); f.read() | [f for f in r]       => f = open(p); f.read() | [f for f in r]
r = [1] | it = iter(r); next(it) | r         => r = [1] | it = iter(r); next(it) | r
f = open(p); t = f.read() | f = open(q); f   => _f = open(p); t = _f.read() | _f = open(q); _f

# An import of which one name is there already and another is renamed
from m import a, b; b | from m import a, c as b; a(b) => from m import a, b as _b; _b | from m import c as _b; a(_b)
from m import a | from m import a, b; b | b | from k import b, a; b => from m import a | from m import b; b | b | from k import b as _b, a as _a; _b

# Definitions that others read
x = 1 | x | x = 2 | x                        => x = 1 | x | x_1 = 2 | x_1
x = 1 | x | x = 2 | x | x = 3 | x            => x = 1 | x | x_1 = 2 | x_1 | x_2 = 3 | x_2
x = 1 | x = 2 | x                            => _x = 1 | x = 2 | x
x_1 = 0; x = 1 | x | x = 2 | x               => x_1 = 0; x = 1 | x | x_v2 = 2 | x_v2
x2 = 0; x = 1 | x | x = 2 | x | x = 3 | x    => x2 = 0; x = 1 | x | x_v2 = 2 | x_v2 | x_v3 = 3 | x_v3
x2 = 1 | x2 | x2 = 2 | x2 | x2 = 3 | x2      => x2 = 1 | x2 | x2_v2 = 2 | x2_v2 | x2_v3 = 3 | x2_v3
x = 1; x_v2 = 0; x3 = 0 | x | x = 2 | x      => x = 1; x_v2 = 0; x3 = 0 | x | x_v3 = 2 | x_v3
x = 1 | x = x + 1 | x                        => x = 1 | x_1 = x + 1 | x_1
x = 1 | x += 1 | x                           => x = 1 | x_1 = x + 1 | x_1
x = 1 | x   -=   2 | x                       => x = 1 | x_1 = x - 2 | x_1
x = 1 | x += y | x                           => x = 1 | x_1 = x; x_1 += y | x_1
x = g() | x += y | x                         => x = g() | x_1 = copy.copy(x); x_1 += y | x_1
x = [1] | x += [2] | x                       => x = [1] | x_1 = x.copy(); x_1 += [2] | x_1
x = 1 | y = x; x = 2 | x                     => x = 1 | y = x; x_1 = 2 | x_1
x = 1 | x = f(x)[x] | x                      => x = 1 | x_1 = f(x)[x] | x_1
x = 1 | for x in f(x): x | x                 => x = 1 | for x_1 in f(x): x_1 | x_1
a, b = 1, 2 | a, b = b, a | a, b             => a, b = 1, 2 | a_1, b_1 = b, a | a_1, b_1
def f(): pass | f() | def f(): pass | f()    => def f(): pass | f() | def f_1(): pass | f_1()
x: int = 1 | x | x: int = 2 | x              => x: int = 1 | x | x_1: int = 2 | x_1
x = 1 | x | x = 2 | f"{x} {x:>{x}} {x=}"     => x = 1 | x | x_1 = 2 | f"{x_1} {x_1:>{x_1}} x={x_1!r}"
x = 1 | x | x = 2 | f"{{x}} {d['x']} {x!r}"  => x = 1 | x | x_1 = 2 | f"{{x}} {d['x']} {x_1!r}"
x = 1 | x | x = 2 | d.query("a > @x")        => x = 1 | x | x_1 = 2 | x_1  # read in strings; d.query("a > @x_1")

# Definitions that need not happen
x = 1 | if c:; ~x = 2 | x                    => x = 1 | x_1 = x; if c:; ~x_1 = 2 | x_1
x = 1 | if c:; ~x = 2; else:; ~x = 3 | x     => _x = 1 | if c:; ~x = 2; else:; ~x = 3 | x
x = 1 | while c:; ~x = 2 | x                 => x = 1 | x_1 = x; while c:; ~x_1 = 2 | x_1
x = 0 | for i in r:; ~x = x + i | x          => x = 0 | x_1 = x; for i in r:; ~x_1 = x_1 + i | x_1
x = 0 | for i in r:; ~x += i | x             => x = 0 | x_1 = x; for i in r:; ~x_1 += i | x_1
x = 1 | try:; ~x = 2; except E:; ~pass | x   => x = 1 | x_1 = x; try:; ~x_1 = 2; except E:; ~pass | x_1
try:; ~import a; except ImportError:; ~a = 0 | a => try:; ~import a; except ImportError:; ~a = 0 | a
x = 1 | c and (x := 2) | x                   => x = 1 | x_1 = x; c and (x_1 := 2) | x_1

# Scopes
x = 1 | x = 2 | [x for x in y] | x           => _x = 1 | x = 2 | [x for x in y] | x
x = 1 | x | x = 2 | [y for y in x if x]      => x = 1 | x | x_1 = 2 | [y for y in x_1 if x_1]
x = 1 | x | x = 2 | {x: y for y in z}        => x = 1 | x | x_1 = 2 | {x_1: y for y in z}
x = 1 | x | x = 2 | (lambda x: x)(x)         => x = 1 | x | x_1 = 2 | (lambda x: x)(x_1)
x = 1 | x | x = 2 | (lambda y=x: y + x)()    => x = 1 | x | x_1 = 2 | (lambda y=x_1: y + x_1)()
x = 1 | x | x = 2 | class A:; ~x = x         => x = 1 | x | x_1 = 2 | class A:; ~x = x_1
x = 1 | x | x = 2 | def f(x=x):; ~return x   => x = 1 | x | x_1 = 2 | def f(x=x_1):; ~return x
x = 1 | x | x = 2 | class A(x): pass         => x = 1 | x | x_1 = 2 | class A(x_1): pass
x = 1 | x | x = 2 | @x; def f(): pass        => x = 1 | x | x_1 = 2 | @x_1; def f(): pass
x = 1 | x | x = 2 | def f():; ~x = 3; ~return x => x = 1 | x | _x = 2 | def f():; ~x = 3; ~return x

# Functions read what is there when they are called
def f(): return a | a = 1 | f()              => def f(): return a | a = 1 | f()
a = 1 | def f(): return a | a = 2 | f()      => _a = 1 | def f(): return a | a = 2 | f()
a = 1 | a | def f(): return a | a = 2 | f()  => a = 1 | a | def f(): return a_1 | a_1 = 2 | f()
a = 1 | def f(): return a | f() | a = 2 | f() => a = 1 | def f(): return a | f() | a_1 = 2 | f_1 = with_globals(f, a=lambda: a_1); f_1()
a = 1 | f = lambda: a | f() | a = 2          => a = 1 | f = lambda: a | f() | _a = 2
a = 1 | def f(): return a | a = f() | a      => a = 1 | def f(): return a | a_1 = f() | a_1
def f(n): return f(n) | f(1) | def f(n): return f(n) | f(2) => def f(n): return f(n) | f(1) | def f_1(n): return f_1(n) | f_1(2)
def g(): return b | b = 1; g() | b           => def g(): return b; b = 1; g() | b

# Objects that one cell makes and another changes
l = [1] | l.append(2) | l                    => l = [1] | l_1 = l.copy(); l_1.append(2) | l_1
l = [1] | l | l.append(2) | l                => l = [1] | l | l_1 = l.copy(); l_1.append(2) | l_1
l = list(x) | l[0] = 2 | l                   => l = list(x) | l_1 = l.copy(); l_1[0] = 2 | l_1
l = [1] | del l[0] | l                       => l = [1] | l_1 = l.copy(); del l_1[0] | l_1
l = [[1]] | l[0].append(2) | l               => l = [[1]] | l_1 = copy.deepcopy(l); l_1[0].append(2) | l_1
d = {} | d["a"] = 1 | d                      => d = {} | d_1 = d.copy(); d_1["a"] = 1 | d_1
d = {} | d["a"] = 1 | d["b"] = 2 | d         => d = {} | d_1 = d.copy(); d_1["a"] = 1 | d_2 = d_1.copy(); d_2["b"] = 2 | d_2
s = {1} | s.update([2]) | s                  => s = {1} | s_1 = s.copy(); s_1.update([2]) | s_1
df = pd.DataFrame() | df["a"] = 1 | df       => df = pd.DataFrame() | df_1 = df.copy(deep=False); df_1["a"] = 1 | df_1
df = read_csv(p) | df.loc[0] = 1 | df        => df = read_csv(p) | df_1 = df.copy(deep=False); df_1.loc[0] = 1 | df_1
df = f() | df.drop(inplace=True) | df        => df = f() | df_1 = df.copy(deep=False); df_1.drop(inplace=True) | df_1
df = f() | df.columns = c | df.head()        => df = f() | df_1 = df.copy(deep=False); df_1.columns = c | df_1.head()
m = M() | m.fit(x) | m.predict(y)            => m = M() | m_1 = m; m_1.fit(x) | m_1.predict(y)
m = M() | r = m.fit(x) | m, r                => m = M() | m_1 = m; r = m_1.fit(x) | m_1, r
o = f() | o.a = 1 | o                        => o = f() | o_1 = o; o_1.a = 1 | o_1
x = f() | x.head() | x                       => x = f() | x.head() | x
l = [1] | l.append(2); l = [3] | l           => l = [1] | l_1 = l.copy(); l_1.append(2); l_1 = [3] | l_1
import os | os.x = 1 | os                    => import os | os.x = 1 | os
l = [1] | def g(x): x.append(1) | g(l) | l   => l = [1] | def g(x): x.append(1) | l_1 = l.copy(); g(l_1) | l_1
l = [1] | def g(): l.append(1) | g() | l     => l = [1] | l_1 = l.copy(); def g(): l_1.append(1); g() | l_1
a = [1] | b = a | a.append(2) | a, b         => a = [1] | b = a | a_1 = b_1 = a.copy(); a_1.append(2) | a_1, b_1
a = [[1]] | for x in a: x.append(2) | a      => a = [[1]] | a_1 = copy.deepcopy(a); for x in a_1: x.append(2) | a_1
import numpy as np; a = np.zeros(3); b = a[:2] | b[0] = 1 | a, b => import numpy as np; a = np.zeros(3); b = a[:2]; b[0] = 1 | a, b
fig, ax = plt.subplots() | ax.plot(y)        => fig, ax = plt.subplots(); ax.plot(y)

import seaborn as sns; g = sns.FacetGrid(d) | g.set(x=1); => import seaborn as sns; g = sns.FacetGrid(d); g.set(x=1);
ax = df.plot() | df.head() | ax.set_title(t); => ax = df.plot(); ax.set_title(t); | df.head()
from sklearn.svm import SVC; from sklearn.preprocessing import Scaler; m = SVC() | X = Scaler().fit_transform(y) | m.fit(X) | X => from sklearn.svm import SVC; from sklearn.preprocessing import Scaler; m = SVC() | X = Scaler().fit_transform(y) | m.fit(X) | X
from sklearn.svm import SVC; m = SVC() | m.fit(x) | m.predict(y) | m.set_params(C=2); m.fit(x) | m => from sklearn.svm import SVC; m = SVC() | m_1 = m; m_1.fit(x) | m_1.predict(y) | m_2 = clone(m_1); m_2.set_params(C=2); m_2.fit(x) | m_2
with open(p) as f:; ~lines = f.readlines() | with open(p, "a") as f:; ~f.write(x) | lines => with open(p) as _f:; ~lines = _f.readlines() | with open(p, "a") as _f:; ~_f.write(x) | lines
import ipywidgets; w = ipywidgets.IntText(1) | w.value | w.value = 2 => import ipywidgets; w = ipywidgets.IntText(1); display(w.value); w.value = 2
a = f() | a.x[0] = 1 | a.x[0] = 2 | a.x[0] = 3 | a.x[0] = 4 | a.x[0] = 5 | a => a = f(); a.x[0] = 1; a.x[0] = 2; a.x[0] = 3 | a_1 = a; a_1.x[0] = 4 | a_2 = a_1; a_2.x[0] = 5 | a_2
class A:; ~n = 0 | def add(self): self.n += 1; A.add = add | a = A() | a.n | a.add() => class A:; ~n = 0 | A_1 = A; def add(self): self.n += 1; A_1.add = add | a = A_1(); display(a.n); _shown = a.add(); if _shown is not None:; ~display(_shown)

# Deletions
x = 1 | del x                                => x = 1 | pass
x = 1 | y = 2; del x, y                      => x = 1 | y = 2; del y
list = [1] | list | del list | list(x)        => list_1 = [1] | list_1 | pass | list(x)
sum = 0 | sum += 1 | del sum; sum(x)          => sum_1 = 0 | sum_2 = sum_1 + 1 | pass; sum(x)

# Imports
import a | import a; a.b                     => import a | a.b
import a | import a, b; a.b                  => import a | import b; a.b
from a import b | from a import b, c; b      => from a import b | from a import c; b
import a as b | import a as b | b            => import a as b |  | b
import a | import a.c; a.c                   => import a | import a.c as _a_c; a.c
from a import x; x | from b import x; x      => from a import x as _x; _x | from b import x as _x; _x
from a import x | x | from b import x | x    => from a import x | x | from b import x as x_1 | x_1
import a  # why | import a  # because        => import a  # why | # because
if c:; ~import a | import a | a              => if c:; ~import a as _a | import a | a

# Names of builtins, and private ones
len(y) | len = 3 | len                       => len(y) | len_1 = 3 | len_1
_x = 1 | _x                                  => x = 1 | x
_x = 1; x = 2 | _x, x                        => x_1 = 1; x = 2 | x_1, x

# Global statements join those who share the name
n = 0 | def f():; ~global n; ~n = 1 | f() | n => n = 0; def f():; ~global n; ~n = 1; f(); n
n = 0; def f():; ~global n; ~n += 1 | print(n) | f(); n | n => n = 0; def f():; ~global n; ~n += 1; print(n); f(); n | n

# IPython's memory
1 + 1 | _ + 1                                => (out_1 := 1 + 1) | out_1 + 1
1 + 1 | Out[1] + 1                           => (out_1 := 1 + 1) | out_1 + 1
1 + 1 | _1 + 1                               => (out_1 := 1 + 1) | out_1 + 1
x | print(x) | _                             => (out_1 := x) | print(x) | out_1
1 | x = 2 | None | 3; | _                    => (out_1 := 1) | x = 2 | None | 3; | out_1
1 | f() | len(y) | f() | _ + 1               => 1 | f() | (out_3 := len(y)) | (out_4 := f()) | (out_4 if out_4 is not None else out_3) + 1
1 | 2 | __                                   => (out_1 := 1) | 2 | out_1
1 | f() | 2 | __                             => (out_1 := 1) | (out_2 := f()) | (out_3 := 2) | [out for out in (out_3, out_2, out_1) if out is not None][1]
def print(x): return x | print(1) | _        => def print(x): return x | (out_2 := print(1)) | out_2
for _ in r: pass | for _ in s: pass          => for _ in r: pass | for _ in s: pass
"""

TABLE = [
    tuple(part.strip() for part in line.split("=>", 1))
    for line in CASES.splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize(("given", "wanted"), TABLE)
def test_cells_become(given, wanted):
    assert converted(given) == expected(wanted)


def test_the_last_output_is_the_last_that_is_not_none():
    cells = prepared(["x = 1", "x + 1", "def f(): pass", "f()", "print('hi')", "_ + 10", "f()", "__"]).cells
    assert in_order([cell.code for cell in cells]) == ["", "2\n", "", "", "hi\n", "12\n", "", "2\n"]


@pytest.mark.parametrize(
    "codes",
    [
        ["q = [5, 6]", "p = q", "p[0] = 1\np = q + [1]\nprint(p)", "print(q)"],
        ["p = q = [5, 6]", "p[0] = 1\nprint(q)\np = []", "print(p, q)"],
    ],
)
def test_a_cell_that_changes_an_object_and_then_binds_its_name_sees_the_change_by_its_other_name(codes):
    assert_shows_the_same_again_and_again(codes)
