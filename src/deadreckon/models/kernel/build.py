"""Builds of kernel.c: which this processor can run, compiled once by the machine's compiler and kept.

A build is named by a hash of the source, the flags and the compiler's own version line, so a new compiler or a new
source is a new file. It is written under another name and renamed: two processes that build at once do no harm.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
LONGEST = 120  # seconds a compiler may take


@dataclass(frozen=True, slots=True)
class Build:
    """One way of compiling the kernel: the dtype of its operands, what it needs of the processor, the flags."""

    name: str
    dtype: str
    needs: frozenset[str]  # words of /proc/cpuinfo
    flags: tuple[str, ...]


_AVX2 = ("-mavx2", "-mfma")
_AVX512 = (*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512")
_WIDE = frozenset(("avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"))
_BF16 = ("-mavx512bf16", "-mavx512vnni", "-DBF16")
BUILDS = (
    Build("bf16", "bfloat16", _WIDE | {"avx512_bf16", "avx512_vnni"}, (*_AVX512, *_BF16)),
    Build("fp32-avx512", "float32", _WIDE, _AVX512),
    Build("fp32-avx2", "float32", frozenset(("avx2", "fma")), _AVX2),
    Build("fp32-plain", "float32", frozenset(), ()),
)


class CannotBuild(Exception):
    """This build is not to be had here; the message says why. Callers go on to the next one."""


def source() -> Path:
    """The kernel's one source."""
    return Path(str(files("deadreckon.models.kernel") / "kernel.c"))


@lru_cache(maxsize=1)
def cpu_words() -> frozenset[str]:
    """What the processor can do, in the words of /proc/cpuinfo; nothing where there is no such file."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))


@lru_cache(maxsize=1)
def cpu_name() -> str:
    """The processor's own name, with its family, model and stepping where they are told: makers use a name again."""
    info = Path("/proc/cpuinfo")
    fields = {"cpu family": "family", "model": "model", "stepping": "stepping"}
    told: dict[str, str] = {}
    for line in info.read_text().splitlines() if info.exists() else []:
        key, _, value = line.partition(":")
        told.setdefault(key.strip(), value.strip())
    name = told.get("model name") or platform.processor() or platform.machine()
    return " ".join([name, *(f"{word} {told[key]}" for key, word in fields.items() if told.get(key))])


def compiler() -> list[str]:
    """The command of a C compiler: $CC, or the first of cc, gcc, clang. CannotBuild: none."""
    named = shlex.split(os.environ.get("CC", ""))
    for words in [named] if named else [["cc"], ["gcc"], ["clang"]]:
        found = shutil.which(words[0])
        if found:
            return [found, *words[1:]]
    raise CannotBuild(f"no C compiler: {' '.join(named) or 'cc, gcc or clang'} is not on the path")


def missing(build: Build) -> str:
    """The first thing that the processor lacks for this build; "" = nothing."""
    return min(build.needs - cpu_words(), default="")


@lru_cache(maxsize=8)
def compiler_line(command: tuple[str, ...]) -> str:
    """The compiler's name and version, as it says them itself. CannotBuild: it does not run."""
    try:
        said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, timeout=LONGEST)
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotBuild(f"the C compiler {command[0]} does not run: {error}") from None
    return said.stdout.partition("\n")[0].strip()


def cache_folder() -> Path:
    """Where builds are kept: $DEADRECKON_CACHE, else deadreckon in the user's cache folder."""
    named = os.environ.get("DEADRECKON_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deadreckon"


def shared_object(build: Build, extra: tuple[str, ...] = ()) -> Path:
    """The compiled kernel, built where it is not kept yet. CannotBuild."""
    lack = missing(build)
    if lack:
        raise CannotBuild(f"this CPU has no {lack}")
    command, flags = compiler(), (*FLAGS, *build.flags, *extra)
    text = source().read_bytes()
    parts = [sha256(text).hexdigest(), *command, compiler_line(tuple(command)), platform.machine(), *flags]
    name = f"kernel-{build.name}-{sha256(repr(parts).encode()).hexdigest()[:20]}.so"
    path = cache_folder() / name
    if not path.exists():
        path = _place(path)
        _compile([*command, *flags], path)
    return path


def _place(path: Path) -> Path:
    """That path, its folder made; in a private folder of this process alone where it cannot be written."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(path.parent, os.W_OK):
            return path
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="deadreckon-")) / path.name


def _compile(command: list[str], path: Path) -> None:
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix="build-", suffix=".so")
    os.close(handle)
    try:
        line = [*command, "-o", draft, str(source()), "-lm"]
        subprocess.run(line, capture_output=True, text=True, check=True, timeout=LONGEST)
        os.replace(draft, path)
    except subprocess.CalledProcessError as error:
        first = error.stderr.strip().partition("\n")[0]
        raise CannotBuild(f"the C compiler refused kernel.c: {first}") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotBuild(f"kernel.c was not compiled: {error}") from None
    finally:
        Path(draft).unlink(missing_ok=True)
