"""The table: what was measured, beside what was promised for it (bar) and hoped for (goal)."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import endings
from .statistic import added, by_round, plainly, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .statistic import Figure

SIDES = ("server", "client")
HEADER = "header"
_THIRD, _FIFTH, _SIXTH = 1 / 3, 1 / 5, 1 / 6
_NOISY = "too noisy"
_BEGIN, _END = "<!-- table: written by `make bench` -->", "<!-- end of table -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One line. *verdict*: goal, bar, missed, or "" where nothing was promised."""

    what: str
    plain: str
    noise: str
    contrib: str
    ours: str
    bar: str = ""
    goal: str = ""
    verdict: str = ""


def verdict(worst: float, bar: float, goal: float, noise: float = 0.0) -> str:
    """Return what *worst* (less is better) reaches; nothing where *noise* alone is more than the bar allows, lest chance be told as success."""
    if noise > abs(bar):
        return _NOISY
    return "goal" if worst <= goal else "bar" if worst <= bar else "**missed**"


def _noise(by_variant: dict[str, Figure]) -> float:
    """Return how far two equal things were apart, or how far our figure may be off, whichever is more."""
    return max(abs(by_variant["A/A"].value), by_variant["ours on"].spread)


def rows(figures: dict[str, Any]) -> list[Row]:
    """Return all lines that *figures* has something for."""
    found: list[Row] = []
    if "startup" in figures:
        found += _startup(figures["startup"])
    for style in ("sync", "aio"):
        if f"unary-{style}" in figures:
            found += _unary(style, figures[f"unary-{style}"]["cells"])
    for style in ("sync", "aio"):
        if f"stream-{style}" in figures:
            found.append(_stream(style, figures[f"stream-{style}"]["cells"]["stream c=1"]))
    for style in ("sync", "aio"):
        if f"unary-{style}" in figures:
            found += _held(style, figures[f"unary-{style}"])
    if "endings" in figures:
        found += _endings(figures["endings"])
    return found


def _startup(by_code: dict[str, Any]) -> Iterator[Row]:
    for code, by_variant in by_code.items():
        nothing = code == "pass"
        bar, goal = (3, 1.5) if nothing else (40, 25)
        rounds = {name: by_round({"wall": found["wall"], "cpu": found["cpu"]}) for name, found in by_variant.items()}
        wall = {name: added(rounds, name, "wall") for name in rounds}
        cpu = {name: added(rounds, name, "cpu") for name in rounds}
        yield Row(
            "start-up added, no grpc" if nothing else f"start-up added, `{code}`",
            f"{plainly(rounds, 'wall'):.0f} ms",
            wall["A/A"].text("ms", 1),
            f"{wall['contrib on'].text('ms', 1)} (CPU {cpu['contrib on'].value:+.1f})",
            f"{wall['ours on'].text('ms', 1)} (CPU {cpu['ours on'].value:+.1f})",
            f"≤ {bar} ms",
            f"≤ {goal} ms",
            verdict(wall["ours on"].value, bar, goal, _noise(wall)),
        )
    for code, by_variant in by_code.items():
        if by_variant["plain"]["holds"]:
            yield _holds(code, {name: found["holds"] for name, found in by_variant.items()})


def _holds(code: str, by_variant: dict[str, Any]) -> Row:
    nothing = code == "pass"
    memory = {name: added(by_variant, name, "most").value / 1024 for name in by_variant}
    extra = {
        name: [max(added(by_variant, name, key).value, 0) for key in ("threads", "sockets")] for name in by_variant
    }

    def told(name: str) -> str:
        threads, sockets = extra[name]
        return f"{memory[name]:+.1f} MiB, {threads:.0f} threads, {sockets:.0f} sockets"

    return Row(
        "memory added, no grpc" if nothing else f"memory added, `{code}`",
        f"{plainly(by_variant, 'most') / 1024:.1f} MiB",
        told("A/A"),
        told("contrib on"),
        told("ours on"),
        "no thread, no socket" if nothing else "≤ 5 MiB",
        "" if nothing else "≤ 3 MiB",
        verdict(sum(extra["ours on"]), 0, 0) if nothing else verdict(memory["ours on"], 5, 3),
    )


