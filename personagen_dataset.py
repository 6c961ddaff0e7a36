"""The PersonaGen dataset for `datasets`: its columns, and a builder that reads a release from a folder or from the Hub.

A release needs none of this: `load_dataset("personagen", "joy")` reads a folder of that name by the YAML of its card.
With this module imported the same call finds a release wherever it lies, checks it, and takes `emotions=`, `depth=` and
`min_confidence=`. The builder works alone too: `PersonaGen(config_name="joy", source="path/to/release")`.

`datasets` before version 4 can run this file as a loading script. So it is one file, and imports nothing of the rest.
"""

import contextlib
import difflib
import functools
import json
import numbers
import operator
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import ClassLabel, Features, Value
from datasets.data_files import DataFilesDict, DataFilesList
from datasets.packaged_modules.parquet.parquet import Parquet
from huggingface_hub import errors as hub
from huggingface_hub import hf_hub_download

NAME = "personagen"
FORMAT = "personagen-release/1"
VERSION = "1.0.0"
"""Version of the columns; a release of another major version has others."""

_TEXT, _COUNT = Value("string"), Value("int32")

# What each column means, and in which unit, stands in the card of every release.
DEMOGRAPHIC = {
    "age": _COUNT,
    **dict.fromkeys(("gender", "work", "occupation", "occupation_group", "isco08", "mbti"), _TEXT),
    **dict.fromkeys(("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism"), _COUNT),
    "prose": _TEXT,
}
SOCIOCULTURAL = dict.fromkeys(("country", "settlement", "education", "religion", "household", "means"), _TEXT)
SOCIOCULTURAL |= dict.fromkeys(("value_primary", "value_secondary", "register", "prose"), _TEXT)
APPRAISAL = dict.fromkeys(("pleasantness", "agency", "certainty", "control", "expectedness"), _TEXT)
SITUATIONAL = {
    **dict.fromkeys(("event", "event_kind"), _TEXT),
    "appraisal": APPRAISAL,
    **dict.fromkeys(("place", "time", "companions", "channel", "stakes", "prose"), _TEXT),
}
PROVENANCE = {
    **dict.fromkeys(("model", "prompt_version"), _TEXT),
    **{"seed": Value("int64"), "attempts": _COUNT, "leaked": Value("bool")},
    **{"checker_label": _TEXT, "checker_confidence": Value("float32")},
}

LAYERS = ("demographic", "sociocultural", "situational")


def features(config: str, emotions: Sequence[str]) -> Features:
    """Columns of a configuration of a release whose labels are `emotions`, in class id order."""
    label = ClassLabel(names=list(emotions))
    if config == "situational":
        return Features({"situation_id": _TEXT, "persona_id": _TEXT, "label": label, **SITUATIONAL})
    if config in LAYERS:
        return Features({"persona_id": _TEXT, **(DEMOGRAPHIC if config == "demographic" else SOCIOCULTURAL)})
    return Features(
        {"id": _TEXT, "text": _TEXT, "label": label, "depth": _TEXT, "intensity": _TEXT}
        | {"demographic": DEMOGRAPHIC, "sociocultural": SOCIOCULTURAL, "situational": SITUATIONAL}
        | {"persona_id": _TEXT, "situation_id": _TEXT, "provenance": PROVENANCE}
    )


DEPTHS = ("none", *LAYERS)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PATH = re.compile(r"[a-z][a-z0-9_]*/(train|validation|test)-[0-9]{5}-of-[0-9]{5}\.parquet")
_HEX = re.compile(r"[0-9a-f]+")
_ON_HUB = re.compile(r"(?:hf://datasets/)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(.+))?")
_HOW = "run `personagen generate`, or name one by data_dir='FOLDER' or data_dir='hf://datasets/USER/NAME'"
_AGAIN = "make or download the release again"

Shards = Mapping[str, Sequence[Mapping[str, Any]]]
"""Files by split, each with path, rows, bytes and sha256."""


