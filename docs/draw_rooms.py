"""Draws the floors of setup.cfg as docs/pictures/rooms.svg: `python docs/draw_rooms.py`."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAYS = {
    "assembly": "composition root",
    "backtest": "tried on archives",
    "board": "co-processor",
    "bridge": "the one door",
    "bundle": "verified",
    "cameras": "frames",
    "certificate": "what is signed",
    "checks": "one look",
    "cli": "the command",
    "commissioning": "doctor, check",
    "comparison": "run to run",
    "core": "what decides",
    "demo": "simulated line",
    "depot": "releases",
    "desk": "orders, rejectors",
    "engines": "inference",
    "extras": "not installed",
    "files": "read, replaced",
    "fleet": "what came",
    "health": "how it is doing",
    "html": "pages, charts",
    "inspect": "frame to verdict",
    "ledger": "kept for good",
    "line_file": "the format",
    "lines": "ports, adapters",
    "network": "bundle on engine",
    "overview": "all lines",
    "places": "what people say",
    "recordings": "record, replay",
    "reports": "page, paper",
    "review": "what people say",
    "run": "the service",
    "second_look": "contradictions",
    "serving": "servers beside it",
    "simulation": "rail from a seed",
    "store": "events",
    "swap": "another bundle",
    "telemetry": "Prometheus, MQTT",
    "web": "live page",
}
EDGE_X, EDGE_WIDTH = 20, 560
BRIDGE_X, BRIDGE_WIDTH = 640, 280
TOP, ROOM, GAP = 44, 40, 10
STYLE = (
    "rect{fill:#eef3f8;stroke:#5b7590}text{fill:#1d2b3a}.h{font-size:17px;font-weight:600}"
    ".n{font-size:13px;font-weight:600;text-anchor:middle}"
    ".s{font-size:11px;text-anchor:middle;fill:#4b5d70}.a{fill:none;stroke:#b4532a}"
)

Floors = list[list[str]]


def floors(contract: str) -> Floors:
    """From the top; rooms of one floor know nothing of each other."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    rows = settings[f"importlinter:contract:{contract}"]["layers"].strip().splitlines()
    return [[room.strip() for room in row.split("|")] for row in rows]


def middle(row: list[str], room: str, x: float, width: float) -> float:
    wide = (width - GAP * (len(row) - 1)) / len(row)
    return x + row.index(room) * (wide + GAP) + wide / 2


def house(name: str, rows: Floors, x: float, width: float) -> Iterator[str]:
    yield f'<text class="h" x="{x}" y="{TOP - 14}">{name}</text>'
    for number, row in enumerate(rows):
        y, wide = TOP + number * (ROOM + GAP), (width - GAP * (len(row) - 1)) / len(row)
        for room in row:
            at, says = middle(row, room, x, width), SAYS.get(room, "")
            yield (
                f'<rect x="{at - wide / 2:.0f}" y="{y}" width="{wide:.0f}" height="{ROOM}" rx="5"/>'
            )
            yield words("n", at, y + (18 if says else 25), room)
            if says:
                yield words("s", at, y + 33, says)


def words(kind: str, x: float, y: float, said: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y}">{escape(said)}</text>'


def door(rows: Floors) -> Iterator[str]:
    """The one arrow from house to house."""
    number = next(i for i, row in enumerate(rows) if "bridge" in row)
    x = middle(rows[number], "bridge", EDGE_X, EDGE_WIDTH)
    y, to = TOP + number * (ROOM + GAP) + ROOM, TOP + ROOM + GAP + ROOM / 2
    yield f'<path class="a" d="M{x:.0f} {y}v5H612V{to:.0f}H{BRIDGE_X - 3}" marker-end="url(#m)"/>'
    yield (
        '<defs><marker id="m" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="#b4532a"/></marker></defs>'
    )


def main() -> None:
    edge, bridge = floors("floors-of-edge"), floors("floors-of-the-bridge")
    height = TOP + max(len(edge), len(bridge)) * (ROOM + GAP) + 10
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" font-family="system-ui, sans-serif" '
        f'viewBox="0 0 940 {height}">',
        "<title>The rooms of edge and of the bridge: each stands on those below</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="940" height="{height}" style="fill:#fff;stroke:none"/>',
        *house("edge", edge, EDGE_X, EDGE_WIDTH),
        *house("firmware_bridge", bridge, BRIDGE_X, BRIDGE_WIDTH),
        *door(edge),
        "</svg>",
    ]
    path = ROOT / "docs" / "pictures" / "rooms.svg"
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
