"""Changes of objects that something else may reach: an import shows what Jupyter shows, whatever that is.

Each case is a notebook; its cells stand between lines of `--`.
"""

import sys
from pathlib import Path

import pytest
from reactive import Reactive, assert_shows_the_same_again_and_again, in_order, prepared

CASES = r"""
# a list in a dictionary
x = [1]
--
d = {'k': x}
--
x.append(2)
--
print(d, x)

# an item of a dictionary
d = {}
--
x = d.setdefault('k', [])
--
x.append(2)
--
print(d)

# two names by one assignment
a = b = []
--
a.append(1)
--
print(b)

# a list that a condition chooses
a = [1]
--
b = a or []
--
b.append(2)
--
print(a)

# a walrus in a call
a = [1]
--
print(len(c := a))
--
c.append(2)
--
print(a)

# the first of the rows
rows = [{'n': 1}, {'n': 2}]
--
r = next(r for r in rows if r['n'] == 2)
--
r['n'] = 5
--
print(rows)

# rows that a comprehension chose
rows = [{'n': 1}, {'n': 20}]
--
big = [r for r in rows if r['n'] > 9]
--
big[0]['n'] = 50
--
print(rows)

# sorted rows
rows = [[2], [1]]
--
s = sorted(rows)
--
s[0].append(9)
--
print(rows)

# a row that is taken out
rows = [[1], [2]]
--
r = rows.pop(0)
--
kept = r
--
r.append(5)
--
print(kept, rows)

# the first of the values
d = {'a': [1]}
--
v = next(iter(d.values()))
--
v.append(2)
--
print(d)

# values of a dictionary
d = {'a': [1]}
--
vs = list(d.values())
--
vs[0].append(2)
--
print(d)

# a live view of values
d = {'a': 1}
--
vs = d.values()
--
d['b'] = 2
--
print(list(vs))

# a live view of keys
d = {'a': 1}
--
ks = d.keys()
--
d['b'] = 2
--
print(sorted(ks))

# a function that gives its argument back
def same(v): return v
--
a = [1]
--
b = same(a)
--
b.append(2)
--
print(a)

# a function that stores its argument
kept = []
def keep(v): kept.append(v)
--
a = [1]
--
keep(a)
--
a.append(2)
--
print(kept)

# a registry by a method
registry = []
--
a = [1]
--
registry.append(a)
--
a.append(2)
--
print(registry)

# a namespace
from types import SimpleNamespace
--
a = [1]
--
n = SimpleNamespace(xs=a)
--
n.xs.append(2)
--
print(a)

# a namespace, the other way round
from types import SimpleNamespace
--
a = [1]
--
n = SimpleNamespace(xs=a)
--
a.append(2)
--
print(n.xs)

# a named tuple
from collections import namedtuple
P = namedtuple('P', 'xs')
--
a = [1]
--
p = P(a)
--
p.xs.append(2)
--
print(a)

# a tuple
a = [1]
--
t = (a, 5)
--
u = t
--
a.append(2)
--
print(u)

# unpacked from a tuple
a, b = [1], [2]
--
t = (a, b)
--
x, y = t
--
x.append(3)
--
print(a)

# zipped into a dictionary
a = [1]
--
d = dict(zip(['k'], [a]))
--
d['k'].append(2)
--
print(a)

# a sum of lists
p = [[1]]
q = [[2]]
--
s = p + q
--
s[0].append(9)
--
print(p)

# a shallow copy
import copy
n = [[1]]
--
c = copy.copy(n)
--
c[0].append(2)
--
print(n)

# a slice
n = [[1], [2]]
--
c = n[:1]
--
c[0].append(3)
--
print(n)

# a repeated list
row = [0]
--
grid = [row] * 3
--
row.append(1)
--
print(grid)

# attributes by a constructor
class Holder:
    def __init__(self, x):
        self.x = x
--
a = [1]
--
h = Holder(a)
--
a.append(2)
--
print(h.x)

# attributes by a keyword
class Holder:
    def __init__(self, x=None):
        self.x = x
--
a = [1]
--
h = Holder(x=a)
--
h.x.append(2)
--
print(a)

# attributes by a dataclass
from dataclasses import dataclass
@dataclass
class Holder:
    x: list
--
a = [1]
--
h = Holder(a)
--
a.append(2)
--
print(h)

# an attribute that is set
class Holder: pass
h = Holder()
--
a = [1]
--
h.x = a
--
a.append(2)
--
print(h.x)

# setattr
class Holder: pass
h = Holder()
--
a = [1]
--
setattr(h, 'x', a)
--
a.append(2)
--
print(h.x)

# vars
class Holder: pass
h = Holder()
h.a = 1
--
v = vars(h)
--
v['a'] = 2
--
print(h.a)

# a class attribute
a = [1]
--
class Holder:
    items = a
--
a.append(2)
--
print(Holder.items)

# a class attribute by an object
class Holder:
    items = []
--
h = Holder()
k = Holder()
--
h.items.append(2)
--
print(k.items, Holder.items)

# an object of its own class that many cells change
class Account:
    def __init__(self, start=0):
        self.total, self.log = start, []
    def add(self, x):
        self.total += x
        self.log.append(x)
acc = Account(5)
--
acc.add(1)
print(acc.total)
--
acc.add(2)
--
acc.add(3)
--
print(acc.log)
--
acc.add(4)
print(acc.total)
--
acc.note = 'five'
acc.add(5)
--
print(acc.total, acc.log, acc.note)

# an object of a dataclass that many cells change
from dataclasses import dataclass, field
@dataclass
class Basket:
    items: list = field(default_factory=list)
    def put(self, item):
        self.items.append(item)
basket = Basket()
--
basket.put(1)
--
basket.put(2)
--
basket.put(3)
--
print(basket)
--
basket.put(4)
--
basket.items.append(5)
--
print(basket)

# an object of its own class that many cells change and a list holds
class Count:
    def __init__(self): self.n = 0
    def up(self): self.n += 1
c = Count()
every = [c]
--
c.up(); y = 1
--
c.up(); y = 1
--
c.up(); y = 1
--
c.up(); y = 1
print(c.n)
--
c.up(); y = 1
--
print(every[0].n, every[0] is c)

# a class that keeps account of its objects, which many cells change
class Count:
    made = []
    def __init__(self):
        self.n = 0
        self.made.append(self)
    def up(self): self.n += 1
c = Count()
--
c.up(); y = 1
--
c.up(); y = 1
--
c.up(); y = 1
--
c.up(); y = 1
print(c.n)
--
print(Count.made[0].n, Count.made[0] is c)

# an object that holds what a function returned, changed by many cells
import threading
class Locked:
    def __init__(self, lock):
        self.lock, self.n = lock, 0
    def up(self): self.n += 1
c = Locked(threading.Lock())
--
c.up(); y = 1
--
c.up(); y = 1
--
c.up(); y = 1
--
c.up(); y = 1
print(c.n)
--
print(c.n)

# a counter
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    return up
up = counter()
--
print(up())
--
print(up())
--
x = 3
--
print(up(), x)

# two counters in one
def pair(n):
    def up():
        nonlocal n
        n += 1
        return n
    def down():
        nonlocal n
        n -= 1
        return n
    return {'up': up, 'down': down}
p = pair(5)
--
y = p['up']()
--
print(p['down'](), p['up']())

# a class that lists its objects
class Node:
    all = []
    def __init__(self, v):
        self.v = v
        Node.all.append(self)
--
n = Node([1])
--
n.v.append(2)
--
print([m.v for m in Node.all])

# a default argument
a = [1]
--
def f(v=a): return v
--
a.append(2)
--
print(f())

# a partial
from functools import partial
a = [1]
--
p = partial(len, a)
--
a.append(2)
--
print(p())

# a bound method
a = [1]
--
put = a.append
--
a.append(2)
put(3)
--
print(a)

# a bound method that is called below
a = [1]
--
put = a.append
--
a.append(2)
--
put(3)
print(a)

# a closure
def make(xs):
    def total():
        return sum(xs)
    return total
--
a = [1]
--
t = make(a)
--
a.append(2)
--
print(t())

# a lambda in a function
def make(xs):
    return lambda: sum(xs)
--
a = [1]
--
t = make(a)
--
a.append(2)
--
print(t())

# a lambda's default
a = [1]
--
t = lambda xs=a: sum(xs)
--
a.append(2)
--
print(t())

# a lambda
a = [1]
--
t = lambda: sum(a)
--
a.append(2)
--
print(t())

# a generator
a = [1]
--
g = (v + 1 for v in a)
--
a.append(2)
--
print(list(g))

# a generator of a function
def each(xs):
    yield from xs
--
a = [1]
--
g = each(a)
--
a.append(2)
--
print(list(g))

# an iterator
a = [1]
--
i = iter(a)
--
a.append(2)
--
print(list(i))

# zip
a, b = [1], [3, 4]
--
z = zip(a, b)
--
a.append(2)
--
print(list(z))

# map
a = [1]
--
m = map(str, a)
--
a.append(2)
--
print(list(m))

# enumerate
a = [1]
--
m = enumerate(a)
--
a.append(2)
--
print(list(m))

# a chain
import itertools
a = [1]
--
m = itertools.chain(a, [9])
--
a.append(2)
--
print(list(m))

# a chained map
from collections import ChainMap
a = {'x': 1}
--
c = ChainMap(a)
--
c['y'] = 2
--
print(a)

# a mapping proxy
from types import MappingProxyType
a = {'x': 1}
--
m = MappingProxyType(a)
--
a['y'] = 2
--
print(dict(m))

# a memoryview
b = bytearray(b'abc')
--
m = memoryview(b)
--
m[0] = 120
--
print(b)

# identity
a = [1]
b = a
--
a.append(2)
--
print(a is b)

# id
a = [1]
before = id(a)
--
a.append(2)
--
print(id(a) == before)

# objects in a set
class P: pass
p = P()
--
s = {p}
--
p.n = []
p.n.append(1)
--
print(p in s, [q.n for q in s])

# objects as keys
class P: pass
p = P()
p.n = [0]
--
d = {p: 1}
--
p.n.append(1)
--
print(d[p], [k.n for k in d])

# a lock
import threading
lock = threading.Lock()
box = {'lock': lock, 'rows': []}
--
box['rows'].append(1)
--
print(box['rows'], box['lock'].locked())

# a queue
import queue
q = queue.Queue()
--
q.put(1)
--
print(q.get())

# a queue that is read on the way
import queue
q = queue.Queue()
--
q.put(1)
--
print(q.qsize())
--
q.put(2)
--
print(q.qsize(), q.get(), q.get())

# a socket
import socket
pair = list(socket.socketpair())
--
pair.append('x')
pair[0].send(b'a')
--
print(pair[1].recv(1), len(pair))
pair[0].close(); pair[1].close()

# a module in a list
import math, os
ms = [math]
--
ms.append(os)
--
print([m.__name__ for m in ms])

# a connection
import sqlite3
db = sqlite3.connect(':memory:')
c = db.cursor()
--
_ = c.execute('create table t (a)')
--
_ = c.execute('insert into t values (1)')
--
print(c.execute('select * from t').fetchall())

# an object with a lock
import threading
class Store:
    def __init__(self):
        self.lock, self.rows = threading.Lock(), []
    def add(self, row):
        with self.lock:
            self.rows.append(row)
store = Store()
--
store.add(1)
--
print(store.rows)
--
store.add(2)
--
print(store.rows)

# an object with a generator
class S:
    def __init__(self):
        self.it = iter([1, 2])
        self.rows = []
    def take(self):
        self.rows.append(next(self.it))
s = S()
--
s.take()
--
s.rows.append(0)
--
print(s.rows)

# the path of imports
import sys
places = sys.path
--
places.append('/nowhere')
--
print('/nowhere' in sys.path)
places.remove('/nowhere')

# the environment
import os
env = os.environ
--
env['A_CITY'] = 'Oslo'
--
print(os.environ['A_CITY'])

# a hook
import atexit
seen = []
--
_ = atexit.register(seen.append, 1)
--
seen.append(2)
--
print(seen)

# a logger
import logging
rows = []
class H(logging.Handler):
    def emit(self, record):
        rows.append(record.getMessage())
--
log = logging.getLogger('owned')
h = H()
log.addHandler(h)
--
h.rows = rows
h.rows.append('a')
--
log.warning('b')
print(rows)

# an observer
class Subject:
    def __init__(self):
        self.seen = []
    def subscribe(self, f):
        self.seen.append(f)
    def fire(self, v):
        for f in self.seen: f(v)
s = Subject()
--
got = []
--
s.subscribe(got.append)
--
got.append(0)
--
s.fire(1)
print(got)

# elements of a tree
import xml.etree.ElementTree as ET
root = ET.Element('r')
--
kid = ET.SubElement(root, 'k')
--
kid.append(ET.Element('z'))
--
print(ET.tostring(root).decode())

# a writer
import csv, io
buf = io.StringIO()
w = csv.writer(buf)
--
_ = w.writerow(['a', 1])
--
print(buf.getvalue().strip())

# a writer in a cell of its own
import csv, io
buf = io.StringIO()
--
w = csv.writer(buf)
--
_ = w.writerow(['a', 1])
--
print(buf.getvalue().strip())
--
_ = w.writerow(['b', 2])
--
print(buf.getvalue().split())

# linked lists
a = [1]
b = [2]
--
a.append(b)
--
b.append(3)
--
print(a)
--
a[1].append(4)
--
print(b)

# itself
a = [1]
--
a.append(a)
--
a.append(2)
--
print(len(a), a[1] is a)

# swapped
a, b = [1], [2]
--
a, b = b, a
--
a.append(3)
--
print(a, b)

# rebound and kept
a = [1]
kept = [a]
--
a = [2]
--
a.append(3)
--
print(kept, a)

# one of several
a, b = [1], [2]
--
c = a if len(b) else b
--
c.append(3)
--
print(a, b)

# in a loop
rows = [[1], [2]]
--
for r in rows:
    r.append(0)
--
print(rows)

# in a loop over pairs
rows = {'a': [1]}
--
for k, v in rows.items():
    v.append(0)
--
print(rows)

# with
from contextlib import nullcontext
a = [1]
--
with nullcontext(a) as b:
    pass
--
b.append(2)
--
print(a)

# match
a = [[1], 2]
--
match a:
    case [first, _]:
        pass
--
first.append(9)
--
print(a)

# a deque
from collections import deque
d = deque([1], maxlen=2)
--
e = d
--
d.append(2)
d.append(3)
--
print(e)

# a default dictionary
from collections import defaultdict
d = defaultdict(list)
--
x = d['k']
--
x.append(1)
--
print(dict(d))

# attributes of functions
def f(): return f.rows
f.rows = []
--
r = f()
--
r.append(1)
--
print(f())

# a cache
import functools
@functools.lru_cache
def rows(): return []
--
r = rows()
--
r.append(1)
--
print(rows())

# a property
class A:
    def __init__(self):
        self._x = []
    @property
    def x(self):
        return self._x
a = A()
--
x = a.x
--
x.append(1)
--
print(a.x)

# a decorated function
found = []
def register(f):
    found.append(f)
    return f
--
@register
def one(): return 1
--
found.append(None)
--
print(len(found))

# a singleton
class One:
    only = None
    def __new__(cls):
        if cls.only is None:
            cls.only = super().__new__(cls)
            cls.only.rows = []
        return cls.only
--
a = One()
b = One()
--
a.rows.append(1)
--
print(b.rows, a is b)

# a method that returns itself
class B:
    def __init__(self):
        self.rows = []
    def add(self, v):
        self.rows.append(v)
        return self
b = B()
--
c = b.add(1)
--
_ = c.add(2)
--
print(b.rows)

# parents and children
class N:
    def __init__(self, parent=None):
        self.kids = []
        if parent: parent.kids.append(self)
root = N()
--
kid = N(root)
--
kid.kids.append('x')
--
print([k.kids for k in root.kids])

# arguments of an unknown method
from registry import Registry
r = Registry()
--
a = [1]
--
r.keep(a)
--
a.append(2)
--
print(r.kept)

# arguments of an unknown function
import registry
--
a = [1]
--
registry.keep(a)
--
a.append(2)
--
print(registry.kept())

# the result of an unknown function
import registry
--
a = registry.fresh()
--
a.append(2)
--
print(registry.last())

# a view of an array
import numpy as np
a = np.arange(3)
--
b = a[1:]
--
b[:] = 99
--
print(a)

# a view of an array, the other way round
import numpy as np
a = np.arange(3)
--
b = a[1:]
--
a[2] = 99
--
print(b)

# a row of an array
import numpy as np
a = np.zeros((2, 2))
--
r = a[0]
--
a[0, 0] = 9
--
print(r)

# a reshaped array
import numpy as np
a = np.zeros(4)
--
r = a.reshape(2, 2)
--
a[0] = 9
--
print(r)

# a transposed array
import numpy as np
a = np.zeros((2, 2))
--
r = a.T
--
r += 1
--
print(a)

# asarray
import numpy as np
a = np.zeros(2)
--
r = np.asarray(a)
--
r[0] = 1
--
print(a)

# rows of an array in a loop
import numpy as np
a = np.zeros((2, 2))
--
for r in a:
    r += 1
--
print(a)

# arrays in a list
import numpy as np
a = np.zeros(2)
--
xs = [a]
--
a[0] = 1
--
print(xs)

# an array from a buffer
import numpy as np
b = bytearray(2)
--
a = np.frombuffer(b, dtype=np.uint8)
--
a[0] = 7
--
print(b[0])

# an array in an object
import numpy as np
class M:
    def __init__(self, w):
        self.w = w
w = np.zeros(2)
--
m = M(w)
--
w += 1
--
print(m.w)

# arrays unpacked
import numpy as np
m = np.zeros((2, 2))
--
x, y = m
--
x[0] = 5
--
print(m)

# a frame in a dictionary
import pandas as pd
df = pd.DataFrame({'a': [1]})
--
d = {'df': df}
--
df['b'] = 2
--
print(list(d['df'].columns))

# two names for a frame
import pandas as pd
df = pd.DataFrame({'a': [1]})
--
other = df
--
other['b'] = 2
--
print(list(df.columns))

# values of a frame
import pandas as pd
df = pd.DataFrame({'a': [1, 2]})
--
v = df['a']
--
df.loc[0, 'a'] = 9
--
print(list(v))

# a frame in an object
import pandas as pd
class H:
    def __init__(self, df):
        self.df = df
df = pd.DataFrame({'a': [1]})
--
h = H(df)
--
df['b'] = 2
--
print(list(h.df.columns))

# a frame and a function of it
import pandas as pd
df = pd.DataFrame({'a': [1]})
def width(): return df.shape[1]
--
df['b'] = 2
--
print(width())
--
df['c'] = 2
--
print(width())

# a random generator that two share
import random
r = random.Random(1)
--
class D:
    def __init__(self, r):
        self.r = r
d = D(r)
--
a = r.random()
--
b = d.r.random()
--
print(round(a, 3), round(b, 3))

# swapped, with a method of one
b, d = [[3]], [5]
put = d.append
--
d, b = b, d
--
d.append(81)
--
put(15)
print(b, d)

# a dictionary that a keyword updates
a, c = [1], {}
--
c.update(k=a)
--
a.append(2)
--
print(c)

# a default that remembers
def keep(v, seen=[]):
    seen.append(v)
--
a = [1]
keep(a)
--
a.append(2)
--
print(keep.__defaults__)

# a change in between that the text does not name
x, b = [3, 1], [[3]]
--
(q := b).append(8)
--
x.sort()
print(b, x)

# one of several, changed at once
a, b = [1], [2]
--
c = a if len(b) else b
c.append(3)
--
print(a, b)

# windows of an array
import numpy as np, pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
a = np.array([1.0, 2.0, 3.0])
--
v = sliding_window_view(a, 2)
--
a[1] = 50
--
print(v)

# strides of an array
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.lib.stride_tricks.as_strided(a, (2,), (8,))
--
a[1] = 50
--
print(v)

# a masked array
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.ma.masked_array(a, [0, 1, 0])
--
a[1] = 50
--
print(v)

# a view by einsum
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.einsum('i->i', a)
--
a[1] = 50
--
print(v)

# an array that need not be copied
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.array(a, copy=False)
--
a[1] = 50
--
print(v)

# an array that is copied if necessary
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.array(a, copy=None)
--
a[1] = 50
--
print(v)

# an array without zeros around
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.trim_zeros(a)
--
a[1] = 50
--
print(v)

# real parts if close
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.real_if_close(a)
--
a[1] = 50
--
print(v)

# a checked array
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.asarray_chkfinite(a)
--
a[1] = 50
--
print(v)

# a matrix of an array
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.matrix(a, copy=False)
--
a[1] = 50
--
print(v)

# an array as floats
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.float64(a)
--
a[1] = 50
--
print(v)

# an array over a buffer
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.ndarray((3,), a.dtype, a)
--
a[1] = 50
--
print(v)

# a sum in an array of its own
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.add(a, 0, out=a)
--
a[1] = 50
--
print(v)

# bins of a histogram
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = np.histogram([2.5], bins=a)[1]
--
a[1] = 50
--
print(v)

# a series that need not be copied
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = pd.Series(a, copy=False)
--
a[1] = 50
--
print(v)

# a frame that need not be copied
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = pd.DataFrame(a, copy=False)
--
a[1] = 50
--
print(v)

# a series of numbers
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = pd.to_numeric(a)
--
a[1] = 50
--
print(v)

# a frame's memory with options
import numpy as np, pandas as pd
a = np.array([1.0, 2.0, 3.0])
--
v = pd.DataFrame(a, **{'copy': False})
--
a[1] = 50
--
print(v)

# a series of lists
import pandas as pd
x = [1]
--
s = pd.Series([x, [2]])
--
x.append(3)
--
print(s)

# an array of objects
import numpy as np
x = [1]
--
a = np.array([x, None], dtype=object)
--
x.append(3)
--
print(a)

# a masked array without values
import numpy as np
a = np.ma.zeros(3)
--
a[1] = 50
--
print(a)

# the generator of a generator
import numpy as np
r = np.random.default_rng(1)
--
q = np.random.default_rng(r)
--
a = r.random()
--
b = q.random()
--
print(round(a, 3), round(b, 3))

# a default that remembers, and nothing else
def f(x, acc=[]):
    acc.append(x)
    return acc
--
r = f(1)
--
r2 = f(2)
--
print(r)

# a default that remembers by a keyword
def f(x, *, acc={}):
    acc[x] = x
    return acc
--
r = f(1)
--
r[7] = 7
--
print(f(2))

# a default of a method that remembers
class A:
    def add(self, x, acc=[]):
        acc.append(x)
        return acc
a = A()
--
r = a.add(1)
--
r2 = a.add(2)
--
print(r, r2)

# a default that remembers, of two objects
class A:
    def add(self, x, acc=[]):
        acc.append(x)
        return acc
a, b = A(), A()
--
r = a.add(1)
--
r2 = b.add(2)
--
print(r)

# a default that only counts
def f(x, acc=[]):
    acc.append(x)
    return len(acc)
--
r = f(1)
--
r2 = f(2)
--
print(r, r2)

# a default of a lambda
f = lambda x, acc=[]: acc.append(x) or acc
--
r = f(1)
--
r2 = f(2)
--
print(r)

# a default that remembers, through another function
def f(x, acc=[]):
    acc.append(x)
    return acc
def g(x):
    return f(x)
--
r = f(1)
--
r2 = g(2)
--
print(r)

# a generator in a dictionary
d = {'g': (n for n in range(20))}
--
x = next(d['g'])
--
print(x, next(d['g']))

# a counter in a list
import itertools
ids = [itertools.count()]
--
x = next(ids[0])
--
print(x, next(ids[0]))

# a cycle in a tuple
import itertools
turn = (itertools.cycle('ab'), 1)
--
x = next(turn[0])
--
print(x, next(turn[0]))

# generators of a function in a list
def count(n):
    while True:
        yield n
        n += 1
gens = [count(n) for n in range(3)]
--
x = [next(g) for g in gens]
--
print(x, [next(g) for g in gens])

# a generator in a dictionary that a loop uses up
d = {'g': (n for n in range(3)), 'k': 1}
--
for v in d['g']: print(v)
--
print(list(d['g']))

# iterators in the values of a dictionary
d = {k: iter(k) for k in ('ab', 'cd')}
--
x = [next(v) for v in d.values()]
--
print(x, {k: next(v) for k, v in d.items()})

# pairs of an iterator in an object
class Holder: pass
h = Holder()
h.pairs = zip('ab', 'cd')
--
x = [p for p in h.pairs]
--
print(x, list(h.pairs))

# an iterator that is put into a list
its = []
its.append(iter('abc'))
--
x = ''.join(c for c in its[0])
--
print(x, list(its[0]))

# a search in an iterator in a dictionary
d = dict(g=iter([1, 2, 3, 4]))
--
x = 2 in d['g']
--
y = any(v > 3 for v in d['g'])
--
print(x, y, list(d['g']))

# an iterator of a list by another name
its = [iter([1, 2, 3, 4])]
--
g = its[0]
--
x = next(g)
--
print(x, list(its[0]))

# lines of a file in a dictionary
import io
d = {'f': io.StringIO('a\nb\nc\n')}
--
x = d['f'].readline()
--
print(x, d['f'].readlines())

# an iterator in a namespace
import types
ns = types.SimpleNamespace(it=iter([1, 2, 3]))
--
x = [v for v, _ in zip(ns.it, 'ab')]
--
print(x, list(ns.it))

# an iterator that an object has
class Source: pass
s = Source()
s.numbers = iter([1, 2, 3])
--
x = next(s.numbers)
--
print(x)
--
print(next(s.numbers))

# a counter that a class keeps
import itertools
class Ids:
    def __init__(self): self.ids = itertools.count()
    def new(self): return next(self.ids)
i = Ids()
--
x = i.new()
--
y = i.new()
--
print(x, y)

# a default that is given
def f(x, acc=[]):
    acc.append(x)
    return acc
--
mine = []
r = f(1, mine)
--
r2 = f(2, acc=mine)
--
print(r, f.__defaults__)
"""

