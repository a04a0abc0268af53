"""A machine: its ring of cells laid flat, as it is and as it truly is; a program: its configurations."""

from __future__ import annotations

from itertools import pairwise

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.report.sheets import Line, draw_lines
from deadreckon.worlds import concatenative, stacks
from deadreckon.worlds.machines import State
from deadreckon.worlds.tapes import STATES, Config

_CELL, _LEFT = 24, 50


def _draw(scene: Scene[State]) -> Drawing:
    state = scene.state
    true = state.program.history[state.i]
    sheet = Canvas(_LEFT + _CELL * len(true.tape) + 10, 170)
    off = state.config != true
    _tape(sheet, 40, "actual", state.config, true)
    _tape(sheet, 110, "true", true, true)
    ink = "orange" if erred(scene.row) else "green" if scene.row.event == "mend" else "blue"
    mark = {"mend": "  + mend"}.get(scene.row.event, f"  × {scene.row.event}" if erred(scene.row) else "")
    says = scene.world.says(state).rpartition("\n")[2]
    mark = mark or ("  carried" if off else "")
    bold(sheet.text(8, 162, f"{says}{scene.row.action[:8]}{mark}", ink, mono=True))
    return Drawing(sheet.svg(), _words(scene))


def _tape(sheet: Canvas, y: float, name: str, config: Config, true: Config) -> None:
    sheet.text(8, y + 16, name, "muted", size=12)
    for place, symbol in enumerate(config.tape):
        x = _LEFT + place * _CELL
        sheet.rect(x + 1, y, _CELL - 2, _CELL, "panel", round=3)
        ink = "ink" if symbol == true.tape[place] else "orange"
        anchored(sheet.text(x + _CELL / 2, y + 17, str(symbol), ink, mono=True), "middle")
    ink = "ink" if (config.state, config.head) == (true.state, true.head) else "orange"
    head = _LEFT + (config.head + 0.5) * _CELL
    sheet.path(f"M{head - 5:.1f} {y - 12:.1f}h10l-5 8z", "", ink)
    letter = sheet.text(head + 14, y - 4, STATES[config.state], ink, size=12)
    anchored(letter, "middle")
    bold(letter)


def _words(scene: Scene[State]) -> str:
    state, world = scene.state, scene.world
    true = state.program.history[state.i]
    if world.done(state):
        return "Every step is written."
    same = "as in an error-free run" if state.config == true else f"truly {_where(true)}"
    (right,) = world.policy(state)
    return (
        f"Step {state.i + 1} of {len(state.program.noise)}: {_where(state.config)}, {same}. It reads"
        f" {state.program.read(state.i, state.config)}; right is {right}."
    )


def _where(config: Config) -> str:
    return f"state {STATES[config.state]} at cell {config.head} of {''.join(map(str, config.tape))}"


def _draw_program(scene: Scene[stacks.State]) -> Drawing:
    state = scene.state
    ran = stacks.history(state.program)
    written = {s.i: row for s, row in zip(scene.states[: scene.i + 1], scene.rows, strict=False)}
    lines = [
        Line(str(i + 1), config.rest[:1], stacks.line(after), written.get(i), i == state.i)
        for i, (config, after) in enumerate(pairwise(ran))
    ]
    sheet = draw_lines(lines, state.i, ("step", "true command", "written", "true"))
    sheet.text(8, sheet.height - 6, state.program[:60], "muted", size=12, mono=True)
    return Drawing(sheet.svg(), _program_words(state, ran))


def _program_words(state: stacks.State, ran: tuple[concatenative.Config, ...]) -> str:
    now, true = stacks.line(state.config), stacks.line(ran[state.i])
    if state.i == len(ran) - 1:
        return f"The run of {state.program} is over: {now}, truly {true}."
    return (
        f"Program {state.program}, step {state.i + 1} of {len(ran) - 1}. As written: {now}; truly {true}. After this"
        f" step it is truly {stacks.line(ran[state.i + 1])}."
    )


MACHINES = Artist(_draw)
STACKS = Artist(_draw_program)
