"""The PersonaGen dataset for `datasets`: its columns, and a builder that reads a release from a folder or from the Hub.

A release does not need this module: `load_dataset("personagen", "joy")` reads a folder of that name by the YAML of its
card. With this module imported, `load_dataset("personagen")` also finds a release elsewhere, checks its manifest, and
takes `emotions=`, `depth=` and `min_confidence=`. So does `load_dataset("path/to/release")`. The builder also works
without `load_dataset`: `PersonaGen(config_name="joy", data_dir="path/to/release")`.

`datasets` before version 4 can run this file as a loading script. So it is one file that imports no other of ours.
"""

import contextlib
import difflib
import functools
import inspect
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

__all__ = ["PersonaGen", "features", "open_release", "resolve_names"]

NAME = "personagen"
FORMAT = "personagen-release/1"
VERSION = "1.4.0"
"""Version of the columns that this module reads, with all earlier ones of the same major version."""

_TEXT, _COUNT = Value("string"), Value("int32")


def _texts(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), _TEXT)


# The card of every release gives the meaning and the unit of each column.
TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
DEMOGRAPHIC = {"age": _COUNT} | _texts("gender work occupation occupation_group isco08 mbti")
DEMOGRAPHIC |= dict.fromkeys(TRAITS, _COUNT) | _texts("prose")
SOCIOCULTURAL = _texts(
    "country settlement education religion household means value_primary value_secondary register prose"
)
APPRAISAL = _texts("pleasantness agency certainty control expectedness")
SITUATIONAL = {**_texts("event event_kind"), "appraisal": APPRAISAL}
SITUATIONAL |= _texts("place time companions channel stakes prose")
PROVENANCE = _texts("model prompt_version") | {"seed": Value("int64"), "attempts": _COUNT, "leaked": Value("bool")}
PROVENANCE |= {"checker_label": _TEXT, "checker_confidence": Value("float32")}
PROVENANCE |= _texts("expression_found wording real_texts persona_model")
LAYERS = ("demographic", "sociocultural", "situational")
DEPTHS = ("none", *LAYERS)
_UNSTYLED = ("emotion", "expression", "style", "provenance.expression_found")
_OPTIONAL = (
    "attributes",
    *(f"provenance.{name}" for name in ("wording", "real_texts", "persona_model")),
)  # since 1.4.0
_EARLIER = {"1.2.0": ("emotion",), "1.1.0": _UNSTYLED, "1.0.0": (*_UNSTYLED, "counterfactual_of")}  # columns they lack
_NUMBERS = {"int64": Value("int64"), "float64": Value("float64")}


def features(
    config: str,
    emotions: Sequence[str],
    version: str = VERSION,
    depth: str = DEPTHS[-1],
    left_out: Sequence[str] = (),
    attributes: Mapping[str, str] | None = None,
) -> Features:
    """Return the columns of a configuration of a release.

    The other arguments stand in its manifest: labels in class id order, version of the columns, depth of the recipe,
    the columns that no row has a value for, and the type of each further attribute of a persona.
    """
    label = {"label": ClassLabel(names=list(emotions)), "emotion": _TEXT}
    layers = {"demographic": DEMOGRAPHIC, "sociocultural": SOCIOCULTURAL, "situational": SITUATIONAL}
    further = {name: _NUMBERS.get(dtype, _TEXT) for name, dtype in (attributes or {}).items()}
    own_struct: dict[str, Any] = {"attributes": further} if further else {}
    absent = {*left_out, *_EARLIER.get(version, ()), *(() if version == VERSION else _OPTIONAL)}
    if config in LAYERS:
        keys = {**_texts("situation_id persona_id"), **label} if config == LAYERS[2] else _texts("persona_id")
        columns = _without(keys, absent) | _without({config: layers[config]}, absent)[config]
        return Features(columns | (own_struct if config == LAYERS[0] else {}))
    if version not in _EARLIER:
        own = config.removeprefix("depth_")
        number = DEPTHS.index(depth if own == config or own not in DEPTHS else own)
        absent |= {
            *LAYERS[number:],
            *(("persona_id", "attributes") * (number < 1)),
            *(("situation_id",) * (number < 3)),
        }
    columns = {**_texts("id text"), **label, **_texts("depth intensity"), **layers, **_texts("persona_id situation_id")}
    columns |= {"provenance": PROVENANCE, **_texts("expression style"), **own_struct}
    columns |= _texts("counterfactual_of") if config.startswith("counterfactual_") else {}
    return Features(_without(columns, absent))


