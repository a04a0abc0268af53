"""The house rules that a machine can check: imports point down, and code stays small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "deadreckon"
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = {"contracts", "errors", "schema", "seeds", "specs"}
SCIENCE = BASE | {"worlds", "models", "rollouts", "train", "scaffolds", "instruments", "logs", "validation"}
MAY_IMPORT = {
    "contracts": set(),
    "errors": set(),
    "schema": {"contracts"},
    "seeds": set(),
    "specs": {"errors"},
    "scaffolds": BASE,
    "instruments": BASE,
    "logs": BASE,
    "validation": BASE | {"instruments", "rollouts"},
    "worlds": BASE,
    "models": BASE | {"worlds"},
    "rollouts": BASE | {"worlds", "models", "scaffolds"},
    "train": BASE | {"worlds", "models", "rollouts"},
    "bench": BASE | {"models"},
    "studies": SCIENCE,
    "report": SCIENCE | {"studies"},
    "explorer": SCIENCE | {"studies", "report"},
    "cli": SCIENCE | {"studies", "report", "explorer", "bench", "cli_checks", "cli_logs"},
    "cli_checks": SCIENCE | {"report", "bench"},
    "cli_logs": SCIENCE | {"studies", "report"},
}
LATE_IMPORTS = {"cli.py", "cli_checks.py", "cli_logs.py"}  # `deadreckon --help` must not load what a command needs
LATE_OUTSIDE = {  # an adapter's edge
    "vl_convert",
    "altair",
    "torch",
    "safetensors",
    "transformers",
    "zstandard",
    "inspect_ai",
}
GPL_EDGES = {"worlds/chess_rules.py", "worlds/chess_reasons.py"}  # the extra `chess`: loaded by its world alone
MANY_PARAMETERS = {
    "seeds.py:blocks",  # the seven coordinates of a draw
    "cli.py:roll",  # the options of a command
    "cli_checks.py:validate",
    "cli_logs.py:fit",
}
LONG_FILES = {"contracts.py": 540}  # every noun that crosses layers, on one page
STRANGERS = {"logs/checker.py"}  # the user's own function runs there, and may raise anything
MOST_LINES_FUNCTION, MOST_LINES_FILE, MOST_PARAMETERS = 60, 300, 6

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def module_of(path: Path) -> str:
    """ "worlds.sums"; "worlds" for a package; "" for the root."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {module_of(path): path for path in FILES}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def functions(tree: ast.AST) -> Iterator[Function]:
    yield from (node for node in ast.walk(tree) if isinstance(node, Function))


def is_ours(name: str | None) -> bool:
    return name == "deadreckon" or (name or "").startswith("deadreckon.")


def imported(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Every module of ours that is imported anywhere below, as "worlds.sums", with its statement."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            joined = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [full if full.removeprefix("deadreckon.") in MODULES else node.module or "" for full in joined]
        for name in names:
            if is_ours(name):
                assert isinstance(node, ast.stmt)
                yield name.removeprefix("deadreckon").lstrip("."), node


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    layer = module_of(path).partition(".")[0]
    if not layer:
        allowed: set[str] = set()
    else:
        assert layer in MAY_IMPORT, f"{layer} has no place in the layers: give it one in MAY_IMPORT"
        allowed = MAY_IMPORT[layer] | {layer, ""}  # "" is the root: __version__ alone lives there
    for module, node in imported(parse(path)):
        assert module.partition(".")[0] in allowed, f"line {node.lineno}: {layer} imports {module}"


def test_the_root_holds_nothing_that_loads() -> None:
    assert list(imported(parse(PACKAGE / "__init__.py"))) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        graph[module] = {target for target, _ in imported(parse(path))} - {module, ""}
    list(TopologicalSorter(graph).static_order())  # CycleError names the circle


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_stand_at_the_top(path: Path) -> None:
    tree = parse(path)
    assert "TYPE_CHECKING" not in path.read_text()
    if name_of(path) in LATE_IMPORTS:
        return
    for function in functions(tree):
        for node in ast.walk(function):
            late = [node.module] if isinstance(node, ast.ImportFrom) else []
            late += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in late:
                assert (name or "").partition(".")[0] in LATE_OUTSIDE, f"line {node.lineno}: {name} imported late"


def test_what_is_under_the_gpl_is_imported_at_its_edge_alone() -> None:
    """And whatever imports the edge is the world itself, which nothing imports by name."""
    outside, edges = set(), {f"worlds.{Path(edge).stem}" for edge in GPL_EDGES} | {"worlds.chess"}
    for path in FILES:
        tree = parse(path)
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            outside |= {name_of(path) for name in names if name.partition(".")[0] == "chess"}
        if edges & {module for module, _ in imported(tree)}:
            assert name_of(path) in {"worlds/chess.py", *GPL_EDGES}, f"{name_of(path)} loads the extra chess"
    assert outside == GPL_EDGES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LONG_FILES.get(name_of(path), MOST_LINES_FILE), f"{lines} lines: split the file by idea"
    for function in functions(parse(path)):
        size = (function.end_lineno or 0) - function.lineno + 1
        assert size <= MOST_LINES_FUNCTION, f"{function.name} has {size} lines"
        args = function.args
        names = [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if f"{name_of(path)}:{function.name}" not in MANY_PARAMETERS:
            assert count <= MOST_PARAMETERS, f"{function.name} has {count} parameters"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_called_helpers(path: Path) -> None:
    assert path.stem not in {"utils", "util", "common", "helpers", "helper", "manager", "misc"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_bare_or_blind_except(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: bare except"
            broad = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            reraises = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            allowed = reraises or name_of(path) in STRANGERS
            assert not broad or allowed, f"line {node.lineno}: broad except that does not raise again"


def test_help_loads_neither_numpy_nor_torch() -> None:
    code = """
import sys
from deadreckon import cli
sys.argv = ["deadreckon", "--help"]
try:
    cli.main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {"numpy", "torch", "polars", "scipy", "altair"} & set(sys.modules)
assert not heavy, heavy
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "demo" in shown.stdout


OUTSIDE = sorted(path for name in ("benchmarks", "examples") for path in (PACKAGE.parents[1] / name).rglob("*.py"))


def bound(tree: ast.Module) -> set[str]:
    """The names that a module binds, wherever in it."""
    names = {function.name for function in functions(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.relative_to(PACKAGE.parents[1]).as_posix())
def test_what_benchmarks_and_examples_import_is_there(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.ImportFrom) or not is_ours(node.module):
            continue
        module = (node.module or "").removeprefix("deadreckon").lstrip(".")
        assert module in MODULES, f"line {node.lineno}: no module {node.module}"
        names = bound(parse(MODULES[module]))
        for alias in node.names:
            there = alias.name in names or f"{module}.{alias.name}".lstrip(".") in MODULES
            assert there, f"line {node.lineno}: {node.module} has no {alias.name}"
