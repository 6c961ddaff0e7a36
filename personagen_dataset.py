"""The PersonaGen dataset for `datasets`: its columns, and a builder that reads a release folder.

A release needs none of this: `load_dataset("personagen", "joy")` reads the folder by the YAML of its card. The builder
is for code that wants a release from elsewhere:

    builder = PersonaGen(config_name="joy", source="path/to/release")
    builder.download_and_prepare()
    builder.as_dataset(split="train")
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import datasets
import pyarrow.parquet as pq
from datasets import ClassLabel, Features, Value

_TEXT, _COUNT, _FLAG, _SHARE = Value("string"), Value("int32"), Value("bool"), Value("float32")

DEMOGRAPHIC = {
    "age": _COUNT,  # years
    "gender": _TEXT,
    "work": _TEXT,
    "occupation": _TEXT,
    "occupation_group": _TEXT,  # ISCO-08 major group, or "not in work"
    "isco08": _TEXT,  # unit group code; null without a job
    "mbti": _TEXT,
    "openness": _COUNT,  # Big Five traits: population percentile, 1 to 99
    "conscientiousness": _COUNT,
    "extraversion": _COUNT,
    "agreeableness": _COUNT,
    "neuroticism": _COUNT,
    "prose": _TEXT,  # portrait by the model; null where the layer is sampled only
}

SOCIOCULTURAL = {
    "country": _TEXT,
    "settlement": _TEXT,
    "education": _TEXT,  # highest level, ISCED 2011
    "religion": _TEXT,
    "household": _TEXT,
    "means": _TEXT,
    "value_primary": _TEXT,  # Schwartz's basic values
    "value_secondary": _TEXT,
    "register": _TEXT,
    "prose": _TEXT,
}

APPRAISAL = {
    "pleasantness": _TEXT,
    "agency": _TEXT,
    "certainty": _TEXT,
    "control": _TEXT,
    "expectedness": _TEXT,
}

SITUATIONAL = {
    "event": _TEXT,
    "event_kind": _TEXT,
    "appraisal": APPRAISAL,
    "place": _TEXT,
    "time": _TEXT,
    "companions": _TEXT,
    "channel": _TEXT,
    "stakes": _TEXT,
    "prose": _TEXT,
}

PROVENANCE = {
    "model": _TEXT,
    "prompt_version": _TEXT,
    "seed": Value("int64"),
    "attempts": _COUNT,
    "leaked": _FLAG,  # the text names its emotion
    "checker_label": _TEXT,
    "checker_confidence": _SHARE,  # in [0, 1]
}


def text_features(emotions: Sequence[str]) -> Features:
    """Columns of the texts of a release whose labels are `emotions`, in class id order."""
    return Features(
        {
            "id": _TEXT,
            "text": _TEXT,
            "label": ClassLabel(names=list(emotions)),
            "depth": _TEXT,
            "intensity": _TEXT,
            "demographic": DEMOGRAPHIC,
            "sociocultural": SOCIOCULTURAL,
            "situational": SITUATIONAL,
            "persona_id": _TEXT,
            "situation_id": _TEXT,
            "provenance": PROVENANCE,
        }
    )


def layer_features(layer: str, emotions: Sequence[str]) -> Features:
    """Columns of a layer's own table: of personas, or, for "situational", of situations."""
    if layer == "situational":
        label = ClassLabel(names=list(emotions))
        return Features({"situation_id": _TEXT, "persona_id": _TEXT, "label": label, **SITUATIONAL})
    return Features({"persona_id": _TEXT, **(DEMOGRAPHIC if layer == "demographic" else SOCIOCULTURAL)})


def read_manifest(source: str) -> dict[str, Any]:
    """Read the manifest of the release in the folder `source`; FileNotFoundError where there is none."""
    path = Path(source) / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"no release in {source}: {path} is missing; run `personagen generate`")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


class PersonaGenConfig(datasets.BuilderConfig):
    """A configuration of a release, and where the release lies."""

    def __init__(self, source: str = "personagen", **options: Any) -> None:
        """Take the folder of the release and what every configuration takes."""
        super().__init__(**options)
        self.source = source


class PersonaGen(datasets.ArrowBasedBuilder):
    """Reads one configuration of a release: "all", an emotion, a layer, or a depth."""

    BUILDER_CONFIG_CLASS = PersonaGenConfig
    DEFAULT_CONFIG_NAME: ClassVar[str] = "all"

    def __init__(
        self,
        cache_dir: str | None = None,
        *,
        config_name: str | None = None,
        source: str = "personagen",
        **options: Any,
    ) -> None:
        """Open a release.

        Args:
            cache_dir: where `datasets` keeps what it has read; None takes its own place.
            config_name: what to read; None is "all".
            source: folder of the release.
            options: what every builder of `datasets` takes.

        Raises:
            FileNotFoundError: there is no release in `source`.
            ValueError: the release has no such configuration.

        """
        folder = str(Path(source).resolve())
        self._manifest = read_manifest(folder)
        known = self._manifest["configs"]
        name = config_name or self.DEFAULT_CONFIG_NAME
        if name not in known:
            raise ValueError(f"no configuration {name!r} in {source}; it has {', '.join(known)}")
        # The cache goes by name, source and this digest: a release made again is read again.
        options |= {"hash": known[name]["digest"], "version": self._manifest["version"]}
        super().__init__(cache_dir, config_name=name, source=folder, **options)

    def _info(self) -> datasets.DatasetInfo:
        emotions = [emotion["name"] for emotion in self._manifest["taxonomy"]["emotions"]]
        is_layer = self.config.name in ("demographic", "sociocultural", "situational")
        features = layer_features(self.config.name, emotions) if is_layer else text_features(emotions)
        return datasets.DatasetInfo(features=features, version=self._manifest["version"])

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        wanted = self._manifest["configs"][self.config.name]["data_files"]
        root = Path(self.config.source)
        files = {
            split: [str(file) for pattern in patterns for file in sorted(root.glob(pattern))]
            for split, patterns in wanted.items()
        }
        return [datasets.SplitGenerator(name=split, gen_kwargs={"files": found}) for split, found in files.items()]

    def _generate_tables(self, files: list[str]) -> Iterator[tuple[int, Any]]:
        for number, path in enumerate(files):
            # The metadata of the file is that of the `datasets` that wrote it; the features are ours.
            with pq.ParquetFile(path) as file:
                yield number, file.read().cast(self.info.features.arrow_schema)
