"""A release in a folder, with the verbs that use it."""

from collections.abc import Mapping, Sequence
from os import fspath
from os.path import abspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

from personagen.builder.api.arguments import (
    DEFAULT_FOLDER,
    PathOrName,
    as_recipe,
    keywords_of,
    recorded_call,
    replay_settings,
    with_keywords,
)
from personagen.builder.api.loading import LoadOptions, read_release
from personagen.builder.api.measurement_keywords import (
    EvaluationKeywords,
    evaluation_settings,
    require_evaluation_keywords,
)
from personagen.builder.api.progress import shown_progress
from personagen.builder.api.release_facts import (
    EmotionCount,
    RejectCount,
    emotion_counts,
    emotion_names,
    reject_counts,
    release_html,
    release_line,
    shown_path,
)
from personagen.builder.api.release_forms import ExportKeywords
from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.files import redact_path
from personagen.builder.core.progress import Progress
from personagen.builder.core.result_table import ResultTable
from personagen.builder.release.folder import MEND, check_manifest, read_manifest
from personagen.builder.release.results import read_results

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset, DatasetDict

    from personagen.builder.evaluation.audit_results import Audit
    from personagen.builder.evaluation.scores import Scores
    from personagen.builder.export.export import ExportResult
    from personagen.builder.hub.push import PushResult
    from personagen.builder.hub.verify import Verification
    from personagen.builder.planning.recipe import Recipe

SAMPLES_SHOWN = 3


