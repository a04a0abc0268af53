"""The command line: thin, ten lines a command over the library. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deadreckon.cli_checks import Out, Terms, Workers, bench, doctor, validate, warn
from deadreckon.cli_logs import export, fit

app = typer.Typer(
    name="deadreckon",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="How far can a language model be trusted to run on its own output, and does it find its way back?",
)

INTERRUPTED = 130  # what typer makes of Ctrl-C, in silence

EXTRAS = {
    "torch": "torch",
    "safetensors": "torch",
    "transformers": "hf",
    "altair": "plots",
    "vl_convert": "plots",
    "httpx2": "api",
    "inspect_ai": "inspect",
}

Png = Annotated[bool, typer.Option(help="Write the figures as PNG too.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print readings as JSON.")]


class Rule(StrEnum):
    """The error rules, by the names of contracts.OnError (which would import numpy here)."""

    STOP = "stop"
    SKIP = "skip"
    REPAIR = "repair"
    ACCEPT = "accept"


class Size(StrEnum):
    """How much a study runs."""

    QUICK = "quick"
    FULL = "full"


class Kind(StrEnum):
    """What can be listed."""

    WORLDS = "worlds"
    MODELS = "models"
    ENGINES = "engines"
    SCAFFOLDS = "scaffolds"
    STUDIES = "studies"
    RECIPES = "recipes"
    FORMATS = "formats"
    READINGS = "readings"


def version(show: bool) -> None:
    """Print the version and stop."""
    if show:
        from deadreckon import __version__

        typer.echo(f"deadreckon {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""


@app.command()
def demo(
    world: Annotated[
        str | None, typer.Argument(help="A world or recipe: train its small model first (minutes), then run that.")
    ] = None,
    out: Out = Path("demo"),
    workers: Workers = 2,
) -> None:
    """Run the main study on the shipped models and write a report: the one command to begin with."""
    if world is None:
        _study("errors_compound", out, workers, Size.QUICK)
        return
    from deadreckon.report.page import write_report
    from deadreckon.rollouts.progress import progress_bar
    from deadreckon.studies.world_demo import demonstrate

    with progress_bar(world) as tell:
        result = demonstrate(world, out, workers=workers, progress=tell)
    typer.echo(str(write_report([result], out)))


@app.command()
def roll(
    world: Annotated[str, typer.Argument(help="World, e.g. sums or maps:style=walk.")],
    model: Annotated[str, typer.Option(help="Model, e.g. shipped:sums-clean or noisy-oracle:slip=0.02.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder: new, or one to resume.")],
    level: Annotated[
        int | None, typer.Option(help="Level of the world; by default the one a shipped model knows, else 1.")
    ] = None,
    scaffold: Annotated[str, typer.Option(help="plain, monologue, filler or vote:k=5.")] = "plain",
    items: Annotated[int, typer.Option(help="Start states: the unit of every interval.")] = 64,
    repeats: Annotated[int, typer.Option(help="Rollouts of each item.")] = 1,
    horizon: Annotated[int, typer.Option(help="Most steps in a rollout.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the run's draws.")] = 0,
    on_error: Annotated[Rule, typer.Option(help="What happens after an error.")] = Rule.ACCEPT,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 = greedy.")] = 1.0,
    heal: Annotated[int, typer.Option(help="The first HEAL steps are the oracle's (a healed history).")] = 0,
    inject: Annotated[int | None, typer.Option(help="Force a wrong action at this step.")] = None,
    teach: Annotated[bool, typer.Option(help="With repair: every step's context is the oracle's.")] = False,
    law: Annotated[bool, typer.Option(help="Record exact masses and KL where the model can give them.")] = True,
    prompt: Annotated[str, typer.Option(help="transcript, or text:shots=2 or chat:shots=2 for general models.")] = (
        "transcript"
    ),
    batch: Annotated[int, typer.Option(help="Rollouts in flight; 0 = as many as fit. Changes no byte.")] = 0,
    workers: Workers = 1,
    terms: Terms = "",
) -> None:
    """Run a model on its own output and store the step table."""
    from deadreckon.contracts import OnError
    from deadreckon.models.cards import shipped_level
    from deadreckon.rollouts.progress import progress_bar
    from deadreckon.rollouts.run import roll as run
    from deadreckon.rollouts.spec import RollSpec

    chosen = level if level is not None else shipped_level(model.partition(":")[2].partition(",")[0]) or 1
    spec = RollSpec(
        world,
        chosen,
        model,
        scaffold,
        items,
        repeats,
        horizon,
        seed,
        OnError(on_error),
        temperature,
        heal,
        inject,
        teach,
        law,
        prompt=prompt,
    )
    with progress_bar(f"{model} in {world}") as tell:
        table = run(spec, out, batch=batch, workers=workers, terms=terms, progress=tell)
    typer.echo(f"{out}: {table['item'].n_unique()} items, {table.height} steps; next: deadreckon measure {out}")


@app.command()
def measure(
    run: Annotated[Path, typer.Argument(help="Run folder written by roll.")],
    json: JsonFlag = False,
    by: Annotated[str | None, typer.Option(help="A column of the step table to group by, e.g. fix.")] = None,
) -> None:
    """Print the readings of a run: value, 95% interval, unit, items; with --json also how each was got."""
    from rich.console import Console

    from deadreckon.report.say import readings_json, readings_table
    from deadreckon.studies.describe import measure_run, unfinished

    readings = measure_run(run, by)
    warn(unfinished(run))
    if json:
        typer.echo(readings_json(readings))
    else:
        readings_table(readings, Console())


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a TOML file.")],
    out: Out,
    seed: Annotated[int, typer.Option(help="Training seed.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of the one training process.")] = 1,
) -> None:
    """Train a small model from a recipe; a killed run resumes to the same weights."""
    from deadreckon.train.fit import train as fit
    from deadreckon.train.fit import use_threads

    use_threads(threads)
    path = fit(recipe, out, seed=seed)
    typer.echo(f"{path}: use it as gpt:{path}")


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="A study: deadreckon list studies.")],
    out: Out,
    size: Annotated[Size, typer.Option(help="quick: a minute; full: tight intervals.")] = Size.QUICK,
    workers: Workers = 2,
    json: JsonFlag = False,
    png: Png = False,
) -> None:
    """Run a study, print its verdict and write its report."""
    _study(name, out, workers, size, as_json=json, png=png)


def _study(name: str, out: Path, workers: int, size: Size, *, as_json: bool = False, png: bool = False) -> None:
    from deadreckon.report.page import write_report
    from deadreckon.report.say import readings_json
    from deadreckon.rollouts.progress import progress_bar
    from deadreckon.studies import run_study

    with progress_bar(name) as tell:
        result = run_study(name, size=size.value, workers=workers, progress=tell)
    path = write_report([result], out, png=png)
    if as_json:
        typer.echo(readings_json([replace(reading, by=arm.name) for arm in result.arms for reading in arm.readings]))
        return
    typer.echo(f"{result.claim}\n{result.finding.verdict.value.upper()}: {result.finding.because}")
    for question in result.questions:
        typer.echo(f"- {question.name} {question.finding.verdict.value.upper()}: {question.finding.because}")
    for check in result.checks:
        typer.echo(f"- control {'passed' if check.passed else 'FAILED'}: {check.name}: {check.because}")
    typer.echo(str(path))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders written by roll.")],
    out: Out = Path("report"),
    png: Png = False,
) -> None:
    """Draw the readings of one or more runs as a page, with figures and replays."""
    from deadreckon.report.page import write_report
    from deadreckon.studies.describe import describe_runs, unfinished

    for run in runs:
        warn(unfinished(run))
    typer.echo(str(write_report([describe_runs(runs)], out, png=png)))


for command in (validate, bench, doctor, fit, export):
    app.command()(command)


@app.command(name="list")
def list_(kind: Annotated[Kind | None, typer.Argument(help="What to list; everything by default.")] = None) -> None:
    """List worlds, models, engines, scaffolds, studies, recipes, formats of logs and readings by name."""
    from deadreckon.studies.names import names

    for one in [kind] if kind else list(Kind):
        typer.echo(f"{one.value}:")
        for name, line in names(one.value).items():
            typer.echo(f"  {name:<28} {line}".rstrip())


def main() -> None:
    """Entry point: an expected failure is one line on standard error and exit code 2; Ctrl-C is 130."""
    from deadreckon.errors import DeadreckonError, MissingExtra

    try:
        try:
            app()
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            raise MissingExtra("this command", EXTRAS[error.name]) from None
    except DeadreckonError as error:
        sys.stderr.write(f"deadreckon: {error}\n")
        raise SystemExit(2) from None
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        sys.stderr.write("deadreckon: interrupted; what is committed is kept, the same command resumes it\n")
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    main()