def _without(columns: Mapping[str, Any], absent: Iterable[str], place: str = "") -> dict[str, Any]:
    kept = {name: column for name, column in columns.items() if place + name not in absent}
    return {name: _without(part, absent, f"{name}.") if isinstance(part, dict) else part for name, part in kept.items()}


_NAME = re.compile(r"[a-z][a-z0-9_]{0,127}")
_PATH = re.compile(r"[a-z][a-z0-9_]*/(train|validation|test)-[0-9]{5}-of-[0-9]{5}\.parquet")
_HEX = re.compile(r"[0-9a-f]{1,64}")
_ON_HUB = re.compile(r"(?:hf://datasets/)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(.+))?")
_HOW = "run `personagen generate`, or name a folder or USER/NAME on the Hub (`data_dir=` of `load_dataset`)"
_AGAIN = "run its `generate` command again, which mends it from the journal, or download it again"
_OWN_ARGUMENTS = ("emotions", "depth", "min_confidence", "data_dir", "columns", "filters")

Shards = Mapping[str, Sequence[Mapping[str, Any]]]  # files by split, each with path, rows, bytes and sha256


@dataclass(frozen=True)
class LocatedRelease:
    """A release: its location and the content of its manifest.json."""

    root: str  # absolute path of a folder, or "hf://datasets/USER/NAME@COMMIT"
    manifest: Mapping[str, Any]

    @property
    def emotions(self) -> list[str]:
        """The labels, in class id order."""
        return [emotion["name"] for emotion in self.manifest["taxonomy"]["emotions"]]

    @property
    def configs(self) -> dict[str, Any]:
        """All configurations; one that reads some columns of another has its name as `of`, and `columns`."""
        return {**self.manifest["configs"], **self.manifest.get("views", {})}

    def shards(self, config: str) -> Shards:
        """Return the files of a configuration by split; before version 1.3.0, "all" had those of the emotions."""
        by_split: dict[str, list[Mapping[str, Any]]] = {}
        folders = {shard["path"].split("/")[0] for shard in self.manifest["shards"]}
        for folder in self.emotions if config == "all" and "all" not in folders else [config]:
            for shard in self.manifest["shards"]:
                if shard["path"].startswith(f"{folder}/"):
                    by_split.setdefault(shard["path"].split("/")[1].split("-")[0], []).append(shard)
        return by_split


def default_data_dir() -> str:
    """Return the folder `personagen` here, else the value of PERSONAGEN_RELEASE, else raise FileNotFoundError."""
    variable = os.environ.get("PERSONAGEN_RELEASE")
    if _is_folder(NAME) and not (variable and not _is_release(NAME)):
        return NAME
    if not variable:
        raise FileNotFoundError(f"no release: no folder {NAME!r} here, PERSONAGEN_RELEASE is not set; {_HOW}")
    if not _is_folder(variable) and not _ON_HUB.fullmatch(variable):
        raise FileNotFoundError(f"PERSONAGEN_RELEASE={variable!r}: no folder, no hf://datasets/USER/NAME; correct it")
    return variable


def _is_folder(path: str) -> bool:
    return "://" not in path and os.path.isdir(path)  # `datasets` extends isdir to remote file systems


def _is_release(folder: str) -> bool:
    try:
        with open(f"{folder}/manifest.json", encoding="utf-8") as file:
            return str(json.load(file)["format"]).startswith("personagen-release/")
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False


def open_release(data_dir: Any, revision: str | None = None, token: str | bool | None = None) -> LocatedRelease:
    """Read and check the manifest of a release.

    Args:
        data_dir: path of a folder, or a repository: "hf://datasets/USER/NAME" or "USER/NAME", optionally "@REVISION".
        revision: branch, tag or commit of the repository. None: that of `data_dir`, else "main".
        token: token for the Hub. None: the token stored on this machine.

    Raises:
        FileNotFoundError: there is no release.
        ConnectionError: the Hub cannot be reached.
        ValueError: the release has another version or is damaged.

    """
    data_dir = os.fspath(data_dir)
    if _is_folder(data_dir):
        if revision is not None:
            raise ValueError(f"revision {revision!r} of the folder {data_dir}: only releases on the Hub have revisions")
        root = os.path.abspath(data_dir)
        path = f"{root}/manifest.json"
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{data_dir} is no release: no manifest.json; {_HOW}")
    else:
        path, root = _manifest_on_hub(data_dir, revision, token)
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the manifest of {data_dir}: {error}; {_AGAIN}") from None
    try:
        fault = next(_faults(manifest), None)
    except (KeyError, TypeError, AttributeError) as error:
        fault = f"is not complete ({error!r:.80}); {_AGAIN}"
    if fault:
        raise ValueError(f"the manifest of {data_dir} {fault}")
    return LocatedRelease(root, manifest)