REGISTRY = """
_kept = []
def keep(value): _kept.append(value)
def kept(): return list(_kept)
def fresh():
    _kept.append([1])
    return _kept[-1]
def last(): return _kept[-1]
class Registry:
    def __init__(self): self.kept = []
    def keep(self, value): self.kept.append(value)
"""

AS_IN_JUPYTER = """
swapped, with a method of one
a default that remembers
a change in between that the text does not name
a row that is taken out
a bound method that is called below
a chain
a queue
a queue that is read on the way
a socket
a connection
an object with a lock
an object with a generator
the path of imports
a default of a lambda
the generator of a generator
a hook
a logger
an observer
a writer in a cell of its own
itself
with
attributes of functions
a cache
a decorated function
a singleton
a method that returns itself
arguments of an unknown method
arguments of an unknown function
the result of an unknown function
a random generator that two share
a class that keeps account of its objects, which many cells change
an object that holds what a function returned, changed by many cells
"""
"""The cases in which a cell that runs again changes its object again, because it is ordered behind its maker."""


def notebooks(cases: str) -> dict[str, list[str]]:
    parts = [part.split("\n", 1) for part in f"\n{cases.strip()}".split("\n# ")[1:]]
    return {name: [cell.strip("\n") for cell in cells.split("\n--\n")] for name, cells in parts}


