"""Horn-clause proofs, every step checkable, in four forms; and path-star graphs (`proofs:kind=star`, stars.py).

The opening is the facts, two atoms of which one follows, and the rules; the actor proves it, an atom a step::

    ab?de.
    01ab>c 02c>d 03x>e.
    c                   <- form=chain
    01c                 <- form=cite: the rule, and what it gives
    by 01 / so c        <- form=select: first the rule, then what it gives, in two turns
    d                   <- form=direct: the answer alone

Right are the steps of a shortest proof from what is written. A detour is a slip that leaves the truth; an atom that
nothing proves is carried on from, until "<k" takes everything back to the first k lines: the mend keeps those that are
proved. The atom that does not follow ends a proof like the other one, and the goal is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import inf

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.derivations import (
    BACK,
    FORMS,
    LABELS,
    NONE,
    Line,
    State,
    applies,
    known,
    next_rules,
    offered,
    proved,
    slips,
)
from deadreckon.worlds.horn import (
    LETTERS,
    SIZES,
    Theory,
    atoms_text,
    closure,
    distances,
    draw_theory,
    mask,
    read_theory,
    rule_text,
)
from deadreckon.worlds.stars import ARM, LONGEST_ARM, Stars


def from_options(options: Mapping[str, str]) -> Proofs | Stars:
    """From a spec's options: kind; then form, or form and arm. BadOption otherwise."""
    known_only("proofs", options, ("kind", "form", "arm"))
    kind = read_option("proofs", options, "kind", one_of("horn", "star"), "horn")
    others = {key: value for key, value in options.items() if key != "kind"}
    if kind == "star":
        return Stars(
            read_option("proofs", others, "form", one_of("plain", "reversed"), "plain"),
            read_option("proofs", others, "arm", between(2, LONGEST_ARM), ARM),
        )
    known_only("proofs kind=horn", others, ("form",))
    return Proofs(read_option("proofs", others, "form", one_of(*FORMS), "chain"))


