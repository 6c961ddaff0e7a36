"""A metric as a Space: published by the command, found by `evaluate.load`."""

import json
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import ReleaseError
from personagen.builder.hub.push_metric import SPACE_FILES, metric_files, push_metric
from personagen.metrics import NAMES
from tests.helpers.pushing import Pusher
from tests.helpers.releasing import run_python
from tests.helpers.servers.hub.server import Hub
from tests.hub.test_push_refusals import refused, run

METRICS = Path(str(files("personagen.metrics")))
DIVERSITY = METRICS / "diversity"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub(tokens={"hf_write": "write"}) as running:
        yield running


def test_a_metric_is_published_and_loaded_from_there(hub: Hub, tmp_path: Path) -> None:
    done = run(hub, "push-metric", "diversity", "user/diversity", "--tag", "v1")
    assert done.stdout == f"{hub.url}/spaces/user/diversity\n" and "files sent, 0 already there" in done.stderr
    there = {path: file.read_bytes() for path, file in hub.files("user/diversity", "v1", "space").items()}
    for name in SPACE_FILES:
        assert there[name] == (DIVERSITY / name).read_bytes()
    code = """
import json
import evaluate
metric = evaluate.load("user/diversity", module_type="measurement")
print(json.dumps([type(metric).__module__, metric.features.to_dict()]))
"""
    env = {**hub.env(), "HF_HOME": str(tmp_path), "HF_EVALUATE_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    module, features = json.loads(run_python(code, tmp_path, **env).splitlines()[-1])
    assert module.startswith("evaluate_modules.metrics.user--diversity.")
    assert list(features) == ["predictions", "references"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_space_has_the_modules_that_it_imports(name: str, tmp_path: Path) -> None:
    """Our modules come from the Space, as on a machine without PersonaGen."""
    for path, file in metric_files(METRICS / name).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(file.content or b"")
    code = f"""
import json, sys, types
sys.path_importer_cache.clear()
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
package = types.ModuleType("personagen")
package.__path__ = [{str(tmp_path / "personagen")!r}]
sys.modules["personagen"] = package
import evaluate
metric = evaluate.load({str(tmp_path / f"{name}.py")!r})
print(json.dumps([module.__file__ for name, module in sys.modules.items() if name.startswith("personagen.")]))
"""
    used = json.loads(run_python(code, tmp_path, HF_HUB_OFFLINE="1").splitlines()[-1])
    assert used and {Path(path).is_relative_to(tmp_path) for path in used} == {True}


@pytest.mark.slow
def test_unchanged_files_are_not_sent_again(hub: Hub, tmp_path: Path) -> None:
    with Pusher(hub, tmp_path) as pusher:
        first = pusher.ask("metric", folder=str(DIVERSITY), repo="user/diversity")
        again = pusher.ask("metric", folder=str(DIVERSITY), repo="user/diversity")
        assert again["sent"] == [] and again["commit"] == first["commit"]
        hub.fail(r"POST .*/commit/", cut=0, after=True)
        shutil.copytree(DIVERSITY, tmp_path / "diversity")
        (tmp_path / "diversity" / "README.md").write_bytes((DIVERSITY / "README.md").read_bytes() + b"\nMore.\n")
        changed = pusher.ask("metric", folder=str(tmp_path / "diversity"), repo="user/diversity", tag="v2")
        assert changed["sent"] == ["README.md"] and hub.repo("user/diversity", "space").find("v2") is not None
        (tmp_path / "diversity" / "requirements.txt").write_text("")
        before = len(hub.requests)
        answer = pusher.ask("metric", folder=str(tmp_path / "diversity"), repo="user/diversity", tag="v2")
        assert answer["message"].startswith("user/diversity already has a tag v2 with other content (")
        assert not any("/commit/" in line for line in hub.requests[before:])
        assert pusher.ask("metric", folder=str(tmp_path / "diversity"), repo="user/diversity")["sent"] == [
            "requirements.txt"
        ]


@pytest.mark.slow
def test_refusals(hub: Hub) -> None:
    refused(hub, r"user/other is no Space for diversity: evaluate\.load looks for NAME\.py in USER/NAME; push",
            "push-metric", "diversity", "user/other")  # fmt: skip
    refused(hub, r"no token for the Hub; log in", "push-metric", "diversity", "user/diversity", token=None)
    refused(hub, r"/nonsense is no metric: it lacks nonsense\.py, README\.md, app\.py, requirements\.txt, tests\.py;",
            "push-metric", "nonsense", "user/nonsense")  # fmt: skip


def card(text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / "README.md").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "app.py").unlink(),
            r"diversity is no metric: it lacks app\.py; see metrics/diversity",
        ),
        (
            lambda folder: (folder / "app.py").write_text("def ("),
            r"app\.py is no Python \(invalid syntax .*\); correct it$",
        ),
        (
            card("# Diversity"),
            r"README\.md lacks title, sdk, sdk_version, app_file, tags in the YAML on top, which a Space",
        ),
        (card("---\n[\n---\n"), r"README\.md has YAML that cannot be read \(while parsing .*\); correct it$"),
        (
            card("---\ntitle: x\nsdk: gradio\nsdk_version: 6.0.0\napp_file: run.py\ntags: [evaluate]\n---\n"),
            r"README\.md has app_file 'run\.py' and tags \['evaluate'\]; wanted app\.py, evaluate$",
        ),
    ],
)
def test_a_folder_that_is_no_metric(change: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(DIVERSITY, tmp_path / "diversity"))
    change(folder)
    with pytest.raises(ReleaseError, match=message) as caught:
        push_metric(folder, "user/diversity")
    assert "\n" not in str(caught.value)
