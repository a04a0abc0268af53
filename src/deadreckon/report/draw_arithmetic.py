"""A calculation: every line as written beside the true one, and in words where the errors of the line come from."""

from __future__ import annotations

from deadreckon.report.canvas import bold
from deadreckon.report.scene import Artist, Drawing, Scene
from deadreckon.report.sheets import Line, draw_lines
from deadreckon.worlds.arithmetic import Arithmetic, State
from deadreckon.worlds.columns import Node


def _draw(scene: Scene[State]) -> Drawing:
    world, state = scene.world, scene.state
    assert isinstance(world, Arithmetic)
    problem = state.problem
    written = {s.i: row for s, row in zip(scene.states[: scene.i + 1], scene.rows, strict=False)}
    lines = [
        Line(str(i + 1), _task(world, state, i), world.true_line(problem, i), written.get(i), i == state.i)
        for i in range(problem.lines)
    ]
    sheet = draw_lines(lines, state.i, ("line", "works on", "written", "true"))
    bold(sheet.text(8, sheet.height - 6, world.task(problem), "ink", size=12, mono=True))
    return Drawing(sheet.svg(), _words(world, state, scene.row.action))


def _task(world: Arithmetic, state: State, i: int) -> str:
    """The digits that line i takes up."""
    if world.form == "direct":
        return "all digits"
    a, b = str(state.problem.a).zfill(state.problem.digits), str(state.problem.b).zfill(state.problem.digits)
    if world.op == "div":
        return f"bring down {a[i]}"
    sign = {"add": "+", "sub": "−", "mul": "×"}[world.op]
    return f"{'' if world.op == 'mul' else a[-1 - i]}{sign}{b[-1 - i]}"


def _words(world: Arithmetic, state: State, action: str) -> str:
    if world.done(state):
        return f"{world.task(state.problem)}: every line is written."
    said = (
        f"{world.task(state.problem)}, line {state.i + 1} of {state.problem.lines}. The value as written is"
        f" {world.belief(state) or 'none yet'}; the true line is {world.true_line(state.problem, state.i)}."
    )
    if not world.allows(state, action):
        return f"{said} What is written is no such line."
    found = world.nodes(state, action)
    wrong = [f"{name} {kind.value}" for name, kind in found.items() if kind is not Node.RIGHT]
    return (
        f"{said} In the line as written {', '.join(wrong) or 'every number'} {'' if wrong else 'is right'}".rstrip()
        + "."
    )


ARITHMETIC = Artist(_draw)
