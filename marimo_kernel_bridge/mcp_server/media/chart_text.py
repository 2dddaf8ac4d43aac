"""Descriptions of interactive charts for models: kind, title, axes, amount and range of the data. Pure.

Plotly figures and Vega and Vega-Lite specifications contain all their data; a model needs to know what is drawn, and
can read the notebook's variables for the rest.
"""

from __future__ import annotations

import array
import base64
import binascii
import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ChartKind = Literal["plotly", "vega", "vega-lite"]

MimeBundle: TypeAlias = dict[str, Any]
"""The data of an output, by its mime types."""

Specification: TypeAlias = dict[str, Any]
"""A chart as JSON, in the format of its library."""

PLOTLY: Final = "application/vnd.plotly.v1+json"
_VEGA: Final = re.compile(r"application/vnd\.vega(lite)?\.v\d+(\.\d+)*\+json")
_EMBEDDED: Final = re.compile(r"vegaEmbed|vega-embed")

_MOST_TRACES: Final = 12
_MOST_DATA: Final = 4_000_000  # characters of an array, up to which its range is computed
_AXES: Final = ("x", "y", "z", "r", "theta", "lat", "lon", "labels", "values")
_COMPOSED: Final = ("layer", "concat", "hconcat", "vconcat")

# Plotly's names of types of numbers, and Python's.
_TYPE_CODES: Final = {
    "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "f4": "f", "f8": "d",
}  # fmt: skip


def chart_in(data: MimeBundle) -> tuple[ChartKind, Specification] | None:
    """Return the kind of chart that a mime bundle holds, and its specification."""
    for mime_type, value in data.items():
        if mime_type == PLOTLY and isinstance(value, dict):
            return "plotly", value
        if (found := _VEGA.fullmatch(mime_type)) and isinstance(value, dict):
            return "vega-lite" if found[1] else "vega", value
    markup = data.get("text/html")
    spec = _embedded(markup) if isinstance(markup, str) and _EMBEDDED.search(markup) else None
    if spec is None:
        return None
    return "vega" if "/vega/" in str(spec.get("$schema")) else "vega-lite", spec


def chart_text(data: MimeBundle) -> str | None:
    """Describe the chart in a mime bundle; None if there is none."""
    chart = chart_in(data)
    if chart is None:
        return None
    kind, spec = chart
    return plotly_text(spec) if kind == "plotly" else vega_text(spec)


def plotly_text(figure: Specification) -> str:
    """Describe a Plotly figure."""
    layout = _dict(figure.get("layout"))
    traces = [trace for trace in figure.get("data") or () if isinstance(trace, dict)]
    head = f"[Plotly chart{_quoted(_title(layout.get('title')))}"
    axes = [
        f"{key.removesuffix('axis')} is {title}"
        for key in ("xaxis", "yaxis", "zaxis", "yaxis2")
        if (title := _title(_dict(layout.get(key)).get("title")))
    ]
    lines = [f"{head}{', ' + ', '.join(axes) if axes else ''}]"]
    lines += [_trace_text(trace) for trace in traces[:_MOST_TRACES]]
    if len(traces) > _MOST_TRACES:
        lines.append(f"- and {len(traces) - _MOST_TRACES} more traces")
    return "\n".join(lines)


def _trace_text(trace: dict[str, Any]) -> str:
    kind = str(trace.get("type") or "scatter")
    mode = f" ({trace['mode']})" if isinstance(trace.get("mode"), str) else ""
    ranges = [f"{axis} {told}" for axis in _AXES if (told := _array_text(trace.get(axis)))]
    return f"- {kind}{mode}{_quoted(trace.get('name'))}: {'; '.join(ranges) or 'no data'}"


def _array_text(values: Any) -> str:  # what a figure holds: a list, or numbers as base64
    if isinstance(values, dict):
        return _range_text(_decoded(values), values.get("shape"))
    return _range_text(values, None) if isinstance(values, list) else ""


