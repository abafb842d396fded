"""The picture of the documentation, an SVG: when a message that stays pending is requested."""

import itertools
import math
from typing import Final

from smsc_async._watching.curve import EDGES, Curve, edge_near
from smsc_async._watching.worth import Worth

WIDTH: Final = 860
TOP: Final = 44  # of a panel
HEIGHT: Final = 150  # of its plot
PANEL: Final = 250
LEFT: Final = 60
FIRST_AGE: Final = 1.0
LAST_AGE: Final = 3600.0
MOST_DELAY: Final = 4.0
LIMIT: Final = (5, 61.2)
WORTH: Final = Worth(2.7, by_age=True, spread=LIMIT)
MARKS: Final = {1: "1 s", 3: "3 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h"}
STYLE: Final = """
  text { font: 13px sans-serif; fill: #444 } .title { font-size: 15px; fill: #111 }
  .pending { fill: none; stroke: #1f77b4; stroke-width: 2 } .delay { fill: #ff7f0e44; stroke: #ff7f0e }
  .worth { fill: none; stroke: #d62728; stroke-dasharray: 5 4 } .axis { stroke: #bbb } .request { fill: #111 }
  svg { background: #fff }
"""


def x_of(age: float) -> float:
    """Return the place of an age on the logarithmic axis."""
    part = math.log(max(age, FIRST_AGE) / FIRST_AGE) / math.log(LAST_AGE / FIRST_AGE)
    return LEFT + part * (WIDTH - LEFT - 20)


def requests(curve: Curve) -> list[float]:
    """Return the ages at which a message that stays pending is requested, with the limit, and one left to others."""
    waits, ages = curve.waits(WORTH), [0.0]
    while ages[-1] < LAST_AGE:
        age = ages[-1]
        ages.append(age + waits[edge_near(age) if age else 0])
        most = LIMIT[0] - 1
        if len(ages) > most + 1 and ages[-1 - most] < LIMIT[1]:
            ages[-1] = max(ages[-1], ages[-1 - most] + LIMIT[1])
    return ages


def line(points: list[tuple[float, float]], kind: str) -> str:
    """Return a polyline."""
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def saw(curve: Curve, ages: list[float], bottom: float) -> list[tuple[float, float]]:
    """Return the expected delay since the last request, as points; it is 0 again after each request."""
    points: list[tuple[float, float]] = []
    for start, end in itertools.pairwise(ages):
        edge, delay, steps = (edge_near(start) if start else 0), 0.0, 5
        points.append((x_of(start), bottom))
        for step in range(1, steps + 1):
            age = start + (end - start) * (step - 0.5) / steps
            delay += (end - start) / steps * curve.chance(edge, max(age, EDGES[edge]))
            height = min(delay / MOST_DELAY, 1.0) * HEIGHT
            points.append((x_of(start + (end - start) * step / steps), bottom - height))
        points.append((x_of(end), bottom))
    return points


def panel(name: str, curve: Curve, top: float) -> list[str]:
    """Return the elements of one curve."""
    bottom, ages = top + HEIGHT, requests(curve)
    grid = [FIRST_AGE * (LAST_AGE / FIRST_AGE) ** (number / 200) for number in range(201)]
    early, more = (sum(0 < age <= last for age in ages) for last in (60, 3600))
    title = f"{name}: {early} requests in the first minute and {more} in the first hour of a message that stays pending"
    parts = [
        f'<text class="title" x="{LEFT}" y="{top - 14}">{title}</text>',
        f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - 20}" y2="{bottom}"/>',
        line(saw(curve, ages, bottom), "delay"),
        line([(x_of(age), bottom - min(WORTH.at(age) / MOST_DELAY, 1) * HEIGHT) for age in grid], "worth"),
        line([(x_of(age), bottom - (1 - curve.chance(0, age)) * HEIGHT) for age in grid], "pending"),
        f'<text x="8" y="{top + 12}">100 %</text><text x="22" y="{bottom}">0 %</text>',
    ]
    dots = [x_of(age) for age in ages[1:] if age < LAST_AGE]
    parts += [f'<circle class="request" cx="{x:.1f}" cy="{bottom}" r="3"/>' for x in dots]
    parts += [f'<text x="{x_of(age) - 12:.0f}" y="{bottom + 20}">{mark}</text>' for age, mark in MARKS.items()]
    return parts


def draw(curves: dict[str, Curve]) -> str:
    """Return the picture, with a panel for each curve."""
    height = PANEL * len(curves) + 58
    parts = [
        part for number, (name, curve) in enumerate(curves.items()) for part in panel(name, curve, TOP + number * PANEL)
    ]
    legend = [
        ("#1f77b4", "share of messages pending at this age"),
        ("#ff7f0e", "expected delay since the last request (0 to 4 s)"),
        ("#d62728", "what a request is worth"),
        ("#111", "request"),
    ]
    for number, (colour, words) in enumerate(legend):
        x, y = LEFT + number % 2 * 340, height - 30 + number // 2 * 20
        parts.append(f'<rect x="{x}" y="{y - 11}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 17}" y="{y}">{words}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    title = "<title>When the status of a message that stays pending is requested</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", *parts, "</svg>", ""])