class Release:
    """A finished release in a folder.

    Attributes:
        folder: its absolute path.

    """

    def __init__(self, folder: PathOrName = DEFAULT_FOLDER) -> None:
        """Open a release: validate its manifest, and the presence and the size of its files.

        `verify` checks every byte.

        Raises:
            ReleaseError: the folder is not a release, or a file is missing or was cut.

        """
        self.folder = Path(abspath(folder))  # noqa: PTH100 - unlike resolve, it leaves links alone
        self._manifest: Mapping[str, Any] = read_manifest(self.folder)
        check_manifest(self._manifest, str(self.folder))
        for shard in self._manifest["shards"]:
            path = self.folder / shard["path"]
            size = path.stat().st_size if path.is_file() else None
            if size != shard["bytes"]:
                problem = "is missing" if size is None else f"has {size} bytes, wanted {shard['bytes']}"
                raise ReleaseError(f"{path} {problem}; {MEND}")

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return str(self._manifest["name"])

    @property
    def model(self) -> str:
        """Name of the model that wrote the texts."""
        return str(self._manifest["model"]["name"])

    @property
    def fingerprint(self) -> str:
        """Hash of the recipe, 16 hex digits: the same recipe has the same fingerprint on every machine."""
        return str(self._manifest["fingerprint"])

    @property
    def emotions(self) -> tuple[str, ...]:
        """Names of the labels, in class id order."""
        return emotion_names(self._manifest)

    @property
    def configs(self) -> tuple[str, ...]:
        """Names of the configurations that `load` can read."""
        return (*self._manifest["configs"], *self._manifest.get("views", ()))

    @property
    def counts(self) -> ResultTable[EmotionCount]:
        """Texts per emotion and split, at the recipe's depth."""
        return emotion_counts(self._manifest)

    @property
    def rejects(self) -> ResultTable[RejectCount]:
        """Rejected replies per stage and reason."""
        return reject_counts(self._manifest)

    @property
    def cost(self) -> float | None:
        """Cost of all requests, in the currency of the recipe's prices; None: the recipe has no price for the model."""
        cost = self._manifest["usage"]["cost"]
        return None if cost is None else float(cost)

    def __len__(self) -> int:
        """Return the number of texts at the recipe's depth."""
        return sum(self._manifest["configs"]["all"]["rows"].values())

    def __repr__(self) -> str:
        return f"<Release {shown_path(self.folder)!r}: {release_line(self._manifest)}>"

    def _repr_html_(self) -> str:
        return release_html(shown_path(self.folder), self.folder, self._manifest, SAMPLES_SHOWN)

    @overload
    def load(self, config: str = "all", *, split: None = None, **options: Unpack[LoadOptions]) -> "DatasetDict": ...
    @overload
    def load(self, config: str = "all", *, split: str, **options: Unpack[LoadOptions]) -> "Dataset": ...
    def load(  # noqa: PLR0913 - the arguments of `personagen.load`
        self,
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
        """Load the texts, or one of the layers, into `datasets`; see `personagen.load`."""
        options = LoadOptions(
            emotions=emotions,
            depth=depth,
            min_confidence=min_confidence,
            columns=columns,
            cache_dir=cache_dir,
            token=token,
        )
        return read_release(self.folder, config, split, options)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a data frame with one row per text at the recipe's depth.

        Labels are names, `split` is a column, and the layers of the persona are columns such as "demographic.age".

        Raises:
            ReleaseError: a file cannot be read.

        """
        from personagen.builder.api.release_forms import texts_frame

        return texts_frame(self.folder, self._manifest)

    @with_keywords(keywords_of(evaluation_settings))
    def evaluate(
        self, *, api_key: str | None = None, progress: Progress | bool = True, **settings: Unpack[EvaluationKeywords]
    ) -> "Scores":
        """Compare the texts with real ones: diversity, realism, human-likeness, utility.

        The scores are added to the release: to `scores.json`, its card and its manifest.

        Args:
            api_key: key of the judges' endpoint. None: environment variable OPENAI_API_KEY.
            progress: see `personagen.generate`.
            settings: `reference`, `judges` and others; see `personagen.evaluate`.

        Raises:
            ReleaseError: a file was altered, or the reference cannot be read.
            BackendError: a package of the extra `metrics` is missing, or a judge cannot be reached.
            BudgetError: the next question to a judge might exceed `judge_max_tokens`.
            FolderError: the release cannot be written.

        """
        from personagen.builder.evaluation.evaluate import evaluate

        require_evaluation_keywords(settings)
        chosen = evaluation_settings(self.name, **settings)
        with shown_progress(progress) as receiver:
            scores = evaluate(self.folder, chosen, progress=receiver, api_key=api_key)
        self._manifest = read_manifest(self.folder)
        return scores

    def audit(
        self,
        *,
        reference: PathOrName = "goemotions",
        embeddings: str | None = None,
        seed: int = 0,
        progress: Progress | bool = True,
        encoded: PathOrName | None = None,
    ) -> "Audit":
        """Measure bias: associations of the texts with persona attributes that the recipe did not plan.

        The results are added to the release: to `audit.json`, its card and its manifest.

        Args:
            reference: real texts that train an emotion classifier, if the release has no predictions of one.
            embeddings: name of a sentence-transformers model. None: all-MiniLM-L6-v2.
            seed: seed of every draw.
            progress: see `personagen.generate`.
            encoded: folder or address of what `personagen encode` wrote. None: texts are encoded here.

        Raises:
            ReleaseError: a file was altered, the texts have no personas, or the reference cannot be read.
            BackendError: a package of the extra `metrics` is missing.
            FolderError: the release cannot be written.

        """
        from personagen.builder.evaluation.audit import AuditSettings, audit

        source = fspath(reference)
        call = recorded_call("audit", self.name, reference=redact_path(source), embeddings=embeddings, seed=seed)
        settings = AuditSettings(source, embeddings, seed, call, None if encoded is None else fspath(encoded))
        with shown_progress(progress) as receiver:
            results = audit(self.folder, settings, progress=receiver)
        self._manifest = read_manifest(self.folder)
        return results

    @property
    def scores(self) -> "Scores | None":
        """Scores of the last evaluation; None: the release has not been evaluated."""
        if not self._manifest.get("evaluation"):
            return None
        from personagen.builder.evaluation.scores import read_saved_scores

        return read_saved_scores(read_results(self.folder, self._manifest, "evaluation"))

    def report(
        self,
        out: PathOrName | None = None,
        *,
        reference: PathOrName = "goemotions",
        embeddings: str | None = None,
        seed: int = 0,
        progress: Progress | bool = True,
        encoded: PathOrName | None = None,
    ) -> Path:
        """Write one HTML page that needs no network: charts, persona coverage, scores, and a table of the texts.

        Args:
            out: file of the page. None: `RELEASE.report.html` beside the release.
            reference: real texts to compare with; see `evaluate`.
            embeddings: name of a sentence-transformers model. None: all-MiniLM-L6-v2.
            seed: seed of the sample of texts and of the map.
            progress: see `personagen.generate`.
            encoded: see `audit`.

        Returns:
            The file of the page.

        Raises:
            ReleaseError: a file was altered, or the reference cannot be read.
            BackendError: a package of the extra `metrics` is missing.
            FolderError: the page cannot be written.

        """
        from personagen.builder.report import write_report

        target = None if out is None else Path(fspath(out))
        with shown_progress(progress) as receiver:
            page = write_report(
                self.folder,
                reference=fspath(reference),
                embeddings=embeddings,
                seed=seed,
                out=target,
                progress=receiver,
                vectors=None if encoded is None else fspath(encoded),
            )
        return Path(shown_path(page))

    def export(
        self, to: str, out: PathOrName | None = None, *, force: bool = False, **settings: Unpack[ExportKeywords]
    ) -> "ExportResult":
        """Write the texts in the form of another tool, one file per split; `table` is one file.

        Args:
            to: "csv", "jsonl", "messages", "preference", "setfit", "labelstudio", "promptfoo", "inspect" or "table".
            out: folder of the files; of "table", the file. None: `RELEASE-FORM`, or `RELEASE.texts.parquet`, beside the
                release.
            force: whether to replace the files of an earlier export.
            settings: `config`: configuration to write; "all". `split`: split to write; None: every split. Of "table":
                `reference`, `embeddings`, `seed`: see `report`. `max_texts`: upper bound on the texts of either kind;
                1500. `vectors`: whether the table has the embeddings. `progress`: see `personagen.generate`.

        Raises:
            ReleaseError: a file was altered, or the release lacks the configuration, the split, or rejected texts.
            RecipeError: there is no such form.
            BackendError: a package of the extra `metrics` is missing, which "table" needs.
            FolderError: files of an earlier export are there, or cannot be written.

        """
        from personagen.builder.api.release_forms import export_release

        return export_release(self.folder, to, out, force=force, settings=settings)

    def verify(
        self,
        *,
        replay: bool = False,
        journals: PathOrName | None = None,
        recipe: "Recipe | PathOrName | None" = None,
        progress: Progress | bool = True,
    ) -> "Verification":
        """Check every byte of the release against its manifest.

        Args:
            replay: whether to build it again too, from its recipe and its replies, without a call.
            journals: folder or address of the replies. None: the journal of its run.
            recipe: its recipe, or the file of it. None: the one that was kept with the replies.
            progress: see `personagen.generate`.

        Returns:
            What was checked; its `problems` are empty where everything is in order.

        Raises:
            ReleaseError: the manifest or a file was altered, or this version makes other requests.
            RecipeError: `journals` or `recipe` without `replay`; the recipe is another one, or is not known.
            MissingReplyError: a reply is missing.
            FolderError: there are no replies, or they are damaged.

        """
        from personagen.builder.hub.verify import verify_folder

        settings = replay_settings(journals, recipe, replay=replay)
        with shown_progress(progress) as receiver:
            return verify_folder(self.folder, settings, progress=receiver)

    def push_to_hub(  # noqa: PLR0913 - the arguments of `Dataset.push_to_hub`
        self,
        repo_id: str,
        *,
        commit_message: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        tag: str | None = None,
        journal: bool = False,
        recipe: "Recipe | PathOrName | None" = None,
        progress: Progress | bool = True,
    ) -> "PushResult":
        """Publish the release on the Hub in one commit; the same call resumes an interrupted push.

        Args:
            repo_id: "USER/NAME".
            commit_message: title of the commit. None: the name of the dataset.
            private: whether a new repository is private. None: the default of the account.
            token: token of the Hub. None: the token of this machine.
            revision: branch, created where it does not exist. None: "main".
            create_pr: open a pull request instead of changing the branch.
            tag: name of this version. None: no tag.
            journal: whether to publish the model's replies too, once they have made the release again.
            recipe: its recipe, or the file of it, for the journal. None: the one that its run has kept.
            progress: see `generate`.

        Raises:
            ReleaseError: a file was altered, or the journal makes another release.
            RecipeError, MissingReplyError, FolderError: the journal cannot be replayed; see `verify`.
            HubError: the Hub refuses, or cannot be reached.

        """
        from personagen.builder.hub.push import PushSettings, push

        chosen = None if recipe is None else as_recipe(recipe, {}, self.push_to_hub)
        settings = PushSettings(
            revision or "main", tag, private, create_pr, commit_message, journal=journal, recipe=chosen
        )
        with shown_progress(progress) as receiver:
            return push(self.folder, repo_id, settings, token=token, progress=receiver)
