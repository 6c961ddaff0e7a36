"""Memory of a process that reads a release for its measurement: that of 4,200 texts is that of 1,050."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.scale.releases import repeated
from tests.helpers.releasing import manifest_of

READ = """
from pathlib import Path
from personagen.builder.evaluation.samples import draws
from personagen.builder.evaluation.samples.whole import measure_whole
from personagen.builder.release.folder import check_release
from personagen.builder.report.release_report import _count_personas
draws.MAX_TEXTS = 500
folder = Path({folder!r})
manifest = check_release(folder)
sample = draws.measured_sample(folder, manifest, 0)
whole = measure_whole(folder, manifest, ["a real text"])
personas = _count_personas(folder, manifest, 0)
assert len(sample.texts.texts) <= 500 < sample.total and personas.total > 500 and whole.duplicate_share < 0.01
lines = Path("/proc/self/status").read_text().splitlines()
print(sample.total, next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")))
"""


def read(folder: Path) -> tuple[int, int]:
    """Return the number of texts, and the peak of the resident memory in MiB."""
    words = [sys.executable, "-c", READ.format(folder=str(folder))]
    texts, peak = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return int(texts), int(peak)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_texts(release: Path, tmp_path: Path) -> None:
    few, many = (read(repeated(release, tmp_path / str(times), times)) for times in (15, 60))
    assert (few[0], many[0]) == (1_050, 4_200) and manifest_of(tmp_path / "60")["recipe"]["rows"] == 4_200
    assert many[1] - few[1] < 18, "all 4,200 rows would take 22 MB more"