@dataclass(frozen=True)
class Release:
    """A release that was found: where it lies, and what is in its manifest.json."""

    root: str  # its folder, absolute, or "hf://datasets/USER/NAME@COMMIT"
    manifest: Mapping[str, Any]

    @property
    def emotions(self) -> list[str]:
        """The labels, in class id order."""
        return [emotion["name"] for emotion in self.manifest["taxonomy"]["emotions"]]

    def shards(self, folders: Iterable[str]) -> Shards:
        """List the files in these folders."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for folder in folders:
            for shard in self.manifest["shards"]:
                if shard["path"].startswith(f"{folder}/"):
                    found.setdefault(shard["path"].split("/")[1].split("-")[0], []).append(shard)
        return found


def find_source() -> str:
    """Find the release that nobody named: the folder `personagen` here, else what PERSONAGEN_RELEASE names.

    Raises FileNotFoundError where there is neither.
    """
    named = os.environ.get("PERSONAGEN_RELEASE")
    if _is_folder(NAME) and not (named and not _is_release(NAME)):
        return NAME
    if not named:
        raise FileNotFoundError(f"no release: no folder {NAME!r} here, PERSONAGEN_RELEASE is not set; {_HOW}")
    if not _is_folder(named) and not _ON_HUB.fullmatch(named):
        raise FileNotFoundError(f"PERSONAGEN_RELEASE is {named!r}: no folder, no hf://datasets/USER/NAME; correct it")
    return named


def _is_folder(source: str) -> bool:
    return "://" not in source and os.path.isdir(source)  # `datasets` makes isdir ask other file systems too


def _is_release(folder: str) -> bool:
    try:
        with open(f"{folder}/manifest.json", encoding="utf-8") as file:
            return str(json.load(file)["format"]).startswith("personagen-release/")
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False


def open_release(source: Any, revision: str | None = None, token: str | bool | None = None) -> Release:
    """Read the manifest of a release.

    Args:
        source: path of a folder, or a repository: "hf://datasets/USER/NAME", "USER/NAME", either with "@REVISION".
        revision: branch, tag or commit of the repository; None takes what `source` says, else "main".
        token: for the Hub; None takes that of this machine.

    Raises:
        FileNotFoundError: there is no release.
        ConnectionError: the Hub cannot be reached.
        ValueError: it is one of another version, or damaged.

    """
    source = os.fspath(source)
    if _is_folder(source):
        if revision is not None:
            raise ValueError(f"revision {revision!r} of the folder {source}: only releases on the Hub have revisions")
        root = os.path.abspath(source)
        path = f"{root}/manifest.json"
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{source} is no release: no manifest.json; {_HOW}")
    else:
        path, root = _manifest_on_hub(source, revision, token)
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the manifest of {source}: {error}; {_AGAIN}") from None
    try:
        fault = next(_faults(manifest), None)
    except (KeyError, TypeError, AttributeError) as error:
        fault = f"is not whole ({error!r:.80}); {_AGAIN}"
    if fault:
        raise ValueError(f"the manifest of {source} {fault}")
    return Release(root, manifest)


def _manifest_on_hub(source: str, revision: str | None, token: str | bool | None) -> tuple[str, str]:
    named = _ON_HUB.fullmatch(source)
    if named is None:
        raise FileNotFoundError(f"no release in {source}: no such folder; {_HOW}")
    repo, commit = named[1], revision or named[2]
    try:
        path = hf_hub_download(repo, "manifest.json", repo_type="dataset", revision=commit, token=token)
    except (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled) as error:
        why = type(error.__cause__ or error).__name__
        raise ConnectionError(
            f"no folder {source!r}, and nothing from the Hub ({why}); check name and network"
        ) from error
    except (hub.HfHubHTTPError, hub.HFValidationError) as error:
        raise FileNotFoundError(
            f"no release {repo}@{commit or 'main'}: no such folder, and the Hub serves no manifest.json of it "
            f"({type(error).__name__}); check the name and the revision, or log in with `hf auth login`"
        ) from error
    return path, f"hf://datasets/{repo}@{os.path.basename(os.path.dirname(path))}"


def _faults(manifest: Any) -> Iterator[str]:
    """Tell what no release has; above all names that would lead out of it, or out of the cache."""
    given = manifest.get("format") if isinstance(manifest, dict) else manifest
    if given != FORMAT:
        yield f"has format {given!r:.80}, wanted {FORMAT!r}; name another folder"
    version, fingerprint = str(manifest["version"]), str(manifest["fingerprint"])
    if not re.fullmatch(rf"{VERSION[:2]}[0-9]+\.[0-9]+", version):
        made = f"use the personagen that made it ({manifest.get('personagen')!r:.80})"
        yield f"has columns of version {version!r:.80}, this code reads {VERSION}; {made}"
    names = [fingerprint if not _HEX.fullmatch(fingerprint) else "all", *manifest["configs"]]
    for name in (*names, *(emotion["name"] for emotion in manifest["taxonomy"]["emotions"])):
        if not _NAME.fullmatch(name):
            yield f"names {name!r:.80}, as no release does; {_AGAIN}"
    paths = [shard["path"] for shard in manifest["shards"]]
    for shard in manifest["shards"]:
        whole = all(type(shard[key]) is int and shard[key] >= 0 for key in ("rows", "bytes"))
        if not (whole and _PATH.fullmatch(shard["path"]) and _HEX.fullmatch(shard["sha256"])):
            yield f"lists {shard!r:.160}, as no release does; {_AGAIN}"
    if manifest["recipe"]["depth"] not in DEPTHS or len(set(paths)) != len(paths):
        yield f"has a depth that is none, or a file twice; {_AGAIN}"
    release = Release("", manifest)
    for name, config in manifest["configs"].items():
        held = _rows(release.shards(release.emotions if name == "all" else [name]))
        if not held or held != config["rows"]:
            yield f"counts {config['rows']!r:.80} as rows of {name}, its files have {held}; {_AGAIN}"


class PersonaGen(Parquet):
    """Reads one configuration of a release, or a part of it: "all", an emotion, a layer, or a depth.

    The packaged builder for parquet does the reading, so whatever it takes (`columns`, `filters`, ...) works here.

    Args:
        cache_dir: where `datasets` keeps what it has read; None takes its own place.
        config_name: configuration; None is "all".
        source: the release: see `open_release`. None takes `data_dir`, else `find_source`.
        data_dir: the same under the name that `load_dataset` has for it.
        emotions: keep texts of these labels; None keeps all.
        depth: keep texts conditioned on so many layers; None is the recipe's depth. Others are where it asked for
            ablations.
        min_confidence: keep texts of whose label the checker was at least so sure, in [0, 1]; not those that were
            not checked. None keeps all.
        filters: more conditions, as the packaged builder takes them.
        token: for the Hub; None takes that of this machine.
        options: what the packaged builder takes.

    Raises:
        FileNotFoundError: there is no release, or one of its files is missing.
        ConnectionError: the Hub cannot be reached.
        ValueError: the release has no such configuration, emotion, depth or column; or it is damaged.

    """

    DEFAULT_CONFIG_NAME = "all"

    def __init__(
        self,
        cache_dir: str | None = None,
        *,
        config_name: str | None = None,
        source: str | None = None,
        data_dir: str | None = None,
        emotions: str | Sequence[str] | None = None,
        depth: str | None = None,
        min_confidence: float | None = None,
        filters: Any = None,
        token: str | bool | None = None,
        **options: Any,
    ) -> None:
        release = open_release(source or data_dir or find_source(), token=token)
        config = config_name or self.DEFAULT_CONFIG_NAME
        folders, conditions = _select(release, config, emotions, depth)
        if min_confidence is not None:
            conditions.append(_sure(release, config, min_confidence))
        if filters is not None:
            conditions.append(pq.filters_to_expression(filters) if isinstance(filters, list) else filters)
        filters = functools.reduce(operator.and_, conditions) if conditions else None
        if options.get("data_files") is not None:
            raise ValueError("data_files: the files of a release are those of its manifest; choose by name or filters=")
        columns = features(config, release.emotions)
        for column in options.get("columns") or ():
            _require_known(f"column of {config}", column, columns)
        shards = release.shards(folders)
        # `datasets` compares what it reads with these counts; how many rows a filter lets through is not known before.
        splits = {split: {"name": split, "num_examples": count} for split, count in _rows(shards).items()}
        self.BUILDER_CONFIGS: list[Any] = []  # the class may have those of another release
        options["info"] = datasets.DatasetInfo(features=columns, splits=splits if filters is None else None)
        options |= {"data_files": _data_files(release, shards), "version": release.manifest["version"]}
        super().__init__(cache_dir, config_name=config, filters=filters, token=token, **options)

    def _save_infos(self) -> None:
        raise ValueError("save_infos would write a README beside this module; a release has its own: leave it")

    def _as_dataset(self, split: Any = "train", in_memory: bool = False) -> datasets.Dataset:
        try:
            return super()._as_dataset(split, in_memory)
        except ValueError as error:
            if "corresponds to no data" not in str(error):
                raise
            # To `datasets` a split without rows is an error; to who asked for a part, it is an answer.
            nothing = self.info.features.arrow_schema.empty_table()
            return datasets.Dataset(nothing, self.info, datasets.Split(str(split)))


def _select(
    release: Release, config: str, emotions: str | Sequence[str] | None, depth: str | None
) -> tuple[Sequence[str], list[Any]]:
    """Name the folders to read, and conditions on what is in them."""
    _require_known(f"configuration of {release.root}", config, release.manifest["configs"])
    own = [config] if config in release.emotions else release.emotions
    wanted = own if emotions is None else [emotions] if isinstance(emotions, str) else list(emotions)
    for emotion in wanted:
        _require_known(f"emotion of {config} in {release.root}", emotion, own)
    if not wanted:
        raise ValueError(f"emotions is {emotions!r}; name at least one, or leave it out")
    if emotions is not None and config in LAYERS[:2]:
        raise ValueError(f"emotions is {emotions!r}, but {config!r} is a table of personas; leave it out")
    main, folder = release.manifest["recipe"]["depth"], config
    if depth is not None:
        if config in LAYERS or (config.startswith(("depth_", "counterfactual_")) and config != f"depth_{depth}"):
            raise ValueError(f"depth is {depth!r} for {config!r}; leave one of the two out")
        others = [name.removeprefix("depth_") for name in release.manifest["configs"] if name.startswith("depth_")]
        _require_known(f"depth of {release.root}", depth, [main, *others])
        folder = config if depth == main else f"depth_{depth}"
    if folder in ("all", *release.emotions):
        return [emotion for emotion in own if emotion in wanted], []
    ids = [number for number, emotion in enumerate(release.emotions) if emotion in wanted]
    return [folder], [pc.field("label").isin(ids)] if len(ids) < len(release.emotions) else []


def _sure(release: Release, config: str, least: Any) -> Any:
    if config in LAYERS:
        raise ValueError(f"min_confidence is for texts, and {config!r} has none; leave it out")
    if isinstance(least, bool) or not isinstance(least, numbers.Real) or not 0 <= float(least) <= 1:
        raise ValueError(f"min_confidence is {least!r}, wanted a number from 0 to 1")
    if not isinstance(release.manifest.get("checker"), dict):
        raise ValueError(f"min_confidence: no label checker went over {release.root}; leave it out")
    # As the column has it: 0.7 as a double is more than 0.7 as a float.
    return pc.field("provenance", "checker_confidence") >= pa.scalar(float(least), pa.float32())


def _require_known(what: str, name: Any, names: Iterable[str]) -> None:
    if name not in (names := list(names)):
        near = difflib.get_close_matches(str(name).lower(), names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no {what}: {name!r:.80}; {hint}There is {', '.join(names)}")


def _rows(shards: Shards) -> dict[str, int]:
    return {split: sum(shard["rows"] for shard in parts) for split, parts in shards.items()}


def _data_files(release: Release, shards: Shards) -> DataFilesDict:
    """Name the files with what tells whether they have changed, for the key of the cache."""
    files = {}
    for split, parts in shards.items():
        paths = [f"{release.root}/{shard['path']}" for shard in parts]
        files[split] = DataFilesList(paths, list(map(_mark, paths, parts)))
    return DataFilesDict(files)


def _mark(path: str, shard: Mapping[str, Any]) -> tuple[str, ...]:
    """Tell one content of a file from another; a file in a folder must be there, and of the right size."""
    if path.startswith("hf://"):  # of one commit, and whole
        return (shard["sha256"],)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is missing; {_AGAIN}")
    stat = os.stat(path)
    if stat.st_size != shard["bytes"]:
        raise ValueError(f"{path} has {stat.st_size} bytes, wanted {shard['bytes']}: cut off or changed; {_AGAIN}")
    return shard["sha256"], str(stat.st_mtime_ns)


def _configs(release: Release) -> list[datasets.BuilderConfig]:
    return [Parquet.BUILDER_CONFIG_CLASS(name=name) for name in release.manifest["configs"]]


def resolve_bare_name() -> None:
    """Make `load_dataset("personagen")` find a release wherever it lies: nothing else resolves such a name any more."""
    original = datasets.load.dataset_module_factory
    if hasattr(original, "resolves_personagen"):
        return

    @functools.wraps(original)
    def dataset_module_factory(path: str, *args: Any, **options: Any) -> Any:
        if path != NAME or options.get("data_files") is not None:
            return original(path, *args, **options)
        revision, settings = options.get("revision"), options.get("download_config")
        token = options.get("token") or getattr(settings, "token", None)
        release = open_release(options.get("data_dir") or find_source(), revision and str(revision), token)
        parameters = datasets.load.BuilderConfigsParameters(None, _configs(release), PersonaGen.DEFAULT_CONFIG_NAME)
        given = {"dataset_name": NAME, "data_dir": release.root}
        return datasets.load.DatasetModule(__name__, release.manifest["fingerprint"], given, parameters)

    dataset_module_factory.resolves_personagen = True  # type: ignore[attr-defined]
    datasets.load.dataset_module_factory = dataset_module_factory
    datasets.inspect.dataset_module_factory = dataset_module_factory


if not __name__.startswith("datasets_modules."):
    resolve_bare_name()
else:  # `datasets` runs this file as a loading script, and may ask for its configurations without opening a release
    with contextlib.suppress(OSError, ValueError):
        PersonaGen.BUILDER_CONFIGS = _configs(open_release(find_source()))
