"""A causal system: its graph beside the exact law of the row asked for, its answers, or its experiments."""

from __future__ import annotations

from math import cos, hypot, pi, sin

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.studies.study import ReplayStep
from deadreckon.worlds import causal, effects, experiments, rooted
from deadreckon.worlds.scm import LETTERS, Graph, graph

_NODE, _ROUND, _CENTRE = 14, 62, (90, 92)
_LEFT, _LINE, _BAR = 200, 20, 130  # where the right side begins, height of a line, longest bar
_SHOWN = 8  # lines in view


def _place(node: int, size: int) -> tuple[float, float]:
    angle = 2 * pi * node / size - pi / 2
    return _CENTRE[0] + _ROUND * cos(angle), _CENTRE[1] + _ROUND * sin(angle)


def _draw_graph(sheet: Canvas, told: Graph, marked: int, sign: str) -> None:
    """Arrows, dashed arcs of hidden causes, variables; the one in question with its sign."""
    for a, b in sorted(told.arcs):
        _edge(sheet, _place(a, told.size), _place(b, told.size), dashed=True)
    for a, b in sorted(told.arrows):
        _edge(sheet, _place(a, told.size), _place(b, told.size), dashed=False)
    for v in range(told.size):
        _node(sheet, _place(v, told.size), LETTERS[v], "blue" if v == marked else "muted")
    sheet.text(8, 186, f"{LETTERS[marked]}: {sign}", "blue", size=12)


def _node(sheet: Canvas, at: tuple[float, float], letter: str, ink: str) -> None:
    sheet.circle(*at, _NODE, "panel", ink)
    anchored(sheet.text(at[0], at[1] + 4.5, letter, "ink", mono=True), "middle")


def _edge(sheet: Canvas, tail: tuple[float, float], head: tuple[float, float], *, dashed: bool) -> None:
    """A straight arrow, or a dashed bow to its left."""
    dx, dy = head[0] - tail[0], head[1] - tail[1]
    length = hypot(dx, dy)
    ux, uy = dx / length, dy / length
    gap = _NODE + 2
    x0, y0, x1, y1 = tail[0] + ux * gap, tail[1] + uy * gap, head[0] - ux * gap, head[1] - uy * gap
    if dashed:
        mx, my = (x0 + x1) / 2 - uy * 22, (y0 + y1) / 2 + ux * 22
        sheet.path(f"M{x0:.1f} {y0:.1f}Q{mx:.1f} {my:.1f} {x1:.1f} {y1:.1f}", "muted", dash="3 3")
        return
    sheet.path(f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}", "ink")
    for side in (-1, 1):
        bx, by = x1 - ux * 8 + side * uy * 4, y1 - uy * 8 - side * ux * 4
        sheet.path(f"M{x1:.1f} {y1:.1f}L{bx:.1f} {by:.1f}", "ink")


def _verdict(row: ReplayStep) -> str:
    return f"  × {row.event}" if erred(row) else ""


def _headline(sheet: Canvas, said: str, row: ReplayStep) -> None:
    bold(sheet.text(_LEFT, 18, f"{said}{row.action[:8]}{_verdict(row)}", "orange" if erred(row) else "ink", mono=True))


def _draw_row(scene: Scene[causal.State]) -> Drawing:
    state, world = scene.state, scene.world
    assert isinstance(world, causal.Causal)
    system = world.system(state)
    drives = system.scm.gauge < 0
    law = {} if world.done(state) else world.policy(state)
    sheet = Canvas(430, max(200, 40 + _LINE * len(law)))
    _draw_graph(sheet, graph(system.scm), system.hinge, "drives" if drives else "only shows what drives")
    _headline(sheet, world.says(state), scene.row)
    for line, (row, p) in enumerate(law.items(), start=1):
        y = 24 + line * _LINE
        ink = "blue" if row == scene.row.action else "muted"
        sheet.text(_LEFT, y, row, ink, mono=True, size=12)
        sheet.rect(_LEFT + 44, y - 11, max(_BAR * p, 1), 13, ink, round=2)
        sheet.text(_LEFT + 50 + _BAR * p, y, f"{p:.3f}", ink, size=12)
    return Drawing(sheet.svg(), _row_words(world, state))


def _row_words(world: causal.Causal, state: causal.State) -> str:
    if world.done(state):
        return "Every question is answered."
    system, question = world.system(state), state.questions[state.i]
    does = "drives its effects" if system.scm.gauge < 0 else "only shows what drives in its place"
    rows = ", ".join(f"{row} {p:.3f}" for row, p in world.policy(state).items())
    follows = "follows" if world.follows(state) else "does not follow"
    source = "" if question.startswith("see") else f" This {follows} from what is seen and the graph."
    return (
        f"Question {state.i + 1} of {len(state.questions)}, {question}; {LETTERS[system.hinge]} {does}. Exact chances:"
        f" {rows}.{source}"
    )