class Proofs:
    """The world of Horn proofs; see the module's text."""

    levels = tuple(SIZES)
    alphabet = (
        *LABELS,
        *(f"{label}\n" for label in LABELS),
        *LETTERS,
        *(f"{letter}\n" for letter in LETTERS),
        *(f"{back}\n" for back in BACK),
        *("by ", "so ", ">", " ", "?", ".\n", "|"),
    )
    end = "\n"
    belief_end = "|"
    belief_width = len(LETTERS) + 1

    def __init__(self, form: str = "chain"):
        """`form`: chain, cite, select or direct. BadOption otherwise."""
        if form not in FORMS:
            raise BadOption(f"proofs form={form!r}: choose from {', '.join(FORMS)}")
        self.form = form
        self.name = f"proofs-horn-{form}-v1"
        self.width = 2 if form == "cite" else 1
        every = {
            "chain": (*LETTERS, *BACK),
            "cite": (*(label + letter for label in LABELS for letter in LETTERS), *BACK),
            "select": (*LABELS, *LETTERS, *BACK),
            "direct": tuple(LETTERS),
        }
        self._all = frozenset(every[form])

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A theory whose shortest proof takes the level's number of steps."""
        if level not in SIZES:
            raise BadOption(f"proofs has no level {level}: choose from {', '.join(map(str, SIZES))}")
        return State(draw_theory(SIZES[level], rng), (), NONE)

    def _offers(self, state: State) -> Mapping[str, tuple[int, int]]:
        shape = "chain" if state.chosen != NONE else self.form
        return offered(state.theory, known(state), shape)

    def _back(self, state: State) -> Sequence[str]:
        """Ways back: to fewer lines, or from a selected rule."""
        return () if self.form == "direct" else BACK[: len(state.lines) + (state.chosen != NONE)]

    def legal(self, state: State) -> Sequence[str]:
        """New atoms, rules whose heads are new, ways back; none when done."""
        return () if self.done(state) else (*self._offers(state), *self._back(state))

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        return not self.done(state) and (action in self._offers(state) or action in self._back(state))

    def step(self, state: State, action: str) -> State:
        """Write it down. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            listed = ", ".join(self.legal(state)[:8]) or "nothing, it is done"
            raise IllegalAction(f"{action!r} cannot be written in {self.show(state)!r}: allowed are {listed}")
        if action in BACK:
            return State(state.theory, state.lines[: int(action[1:])], NONE)
        rule, atom = self._offers(state)[action]
        if atom == NONE:
            return State(state.theory, state.lines, rule)
        return State(state.theory, (*state.lines, Line(max(rule, state.chosen), atom)), NONE)

    def done(self, state: State) -> bool:
        """Either atom in question is written."""
        return bool(known(state) & mask(state.theory.asked))

    def _written(self, rules: Sequence[int], theory: Theory) -> tuple[str, ...]:
        """Uses of these rules as this form writes them, each once."""
        atoms = [LETTERS[theory.rules[k].head] for k in rules]
        if self.form == "cite":
            return tuple(LABELS[k] + atom for k, atom in zip(rules, atoms, strict=True))
        return tuple(LABELS[k] for k in rules) if self.form == "select" else tuple(dict.fromkeys(atoms))

    def policy(self, state: State) -> Mapping[str, float]:
        """The steps of shortest proofs, each as likely; of a selected rule its head; direct: the atom that follows."""
        theory = state.theory
        if self.form == "direct":
            return {LETTERS[theory.goal]: 1.0}
        if state.chosen != NONE:
            return {LETTERS[theory.rules[state.chosen].head]: 1.0}
        right = self._written(next_rules(theory, known(state))[0], theory)
        return {action: 1 / len(right) for action in right}

    def wrong(self, state: State) -> Sequence[str]:
        """Steps that nothing proves; none of them answers the question where that can be. None when done.

        Where every new atom is proved: detours; where there are none either, a step that is illegal.
        """
        if self.done(state):
            return ()
        theory = state.theory
        if self.form == "direct":
            return tuple(LETTERS[atom] for atom in theory.asked if atom != theory.goal)
        right, shape = self.policy(state), "chain" if state.chosen != NONE else self.form
        unproved, detours = slips(theory, known(state), shape, state.chosen)
        for some in (unproved, detours):
            found = [action for action in some if action not in right]
            if found:
                return tuple(found)
        beyond = LABELS[len(theory.rules)]
        return ({"select": beyond, "cite": beyond + LETTERS[0]}.get(shape, LETTERS[theory.facts[0]]),)

    def mend(self, state: State) -> str | None:
        """Back to the lines that are proved; None where all are, or when done."""
        return None if self.done(state) or self.true(state) else BACK[proved(state)]

    def true(self, state: State) -> bool:
        """Is every line proved, and the selected rule's body known?"""
        if self.form == "direct":
            return not known(state) & mask(state.theory.asked) & ~closure(state.theory)
        whole = proved(state) == len(state.lines)
        return whole and (state.chosen == NONE or applies(state.theory, state.chosen, known(state)))

    def fixes(self, state: State) -> bool:
        """The world tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Fewest turns to the atom that follows, from what is written; inf where the other one is."""
        theory, have = state.theory, known(state)
        if self.done(state):
            return 0.0 if have >> theory.goal & 1 else inf
        if self.form == "direct":
            return 1.0
        turns = 2 if self.form == "select" else 1
        if state.chosen == NONE:
            return float(turns * distances(theory)[have])
        after = have | 1 << theory.rules[state.chosen].head
        lost = after & mask(theory.asked) and not after >> theory.goal & 1
        return inf if lost else float(1 + turns * distances(theory)[after])

    def opening(self, state: State) -> str:
        """Facts and the two atoms in question; numbered rules."""
        theory = state.theory
        rules = " ".join(label + rule_text(rule) for label, rule in zip(LABELS, theory.rules, strict=False))
        return f"{atoms_text(theory.facts)}?{atoms_text(theory.asked)}.\n{rules}.\n"

    def says(self, state: State) -> str:
        """In the form select, "by " before a rule and "so " before an atom."""
        if self.form != "select" or self.done(state):
            return ""
        return "by " if state.chosen == NONE else "so "

    def belief(self, state: State) -> str:
        """All that is known, in order."""
        have = known(state)
        return "".join(letter for atom, letter in enumerate(LETTERS) if have >> atom & 1)

    def show(self, state: State) -> str:
        """Atoms, rules, facts, question, lines with rules (00 = not said), selected rule: "8 ab>c,c>d ab de 00c 00"."""
        theory = state.theory
        rules = ",".join(map(rule_text, theory.rules))
        lines = ",".join(f"{rule + 1:02}{LETTERS[atom]}" for rule, atom in state.lines) or "-"
        asked = f"{atoms_text(theory.facts)} {atoms_text(theory.asked)}"
        return f"{theory.atoms} {rules} {asked} {lines} {state.chosen + 1:02}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(
            r"([1-9][0-9]?) ([a-l>,]{3,100}) ([a-l]{1,12}) ([a-l]{2}) (-|(?:[01][0-9][a-l],?){1,12}) ([01][0-9])", text
        )
        theory = read_theory(int(match[1]), *match.group(2, 3, 4)) if match else None
        if match is None or theory is None:
            raise BadText(f"{text!r} is no state of {self.name}: write it as '8 ab>c,c>d,e>f ab df - 00'")
        state, actions = State(theory, (), NONE), self._actions(match[5], match[6])
        for action in actions:
            if not self.allows(state, action):
                raise BadText(f"{text!r}: {action!r} cannot be written after {self.show(state)!r}")
            state = self.step(state, action)
        if self.show(state) != text:
            like = "00c" if self.form in ("chain", "direct") else "01c"
            raise BadText(f"{text!r}: in {self.name} a line is written as {like}, and 00 stands at the end")
        return state

    def _actions(self, said: str, chosen: str) -> list[str]:
        """Actions of this form that write these lines."""
        parts = {"select": (slice(2), slice(2, 3)), "cite": (slice(3),)}.get(self.form, (slice(2, 3),))
        lines = [] if said == "-" else said.split(",")
        return [*(line[part] for line in lines for part in parts), *([chosen] if chosen != "00" else [])]

    def write(self, action: str) -> str:
        """The step."""
        return action

    def parse(self, text: str) -> str | None:
        """A rule, an atom or both, as the form has it, or a way back."""
        return text if text in self._all else None

    def rules(self) -> str:
        """The rules in words."""
        how = {
            "chain": "Write one new letter a line that some rule gives from letters you have, until you have one of the"
            " two.",
            "cite": "Write one line for each new letter: the number of the rule, whose letters you must have, and the"
            " letter it gives, as 01c, until you have one of the two.",
            "select": "After 'by' write the number of a rule whose letters you have, after 'so' the letter it gives,"
            " until you have one of the two.",
            "direct": "Write the one that follows, nothing else.",
        }[self.form]
        back = "" if self.form == "direct" else " <k takes everything back but your first k lines."
        return (
            "The first line lists the letters you have from the start and, after '?', two letters of which exactly one"
            f" follows. The second line numbers rules: 01ab>c says that from a and b follows c. {how} Use as few lines"
            f" as can be.{back}"
        )