def both(by_variant: dict[str, Any], name: str) -> tuple[Figure, Figure]:
    """Return the added CPU µs per call of server and client."""
    server, client = (added(by_variant, name, side) for side in SIDES)
    return server, client


def _unary(style: str, cells: dict[str, Any]) -> Iterator[Row]:
    for load, by_variant in cells.items():
        for sampler in ("on", "0.1", "off"):
            yield _cpu(f"{style} {load}", by_variant, sampler)
        if HEADER in by_variant:
            sent = both(by_variant, HEADER)
            yield Row(
                f"{style} {load}: the header alone, sent by the application itself",
                " / ".join(f"{found.value:+.0f} ± {found.spread:.0f}" for found in sent) + " µs",
                "",
                "",
                "",
            )
        alone = both(by_variant, "ours on, no metrics")
        yield Row(
            f"{style} {load}: the same with traces only, on",
            "",
            "",
            "",
            " / ".join(f"{found.value:+.0f} ± {found.spread:.0f}" for found in alone) + " µs",
        )
    for load, by_variant in cells.items():
        bar, goal = (0.85, 0.92) if load.endswith("=1") else (0.80, 0.90)
        part = {name: ratio(by_variant, name, "rate") for name in by_variant}
        yield Row(
            f"{style} {load}: throughput against plain, sampled",
            f"{plainly(by_variant, 'rate'):.0f}/s",
            *(f"{part[name].value:.3f} ± {part[name].spread:.3f}" for name in ("A/A", "contrib on", "ours on")),
            f"≥ {bar:.2f}",
            f"≥ {goal:.2f}",
            verdict(
                1 - part["ours on"].value,
                1 - bar,
                1 - goal,
                max(abs(1 - part["A/A"].value), part["ours on"].spread),
            ),
        )
    by_variant = cells["unary c=8"]
    late = {name: added(by_variant, name, "p99") for name in by_variant}
    yield Row(
        f"{style} unary c=8: added p99, sampled",
        f"{plainly(by_variant, 'p99') / 1e3:.1f} ms",
        *(
            f"{late[name].value / 1e3:+.1f} ± {late[name].spread / 1e3:.1f} ms"
            for name in ("A/A", "contrib on", "ours on")
        ),
        "≤ 2 ms",
        "≤ 0.5 ms",
        verdict(late["ours on"].value / 1e3, 2, 0.5, _noise(late) / 1e3),
    )


def _cpu(what: str, by_variant: dict[str, Any], sampler: str) -> Row:
    contrib, ours = both(by_variant, f"contrib {sampler}"), both(by_variant, f"ours {sampler}")
    parts = [mine.value / theirs.value if theirs.value > 0 else 1.0 for mine, theirs in zip(ours, contrib, strict=True)]
    goal = _FIFTH if sampler == "on" else _SIXTH
    return Row(
        f"{what}: added CPU per call, server / client, {sampler}",
        " / ".join(f"{plainly(by_variant, side):.0f}" for side in SIDES) + " µs",
        " / ".join(f"{found.value:+.0f}" for found in both(by_variant, "A/A")) + " µs",
        " / ".join(f"{found.value:+.0f} ± {found.spread:.0f}" for found in contrib) + " µs",
        " / ".join(f"{found.value:+.0f} ± {found.spread:.0f}" for found in ours)
        + f" µs ({parts[0]:.2f} / {parts[1]:.2f})",
        "≤ 1/3 of contrib",
        "≤ 1/5" if sampler == "on" else "≤ 1/6",
        verdict(
            max(parts),
            _THIRD,
            goal,
            max(
                mine.spread / theirs.value if theirs.value > 0 else 1
                for mine, theirs in zip(ours, contrib, strict=True)
            ),
        ),
    )


