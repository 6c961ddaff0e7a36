"""`pg.load`: a release as `datasets` objects."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

from personagen.builder.api.arguments import DEFAULT_FOLDER, PathOrName
from personagen.builder.core.errors import HubError, ReleaseError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


class LoadOptions(TypedDict, total=False):
    """Options of `load` beside the release, the configuration and the split."""

    emotions: str | Sequence[str] | None
    depth: str | None
    min_confidence: float | None
    columns: Sequence[str] | None
    cache_dir: PathOrName | None
    token: str | None


@overload
def load(
    release: PathOrName = DEFAULT_FOLDER, config: str = "all", *, split: None = None, **options: Unpack[LoadOptions]
) -> "DatasetDict": ...
@overload
def load(
    release: PathOrName = DEFAULT_FOLDER, config: str = "all", *, split: str, **options: Unpack[LoadOptions]
) -> "Dataset": ...
def load(  # noqa: PLR0913 - the arguments of `load_dataset` that a release has, and its own
    release: PathOrName = DEFAULT_FOLDER,
    config: str = "all",
    *,
    split: str | None = None,
    emotions: str | Sequence[str] | None = None,
    depth: str | None = None,
    min_confidence: float | None = None,
    columns: Sequence[str] | None = None,
    cache_dir: PathOrName | None = None,
    token: str | None = None,
) -> "DatasetDict | Dataset":
    """Load the texts of a release, or one of its layers, into `datasets`.

    Args:
        release: a folder, or a dataset on the Hub: "USER/NAME", with "@REVISION" for a tag, branch or commit.
        config: "all", "plain" (its texts and labels alone), an emotion, a layer ("demographic", "sociocultural",
            "situational") or another configuration of the release.
        split: "train", "validation" or "test", slices as in `load_dataset` included. None: a DatasetDict of all splits.
        emotions: load only texts of these emotions. None: all.
        depth: load the texts that were conditioned on this many layers; others than the recipe's depth exist where the
            recipe has ablations. None: the recipe's depth.
        min_confidence: load only texts whose emotion classifier had this confidence or more, in [0, 1]. None: all.
        columns: load only these columns. None: all.
        cache_dir: folder in which `datasets` caches the tables. None: its own.
        token: token of the Hub. None: the token of this machine, if any.

    Returns:
        A DatasetDict, or with `split` a Dataset; one row per text, or per persona or situation for a layer.

    Raises:
        ReleaseError: there is no such release, configuration, emotion, depth or split; or the release is damaged.
        HubError: the Hub cannot be reached.

    """
    options = LoadOptions(
        emotions=emotions,
        depth=depth,
        min_confidence=min_confidence,
        columns=columns,
        cache_dir=cache_dir,
        token=token,
    )
    return read_release(release, config, split, options)


def read_release(release: PathOrName, config: str, split: str | None, options: LoadOptions) -> "DatasetDict | Dataset":
    """Read one configuration of a release; see `load`."""
    from personagen_dataset import PersonaGen

    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    try:
        builder = PersonaGen(config_name=config, data_dir=os.fspath(release), **given)
        builder.download_and_prepare()
        loaded: DatasetDict | Dataset = builder.as_dataset(split=split)
    except ConnectionError as error:
        raise HubError(str(error)) from error
    except (FileNotFoundError, ValueError) as error:
        raise ReleaseError(str(error)) from error
    return loaded
