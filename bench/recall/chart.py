"""One chart: hit@5 by kind of question, a bar for each variant, and a line where the goal is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

_WIDTH: Final = 760
_LEFT, _RIGHT, _TOP = 150, 60, 56
_BAR, _BETWEEN_BARS, _BETWEEN_KINDS = 12, 2, 12
_COLOURS: Final = ("#8c959f", "#1f6feb", "#2da44e")
_TEXT, _GOAL, _PAPER = "#1f2328", "#cf222e", "#ffffff"


def draw(
    title: str, kinds: Sequence[str], values: Mapping[str, Mapping[str, float]], goals: Mapping[str, float]
) -> str:
    """An SVG of *values*, by variant and kind, from 0 to 1, with *goals* by kind."""
    group = len(values) * (_BAR + _BETWEEN_BARS) + _BETWEEN_KINDS
    height = _TOP + group * len(kinds) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="{_PAPER}"/>',
        f'<g font-family="system-ui, sans-serif" font-size="13" fill="{_TEXT}">',
        f'<text x="16" y="24" font-weight="600">{escape(title)}</text>',
        *_legend(list(values)),
    ]
    for number, kind in enumerate(kinds):
        lines += _kind(kind, _TOP + number * group, values, goals.get(kind))
    return "\n".join([*lines, "</g>", "</svg>"]) + "\n"


def _legend(variants: Sequence[str]) -> list[str]:
    lines, x = [], _LEFT
    for variant, colour in zip(variants, _COLOURS, strict=False):
        lines.append(f'<rect x="{x}" y="36" width="10" height="10" fill="{colour}"/>')
        lines.append(f'<text x="{x + 15}" y="45" font-size="12">{escape(variant)}</text>')
        x += 40 + 8 * len(variant)
    lines.append(f'<path d="M{x} 36v10" stroke="{_GOAL}" stroke-width="2"/>')
    return [*lines, f'<text x="{x + 8}" y="45" font-size="12">goal of [semantic]</text>']


def _kind(kind: str, top: int, values: Mapping[str, Mapping[str, float]], goal: float | None) -> list[str]:
    bars = len(values) * (_BAR + _BETWEEN_BARS)
    lines = [f'<text x="{_LEFT - 10}" y="{top + bars / 2 + 3:g}" text-anchor="end">{escape(kind)}</text>']
    for at, (by_kind, colour) in enumerate(zip(values.values(), _COLOURS, strict=False)):
        y, width = top + at * (_BAR + _BETWEEN_BARS), _scaled(by_kind.get(kind, 0.0))
        lines.append(f'<rect x="{_LEFT}" y="{y}" width="{max(width, 1):g}" height="{_BAR}" fill="{colour}"/>')
        lines.append(f'<text x="{_LEFT + width + 6:g}" y="{y + 10}" font-size="11">{by_kind.get(kind, 0.0):.2f}</text>')
    if goal is not None:
        lines.append(f'<path d="M{_LEFT + _scaled(goal):g} {top - 2}v{bars + 2}" stroke="{_GOAL}" stroke-width="2"/>')
    return lines


def _scaled(value: float) -> float:
    return round(value * (_WIDTH - _LEFT - _RIGHT), 1)
