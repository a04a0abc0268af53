"""What the study of compounding errors runs: the shipped models, each in its world, and the controls."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deadreckon.contracts import OnError
from deadreckon.errors import BadOption
from deadreckon.rollouts.spec import RollSpec

SUMS_SEEDS = {"clean": 5, "repaired": 5, "stated": 5, "mending": 1}  # training seeds shipped


@dataclass(frozen=True, slots=True)
class Subject:
    """Models of one recipe in one world, run one way."""

    name: str
    world: str
    level: int
    models: tuple[str, ...]  # one a training seed
    scaffold: str
    horizon: int
    on_error: OnError  # accept where the world can carry a wrong state on, else skip
    at: int  # the step at which an error is injected, or the history healed
    judged_at: int  # the n at which S(n) is held against its predictions

    @property
    def one_answer(self) -> bool:
        """Whether one action is right at every step, so that the context before a first error is the expert's."""
        return self.world.startswith("sums")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run."""

    rollouts: int  # free ones per subject, shared out over its models
    interventions: int  # pairs per subject, likewise
    control_items: int
    costly_seeds: int = 1  # training seeds, at most, of a subject that writes its state before each step


LEAST = 56  # of either for one model: a launch of 64 rows costs the same for fewer
WINDOW = 10  # own steps after an intervention that are compared

SIZES = {"quick": Size(128, 64, 250, 1), "full": Size(3200, 1600, 2000, 5)}


def _sums(regime: str, scaffold: str = "plain") -> Subject:
    models = tuple(f"shipped:sums-{regime}-s{seed}" for seed in range(SUMS_SEEDS[regime]))
    return Subject(f"sums-{regime}", "sums", 1, models, scaffold, 24, OnError.ACCEPT, 8, 16)


def _audited(subject: Subject) -> Subject:
    """The same models where the world tells the true total before lines 8 and 16."""
    return replace(subject, name=f"{subject.name} audited", world="sums:k=8")


def _maps(regime: str, scaffold: str = "plain") -> Subject:
    return Subject(f"maps-{regime}", "maps", 2, (f"shipped:maps-{regime}-s0",), scaffold, 24, OnError.ACCEPT, 4, 12)


def _othello(regime: str) -> Subject:
    models = (f"shipped:othello-{regime}-s0",)
    return Subject(f"othello-{regime}", "othello", 1, models, "plain", 16, OnError.SKIP, 4, 10)


SUBJECTS = (
    _sums("clean"),
    _sums("repaired"),
    _sums("mending"),
    _sums("stated", "monologue"),
    _audited(_sums("mending")),
    _maps("clean"),
    _maps("repaired"),
    _maps("stated", "monologue"),
    _othello("clean"),
)


def subjects_of(size: Size) -> list[Subject]:
    """The subjects with as many training seeds as the size runs, the first ones."""
    return [s if s.scaffold == "plain" else replace(s, models=s.models[: size.costly_seeds]) for s in SUBJECTS]


ORACLES = tuple(
    Subject(f"oracle in {world}", world, level, ("oracle",), "plain", 24, rule, 4, 12)
    for world, level, rule in (
        ("sums", 1, OnError.ACCEPT),
        ("maps", 2, OnError.ACCEPT),
        ("othello", 1, OnError.SKIP),
        ("markov:kind=ergodic", 1, OnError.ACCEPT),
    )
)

SLIP, RECOVER = 0.03, 0.1  # the planted rates
RELAPSE = 0.12  # the error rate off track of the control that conditions on itself
PLANTED = f"noisy-oracle:slip={SLIP},recover={RECOVER}"


def _planted(name: str, model: str) -> Subject:
    return Subject(name, "sums", 3, (model,), "plain", 40, OnError.ACCEPT, 8, 20)


NEUTRAL = _planted("planted rates", PLANTED)
CONDITIONED = _planted("planted self-conditioning", f"{PLANTED},slip_wrong={RELAPSE}")
STUCK = _planted("errors that stay", f"noisy-oracle:slip={SLIP},recover=0,slip_wrong={RELAPSE}")


def _chain(kind: str) -> Subject:
    return Subject(
        f"{kind} chain", f"markov:kind={kind}", 1, (f"noisy-oracle:slip={SLIP}",), "plain", 40, OnError.ACCEPT, 8, 20
    )


ERGODIC, ABSORBING = _chain("ergodic"), _chain("absorbing")

KINDS = ("free", "forced", "healed", "injected")


def specs_of(subject: Subject, size: Size, *, interventions: bool = True) -> dict[str, RollSpec]:
    """The runs of a subject, named "SUBJECT/SEED/KIND"."""
    each, pairs = (max(LEAST, n // len(subject.models)) for n in (size.rollouts, size.interventions))
    runs: dict[str, RollSpec] = {}
    for seed, model in enumerate(subject.models):
        base = RollSpec(
            subject.world,
            subject.level,
            model,
            subject.scaffold,
            each,
            horizon=subject.horizon,
            seed=seed,  # other items for each training seed, the same ones for each regime
            on_error=subject.on_error,
        )
        of = {"free": base, "forced": replace(base, on_error=OnError.REPAIR, teach=True)}
        if interventions:
            horizon = min(subject.horizon, subject.at + 1 + WINDOW)
            pair = replace(base, items=pairs, horizon=horizon, law=False, heal=subject.at)
            of |= {"healed": replace(pair, heal=subject.at + 1), "injected": replace(pair, inject=subject.at)}
        runs |= {f"{subject.name}/{seed}/{kind}": spec for kind, spec in of.items()}
    return runs


def size_of(name: str) -> Size:
    """The sizes a study can be run at. BadOption."""
    if name not in SIZES:
        raise BadOption(f"size {name!r}: choose from {', '.join(SIZES)}")
    return SIZES[name]