def _manifest_on_hub(data_dir: str, revision: str | None, token: str | bool | None) -> tuple[str, str]:
    match = _ON_HUB.fullmatch(data_dir)
    if match is None:
        raise FileNotFoundError(f"no release in {data_dir}: no such folder; {_HOW}")
    repo, commit = match[1], revision or match[2]
    try:
        path = hf_hub_download(repo, "manifest.json", repo_type="dataset", revision=commit, token=token)
    except (hub.HfHubHTTPError, hub.HFValidationError) as error:
        raise FileNotFoundError(
            f"no release {repo}@{commit or 'main'}: no such folder, and the Hub serves no manifest.json of it "
            f"({type(error).__name__}); check the name and the revision, or log in with `hf auth login`"
        ) from error
    except Exception as error:  # offline, or an answer of any other form
        why = type(error.__cause__ or error).__name__
        line = f"no folder {data_dir!r}, and no answer from the Hub ({why}); check name and network"
        raise ConnectionError(line) from None
    return path, f"hf://datasets/{repo}@{os.path.basename(os.path.dirname(path))}"


def _faults(manifest: Any) -> Iterator[str]:
    """Yield what a release cannot have, above all names that would lead out of its folder or out of the cache."""
    format_ = manifest.get("format") if isinstance(manifest, dict) else manifest
    if format_ != FORMAT:
        yield f"has format {format_!r:.80}, wanted {FORMAT!r}; name another folder"
    version, fingerprint = str(manifest["version"]), str(manifest["fingerprint"])
    if not re.fullmatch(rf"{VERSION[:2]}[0-9]{{1,4}}\.[0-9]{{1,4}}", version):
        advice = f"use the version of personagen that made it ({manifest.get('personagen')!r:.80})"
        yield f"has columns of version {version!r:.80}, this module reads {VERSION}; {advice}"
    release = LocatedRelease("", manifest)
    names = [fingerprint if not _HEX.fullmatch(fingerprint) else "all", *release.configs]
    for name in (*names, *(emotion["name"] for emotion in manifest["taxonomy"]["emotions"])):
        if not _NAME.fullmatch(name):
            yield f"has the name {name!r:.80}, which no release has; {_AGAIN}"
    paths = [shard["path"] for shard in manifest["shards"]]
    for shard in manifest["shards"]:
        counts = all(type(shard[key]) is int and shard[key] >= 0 for key in ("rows", "bytes"))
        if not (counts and _PATH.fullmatch(shard["path"]) and _HEX.fullmatch(shard["sha256"])):
            yield f"lists {shard!r:.160}, which no release does; {_AGAIN}"
    if manifest["recipe"]["depth"] not in DEPTHS or len(set(paths)) != len(paths):
        yield f"has an unknown depth, or lists a file twice; {_AGAIN}"
    for name, config in release.configs.items():
        folder = config.get("of", name)
        rows, counted = manifest["configs"][folder]["rows"], _rows(release.shards(folder))
        if not counted or counted != rows:
            yield f"counts {rows!r:.80} as rows of {name}, its files have {counted}; {_AGAIN}"