NOTEBOOKS = notebooks(CASES)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a module that keeps what it is given; return the function that makes it anew."""
    (tmp_path / "registry.py").write_text(REGISTRY)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda: sys.modules.pop("registry", None)
    sys.modules.pop("registry", None)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_an_import_shows_what_jupyter_shows(name, registry):
    codes = NOTEBOOKS[name]
    registry()
    expected = in_order(codes)
    assert not any("Error" in text for text in expected)
    registry()
    result = prepared(codes)
    reactive = Reactive([cell.code for cell in result.cells])
    told = "\n--\n".join(reactive.codes)
    assert reactive.problems() == [], told
    first = reactive.run()
    for number, cell in enumerate(result.cells):
        assert first[number] == "".join(expected[each - 1] for each in sorted(cell.positions)), told
    if name not in AS_IN_JUPYTER.strip().splitlines():
        for number in range(len(reactive.codes)):
            for other, text in reactive.run(reactive.downstream(number)).items():
                assert text == first[other], f"cell {number} again changed cell {other}\n{told}"


def test_cases_that_are_as_in_jupyter_have_notebooks():
    assert set(AS_IN_JUPYTER.strip().splitlines()) <= NOTEBOOKS.keys()


APART = {
    "a dictionary of pairs": [
        "k = ['a']; v = [1]",
        "d = dict(zip(k, v))",
        "print(d['a'])",
        "e = sum(d.values())",
    ],
    "what a slice takes from a map": [
        "a = [1, 2]\na[:] = map(int, '34')",
        "print(a)",
        "b = sum(a)",
    ],
    "the last of a map": [
        "from collections import deque\nd = deque(map(int, '123'), maxlen=2)",
        "print(d[0])",
        "t = sum(d)",
    ],
    "what is beside a file": [
        "cfg = {'f': open('/dev/null'), 'n': 3}",
        "n = cfg['n']",
        "print(n)",
        "m = n + 1",
    ],
    "a frame and a dictionary of pairs": [
        "import pandas as pd\ndf = pd.DataFrame({'a': [1]})",
        "d = df.replace(dict(zip([1], [2])))",
        "print(d.a)",
        "x = d.a.sum()",
    ],
}


@pytest.mark.parametrize("name", APART)
def test_what_is_made_of_an_iterator_holds_none(name):
    result = prepared(APART[name])
    assert [cell.positions for cell in result.cells] == [
        (number,) for number in range(1, len(APART[name]) + 1)
    ]


def test_a_list_that_heapq_or_bisect_changes_is_copied():
    codes = ["import heapq\nheap = [5, 1, 4]\nheapq.heapify(heap)", "heapq.heappop(heap)", "heapq.heappush(heap, 0)\nheap", "import bisect\nbisect.insort(heap, 3)\nheap"]  # fmt: skip
    assert_shows_the_same_again_and_again(codes)
    assert "heap_1 = heap.copy()" in prepared(codes).cells[1].code
