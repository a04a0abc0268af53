"""A proof: its rules beside the lines written, each with what is known of it; a path-star graph with the path on it."""

from __future__ import annotations

from math import cos, pi, sin

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.studies.study import ReplayStep
from deadreckon.worlds import derivations, proofs, stars
from deadreckon.worlds.horn import LETTERS, atoms_text, distances, rule_text

_LINE, _COLUMN, _LEFT = 20, 100, 220  # height of a line; of rules, a column; where the written lines begin
_RING, _CENTRE = 36, (190, 190)  # between two nodes of an arm


def _draw(scene: Scene[derivations.State]) -> Drawing:
    state, world = scene.state, scene.world
    assert isinstance(world, proofs.Proofs)
    theory, good, used = state.theory, derivations.proved(state), {line.rule for line in state.lines} | {state.chosen}
    sheet = Canvas(470, max(70 + _LINE * -(-len(theory.rules) // 2), 70 + _LINE * (len(state.lines) + 1)))
    for k, rule in enumerate(theory.rules):
        x, y = 8 + _COLUMN * (k % 2), 18 + _LINE * (k // 2)
        sheet.text(
            x, y, f"{derivations.LABELS[k]} {rule_text(rule)}", "blue" if k in used else "ink", mono=True, size=12
        )
    foot = sheet.height - 14
    sheet.text(8, foot, f"from {atoms_text(theory.facts)}", "muted", mono=True, size=12)
    sheet.text(_COLUMN, foot, f"{' or '.join(map(_letter, theory.asked))}? {_letter(theory.goal)}", "muted", size=12)
    sheet.text(_LEFT, 18, "written", "muted", size=12)
    for k, line in enumerate(state.lines):
        y, ink = 18 + _LINE * (k + 1), "ink" if k < good else "orange"
        label = "" if line.rule == derivations.NONE else f"{derivations.LABELS[line.rule]} "
        bold(sheet.text(_LEFT, y, f"{label}{_letter(line.atom)}", ink, mono=True, size=12))
        sheet.text(_LEFT + 60, y, "proved" if k < good else "not proved" if k == good else "after it", ink, size=12)
    y = 18 + _LINE * (len(state.lines) + 1)
    sheet.rect(_LEFT - 6, y - 14, 250, _LINE, "panel", round=4)
    ink = "orange" if erred(scene.row) else "green" if scene.row.event == "mend" else "blue"
    bold(sheet.text(_LEFT, y, f"{world.says(state)}{scene.row.action[:8]}", ink, mono=True, size=12))
    sheet.text(_LEFT + 60, y, _verdict(scene.row), ink, size=12)
    return Drawing(sheet.svg(), _words(world, state))


def _verdict(row: ReplayStep) -> str:
    if erred(row):
        return f"× {row.event}"
    return "+ mend" if row.event == "mend" else "right"


def _letter(atom: int) -> str:
    return LETTERS[atom]


def _words(world: proofs.Proofs, state: derivations.State) -> str:
    theory, good = state.theory, derivations.proved(state)
    lines = " ".join(_letter(line.atom) for line in state.lines) or "nothing"
    so_far = f"From {atoms_text(theory.facts)}, {_letter(theory.goal)} follows. Written: {lines}"
    doubt = "" if good == len(state.lines) else f"; not proved is {_letter(state.lines[good].atom)}"
    if world.done(state):
        return f"{so_far}{doubt}. The proof is over."
    chosen = "" if state.chosen == derivations.NONE else f" Selected: {rule_text(theory.rules[state.chosen])}."
    far = distances(theory)[derivations.known(state)]
    right = ", ".join(world.policy(state))
    return f"{so_far}{doubt}.{chosen} Steps of a shortest proof from here: {far}; right now: {right}."


def _draw_star(scene: Scene[stars.State]) -> Drawing:
    state, world = scene.state, scene.world
    assert isinstance(world, stars.Stars)
    places = _places(state.star)
    sheet = Canvas(380, 410)
    here = world.at(state)
    start = state.star.centre if world.form == "plain" else state.star.goal
    walked = {frozenset(pair) for pair in zip((start, *state.path), state.path, strict=False)}
    for a, b in state.star.edges:
        (x0, y0), (x1, y1) = places[a], places[b]
        gone = frozenset((a, b)) in walked
        sheet.path(f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}", "blue" if gone else "muted", width=3 if gone else 1.5)
    for node, (x, y) in places.items():
        ink = "green" if node == state.star.goal else "blue" if node in (here, *state.path) else "muted"
        sheet.circle(x, y, 12, "panel", ink, width=3 if node == here else 1.5)
        anchored(sheet.text(x, y + 4, stars.NODES[node], "ink", mono=True, size=12), "middle")
    ink = "orange" if erred(scene.row) else "blue"
    bold(sheet.text(8, 404, f"{stars.NODES[here]} to {scene.row.action[:8]} {_verdict(scene.row)}", ink, size=12))
    return Drawing(sheet.svg(), _star_words(world, state))


def _places(star: stars.Star) -> dict[int, tuple[float, float]]:
    """The centre, and each arm along its own direction."""
    after = {tail: head for tail, head in star.edges if tail != star.centre}
    firsts = [head for tail, head in star.edges if tail == star.centre]
    places = {star.centre: (float(_CENTRE[0]), float(_CENTRE[1]))}
    ring = min(_RING, 170 * len(firsts) / len(star.edges))
    for arm, node in enumerate(sorted(firsts)):
        angle, steps = 2 * pi * arm / len(firsts) - pi / 2, 1
        while node not in places:
            places[node] = (_CENTRE[0] + ring * steps * cos(angle), _CENTRE[1] + ring * steps * sin(angle))
            node, steps = after.get(node, node), steps + 1
    return places


def _star_words(world: stars.Stars, state: stars.State) -> str:
    names = stars.NODES
    path = " ".join(names[node] for node in state.path) or "nothing yet"
    track = " ".join(names[node] for node in world.track(state))
    arms = sum(tail == state.star.centre for tail, _ in state.star.edges)
    wrong = "" if world.true(state) else " This is not the way."
    return (
        f"{arms} arms around {names[state.star.centre]}, the goal is {names[state.star.goal]}. Written: {path}; the"
        f" path is {track}.{wrong}"
    )


PROOFS = Artist(_draw)
STARS = Artist(_draw_star)
