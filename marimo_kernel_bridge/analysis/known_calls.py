"""What calls of known functions and methods share: tables of names. What is in none of them may share anything.

Only the relation between arguments, object and result is here; what calls change is in `changing_methods`.
"""

# ruff: noqa: SIM905  # lists of words
from __future__ import annotations

from typing import Final, Literal

Sharing = Literal["new", "items", "holds", "same", "item", "outside"]
"""How a result relates to the arguments (of a function) or to the object (of a method). `new`: in no way. `items`: it is
a new container of the same items. `holds`: it holds them, as an iterator does. `same`: it may be one of them, or a view
of one. `item`: it may be an item of one. `outside`: it is also known to something outside of the notebook."""

BUILTINS: Final[dict[str, Sharing]] = {
    **dict.fromkeys(
        """abs all any ascii bin bool bytearray bytes callable chr compile complex delattr dir display divmod float
        format hasattr hash help hex int isinstance issubclass len memoryview oct open ord pow print range repr round
        str sum type input slice""".split(),
        "new",
    ),
    "memoryview": "same",
    **dict.fromkeys("list tuple set frozenset sorted dict".split(), "items"),
    **dict.fromkeys("iter zip enumerate reversed map filter property staticmethod classmethod".split(), "holds"),
    **dict.fromkeys("next min max getattr".split(), "item"),
    **dict.fromkeys("vars super".split(), "same"),
    **dict.fromkeys("id globals locals exec eval".split(), "outside"),
}  # fmt: skip

# Modules whose functions make new objects and keep nothing.
MODULES_OF_NEW: Final = frozenset(
    """math cmath statistics numpy pandas scipy re json time datetime string textwrap glob uuid base64 hashlib decimal
    fractions struct pprint calendar locale difflib unicodedata platform random zlib html urllib numbers shutil
    pathlib tabulate humanize dateutil pytz tqdm""".split()
)
# Modules that keep nothing themselves; what they make may hold the arguments.
MODULES_OF_HOLDERS: Final = frozenset(
    """collections itertools functools types dataclasses operator copy csv io enum heapq bisect array contextlib
    matplotlib mpl_toolkits seaborn plotly altair bokeh IPython ipywidgets sklearn statsmodels xgboost lightgbm torch
    torchvision tensorflow keras jax networkx sympy xarray polars PIL requests bs4 nltk sortedcontainers arch prophet
    queue xml lxml openpyxl docx""".split()
)
# Where they are otherwise than their module: by module and name.
FUNCTIONS: Final[dict[str, Sharing]] = {
    **dict.fromkeys(
        (
            f"numpy.{name}"
            for name in """asarray asanyarray ascontiguousarray asfortranarray require ravel reshape squeeze transpose
            atleast_1d atleast_2d atleast_3d broadcast_to broadcast_arrays diagonal diag split array_split hsplit vsplit
            dsplit moveaxis swapaxes rollaxis expand_dims flip fliplr flipud rot90 real imag nan_to_num nditer
            ndenumerate meshgrid vectorize asmatrix permute_dims matrix_transpose matrix asarray_chkfinite einsum
            trim_zeros real_if_close unstack ix_ ndarray recarray broadcast poly1d histogram histogram_bin_edges
            histogramdd histogram2d linalg.diagonal linalg.matrix_transpose random.default_rng random.Generator
            random.RandomState char.array char.asarray char.chararray""".split()
        ),
        "same",
    ),
    **dict.fromkeys(  # of an array, they return an array
        (
            f"numpy.{name}"
            for name in """bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64
            complex128 half single double longdouble csingle cdouble clongdouble byte ubyte short ushort intc uintc int_
            uint intp uintp long ulong longlong ulonglong str_ bytes_ object_ datetime64 timedelta64""".split()
        ),
        "same",
    ),
    **dict.fromkeys(("pandas.to_numeric", "pandas.to_datetime", "pandas.to_timedelta"), "same"),
    **dict.fromkeys(
        ("numpy.memmap", "numpy.load", "numpy.frombuffer", "numpy.fromfile", "numpy.seterrcall", "numpy.from_dlpack"),
        "outside",
    ),
    **dict.fromkeys(
        """random.choice numpy.random.choice heapq.heappop heapq.heappushpop heapq.heapreplace""".split(), "item"
    ),
    **dict.fromkeys(("random.sample", "random.choices"), "items"),
    **dict.fromkeys(("pandas.api", "json.load", "json.loads", "copy.deepcopy"), "new"),
    **dict.fromkeys(
        """collections.deque collections.OrderedDict collections.Counter collections.UserList
        copy.copy array.array""".split(),
        "items",
    ),
    **dict.fromkeys(
        """os.getcwd os.listdir os.getenv os.getpid os.cpu_count sys.getsizeof sys.getrecursionlimit
        os.makedirs os.remove warnings.warn warnings.filterwarnings warnings.simplefilter logging.info
        logging.warning logging.debug logging.error sklearn.model_selection.cross_val_score
        sklearn.model_selection.train_test_split sklearn.base.clone
        sklearn.model_selection.cross_validate sklearn.model_selection.cross_val_predict itertools.count
        matplotlib.pyplot.plot matplotlib.pyplot.scatter matplotlib.pyplot.hist matplotlib.pyplot.bar
        heapq.heapify heapq.heappush bisect.bisect bisect.bisect_left bisect.bisect_right bisect.insort
        operator.itemgetter operator.attrgetter threading.Lock threading.RLock threading.Event threading.Semaphore
        threading.Condition multiprocessing.Lock multiprocessing.Queue asyncio.Queue asyncio.Lock
        asyncio.Event""".split(),
        "new",
    ),
}  # fmt: skip
NEW_BELOW: Final = (
    *("os.path", "sklearn.metrics", "sklearn.datasets", "tensorflow.random", "torch.random"),
    *("scipy.sparse.linalg", "scipy.spatial.distance"),
)
"""Modules inside of others whose functions make new objects."""
SHARED_BELOW: Final = (
    *("numpy.lib.", "numpy.ma.", "numpy.rec.", "pandas.arrays.", "scipy.sparse.", "scipy.interpolate."),
    *("scipy.spatial.", "scipy.stats.gaussian_kde", "scipy.stats.rv_histogram"),
)
"""Modules inside of others whose functions may return views of their arguments, and whose objects hold them."""

