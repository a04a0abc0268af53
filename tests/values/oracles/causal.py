"""Values of other libraries that test_causal.py is held to. Needs y0 and pyagrum, which bring pandas and scikit-learn.

    python tests/values/oracles/causal.py > tests/values/oracles/causal.json

`follows`: y0's identification algorithm on every graph of three variables with arrows that go up the alphabet, and on
200 of four; a digit a query, in the order of `queries`, ? where it raises. `laws`: pyAgrum's probabilities of every
row, seen and under do(), of models of the bank, hidden causes and all; do() by its causal models. Versions that made
the file: y0 0.2.11, pyAgrum 3.3.1.
"""

import json
import warnings
from collections.abc import Iterator
from itertools import chain, combinations, product

import numpy as np
import pyagrum as gum
from networkx import NetworkXError
from y0.algorithm.identify import identify_outcomes
from y0.dsl import Variable
from y0.graph import NxMixedGraph

from deadreckon.worlds.scm import LETTERS, Scm, scm_text
from deadreckon.worlds.systems import SIZES, bank

warnings.simplefilter("ignore")
SYSTEMS = (0, 5, 20, 31)  # pairs of each level's bank


def queries(size: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Each variable that is set, with every set of others."""
    for x in range(size):
        others = [v for v in range(size) if v != x]
        for ys in chain.from_iterable(combinations(others, k) for k in range(1, size)):
            yield x, ys


def graphs(size: int) -> Iterator[str]:
    """Arrows up the alphabet, then arcs, every choice."""
    pairs = list(combinations(LETTERS[:size], 2))
    for arrows, arcs in product(product((0, 1), repeat=len(pairs)), repeat=2):
        told = [f"{a}>{b}" for (a, b), on in zip(pairs, arrows, strict=True) if on]
        yield " ".join([*told, *(f"{a}-{b}" for (a, b), on in zip(pairs, arcs, strict=True) if on)]) or "."


def follows(told: str, size: int) -> str:
    """y0's verdict on every query."""
    edges = [] if told == "." else told.split(" ")
    node = {letter: Variable(letter) for letter in LETTERS[:size]}
    graph = NxMixedGraph.from_edges(
        nodes=list(node.values()),
        directed=[(node[e[0]], node[e[2]]) for e in edges if e[1] == ">"],
        undirected=[(node[e[0]], node[e[2]]) for e in edges if e[1] == "-"],
    )
    asked = ((node[LETTERS[x]], {node[LETTERS[y]] for y in ys}) for x, ys in queries(size))
    return "".join(verdict(graph, x, ys) for x, ys in asked)


def verdict(graph: NxMixedGraph, x: Variable, ys: set[Variable]) -> str:
    """1 = follows, 0 = does not; "?" where y0 cannot say: it loses nodes that are left without edges."""
    try:
        return str(int(identify_outcomes(graph, x, ys) is not None))
    except (NetworkXError, KeyError):
        return "?"


def network(scm: Scm) -> gum.BayesNet:
    """The model with its hidden causes: coins "u0", and "h", which drives in place of a gauge."""
    net = gum.BayesNet()
    drives = {v: "h" if v == scm.gauge else LETTERS[v] for v in range(scm.size)}
    for name in [*LETTERS[: scm.size], *(f"u{k}" for k in range(len(scm.coins))), *["h"] * (scm.gauge >= 0)]:
        net.add(gum.LabelizedVariable(name, name, 2))
    for k in range(len(scm.coins)):
        net.cpt(f"u{k}").fillWith([0.5, 0.5])
    for v in range(scm.size):
        causes = [*(drives[p] for p in scm.parents[v]), *(f"u{k}" for k, pair in enumerate(scm.coins) if v in pair)]
        for cause in causes:
            net.addArc(cause, drives[v])
        for place, bits in enumerate(product((0, 1), repeat=len(causes))):
            one = scm.tables[v][place] / 4
            net.cpt(drives[v])[dict(zip(causes, bits, strict=True))] = [1 - one, one]
    if scm.gauge >= 0:
        shown = LETTERS[scm.gauge]
        net.addArc("h", shown)
        for bit in (0, 1):
            net.cpt(shown)[{"h": bit}] = [1 - bit, bit]
    return net


def laws(scm: Scm) -> dict[str, list[float]]:
    """Of each question the chances of the rows 00.., in order."""
    net, letters, out = network(scm), LETTERS[: scm.size], {}
    model = gum.CausalModel(net)
    rows = list(product((0, 1), repeat=scm.size))
    for letter, value in product(letters, (0, 1)):
        engine = gum.LazyPropagation(net)
        engine.setEvidence({letter: value})
        others = [other for other in letters if other != letter]
        engine.addJointTarget({*others})
        engine.makeInference()
        _, made, _ = gum.causalImpact(model, on={*others}, doing={letter}, values={letter: value})
        for how, table in (("see", engine.jointPosterior({*others})), ("do", made)):
            chances = []
            for row in rows:
                bits = dict(zip(letters, row, strict=True))
                fits = bits.pop(letter) == value
                chances.append(float(table[{k: v for k, v in bits.items() if k in table.names}]) if fits else 0.0)
            out[f"{how} {letter}{value}"] = [round(p, 12) for p in chances]
    return out


def main() -> None:
    four = list(graphs(4))
    some = sorted(np.random.default_rng(0).choice(len(four), 200, replace=False).tolist())
    told = {3: list(graphs(3)), 4: [four[i] for i in some]}
    models = [system.scm for level in SIZES for place in SYSTEMS for system in bank(level)[place]]
    found = {
        "follows": {str(size): {text: follows(text, size) for text in texts} for size, texts in told.items()},
        "laws": {scm_text(scm): laws(scm) for scm in models},
    }
    print(json.dumps(found).replace(', "', ',\n"'))


if __name__ == "__main__":
    main()
