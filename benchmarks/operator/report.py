"""From raw figures to the table and the plot's panels; the table says what met its bar and what did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .proxy import writes

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = "<!-- operator: written by `make bench-operator` -->"
END = "<!-- end of operator -->"


def markdown(figures: dict[str, Any]) -> str:
    """Return both tables with what they were measured on."""
    sizes = figures["sizes"]
    last = sizes[list(sizes)[-1]]
    head = (
        f"{figures['date']}, Python {figures['python']}. {figures['machine']}; load average {figures['load']:.1f} before "
        f"and {figures['load_after']:.1f} after, of which the API server and etcd of the run are a part."
    )
    parts = [
        "![growth with the number of Deployments](results/operator.png)",
        "",
        head,
        "",
        *bars(last),
        "",
        *growth(sizes),
        "",
        *asked(last),
    ]
    return "\n".join(parts)


def bars(last: dict[str, Any]) -> list[str]:
    """Return the table of what was asked for."""
    again, crowd, steady, latency = last["again"], last["crowd"], last["steady"], last["latency"]
    size = f"{last['deployments']:,} Deployments"
    reads = crowd["requests"].get("GET deployments", 0) / crowd["size"]
    patches = crowd["requests"].get("PATCH deployments", 0)
    rolling, relist = last["rolling"], last["relist"]
    rows = [
        (f"{size}: RSS when synced", f"{again['rss']:.0f} MB", "≤ 150 MB", "≤ 110 MB", level(again["rss"], 150, 110)),
        (f"{size}: CPU to synced", f"{again['cpu']:.2f} s", "≤ 6 s", "≤ 3 s", level(again["cpu"], 6, 3)),
        (
            "patches per instrumented Deployment",
            f"{patches} for {crowd['once']}, each once",
            "exactly 1",
            "",
            level(abs(patches - crowd["size"]) + crowd["size"] - crowd["once"], 0, 0),
        ),
        (
            "reads per Deployment before the patch",
            f"{reads:g}",
            "≤ 1",
            "0",
            level(reads, 1, 0),
        ),
        (f"writes in {steady['seconds']:.0f} s of rest", f"{steady['writes']}", "0", "", level(steady["writes"], 0, 0)),
        ("share of a core at rest", f"{steady['core']:.2%}", "≤ 0.5 %", "", level(steady["core"], 0.005, 0.005)),
        (
            f"`kubectl apply` → last of {crowd['size']:,} patched",
            "not finished" if crowd["seconds"] is None else f"{crowd['seconds']:.1f} s ({crowd['rate']:.0f}/s)",
            "≤ 20 s",
            "≤ 8 s",
            level(crowd["seconds"] or 1e9, 20, 8),
        ),
        (
            f"creation → patch at {size}, p50 / p99 of {len(latency['samples'])}",
            f"{latency['p50']:.0f} / {latency['p99']:.0f} ms",
            "p99 ≤ 1 s",
            "≤ 200 ms",
            level(latency["p99"], 1000, 200),
        ),
        (
            "a change of all 100 GrpcTracings",
            f"{rolling['once']} of {rolling['workloads']} patched once more, in {rolling['seconds']:.1f} s",
            "each once",
            "",
            level(rolling["workloads"] - rolling["once"], 0, 0),
        ),
        (
            f"{relist['cut']} watches cut and expired",
            f"{relist['cpu']:.1f} s of CPU, {relist['writes']} writes, peak {relist['peak']:.0f} MB",
            "0 writes",
            "",
            level(relist["writes"], 0, 0),
        ),
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return ["| what | measured | bar | goal | reached |", "|---|---|---|---|---|", *lines]


def level(value: float, bar: float, goal: float) -> str:
    """Return what was reached."""
    if value <= goal:
        return "goal"
    return "bar" if value <= bar else "**missed**"


def growth(sizes: dict[str, Any]) -> list[str]:
    """Return how it grows, beside kopf's handlers."""
    lines = [
        "| Deployments | start to synced | CPU | RSS (peak) | creation → patch p50 / p99 | at rest | kopf's handlers: start to seen all | CPU | RSS |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sizes.values():
        again, kopf, latency = row["again"], row["kopf"], row["latency"]
        there = "**not finished**" if kopf["seconds"] is None else f"{kopf['seconds']:.1f} s"
        lines.append(
            f"| {row['deployments']:,} | {again['seconds']:.1f} s | {again['cpu']:.2f} s | {again['rss']:.0f} ({again['peak']:.0f}) MB "
            f"| {latency['p50']:.0f} / {latency['p99']:.0f} ms | {row['steady']['core']:.2%} of a core "
            f"| {there} | {kopf['cpu']:.1f} s | {kopf['rss']:.0f} MB |"
        )
    return lines


def asked(last: dict[str, Any]) -> list[str]:
    """Return what was asked of the API server."""
    rows = {
        "start to synced": last["again"]["requests"],
        f"`kubectl apply` to the end, {last['crowd']['size']:,} Deployments": last["crowd"]["requests"],
        "at rest": last["steady"]["requests"],
        "watches cut and expired": last["relist"]["requests"],
        "kopf's handlers, start to seen all": last["kopf"]["requests"],
    }
    lines = [f"| {what} | {by_verb(found)} | {writes(found)} |" for what, found in rows.items()]
    return ["| requests to the API server | by verb | of these writes |", "|---|---|---|", *lines]


def by_verb(found: dict[str, int]) -> str:
    """Return requests by verb; PATCH with its kinds, for these are what counts."""
    total: dict[str, int] = {}
    for what, number in found.items():
        verb = what if what.startswith("PATCH") else what.split()[0]
        total[verb] = total.get(verb, 0) + number
    return ", ".join(f"{number} {what}" for what, number in total.items()) or "none"


def panels(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the plot's panels: points of (Deployments, figure); what kopf's handlers did not finish has no point."""
    rows = list(figures["sizes"].values())

    def panel(title: str, unit: str, what: str, bar: float | None) -> dict[str, Any]:
        mine = [(row["deployments"], row["again"][what]) for row in rows]
        theirs = [(row["deployments"], row["kopf"][what]) for row in rows if row["kopf"]["seconds"] is not None]
        return {"title": title, "unit": unit, "bar": bar, "series": {"ours": mine, "kopf's handlers": theirs}}

    waiting = [(row["deployments"], row["latency"]["p99"]) for row in rows]
    return [
        panel("start to synced", "s", "seconds", None),
        panel("CPU to synced", "s", "cpu", 6),
        panel("RSS when synced", "MB", "rss", 150),
        {"title": "creation → patch, p99", "unit": "ms", "bar": 1000, "series": {"ours": waiting}},
    ]


def put_into(readme: Path, text: str) -> None:
    """Replace what is between our markers; the rest of the page is others'."""
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
