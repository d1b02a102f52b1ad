#!/usr/bin/env python3
"""Draws benches/plot.svg from figures of `cargo bench --bench scenarios`: how long an intake takes, over the joiners and over
the messages at a time.

    benches/plot.py target/benches/scenarios.json [BEFORE.json]
"""

import json
import math
import re
import sys
from pathlib import Path

SVG = Path(__file__).with_name("plot.svg")
WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 58, 46
# Text and lines follow the reader's colour scheme; the lines differ in form too.
STYLE = """
  svg { background: #fff }
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 13px }
  .grid { stroke: #d0d7de }
  .now { stroke: #0969da; fill: none; stroke-width: 2.5 }
  .before { stroke: #bc4c00; fill: none; stroke-width: 2; stroke-dasharray: 6 4 }
  .bound { stroke: #57606a; fill: none; stroke-width: 1.5; stroke-dasharray: 2 3 }
  .dot { stroke: none !important }
  .dot.now { fill: #0969da } .dot.before { fill: #bc4c00 } .dot.bound { fill: none }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117 }
    text { fill: #e6edf3 }
    .grid { stroke: #30363d }
    .now { stroke: #58a6ff } .dot.now { fill: #58a6ff }
    .before { stroke: #f0883e } .dot.before { fill: #f0883e }
    .bound { stroke: #8b949e }
  }
"""


def points(figures, scenario, parameter, figure, scale=1.0):
    """(parameter, figure) of each row of a scenario."""
    found = []
    for key, row in figures.items():
        if key.startswith(scenario + ","):
            at = float(re.search(rf", ([\d.]+) {re.escape(parameter)}(,|$)", key)[1])
            found.append((at, row[figure] * scale))
    return sorted(found)


def ticks(most):
    """Round numbers up to at least `most`."""
    size = 10 ** math.floor(math.log10(most or 1))
    step = next(size * factor for factor in (0.2, 0.5, 1, 2) if most / (size * factor) <= 6)
    return [step * number for number in range(math.ceil(most / step) + 1)]


def panel(left, title, x_label, y_label, lines, logarithmic):
    """The elements of one diagram: `lines` are (class, name, points)."""
    xs = [x for _, _, line in lines for x, _ in line]
    ys = [y for _, _, line in lines for _, y in line]
    y_ticks = ticks(max(ys))
    x_least, x_most, y_most = (min(xs) if logarithmic else 0), max(xs), y_ticks[-1]

    def place(x, y):
        share = math.log(x / x_least) / math.log(x_most / x_least) if logarithmic else x / x_most
        inner = WIDTH - LEFT - RIGHT
        return left + LEFT + share * inner, HEIGHT - BOTTOM - y / y_most * (HEIGHT - TOP - BOTTOM)

    yield f'<text class="title" x="{left + LEFT}" y="20">{title}</text>'
    for tick in y_ticks:
        x, y = place(x_least or 0, tick)
        yield f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{left + WIDTH - RIGHT}" y2="{y:.1f}"/>'
        yield f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
    for tick in sorted(set(xs)) if logarithmic else ticks(x_most):
        x, y = place(tick, 0)
        yield f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{tick:g}</text>'
    middle = left + LEFT + (WIDTH - LEFT - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{x_label}</text>'
    at = f"{left + 14},{TOP + (HEIGHT - TOP - BOTTOM) / 2}"
    yield f'<text transform="translate({at}) rotate(-90)" text-anchor="middle">{y_label}</text>'
    legend = left + LEFT
    for kind, name, line in lines:
        places = [place(*point) for point in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline class="{kind}" points="{path}"/>'
        yield from (f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places)
        yield f'<line class="{kind}" x1="{legend}" y1="38" x2="{legend + 26}" y2="38"/>'
        yield f'<text x="{legend + 32}" y="42">{name}</text>'
        legend += 48 + 7 * len(name)


def main():
    runs = [json.loads(Path(name).read_text()) for name in sys.argv[1:3]]
    kinds = [("now", "now" if len(runs) > 1 else "measured"), ("before", "before")]
    # The bound is the same in all runs.
    bound = [("bound", "the mailbox's limit")]

    def lines(scenario, parameter, scale):
        for (kind, name), run in zip(kinds, runs):
            yield kind, name, points(run, scenario, parameter, "elapsed s", scale)
        yield *bound[0], points(runs[0], scenario, parameter, "bound s", scale)

    joiners = list(lines("curve: joiners", "joiners", 1 / 60))
    at_once = list(lines("curve: at once", "at once", 1 / 60))
    count = int(re.search(r"curve: at once, (\d+) joiners", next(k for k in runs[0] if k.startswith("curve: at once")))[1])
    elements = [
        *panel(0, "30 mails a minute, 6 jobs at once", "joiners", "minutes to the last mail", joiners, False),
        *panel(WIDTH, f"{count} joiners, 30 mails a minute", "jobs at once", "minutes to the last mail", at_once, True),
    ]
    size = f'width="{2 * WIDTH}" height="{HEIGHT}" viewBox="0 0 {2 * WIDTH} {HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Minutes that an intake takes">'
    SVG.write_text("\n".join([head, f"<style>{STYLE}</style>", *elements, "</svg>"]) + "\n")


main()
