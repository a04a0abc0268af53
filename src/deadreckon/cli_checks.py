"""The commands that check: the instruments, the machine, a server. Nothing heavy is imported until one runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")]
Workers = Annotated[int, typer.Option(help="Processes. Changes no byte of the result.")]
Terms = Annotated[
    str,
    typer.Option(help="Limits at a server: concurrency=8,cap_tokens=1000000,price_in=0.15,price_out=0.6,cap_cost=2."),
]


class Validation(StrEnum):
    """How much of the validation runs."""

    QUICK = "quick"
    CHANGE = "change"
    RELEASE = "release"


def validate(
    out: Out = Path("validation"),
    size: Annotated[
        Validation, typer.Option(help="quick: a cell a law; change: every cell; release: as often as the rule asks.")
    ] = Validation.QUICK,
    topic: Annotated[str | None, typer.Option(help="One planted law alone, e.g. geometric.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the replicates.")] = 0,
    workers: Workers = 2,
    minutes: Annotated[float, typer.Option(help="Stop after so long; the same command goes on.")] = float("inf"),
    adopt: Annotated[
        bool, typer.Option(help="Take over counts of other code where the first 200 are the same.")
    ] = False,
) -> None:
    """Measure the instrument on itself: coverage, size, bias, golden numbers, planted bugs. Exit code 1: one fails."""
    from deadreckon.rollouts.progress import progress_bar
    from deadreckon.validation.page import summary
    from deadreckon.validation.runner import Order
    from deadreckon.validation.validate import expect
    from deadreckon.validation.validate import validate as run

    warn(expect(size.value, topic, workers))
    with progress_bar("replicates") as tell:
        report = run(out, Order(size.value, topic, seed, minutes, adopt), workers=workers, progress=tell)
    typer.echo(f"{summary(report)}\n{out / 'validation.md'}")
    if report.failures:
        raise typer.Exit(1)


def bench(
    quick: Annotated[bool, typer.Option(help="One size alone: under a minute.")] = False,
    runs: Annotated[int, typer.Option(help="Interleaved runs; figures are their medians.")] = 5,
    baseline: Annotated[Path | None, typer.Option(help="Kept ratios: exit code 1 if one is 15% below.")] = None,
    keep: Annotated[bool, typer.Option(help="Write this machine's ratios to the baseline instead.")] = False,
) -> None:
    """Measure the decoding engines on this machine: JSON of speeds, shares of its matmul peak, ratios to torch."""
    from deadreckon import bench as measured

    figures = measured.measure(measured.QUICK if quick else tuple(measured.SIZES), runs)
    typer.echo(measured.as_json(figures))
    if baseline and keep:
        measured.keep(figures, baseline)
    elif baseline and (lines := measured.lost(figures, baseline)):
        warn("; ".join(lines))
        raise typer.Exit(1)


def doctor(
    url: Annotated[
        str,
        typer.Argument(help="Base URL of an OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1, or inspect:..."),
    ],
    model: Annotated[str, typer.Option(help="Model, as the server names it; not with inspect:...")] = "",
    key: Annotated[str, typer.Option(help="Environment variable that holds the key.")] = "",
    also: Annotated[str, typer.Option(help="Sent with every request, e.g. top_k:0+min_p:0+repeat_penalty:1.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    terms: Terms = "",
) -> None:
    """Check that a server does what the instruments take for granted. Exit code 1: a check fails."""
    from rich.console import Console

    from deadreckon.models.visit import visit
    from deadreckon.report.say import contract_table, contracts_json

    contracts = visit(url, model, key, terms, also)
    if json:
        typer.echo(contracts_json(contracts))
    else:
        for contract in contracts:
            contract_table(contract, Console())
    if any(contract.failed(list(contract.checks)) for contract in contracts):
        raise typer.Exit(1)


def warn(line: str) -> None:
    """A line on standard error, so that what is printed stays what was asked for; nothing where it is empty."""
    if line:
        typer.echo(f"deadreckon: {line}", err=True)