def _stream(style: str, by_variant: dict[str, Any]) -> Row:
    each = {name: [found.value / 1e3 for found in both(by_variant, name)] for name in by_variant}
    noise = max(_noise({name: both(by_variant, name)[at] for name in ("A/A", "ours on")}) for at in (0, 1)) / 1e3
    return Row(
        f"{style} stream of 1,000: added CPU per message, server / client, sampled",
        " / ".join(f"{plainly(by_variant, side) / 1e3:.1f}" for side in SIDES) + " µs",
        *(" / ".join(f"{found:+.2f}" for found in each[name]) + " µs" for name in ("A/A", "contrib on", "ours on")),
        "≤ 1 µs",
        "≤ 0.3 µs",
        verdict(max(each["ours on"]), 1, 0.3, noise),
    )


def _held(style: str, found: dict[str, Any]) -> Iterator[Row]:
    for when, by_variant in found["resident"].items():

        def told(name: str, by_variant: dict[str, Any] = by_variant) -> str:
            return " / ".join(f"{added(by_variant, name, side).value / 1024:+.1f}" for side in SIDES) + " MiB"

        yield Row(
            f"{style}: resident memory added, server / client, {when}",
            " / ".join(f"{plainly(by_variant, side) / 1024:.0f}" for side in SIDES) + " MiB",
            *(told(name) for name in ("A/A", "contrib on", "ours on")),
        )
    cells = list(found["cells"].values())

    def lost(name: str) -> str:
        sent = sum(cell["spans"] for by_variant in cells for cell in by_variant[name])
        gone = sum(cell["lost"] for by_variant in cells for cell in by_variant[name])
        return f"{gone} of {sent + gone}"

    yield Row(f"{style} unary: spans lost under load", "", "", lost("contrib on"), lost("ours on"))


def _endings(found: dict[str, Any]) -> Iterator[Row]:
    for what, how in (("refused", "refusing connections"), ("silent", "connecting, never answering")):
        worst = {name: max(seconds) for name, seconds in found[what].items()}
        yield Row(
            f"exit, Collector {how} (longest)",
            *(f"{worst[name]:.2f} s" for name in ("plain", "A/A", "contrib on", "ours on")),
            "≤ 1 s",
            "",
            verdict(worst["ours on"], 1, 1),
        )
    lost = {name: max(endings.CALLS - spans for spans, _ in told) for name, told in found["sigterm"].items()}
    dead = statistics.mode(status for _, status in found["sigterm"]["plain"])
    same = all(status == dead for name in ("ours on", "contrib on") for _, status in found["sigterm"][name])
    yield Row(
        f"SIGTERM: spans lost of {endings.CALLS}" + ("" if same else ", and another exit status"),
        "",
        "",
        str(lost["contrib on"]),
        str(lost["ours on"]),
        "0",
        "",
        verdict(lost["ours on"] + (not same), 0, 0),
    )


def markdown(figures: dict[str, Any], table: list[Row]) -> str:
    """Return the table with what it was measured on."""
    others = figures["others"]
    head = [
        f"{figures['date']}, {figures['versions']}. {figures['machine']}; {figures['rounds']} rounds of {figures['seconds']:g} s."
        + ("" if others is None else f" Other processes took {others:.0%} of the CPUs (median)."),
        "",
        "| what | plain | A/A (noise) | contrib | ours | bar | goal | reached |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines = [
        f"| {row.what} | {row.plain} | {row.noise} | {row.contrib} | {row.ours} | {row.bar} | {row.goal} | {row.verdict} |"
        for row in table
    ]
    noisy = sum(row.verdict == _NOISY for row in table)
    judged = [row.verdict for row in table if row.verdict not in {"", _NOISY}]
    missed = sum("missed" in reached for reached in judged)
    return "\n".join(
        [
            *head,
            *lines,
            "",
            f"{len(judged) - missed} of {len(judged)} bars met"
            + (f"; {noisy} rows too noisy to tell." if noisy else "."),
        ]
    )


def put_into(readme: Path, text: str) -> None:
    """Replace the table in *readme*."""
    before, _, rest = readme.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    readme.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}")