# Methods by name, of objects that are not known to be anything else.
METHODS: Final[dict[str, Sharing]] = {
    **dict.fromkeys(
        """split rsplit splitlines strip lstrip rstrip lower upper title join format startswith endswith encode decode
        isdigit isalpha count index find zfill ljust rjust center capitalize mean std var median item tolist
        predict predict_proba score transform fit_transform fit_predict decision_function describe nunique to_csv to_json
        to_dict to_string to_excel to_parquet value_counts summary savefig total_seconds strftime isoformat date time
        most_common bit_length hexdigest exists is_file read_text write_text issubset issuperset isdisjoint
        deepcopy get_params""".split(),
        "new",
    ),
    **dict.fromkeys("copy union intersection difference symmetric_difference".split(), "items"),
    **dict.fromkeys("keys items values elements".split(), "holds"),
    **dict.fromkeys("get pop popleft popitem setdefault".split(), "item"),
    **dict.fromkeys("fit set_params".split(), "same"),
}  # fmt: skip
# Methods that put their arguments into their object, and those that put the arguments' items into it.
PUTTING: Final = frozenset(
    """append appendleft add insert put push enqueue setdefault set register subscribe connect add_node add_edge
    __setitem__ put_nowait""".split()
)
PUTTING_ITEMS: Final = frozenset("extend extendleft update".split())
# Methods that neither keep nor put their arguments, whatever has them.
TAKING: Final = frozenset(
    """remove discard index count sort reverse pop popleft popitem clear get keys items values join format startswith
    endswith split strip replace predict predict_proba score transform decision_function difference
    union intersection issubset issuperset isdisjoint mean sum std intersection_update difference_update write
    writelines writerow writerows info debug warning error copy most_common""".split()
)
# Methods and attributes of arrays whose results are views, and of frames whose results share their memory.
VIEWS_OF_ARRAYS: Final = frozenset(
    "reshape ravel view squeeze transpose swapaxes diagonal T flat real imag base data mT astype setflags".split()
)
PARTS_OF_FRAMES: Final = frozenset(
    "values to_numpy array style groupby rolling resample expanding iterrows pipe".split()
)
VALUES_OF_FRAMES: Final = frozenset(
    "columns index shape dtypes dtype size ndim empty name names axes nbytes".split()
)
ESTIMATORS: Final = frozenset({"sklearn"})
"""Packages whose estimators `sklearn.base.clone` makes again."""