class PersonaGen(Parquet):
    """Builder of one configuration of a release, or of a part of it: "all", "plain", an emotion, a layer, or a depth.

    The packaged parquet builder reads the files, so its options (`columns`, `filters`, ...) work here.

    Args:
        cache_dir: cache folder. None: that of `datasets`.
        config_name: configuration. None: "all".
        data_dir: the release; see `open_release`. None: see `default_data_dir`.
        emotions: labels to keep. None: all.
        depth: depth of conditioning: the recipe's own or that of an ablation. None: the recipe's own.
        min_confidence: lowest confidence of the emotion classifier, 0 to 1; drops texts without one. None: keep all.
        filters: further conditions, in the form of the parquet builder.
        token: token for the Hub. None: the token stored on this machine.
        options: further options of the parquet builder.

    Raises:
        FileNotFoundError: there is no release, or one of its files is missing.
        ConnectionError: the Hub cannot be reached.
        ValueError: the release is damaged, or has no such configuration, emotion, depth or column; or no such argument.

    """

    DEFAULT_CONFIG_NAME = "all"

    def __init__(
        self,
        cache_dir: str | None = None,
        *,
        config_name: str | None = None,
        data_dir: str | None = None,
        emotions: str | Sequence[str] | None = None,
        depth: str | None = None,
        min_confidence: float | None = None,
        filters: Any = None,
        token: str | bool | None = None,
        **options: Any,
    ) -> None:
        for name in options:
            _require_argument(name)
        release = open_release(data_dir or default_data_dir(), token=token)
        config = config_name or self.DEFAULT_CONFIG_NAME
        folder, conditions = _select(release, config, emotions, depth)
        if min_confidence is not None:
            conditions.append(_confident(release, config, min_confidence))
        if filters is not None:
            conditions.append(pq.filters_to_expression(filters) if isinstance(filters, list) else filters)
        filters = functools.reduce(operator.and_, conditions) if conditions else None
        if options.get("data_files") is not None:
            raise ValueError("data_files: the files of a release are those of its manifest; choose by name or filters=")
        manifest, version = release.manifest, release.manifest["version"]
        absent = manifest.get("left_out", ())
        depth_of_recipe, further = manifest["recipe"]["depth"], manifest.get("attributes", {})
        columns = features(folder, release.emotions, version, depth_of_recipe, absent, further)
        view = release.configs[config].get("columns")
        for column in options.get("columns") or view or ():
            _require_known(f"column of {config}", column, [name for name in columns if name in (view or columns)])
        options["columns"] = options.get("columns") or view
        shards = release.shards(folder)
        # `datasets` compares the rows that it reads with these counts; a filter makes them unknown.
        splits = {split: {"name": split, "num_examples": count} for split, count in _rows(shards).items()}
        self.BUILDER_CONFIGS: list[Any] = []  # the class may have those of another release
        licence = manifest.get("license") or {}
        name = licence.get("license_name") or licence.get("license") or "terms-of-the-model"
        texts = {"license": name, "citation": manifest.get("citation", "")}
        options["info"] = datasets.DatasetInfo(features=columns, splits=splits if filters is None else None, **texts)
        options |= {"data_files": _data_files(release, shards), "version": version}
        super().__init__(cache_dir, config_name=config, filters=filters, token=token, **options)

    def _save_infos(self) -> None:
        raise ValueError("save_infos would write a README beside this module; a release has its own: leave it out")

    def _as_dataset(self, split: Any = "train", in_memory: bool = False) -> datasets.Dataset:
        try:
            return super()._as_dataset(split, in_memory)
        except ValueError as error:
            if "corresponds to no data" not in str(error):
                raise
            # `datasets` takes a split without rows for an error; after a selection it is a result.
            table = self.info.features.arrow_schema.empty_table()
            return datasets.Dataset(table, self.info, datasets.Split(str(split)))


def _require_argument(name: str) -> None:
    inherited = (*inspect.signature(datasets.DatasetBuilder).parameters, *vars(Parquet.BUILDER_CONFIG_CLASS("all")))
    if name not in (known := {*inherited, *_OWN_ARGUMENTS}):
        hint = ", did you mean 'data_dir'?" if name == "source" else _hint(name, known)
        raise ValueError(f"no argument {name!r:.80}{hint}; known: {', '.join(_OWN_ARGUMENTS)}")


