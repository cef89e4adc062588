"""The figures of linked views, empty: the script of the page fills them and answers to what is pointed at."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    BoxSelectTool,
    ColumnDataSource,
    LassoSelectTool,
    LinearColorMapper,
    PanTool,
    ResetTool,
    SaveTool,
    WheelZoomTool,
)
from bokeh.models.annotations import ColorBar, Title
from bokeh.plotting import figure

from shapeshift.show import style
from shapeshift.show.look import Look
from shapeshift.show.palettes import palette

HEIGHT, HALF, SMALL, WIDEST = 330, 230, 126, 280  # pixels
_NOTHING: dict[str, list[float]] = {"x": [], "y": []}


def figures_of(look: Look) -> dict[str, Any]:
    """Bokeh figures by the name of the place on the page they stand in."""
    image = len(look.frame.sides) == 2
    found = {
        "places": _map(look) if len(look.results.sides) == 2 else _sequence(look),
        "plane": _plane(look),
        "histogram": _histogram(),
    }
    if image:
        found |= {name: _picture(look, name) for name in ("raw", "aligned", "drawn", "residual")}
    else:
        found |= {"signal": _signal(look), "residual": _residual(look)}
    if look.decoder is not None:
        found["decoded"] = _picture(look, "decoded") if image else _decoded(look)
        found["pad"] = _pad(look)
    return found


def plain(text: str) -> str:
    """A label that Bokeh takes for text and never for TeX, which it would fetch a library for.

    Examples
    --------
    >>> plain("$$x$$ (eV)")
    '$ $x$ $ (eV)'
    """
    return re.sub(r"\\([\[(])", r"\1", re.sub(r"\$(?=\$)", "$ ", text.replace(r"\$", "$")))


def _figure(name: str, title: str, x: str, y: str, tools: list[Any], **more: Any) -> Any:
    made = figure(
        name=name,
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_axis_label=plain(x),
        y_axis_label=plain(y),
        tools=tools,
        toolbar_location="right" if tools else None,
        output_backend="canvas",
        **more,
    )
    made.toolbar.logo = None
    made.grid.grid_line_color = "#eceeef"
    made.outline_line_color = None
    for axis in made.axis:
        axis.formatter = BasicTickFormatter(power_limit_high=7)  # signals are counted in plain numbers
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = axis.major_label_text_color = style.INK
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "12px"
    made.title = Title(text=title, text_font_size="13px", text_color=style.INK)
    return made


def _tools(*own: Any) -> list[Any]:
    return [*own, WheelZoomTool(), PanTool(), ResetTool(), SaveTool()]


def _selecting(made: Any) -> Any:
    """Select by a box unless another tool is chosen; zoom by the wheel only where that is chosen."""
    made.toolbar.active_drag = next(t for t in made.toolbar.tools if isinstance(t, BoxSelectTool))
    made.toolbar.active_scroll = None
    return made


def _boxes() -> list[Any]:
    return [BoxSelectTool(persistent=False), LassoSelectTool(persistent=False, continuous=False)]


def _source(name: str, **columns: Any) -> ColumnDataSource:
    return ColumnDataSource(data={k: v for k, v in (columns or _NOTHING).items()}, name=name)


def _mapper(name: str) -> LinearColorMapper:
    return LinearColorMapper(palette=palette(style.QUANTITY), low=0, high=1, nan_color="#d4d4d4", name=name)


def _bar(mapper: LinearColorMapper, name: str) -> ColorBar:
    bar = ColorBar(
        color_mapper=mapper, ticker=BasicTicker(desired_num_ticks=5), width=10, name=name, padding=4,
        major_label_text_color=style.INK,
    )  # fmt: skip
    return bar


def _marks(made: Any, place: str) -> None:
    """The signal that is shown, and the one under the pointer."""
    made.scatter("x", "y", source=_source(f"{place}-hover"), size=13, marker="circle", fill_alpha=0,
                 line_color=style.GREY, line_width=2)  # fmt: skip
    here = _source(f"{place}-here")
    for colour, width in (("#ffffff", 4), (style.VERMILLION, 2)):
        made.scatter("x", "y", source=here, size=15, marker="circle", fill_alpha=0, line_color=colour,
                     line_width=width)  # fmt: skip


def _map(look: Look) -> Any:
    rows, columns = look.results.sides
    x, y = _edges(columns.values), _edges(rows.values)
    alike = rows.label.partition("(")[2] == columns.label.partition("(")[2]
    made = _figure(
        "places", "map", columns.label, rows.label, _tools(*_boxes()), x_range=x, y_range=y,
        match_aspect=alike,
    )  # fmt: skip
    made.grid.visible, made.height = False, 2 * HALF + 32
    mapper = _mapper("places-colours")
    low, size = (min(x), min(y)), (abs(x[1] - x[0]), abs(y[1] - y[0]))
    whole = {"x": [low[0]], "y": [low[1]], "dw": [size[0]], "dh": [size[1]]}
    empty = np.zeros((1, 1), dtype=np.float32)
    made.image("image", source=_source("places-image", image=[empty], **whole), x="x", y="y", dw="dw",
               dh="dh", color_mapper=mapper)  # fmt: skip
    mask = _source("places-mask", image=[np.zeros((1, 1), dtype=np.uint32)], **whole)
    made.image_rgba("image", source=mask, x="x", y="y", dw="dw", dh="dh")
    made.add_layout(_bar(mapper, "places-bar"), "right")
    _marks(made, "places")
    return _selecting(made)


def _edges(values: np.ndarray) -> tuple[float, float]:
    """Outer edges of the first and the last pixel."""
    half = (values[-1] - values[0]) / max(len(values) - 1, 1) / 2 or 0.5
    return float(values[0] - half), float(values[-1] + half)


def _sequence(look: Look) -> Any:
    made = _figure("places", "in their order", look.results.sides[0].label, "", _tools(*_boxes()))
    _cloud(made, "places", None)
    return _selecting(made)


def _plane(look: Look) -> Any:
    names = [*look.results.latents, "", ""]
    made = _figure("plane", "shape latents", names[0], names[1] or "", _tools(*_boxes()))
    mapper = _mapper("plane-colours")
    _cloud(made, "plane", mapper)
    made.add_layout(_bar(mapper, "plane-bar"), "right")
    return _selecting(made)


def _cloud(made: Any, place: str, mapper: LinearColorMapper | None) -> None:
    """Marks of signals, those that are selected on top."""
    colour: Any = style.BLUE if mapper is None else {"field": "c", "transform": mapper}
    made.scatter("x", "y", source=_source(f"{place}-points", x=[], y=[], c=[]), size=6, line_color=None,
                 fill_color=colour, fill_alpha=0.8)  # fmt: skip
    made.scatter("x", "y", source=_source(f"{place}-chosen"), size=8, fill_alpha=0,
                 line_color=style.VERMILLION, line_width=1.2)  # fmt: skip
    _marks(made, place)


def _histogram() -> Any:
    tool = BoxSelectTool(dimensions="width", persistent=False)
    made = _figure("histogram", "how often", "", "signals (count)", _tools(tool))
    bars: dict[str, Any] = {"left": [], "right": [], "top": []}
    made.quad(left="left", right="right", top="top", bottom=0, source=_source("histogram-all", **bars),
              fill_color=style.PALE, line_color=None, legend_label="all")  # fmt: skip
    made.quad(left="left", right="right", top="top", bottom=0, source=_source("histogram-chosen", **bars),
              fill_color=style.VERMILLION, line_color=None, legend_label="selected")  # fmt: skip
    made.y_range.start = 0
    _legend(made)
    return _selecting(made)


def _signal(look: Look) -> Any:
    """Raw, aligned, drawn; a band of one noise sd; the shift and its error bar along the axis."""
    made = _figure("signal", "signal", look.frame.sides[0].label, look.labels[0][1], _tools())
    band = _source("signal-band", x=[], low=[], high=[])
    made.varea("x", "low", "high", source=band, fill_color=style.ORANGE, fill_alpha=0.25,
               legend_label="noise, 1 sd")  # fmt: skip
    lines = (
        ("raw", "measured", style.BLUE, 1.4, 1),
        ("aligned", "at shift 0", style.GREEN, 1.2, 0.8),
    )
    for name, words, colour, width, alpha in lines:
        made.line("x", "y", source=_source(f"signal-{name}"), line_color=colour, line_width=width,
                  line_alpha=alpha, legend_label=words)  # fmt: skip
    made.line("x", "y", source=_source("signal-drawn"), line_color=style.VERMILLION, line_width=2,
              legend_label="reconstruction")  # fmt: skip
    bar = _source("signal-shift", x0=[], x1=[], x=[], y=[])
    made.segment("x0", "y", "x1", "y", source=bar, line_width=4, line_color=style.INK)
    made.scatter(
        "x", "y", source=bar, marker="dash", angle=1.5708, size=16, line_width=2, line_color=style.INK
    )
    _legend(made)
    made.toolbar.active_scroll, made.height = None, HALF + 40
    return made


def _residual(look: Look) -> Any:
    made = _figure("residual", "residual", look.frame.sides[0].label, "measured less drawn", _tools())
    made.height = HALF - 40
    made.varea("x", "low", "high", source=_source("residual-band", x=[], low=[], high=[]),
               fill_color=style.ORANGE, fill_alpha=0.25)  # fmt: skip
    made.line("x", "y", source=_source("residual-line"), line_color=style.INK, line_width=1)
    made.toolbar.active_scroll = None
    return made


def _decoded(look: Look) -> Any:
    made = _figure("decoded", "what the model draws", look.frame.sides[0].label, look.labels[0][1], _tools())
    made.line("x", "y", source=_source("decoded-line"), line_color=style.VERMILLION, line_width=2)
    made.toolbar.active_scroll = None
    return made


def _pad(look: Look) -> Any:
    """Latents to be dragged through: the first two, or one."""
    axes = look.decoder.axes if look.decoder else ()
    names = [look.results.column(n).label for n in look.results.latents]
    y = names[1] if len(axes) > 1 else ""
    made = _figure("pad", "drag to decode", names[0] if names else "z1", y, [])
    made.x_range.start, made.x_range.end = float(axes[0][0]), float(axes[0][-1])
    made.y_range.start, made.y_range.end = (
        (float(axes[1][0]), float(axes[1][-1])) if len(axes) > 1 else (-1, 1)
    )
    made.yaxis.visible = len(axes) > 1
    made.scatter("x", "y", source=_source("pad-points"), size=4, fill_color=style.GREY, fill_alpha=0.35,
                 line_color=None)  # fmt: skip
    made.scatter("x", "y", source=_source("pad-here"), size=15, marker="diamond", fill_color=style.VERMILLION,
                 line_color="#ffffff", line_width=2)  # fmt: skip
    return made


def _picture(look: Look, name: str) -> Any:
    """One image, its first row on top."""
    titles = {
        "raw": "measured", "aligned": "moved back to pose 0", "drawn": "reconstruction",
        "residual": "measured less drawn", "decoded": "what the model draws",
    }  # fmt: skip
    rows, columns = (len(s.values) for s in look.frame.sides)
    made = _figure(name, titles[name], "column (pixel)", "row (pixel)", [SaveTool()],
                   x_range=(-0.5, columns - 0.5), y_range=(rows - 0.5, -0.5), match_aspect=True)  # fmt: skip
    made.toolbar_location, made.axis.visible, made.sizing_mode = None, False, None
    side = WIDEST if name == "decoded" else SMALL
    made.frame_width, made.frame_height = (round(side * n / max(rows, columns)) for n in (columns, rows))
    made.min_border_right = 60  # room for the colours' numbers, which come later and may be long
    made.title.text_font_size = "12px"
    made.grid.visible = False
    mapper = LinearColorMapper(
        palette=palette(style.SIGNED if name == "residual" else style.INTENSITY),
        low=0,
        high=1,
        nan_color="#d4d4d4",
        name=f"{name}-colours",
    )
    source = _source(f"{name}-image", image=[np.zeros((1, 1), dtype=np.float32)], x=[-0.5], y=[-0.5],
                     dw=[columns], dh=[rows])  # fmt: skip
    made.image("image", source=source, x="x", y="y", dw="dw", dh="dh", color_mapper=mapper)
    made.add_layout(_bar(mapper, f"{name}-bar"), "right")
    return made


def _legend(made: Any) -> None:
    made.legend.click_policy = "hide"
    made.legend.location = "top_right"
    made.legend.label_text_font_size, made.legend.padding, made.legend.spacing = "11px", 4, 10
    made.legend.background_fill_alpha, made.legend.border_line_color = 0.7, None
    made.legend.orientation, made.legend.margin = "horizontal", 2
    made.add_layout(made.legend[0], "above")
