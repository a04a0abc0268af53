"""Writes the Inspect logs that the readers are tested on, with the tool itself and a scripted model, offline.

    VENV/bin/python tests/logs/make_inspect.py tests/logs/inspect-0.3.285

VENV holds one version of inspect_ai (with pandas and pyarrow). Beside each log stands what the tool's own API reads
from it (`NAME.said.json`), written by the same run. The folder's name is the version's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(INSPECT_DISPLAY="none", INSPECT_LOG_LEVEL="error", INSPECT_LOG_REALTIME="false")

import inspect_ai.log._log
import inspect_ai.model._model
from inspect_ai import Task, eval, task
from inspect_ai.analysis import samples_df
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log, read_eval_log_samples, write_eval_log
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    execute_tools,
    get_model,
    modelapi,
)
from inspect_ai.scorer import Score, accuracy, mean, score, scorer
from inspect_ai.solver import solver
from inspect_ai.tool import ToolCall, ToolError, tool

for module in (inspect_ai.log._log, inspect_ai.model._model):  # tracebacks would hold the paths of this machine
    module.format_traceback = lambda *_, **__: ("left out\n", "left out\n")


@modelapi(name="scripted")
class Scripted(ModelAPI):
    """Its n-th turn does what the n-th word of the first message says."""

    async def generate(self, input: list, tools: list, tool_choice: Any, config: GenerateConfig) -> ModelOutput:
        turn = sum(message.role == "assistant" for message in input)
        words = next(message.text for message in input if message.role == "user").split()
        word = words[turn] if turn < len(words) else "stop"
        if word == "crash":
            raise RuntimeError("the provider is down")
        calls = []
        if word.startswith("add") or word == "break" or word == "garbled":
            broken = "not an object" if word == "garbled" else None
            name = "divide" if word == "break" else "add"
            arguments = {"a": 1, "b": 0} if word == "break" else {"a": 1, "b": len(word)}
            calls = [ToolCall(id=f"c{turn}", function=name, arguments=arguments, parse_error=broken)]
        logs = [Logprob(token=part, logprob=-0.25 * (n + 1)) for n, part in enumerate(word.partition("-")) if part]
        answer = ChatMessageAssistant(content=word, tool_calls=calls or None, source="generate")
        return ModelOutput(
            model="scripted",
            choices=[ChatCompletionChoice(message=answer, stop_reason="stop", logprobs=Logprobs(content=logs))],
            usage=ModelUsage(
                input_tokens=10 * len(input), output_tokens=len(word), total_tokens=10 * len(input) + len(word)
            ),
        )


@tool
def add():
    async def execute(a: int, b: int) -> str:
        """Add two numbers.

        Args:
            a: One.
            b: Other.
        """
        return f"{a + b}" + " padding that is long enough to become an attachment" * 4

    return execute


@tool
def divide():
    async def execute(a: int, b: int) -> str:
        """Divide two numbers.

        Args:
            a: One.
            b: Other.
        """
        if not b:
            raise ToolError("division by zero")
        return str(a / b)

    return execute


@solver
def turns(judged: bool = False):
    """Turns until the script says stop, judged after each where asked."""

    async def solve(state, generate):
        state.tools = [add(), divide()]
        while True:
            output = await get_model().generate(state.messages, state.tools)
            state.messages.append(output.message)
            state.output = output
            if output.message.tool_calls:
                state.messages.extend((await execute_tools(state.messages, state.tools))[0])
            if output.completion == "die":
                os._exit(9)
            if output.completion == "stop":
                return state
            if judged:
                await score(state)

    return solve


@scorer(metrics=[accuracy()])
def letter():
    """The grade that the target names, or right until a turn says wrong; a grader model is asked in between."""

    async def grade(state, target):
        await get_model().generate("graded by a model that must not count as a turn")
        last = state.output.completion
        value = "I" if "wrong" in last else "P" if "half" in last else "N" if "none" in last else "C"
        return Score(value=float("nan") if target.text == "unscored" else target.text or value, answer=last)

    return grade


@scorer(metrics={"right": [mean()], "style": [mean()]})
def parts():
    """Two numbers, and verdicts of the steps in its metadata."""

    async def grade(state, target):
        words = state.input_text.split()
        steps = [{"ok": "wrong" not in word, "action": word} for word in words if word != "stop"]
        return Score(value={"right": 1 if state.sample_id == "a b" else 0, "style": 0.5}, metadata={"steps": steps})

    return grade


@task
def judged():
    return Task(
        dataset=[
            Sample(id=1, input="fine fine-thing wrong fine stop"),
            Sample(id=2, input="fine half wrong stop", target="I"),
            Sample(id="three/../3", input="wrong stop", target="I"),
            Sample(id="vier ü", input="none stop", target="unscored"),
        ],
        solver=turns(judged=True),
        scorer=letter(),
        epochs=2,
    )


@task
def tools():
    words = ["add add break add stop", "garbled add stop", "add crash", "stop", "add " * 12]
    return Task(
        dataset=[Sample(id=f"t{n}", input=text) for n, text in enumerate(words)],
        solver=turns(),
        scorer=letter(),
        message_limit=12,
        fail_on_error=False,
    )


@task
def named():
    return Task(
        dataset=[Sample(id="a b", input="fine wrong stop"), Sample(id="c", input="fine fine stop")],
        solver=turns(),
        scorer=[parts(), letter()],
    )


@task
def crashed():
    words = ["fine stop", "add stop", "wrong stop", "fine die"]
    return Task(dataset=[Sample(id=n, input=text) for n, text in enumerate(words)], solver=turns(), scorer=letter())


def ran(which: str, folder: Path) -> Path:
    """The log of one task."""
    model = get_model("scripted/planned", memoize=False)
    eval(globals()[which](), model=model, log_dir=str(folder), log_format="eval", max_samples=1, log_buffer=1)
    return next(folder.glob("*.eval"))


def said(log: Path) -> dict[str, Any]:
    """What the tool's own API reads from a log."""
    head = read_eval_log(str(log), header_only=True)
    metrics = {
        s.name: {m.name: m.value for m in s.metrics.values()} for s in (head.results.scores if head.results else [])
    }
    samples = [
        {
            "id": sample.id,
            "epoch": sample.epoch,
            "scores": {name: one.value for name, one in (sample.scores or {}).items()},
            "error": sample.error.message if sample.error else None,
            "limit": sample.limit.type if sample.limit else None,
            "seconds": sample.working_time,
            "output_tokens": sum(usage.output_tokens for usage in sample.model_usage.values()),
            "messages": [[message.role, message.text] for message in sample.messages],
            "tool_errors": sum(event.event == "tool" and event.error is not None for event in sample.events),
            "intermediate": [e.score.value for e in sample.events if e.event == "score" and e.intermediate],
        }
        for sample in read_eval_log_samples(str(log), all_samples_required=False, resolve_attachments=True)
    ]
    frame = samples_df(str(log)) if head.status != "started" and log.suffix == ".eval" else []
    return {
        "status": head.status,
        "task": head.eval.task,
        "model": head.eval.model,
        "rows_of_samples_df": len(frame),
        "errors_of_samples_df": int((frame["error"].fillna("").astype(str) != "").sum()) if len(frame) else None,
        "limits_of_samples_df": int((frame["limit"].fillna("").astype(str) != "").sum()) if len(frame) else None,
        "metrics": metrics,
        "samples": samples,
    }


