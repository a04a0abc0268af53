"""PlanBench, a file of `responses/` or `results/`: one JSON object of instances with the model's plan.

Follows karthikv792/LLMs-Planning as of 2024 (`plan-bench/response_generation.py`, `response_evaluation.py`) and the
package `src/planbench` that replaced it in 2026, which writes the same keys.

- item: `instance_id` within `domain` and `task`; one run each; model: `engine`.
- step: a line of the plan, each as one assistant message, so that a checker can judge plan steps: of
  `extracted_llm_plan` where the file was evaluated, else of the response (up to `[PLAN END]` or `[STATEMENT]`).
- success: `llm_correct` (for plan verification `llm_correct_binary`); none where the file was not evaluated.
- stop: an instance without a response is a fault (`no_response`: the request failed, or was never sent), as PlanBench
  leaves it out of its accuracy. Any other is done: a response cut off at its token limit is not marked in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from deadreckon.contracts import Json, Stop, nan
from deadreckon.errors import BadLog
from deadreckon.logs.elements import json_elements
from deadreckon.logs.fields import as_object, lengths, need_label, numbers, success, text
from deadreckon.logs.record import Message, Options, Record

ABOUT = ("task", "domain", "engine")
VERDICTS = ("llm_correct", "llm_correct_binary", "llm_correct_w_type", "llm_correct_w_expl")
ENDS = ("[PLAN END]", "[STATEMENT]")
MARKS = ("[PLAN]",)


class PlanBench:
    """PlanBench instances. BadLog: as `json_elements`, and where an instance is none, or none is there."""

    name = "planbench"
    line = "PlanBench: responses/ or results/ <domain>/<engine>/<task>.json with instances"

    def knows(self, path: Path, head: bytes) -> bool:
        """By the keys of an instance."""
        keys = (b'"instances"', b'"instance_id"', b'"query"')
        return head.lstrip()[:1] == b"{" and all(key in head for key in keys)

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """A run for each instance; read twice, since the engine's name comes after the instances."""
        about = {key: text(value) for _, key, value in json_elements(path, (), ABOUT, options.caps)}
        run = 0
        for run, _, value in json_elements(path, ("instances",), (), options.caps):
            place = f"{path}: run {run}"
            yield _record(as_object(value, place, "an instance"), about, options, place, run)
        if not run:
            raise BadLog(f"{path}: no instances in it: give a file of PlanBench's responses or results")


def _record(row: Mapping[str, Json], about: Mapping[str, str], options: Options, place: str, line: int) -> Record:
    response = text(row.get("llm_raw_response"))
    answered = bool(response.strip())
    scores = numbers({verdict: row.get(verdict) for verdict in VERDICTS})
    default = next((verdict for verdict in VERDICTS if verdict in scores), "")
    plan = _plan(row.get("extracted_llm_plan"), response, options.caps.members, place)
    task, domain = about.get("task", ""), about.get("domain", "")
    asked = (Message("user", text(row.get("query"))),)
    return Record(
        item="/".join(part for part in (domain, task, need_label(row, ("instance_id",), place)) if part),
        model=about.get("engine", ""),
        task=task,
        family=domain,
        messages=asked + tuple(Message("assistant", step) for step in plan) if options.messages else (),
        success=success(scores, default, options.score, place) if answered else None,
        scores=scores,
        stop=Stop.DONE if answered else Stop.FAULT,
        fault_code="" if answered else "no_response",
        lengths=lengths(steps=float(len(plan)) if answered else nan),
        line=line,
    )


def _plan(extracted: Json, response: str, most: int, place: str) -> list[str]:
    """The lines of the plan; where the extracted one is no text (states, verdicts) the response is one step."""
    if extracted is not None and not isinstance(extracted, str):
        return [response.strip()] if response.strip() else []
    written = extracted or response
    for end in ENDS:
        written = written.partition(end)[0]
    if written.count("\n") > most:
        raise BadLog(f"{place}: a plan of more than {most:,} lines: raise the cap on members if you trust it")
    lines = [line.strip() for line in written.split("\n")]
    return [line for line in lines if line and line not in MARKS]
