"""Writes the lm-evaluation-harness logs that the reader is tested on, with the tool's command line and its dummy model.

    VENV/bin/python tests/logs/make_lmeval.py tests/logs/lmeval-0.4.13

VENV holds one version of lm_eval. The tool's own means stand in its `results_*.json`, which is kept beside the samples.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COMMON = """
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
metadata: {{version: 1.0}}
"""
TASKS = {
    "choose": """
task: choose
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "say": """
task: say
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
repeats: 3
generation_kwargs: {until: ["."], do_sample: true, temperature: 1.0}
metric_list: [{metric: exact_match}]
filter_list:
  - {name: strict, filter: [{function: take_first}]}
  - {name: voted, filter: [{function: regex, regex_pattern: "(lo)"}, {function: majority_vote}, {function: take_first}]}
""",
    "predict": """
task: predict
output_type: loglikelihood
doc_to_text: "{{question}}"
doc_to_target: " {{answer}}"
metric_list: [{metric: perplexity}, {metric: acc}]
""",
}
DOCS = [
    {"question": f"Question {n}?", "choices": ["one", "two three", "four five six"], "label": n % 3, "answer": answer}
    for n, answer in enumerate(["lol", "lo", "no", "lol", "ja ü", "lol"])
]


def main() -> None:
    out = Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "docs.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in DOCS))
        for name, text in TASKS.items():
            (home / f"{name}.yaml").write_text(text + COMMON.format(data="docs.jsonl"))
        command = [
            str(Path(sys.executable).parent / "lm_eval"),
            "run",
            "--model",
            "dummy",
            "--model_args",
            "pretrained=planned",
        ]
        command += ["--tasks", ",".join(TASKS), "--include_path", ".", "--output_path", "out", "--log_samples"]
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(home / "cache")}
        subprocess.run(command, cwd=home, env=os.environ | offline, check=True)
        shutil.copytree(home / "out", out)
    for file in out.rglob("results_*.json"):
        said = json.loads(file.read_text())
        kept = (
            "results",
            "n-samples",
            "config",
            "model_name",
            "model_name_sanitized",
            "lm_eval_version",
            "task_hashes",
        )
        file.write_text(json.dumps({key: said[key] for key in kept if key in said}, indent=1) + "\n")


if __name__ == "__main__":
    main()