def keep(log: Path, out: Path, name: str, truth: dict[str, Any] | None = None) -> None:
    shutil.copyfile(log, out / name)
    text = json.dumps(truth or said(log), indent=1, ensure_ascii=False, default=str)
    (out / f"{name}.said.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    if sys.argv[1] == "--die":
        ran("crashed", Path(sys.argv[2]))
        return
    out = Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        for which in ("judged", "tools", "named"):
            home = Path(folder, which)
            log = ran(which, home)
            keep(log, out, f"{which}.eval")
            if which == "named":
                write_eval_log(read_eval_log(str(log)), str(home / "log.json"), format="json")
                keep(home / "log.json", out, f"{which}.json")
            if which == "tools":
                chunked(log, home / "chunked", out, which)
        home = Path(folder, "crashed")
        subprocess.run([sys.executable, __file__, "--die", str(home)], check=False)
        keep(next(home.glob("*.eval")), out, "crashed.eval")


def chunked(log: Path, folder: Path, out: Path, which: str) -> None:
    """The same log in chunks, where this version can write them; no version reads them back yet."""
    try:
        from inspect_ai.log._recorders.chunked.convert import convert_eval_logs_to_chunked
    except ImportError:
        return
    convert_eval_logs_to_chunked(str(log), str(folder), chunk_size=3)
    keep(next(folder.glob("*.eval")), out, f"{which}-chunked.eval", said(log))


if __name__ == "__main__":
    main()
