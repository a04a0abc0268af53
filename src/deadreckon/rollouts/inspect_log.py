"""A run as an Inspect log (JSON, version 2): one sample a rollout, verdicts and states as info events.

Each sample has a score `error_free`: 1 = no error of the model's own, 0 = one, NaN (unscored) = cut short before either
was seen. Its metadata holds `steps`, one entry a step, which readers of logs take as verdicts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime

import polars as pl

from deadreckon import __version__
from deadreckon.contracts import ERRORS, Json, Stop, nan

SCORE = "error_free"
UNSEEN = (Stop.CUT.value, Stop.FAULT.value)  # ends that tell nothing of the score
TOLD = ("t", "event", "true_state", "goal_open", "fix", "forced", "belief", "belief_right", "confidence", "state",
        "action", "taken", "parse", "logp", "entropy", "kl_pq", "kl_qp", "illegal_mass", "right_mass", "stop",
        "fault_code")  # fmt: skip


def inspect_log(spec: Mapping[str, Json], table: pl.DataFrame, made: datetime) -> bytes:
    """The log as JSON. spec: the run's; table: its steps; made: when the run was."""
    when = made.isoformat()
    samples = [_sample(rows, when, str(spec["model"])) for rows in _rollouts(table)]
    ids = sorted({sample["id"] for sample in samples})
    known = [s["scores"][SCORE]["value"] for s in samples if not math.isnan(s["scores"][SCORE]["value"])]
    run = str(table["run"][0]) if table.height else ""
    log: dict[str, Json] = {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": run, "run_id": run, "task_id": run, "created": when, "task": str(spec["world"]),
            "task_version": 0, "task_args": dict(spec), "solver": str(spec["scaffold"]), "model": str(spec["model"]),
            "dataset": {"name": str(spec["world"]), "samples": len(ids), "sample_ids": ids, "shuffled": False},
            "config": {"epochs": int(spec["repeats"])}, "packages": {"deadreckon": __version__},
        },
        "plan": {"name": "plan", "steps": [{"solver": str(spec["scaffold"]), "params": {}}], "config": {}},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": [_result(known, len(samples))],
        },
        "stats": {"started_at": when, "completed_at": when, "model_usage": {}},
        "samples": samples,
    }  # fmt: skip
    return json.dumps(log, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _result(known: list[float], total: int) -> dict[str, Json]:
    mean = sum(known) / len(known) if known else nan
    metrics = {"mean": {"name": "mean", "value": mean, "params": {}}}
    unscored = total - len(known)
    return {"name": SCORE, "scorer": SCORE, "scored_samples": len(known), "unscored_samples": unscored, "params": {},
            "metrics": metrics}  # fmt: skip


def _rollouts(table: pl.DataFrame) -> Iterator[list[dict[str, Json]]]:
    """The rows of each rollout, in order of step."""
    ordered = table.sort("item", "rollout", "t")
    for _, rows in ordered.group_by("item", "rollout", maintain_order=True):
        yield rows.to_dicts()


def _sample(rows: list[dict[str, Json]], when: str, model: str) -> dict[str, Json]:
    steps = [row for row in rows if row["event"] is not None or row["stop"] not in UNSEEN]
    first, last = rows[0], rows[-1]
    messages: list[Json] = [{"role": "user", "content": str(first["state"] or "")}]
    for row in steps:
        said = f"{row['thought'] or ''}{row['action'] or ''}"
        messages.append({"role": "assistant", "content": said, "source": "generate", "model": model})
    events = [
        {"event": "info", "source": "deadreckon", "timestamp": when, "working_start": 0.0, "pending": False,
         "data": {name: _plain(row[name]) for name in TOLD if row.get(name) not in (None, "")}}
        for row in rows
    ]  # fmt: skip
    answer = str(steps[-1]["action"] or "") if steps else ""
    sample: dict[str, Json] = {
        "id": first["item"],
        "epoch": int(first["rollout"]) + 1,
        "input": str(first["state"] or ""),
        "target": "",
        "messages": messages,
        "output": {"model": model, "choices": [], "completion": answer},
        "scores": {SCORE: _score(steps, last)},
        "metadata": {"family": first["family"] or "", "weight": first["weight"], "stop": last["stop"]},
        "store": {},
        "events": events,
        "model_usage": {},
        "attachments": {},
    }
    if last["stop"] == Stop.FAULT.value:
        said = str(last["fault_code"] or "fault")
        sample["error"] = {"message": said, "traceback": said, "traceback_ansi": said}
    return sample


def _score(steps: list[dict[str, Json]], last: dict[str, Json]) -> dict[str, Json]:
    own = [row["event"] in ERRORS for row in steps if not row["forced"]]
    unseen = last["stop"] in UNSEEN or any(row["event"] is None for row in steps)
    value = 0.0 if any(own) else nan if unseen else 1.0
    told = [
        {
            "ok": None if row["event"] is None else row["event"] not in ERRORS,
            "event": row["event"],
            "action": row["action"] or "",
            "state_ok": row["true_state"],
            "confidence": row["confidence"],
        }
        for row in steps
    ]
    first = own.index(True) if True in own else None
    return {"value": value, "answer": str(steps[-1]["action"] or "") if steps else "",
            "metadata": {"steps": told, "first_error": first, "stop": last["stop"]}}  # fmt: skip


def _plain(value: Json) -> Json:
    """A cell as JSON; what is infinite as a word, since JSON has none."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
