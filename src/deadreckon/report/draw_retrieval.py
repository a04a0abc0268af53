"""A running sum over looked-up numbers: each turn's numbers, the total as written and as it truly is."""

from __future__ import annotations

from dataclasses import replace

from deadreckon.report.scene import Artist, Drawing, Scene
from deadreckon.report.sheets import Line, draw_lines
from deadreckon.studies.study import ReplayStep
from deadreckon.worlds.dictionary import State, Task
from deadreckon.worlds.retrieval_sums import RetrievalSums

_MOST = 18  # characters of the numbers in view


def _draw(scene: Scene[State]) -> Drawing:
    world, state = scene.world, scene.state
    assert isinstance(world, RetrievalSums)
    task = state.task
    written = {s.i: _as_shown(world, row) for s, row in zip(scene.states[: scene.i + 1], scene.rows, strict=False)}
    lines = [
        Line(str(i + 1), _looked_up(task, i), world.write(task.totals[i + 1]), written.get(i), i == state.i)
        for i in range(len(task.past), len(task.plan))
    ]
    sheet = draw_lines(lines, state.i - len(task.past), ("turn", "numbers", "written", "true"))
    if not world.done(state):
        looked = ", ".join(f"{task.words[key]} {_signed(task.values[key])}" for key in task.plan[state.i])
        sheet.text(8, sheet.height - 6, looked[:70], "muted", size=12, mono=True)
    return Drawing(sheet.svg(), _words(world, state))


def _as_shown(world: RetrievalSums, row: ReplayStep) -> ReplayStep:
    """The total in the world's own form, so that "+0050" is 50."""
    total = world.parse(row.action)
    return row if total is None else replace(row, action=world.write(total))


def _looked_up(task: Task, i: int) -> str:
    numbers = "".join(_signed(task.values[key]) for key in task.plan[i])
    return numbers if len(numbers) <= _MOST else numbers[: _MOST - 1] + "…"


def _signed(value: int) -> str:
    return f"{value:+d}".replace("-", "−")


def _words(world: RetrievalSums, state: State) -> str:
    task, i = state.task, state.i
    if world.done(state):
        return f"Every turn is written; the total stands at {state.total}, truly {task.totals[-1]}."
    keys = ", ".join(f"{task.words[key]} {task.values[key]}" for key in task.plan[i])
    wrong = sum(total != true for total, true in zip(task.past, task.totals[1:], strict=False))
    before = f" The history has {len(task.past)} turns, {wrong} of them wrong." if task.past else ""
    return (
        f"Turn {i + 1} of {len(task.plan)}: {keys}. The total as written is {state.total}, the true one"
        f" {task.totals[i]}; after this turn it is truly {task.totals[i + 1]}.{before}"
    )


RETRIEVAL = Artist(_draw)