def _hint(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.lower(), sorted(names), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _select(
    release: LocatedRelease, config: str, emotions: str | Sequence[str] | None, depth: str | None
) -> tuple[str, list[Any]]:
    """Return the configuration whose files are read, and conditions on their rows."""
    _require_known(f"configuration of {release.root}", config, release.configs)
    config = release.configs[config].get("of", config)
    available = [config] if config in release.emotions else release.emotions
    wanted = available if emotions is None else [emotions] if isinstance(emotions, str) else list(emotions)
    for emotion in wanted:
        _require_known(f"emotion of {config} in {release.root}", emotion, available)
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
    if folder == "all" and emotions is not None and len(set(wanted)) == 1:
        folder = wanted[0]
    if folder in release.emotions:
        return folder, []
    ids = [number for number, emotion in enumerate(release.emotions) if emotion in wanted]
    return folder, [pc.field("label").isin(ids)] if len(ids) < len(release.emotions) else []


def _confident(release: LocatedRelease, config: str, least: Any) -> Any:
    if config in LAYERS:
        raise ValueError(f"min_confidence is for texts, and {config!r} has none; leave it out")
    if isinstance(least, bool) or not isinstance(least, numbers.Real) or not 0 <= float(least) <= 1:
        raise ValueError(f"min_confidence is {least!r}, wanted a number from 0 to 1")
    # Releases with columns of version 1.0.0 have the key "checker".
    if not isinstance(release.manifest.get("classifier", release.manifest.get("checker")), dict):
        raise ValueError(f"min_confidence: {release.root} has no predictions of an emotion classifier; leave it out")
    # In the type of the column: 0.7 as a double is more than 0.7 as a float.
    return pc.field("provenance", "checker_confidence") >= pa.scalar(float(least), pa.float32())


def _require_known(what: str, name: Any, names: Iterable[str]) -> None:
    if name not in (names := list(names)):
        raise ValueError(f"no {what}: {name!r:.80}{_hint(str(name), names)}; known: {', '.join(names)}")


def _rows(shards: Shards) -> dict[str, int]:
    return {split: sum(shard["rows"] for shard in parts) for split, parts in shards.items()}


def _data_files(release: LocatedRelease, shards: Shards) -> DataFilesDict:
    """Return the files with their marks, which are part of the key of the cache."""
    paths = {split: [f"{release.root}/{shard['path']}" for shard in parts] for split, parts in shards.items()}
    marks = {split: list(map(_mark, paths[split], parts)) for split, parts in shards.items()}
    return DataFilesDict({split: DataFilesList(paths[split], marks[split]) for split in shards})


def _mark(path: str, shard: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what identifies the content of a file; in a folder, the file must exist and have the right size."""
    if path.startswith("hf://"):  # of one commit, and complete
        return (shard["sha256"],)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is missing; {_AGAIN}")
    stat = os.stat(path)
    if stat.st_size != shard["bytes"]:
        raise ValueError(f"{path} has {stat.st_size} bytes, wanted {shard['bytes']}: cut off or changed; {_AGAIN}")
    return shard["sha256"], str(stat.st_mtime_ns)


def _configs(release: LocatedRelease) -> list[datasets.BuilderConfig]:
    return [Parquet.BUILDER_CONFIG_CLASS(name=name) for name in release.configs]


def resolve_names() -> None:
    """Make `load_dataset` read releases with `PersonaGen`: "personagen" wherever it lies, and paths of releases."""
    original = datasets.load.dataset_module_factory
    if hasattr(original, "resolves_personagen"):
        return

    @functools.wraps(original)
    def dataset_module_factory(path: str, *args: Any, **options: Any) -> Any:
        data_dir, is_path = options.get("data_dir"), path != NAME and _is_folder(path) and _is_release(path)
        if options.get("data_files") is not None or not (path == NAME or (is_path and data_dir is None)):
            return original(path, *args, **options)
        data_dir = path if is_path else data_dir or default_data_dir()
        revision, settings = options.get("revision"), options.get("download_config")
        token = options.get("token") or getattr(settings, "token", None)
        release = open_release(data_dir, revision and str(revision), token)
        parameters = datasets.load.BuilderConfigsParameters(None, _configs(release), PersonaGen.DEFAULT_CONFIG_NAME)
        arguments = {"dataset_name": NAME, "data_dir": release.root}
        return datasets.load.DatasetModule(__name__, release.manifest["fingerprint"], arguments, parameters)

    dataset_module_factory.resolves_personagen = True  # type: ignore[attr-defined]
    datasets.load.dataset_module_factory = dataset_module_factory
    datasets.inspect.dataset_module_factory = dataset_module_factory


if not __name__.startswith("datasets_modules."):
    resolve_names()
else:  # `datasets` runs this file as a loading script, and may list its configurations without opening a release
    with contextlib.suppress(OSError, ValueError):
        PersonaGen.BUILDER_CONFIGS = _configs(open_release(default_data_dir()))
