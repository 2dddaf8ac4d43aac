"""The Python that sets the settings of a library back to those of a cell's place, as text for the result."""

from __future__ import annotations

import textwrap
from typing import Final

_BY_PLACE: Final = """\
def _settings_by_place():
    # For cells above and below a change of settings: each has those of its place when it runs again
{access}

    def place(settings=None):
        certain = True

        def begin():
            nonlocal certain
            now, state = take(), shared()
            mine = settings or state.setdefault("first", now)
            # What something else than these cells has changed stays as it is
            certain = certain and repr(now) == repr(state.setdefault("now", now))
            if certain and repr(now) != repr(mine):
                put(mine)
                state["now"] = mine

        def keep():
            kept = shared()["now"] = take()
            return place(kept)

        begin.keep = keep
        return begin

    return place()


{name} = _settings_by_place()"""
_ACCESS: Final = {
    "matplotlib_settings": """\
def shared():
    import matplotlib

    return vars(matplotlib).setdefault("settings_of_cells", {})  # outlives this cell

def take():
    from matplotlib import rcParams

    own = ("backend", "interactive", "toolbar")
    return {name: value for name, value in dict.items(rcParams) if not name.startswith(own)}

def put(settings):
    from matplotlib import rcParams

    dict.update(rcParams, settings)""",
    "pandas_settings": """\
def shared():
    import pandas

    return vars(pandas).setdefault("settings_of_cells", {})  # outlives this cell

def take():
    import pandas

    def options(group, path):
        for name in dir(group):
            value = getattr(group, name)
            if isinstance(value, type(group)):
                yield from options(value, path + name + ".")
            else:
                yield path + name, value

    return dict(options(pandas.options.display, "display."))

def put(settings):
    import pandas

    for name, value in settings.items():
        pandas.set_option(name, value)""",
    "numpy_settings": """\
def shared():
    import numpy

    return vars(numpy).setdefault("settings_of_cells", {})  # outlives this cell

def take():
    import numpy

    return numpy.get_printoptions()

def put(settings):
    import numpy

    numpy.set_printoptions(**settings)""",
    "numpy_error_settings": """\
def shared():
    import numpy

    return vars(numpy).setdefault("error_settings_of_cells", {})  # outlives this cell

def take():
    import numpy

    return numpy.geterr()

def put(settings):
    import numpy

    numpy.seterr(**settings)""",
    "locale_settings": """\
def shared():
    import locale

    return vars(locale).setdefault("settings_of_cells", {})  # outlives this cell

def take():
    import locale

    return locale.setlocale(locale.LC_ALL)

def put(settings):
    import locale

    locale.setlocale(locale.LC_ALL, settings)""",
    "decimal_settings": """\
def shared():
    import decimal

    return vars(decimal).setdefault("settings_of_cells", {})  # outlives this cell

def take():
    import decimal

    context = decimal.getcontext()
    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    return {**{name: getattr(context, name) for name in names}, "traps": dict(context.traps)}

def put(settings):
    import decimal

    for name, value in settings.items():
        setattr(decimal.getcontext(), name, value)""",
}
SETTINGS_BY_PLACE: Final = {
    name: _BY_PLACE.replace("{access}", textwrap.indent(access, "    ")) for name, access in _ACCESS.items()
}
"""By name, the code of an added cell that binds it."""