def _decoded(values: dict[str, Any]) -> Sequence[Any] | None:
    code, packed = _TYPE_CODES.get(str(values.get("dtype"))), values.get("bdata")
    if code is None or not isinstance(packed, str) or len(packed) > _MOST_DATA:
        return None
    numbers = array.array(code)
    try:
        numbers.frombytes(base64.b64decode(packed))
    except (binascii.Error, ValueError):
        return None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _range_text(values: Sequence[Any] | None, shape: Any) -> str:
    if values is None:
        return "many values"
    count = f"{len(values)} values" + (f" ({shape})" if shape else "")
    truths = [value for value in values if isinstance(value, bool)]
    if truths and len(truths) >= len(values) / 2:
        return f"{count}: {sum(truths)} true, {len(truths) - sum(truths)} false"
    numbers = [value for value in values if isinstance(value, (int, float)) and value == value]  # noqa: PLR0124  # false for NaN
    if numbers and len(numbers) >= len(values) / 2:
        return f"{count} from {_number(min(numbers))} to {_number(max(numbers))}"
    texts = [str(value) for value in values if isinstance(value, str)]
    if not texts:
        return count
    distinct = list(dict.fromkeys(texts))
    examples = ", ".join(text[:30] for text in distinct[:5])
    different = f", {len(distinct)} different" if len(distinct) < len(texts) else ""
    return f"{count}{different}: {examples}{', …' if len(distinct) > 5 else ''}"  # noqa: PLR2004  # as shown


def vega_text(spec: Specification) -> str:
    """Describe a Vega or Vega-Lite specification."""
    schema = str(spec.get("$schema", ""))
    if "vega-lite" not in schema and isinstance(spec.get("marks"), list):
        marks = ", ".join(str(_dict(mark).get("type", "?")) for mark in spec["marks"][:_MOST_TRACES])
        return f"[Vega chart{_quoted(_title(spec.get('title')))}: {marks}]"
    views = list(_views(spec, ()))
    lines = [f"[Vega-Lite chart{_quoted(_title(spec.get('title')))}]"]
    lines += [_view_text(view, how) for view, how in views[:_MOST_TRACES]]
    if len(views) > _MOST_TRACES:
        lines.append(f"- and {len(views) - _MOST_TRACES} more views")
    lines += _datasets_text(spec)
    return "\n".join(lines)


def _views(spec: Specification, how: tuple[str, ...]) -> Iterator[tuple[Specification, tuple[str, ...]]]:
    """Yield the single views of a composed chart, each with its enclosing compositions."""
    for key in _COMPOSED:
        parts = spec.get(key)
        if isinstance(parts, list):
            for part in parts:
                inherited = {"encoding": _dict(spec.get("encoding")) | _dict(_dict(part).get("encoding"))}
                yield from _views(_dict(part) | inherited, (*how, key))
            return
    for key in ("facet", "repeat"):
        if key in spec and isinstance(spec.get("spec"), dict):
            yield from _views(spec["spec"], (*how, key))
            return
    yield spec, how


def _view_text(view: Specification, how: tuple[str, ...]) -> str:
    mark = view.get("mark")
    kind = str(_dict(mark).get("type", "?")) if isinstance(mark, dict) else str(mark or "?")
    channels = [
        f"{channel} {_channel_text(_dict(definition))}"
        for channel, definition in _dict(view.get("encoding")).items()
        if isinstance(definition, dict)
    ]
    composed = f" ({', '.join(how)})" if how else ""
    return f"- {kind}{composed}: {'; '.join(channels) or 'nothing encoded'}"


def _channel_text(definition: dict[str, Any]) -> str:
    name = definition.get("field")
    aggregate = definition.get("aggregate")
    if aggregate:
        named = f"{aggregate}({name})" if name else str(aggregate)
    elif name is None:
        named = f"value {definition['value']}" if "value" in definition else "computed"
    else:
        named = str(name)
    binned = " binned" if definition.get("bin") else ""
    kind = f" ({definition['type']})" if definition.get("type") else ""
    return f"{named}{binned}{kind}"


def _datasets_text(spec: Specification) -> list[str]:
    inline = _dict(spec.get("data")).get("values")
    datasets = [*_dict(spec.get("datasets")).values(), *([inline] if inline else [])]
    lines = []
    for rows in datasets:
        if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
            continue
        columns = [
            f"{name} {_range_text([row.get(name) for row in rows], None)}" for name in list(rows[0])[:8]
        ]
        lines.append(f"- data of {len(rows)} rows: {'; '.join(columns)}")
    return lines


def _embedded(markup: str) -> Specification | None:
    """Find the specification in the script that Altair writes into its HTML."""
    start = markup.find("})({")
    if start < 0:
        return None
    try:
        spec, _ = json.JSONDecoder().raw_decode(markup, start + 3)
    except ValueError:
        return None
    return spec if isinstance(spec, dict) and "$schema" in spec else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _title(title: Any) -> str:
    text = title.get("text") if isinstance(title, dict) else title
    return " ".join(text) if isinstance(text, list) else str(text or "")


def _quoted(name: Any) -> str:
    return f" {str(name)!r}" if name else ""


def _number(value: float) -> str:
    return f"{value:.6g}"