def _draw_effect(scene: Scene[effects.State]) -> Drawing:
    state, world = scene.state, scene.world
    assert isinstance(world, effects.Effects)
    told = effects.told_graph(state.scm, state.hinge, state.told)
    sheet = Canvas(430, max(200, 44 + _LINE * len(state.questions)))
    sign = "drives or only shows" if state.told == "both" else "drives" if state.scm.gauge < 0 else "only shows"
    _draw_graph(sheet, told, state.hinge, sign)
    for x, title in ((_LEFT, "asked"), (_LEFT + 100, "written"), (_LEFT + 150, "right")):
        sheet.text(x, 18, title, "muted", size=12)
    written = {s.i: row for s, row in zip(scene.states[: scene.i + 1], scene.rows, strict=False)}
    for i, row in written.items():
        y, now = 20 + (i + 1) * _LINE, state._replace(i=i)
        if i == len(state.questions):
            continue
        if i == state.i:
            sheet.rect(_LEFT - 4, y - 14, 230, _LINE, "panel", round=4)
        sheet.text(_LEFT, y, world.says(now), "ink", mono=True, size=12)
        bold(sheet.text(_LEFT + 100, y, row.action[:4], "orange" if erred(row) else "ink", mono=True, size=12))
        sheet.text(_LEFT + 150, y, world.right(now), "muted", mono=True, size=12)
        if erred(row):
            sheet.text(_LEFT + 180, y, f"× {row.event}", "orange", size=12)
    return Drawing(sheet.svg(), _effect_words(world, state))


def _effect_words(world: effects.Effects, state: effects.State) -> str:
    if world.done(state):
        return "Every question is answered."
    numbers = effects.answers(state.scm, state.questions[state.i])
    each = f"Seeing gives {numbers['see']}, doing {numbers['do']}, neither {numbers['base']} per cent"
    told = world.opening(state).splitlines()[0] if world.graphs == "told" else "no graph"
    right = world.right(state)
    follows = "that does not follow from what is told: right is ?" if right == effects.UNKNOWN else f"right is {right}"
    return f"Question {state.i + 1} of {len(state.questions)}: {world.says(state)} Told: {told}. {each}; {follows}."


def _draw_experiment(scene: Scene[experiments.State]) -> Drawing:
    state, world = scene.state, scene.world
    assert isinstance(world, experiments.Experiments)
    tree, trials = state.tree, experiments.trials_of(state)
    sheet = Canvas(430, 210)
    for a, b, strength in tree.links:
        (x0, y0), (x1, y1) = _place(a, tree.size), _place(b, tree.size)
        sheet.path(f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}", "muted", dash="" if strength > 4 else "3 3")
        sheet.text((x0 + x1) / 2 + 4, (y0 + y1) / 2 - 2, str(strength), "muted", size=12)
    for v in range(tree.size):
        ink = "blue" if v == tree.root else "green" if v == tree.goal else "muted"
        _node(sheet, _place(v, tree.size), rooted.LETTERS[v], ink)
    sheet.text(8, 186, f"root {rooted.LETTERS[tree.root]}", "blue", size=12)
    sheet.text(8, 202, f"goal {rooted.LETTERS[tree.goal]}", "green", size=12)
    _headline(sheet, "" if world.done(state) else world.says(state)[-1], scene.row)
    for line, trial in enumerate(trials[-_SHOWN:], start=1):
        text = f"{rooted.LETTERS[trial.node]}{trial.value} {''.join(map(str, trial.row))}"
        sheet.text(_LEFT, 20 + line * _LINE, text, "muted", mono=True, size=12)
    weights = rooted.posterior(tree, trials)
    for line, weight in enumerate(weights, start=1):
        y, share = 20 + line * _LINE, weight / sum(weights)
        ink = "blue" if line - 1 == tree.root else "muted"
        sheet.text(_LEFT + 90, y, rooted.LETTERS[line - 1], ink, mono=True, size=12)
        sheet.rect(_LEFT + 104, y - 11, max(80 * share, 1), 13, ink, round=2)
        sheet.text(_LEFT + 110 + 80 * share, y, f"{share:.2f}", ink, size=12)
    return Drawing(sheet.svg(), _experiment_words(world, state))


def _experiment_words(world: experiments.Experiments, state: experiments.State) -> str:
    trials, letters = experiments.trials_of(state), rooted.LETTERS
    told = "; ".join(f"{letters[t.node]} set to {t.value}: {''.join(map(str, t.row))}" for t in trials) or "none"
    weights = rooted.posterior(state.tree, trials)
    shares = ", ".join(f"{letter} {w / sum(weights):.2f}" for letter, w in zip(letters, weights, strict=False))
    found = f"Experiments so far: {told}. Chance of being the root: {shares}; truly it is {letters[state.tree.root]}."
    if world.done(state):
        return f"The goal is set for. {found}"
    kind = "an experiment" if len(state.done) < len(state.noise) else f"the goal {letters[state.tree.goal]}"
    return f"Turn {len(state.done) + 1}, for {kind}. {found} Right: {', '.join(world.policy(state))}."


ROWS = Artist(_draw_row)
EFFECTS = Artist(_draw_effect)
EXPERIMENTS = Artist(_draw_experiment)
