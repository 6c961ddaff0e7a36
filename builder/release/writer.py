"""Write a release row by row into the staging folder of its run: tables, rejects and counts, then manifest and card."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from personagen.builder.core.errors import FolderError
from personagen.builder.core.file_names import CARD, CROISSANT, MANIFEST
from personagen.builder.core.files import explain, sync, write_text
from personagen.builder.core.records import DEPTH_PREFIX, SPLITS, Reject, layers_of
from personagen.builder.llm.journal import UsedReplies
from personagen.builder.llm.requests import Backend
from personagen.builder.planning.plan import Plan
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.cards.croissant import with_croissant
from personagen.builder.release.cards.regions import merge_regions
from personagen.builder.release.cards.samples import sample_rows
from personagen.builder.release.composition import Composition
from personagen.builder.release.manifest import RunCounts, make_manifest
from personagen.builder.release.persona_words import PersonaWords
from personagen.builder.release.prompt_files import write_prompts
from personagen.builder.release.run.run_folder import RunFolder
from personagen.builder.release.screening import Screening
from personagen.builder.release.tables.columns import columns_of, form_of_recipe, layer_record, text_record
from personagen.builder.release.tables.missing import optional_columns
from personagen.builder.release.tables.mixing import RowRange, mixed
from personagen.builder.release.tables.shards import Shards
from personagen.builder.writing.finalization.outcomes import Outcomes
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.pipeline import FinalizedRow
from personagen.metrics.style import swear_words

UNMIXED = "unmixed"
"""Folder in the release in which tables are one emotion after another until the last row is written."""


class ReleaseWriter:
    """A release that is being written; a context manager that leaves no file open.

    Attributes:
        outcomes: counts of the rows and the rejected replies so far.

    """

    def __init__(self, plan: Plan, run: RunFolder) -> None:
        """Plan the files.

        Args:
            plan: plan of the rows.
            run: folder of the run.

        """
        self.outcomes = Outcomes()
        self._expressions: Counter[tuple[str | None, str | None]] = Counter()
        self._plan, self._run = plan, run
        self._form = form_of_recipe(plan.recipe, plan.attribute_types, plan.missing)
        sizes = plan.table_sizes()
        self._columns = {config: columns_of(config, self._form) for config, _ in sizes}
        columns_by_config = self._columns.__getitem__
        self._shards = Shards(run.staging, sizes, plan.recipe.shard_rows, columns_by_config)
        self._unmixed = Shards(
            run.staging / UNMIXED,
            {(config, split): rows for (config, split), rows in sizes.items() if _is_mixed_at_the_end(config)},
            plan.recipe.shard_rows,
            columns_by_config,
        )
        own = () if plan.recipe.personas is None else tuple(plan.recipe.personas.attributes)
        self._composition = Composition(plan.recipe.depth, counts_models=len(plan.recipe.backends) > 1, attributes=own)
        self._screening = Screening()
        self._persona_words = PersonaWords(plan.recipe.depth)
        self._real_texts: set[str] = set()
        self._rows_with_real_texts = 0
        self._model_rows: Counter[int] = Counter()
        self._leaked = self._leak_checked = self._profane = self._agreed = 0
        self._known_rejects: set[tuple[str, str, int]] = set()
        self._known_personas = bytearray(sum(plan.personas.values()))

    def __enter__(self) -> Self:
        """Delete the staging folder of an interrupted run, and open the rejects.

        Raises:
            FolderError: a file cannot be written.

        """
        shutil.rmtree(self._run.staging, ignore_errors=True)
        try:
            rejects = self._run.rejects.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise self._rejects_error(error) from error
        self._rejects_file = rejects
        self._shards.__enter__()
        self._unmixed.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files and delete unfinished ones; errors are ignored, since the run has failed or is finished."""
        self._shards.__exit__(kind, error, trace)
        self._unmixed.__exit__(kind, error, trace)
        with suppress(OSError):
            self._rejects_file.close()

    def add_rejects(self, rejects: Iterable[Reject]) -> None:
        """Write and count replies that were rejected before the first row.

        Raises:
            FolderError: the file cannot be written.

        """
        self._write_rejects(rejects)

    def add(self, finalized: FinalizedRow) -> None:
        """Write a row to its table, its layers to theirs, and its rejects; count all of them.

        Raises:
            FolderError: a file cannot be written.

        """
        self._write_rejects(finalized.rejects)
        row, planned = finalized.row, finalized.planned
        self.outcomes.add_row(planned, row)
        if row is None:
            return
        if row.expression != "named":  # there a word for the emotion is no leak
            self._leaked += bool(row.provenance.leaked)
        is_english = row.provenance.leaked is not None  # as far as the check of emotion words knows
        self._leak_checked += is_english
        self._profane += is_english and swear_words(row.text) > 0
        self._expressions[row.expression, row.provenance.expression_found] += 1
        self._screening.add(row.id, row.text)
        self._real_texts.update((row.provenance.real_texts or "").split())
        self._rows_with_real_texts += row.provenance.real_texts is not None
        self._agreed += row.provenance.checker_label == row.label
        if planned.counterfactual is None:
            self._composition.add(row)
            self._persona_words.add(row)
            self._model_rows[planned.model] += planned.depth == self._plan.recipe.depth
        original_id = None if planned.counterfactual is None else planned.counterfactual.original_id
        config = finalized.config
        record = text_record(row, self._form, self._columns[config], original_id)
        self._tables_of(config).add(config, planned.split, record)
        depth = self._plan.deepest
        if planned.depth != depth or planned.counterfactual is not None:
            return
        for layer in layers_of(depth):
            if layer == "situational" or not self._known_personas[planned.persona]:
                record = layer_record(layer, row, self._form, self._columns[layer])
                self._tables_of(layer).add(layer, planned.split, record)
        if layers_of(depth):
            self._known_personas[planned.persona] = 1

    def _tables_of(self, config: str) -> Shards:
        return self._unmixed if _is_mixed_at_the_end(config) else self._shards

    def _mix(self) -> None:
        """Write the tables that mix emotions, and remove the files that they are made from.

        Raises:
            FolderError: a file cannot be written, or was changed by another process.

        """
        try:
            for config, split in self._plan.table_sizes():
                if ranges := self._ranges(config, split):
                    key = "situation_id" if config == "situational" else "id"
                    for table in mixed(ranges, key, self._plan.recipe.seed):
                        self._shards.add_table(config, split, table)
        except (OSError, ValueError, StopIteration) as error:  # Arrow's errors are among them
            raise FolderError(
                f"{self._run.staging} was removed or changed by another process; run the command again, which sends "
                f"no request that {self._run.journal} answers ({error})"
            ) from error
        shutil.rmtree(self._run.staging / UNMIXED, ignore_errors=True)

    def _ranges(self, config: str, split: str) -> list[RowRange]:
        """Return the rows of each emotion and batch that a table is mixed from; empty: it is written already."""
        counts = {name: quota[split] for name, quota in self._plan.quotas.items() if quota[split]}
        if config == "all":
            return [RowRange(self._shards.paths(name, split), 0, count) for name, count in counts.items()]
        if not _is_mixed_at_the_end(config):
            return []
        batches = [{name: batch.count(name, split) for name in counts} for batch in self._plan.batches]
        parts = [(name, count) for batch in batches or [counts] for name, count in batch.items() if count]
        starts = [sum(count for _, count in parts[:number]) for number in range(len(parts))]
        paths = self._unmixed.paths(config, split)
        ranges = [RowRange(paths, start, count, name) for start, (name, count) in zip(starts, parts, strict=True)]
        return sorted(ranges, key=lambda part: [*counts].index(part.emotion or ""))

    def finish(
        self, backends: Sequence[Backend], used: UsedReplies, label_check: LabelCheck | None
    ) -> Mapping[str, Any]:
        """Write manifest, card and croissant.json, and return the manifest.

        Raises:
            AllRejectedError: no row was accepted.
            GenerationError: rows were given up.
            FolderError: a file cannot be written.
            ReleaseError: the marks of the hand-written parts in the card of the earlier release are not in order.

        """
        try:
            self._rejects_file.close()
            sync(self._run.rejects)
        except OSError as error:
            raise self._rejects_error(error) from error
        if (shortfall := self.outcomes.shortfall(self._plan.recipe, f"see {self._run.rejects}")) is not None:
            raise shortfall
        self._mix()
        classifier = None
        if label_check is not None:
            classifier = {**label_check.facts(), "agreement": round(self._agreed / self.outcomes.accepted, 4)}
        counts = RunCounts(
            self.outcomes.rejects,
            self._leaked if self._leak_checked else None,
            self._composition.counts(),
            classifier,
            leak_unchecked=self.outcomes.accepted - self._leak_checked,
            profanity={"texts": self._profane, "checked": self._leak_checked} if self._profane else None,
            expressions=self._expressions if self._plan.mixture else None,
            screening=self._screening.counts(),
            persona_words=self._persona_words.counts(),
            real_texts=self._shown_texts(),
            model_rows=self._model_rows,
            samples=sample_rows(next(path for split in SPLITS for path in self._shards.paths("all", split))),
        )
        manifest, croissant = with_croissant(make_manifest(backends, self._plan, self._shards.written(), counts, used))
        self._run.keep_card()  # its notes may have been edited during the run
        write_prompts(self._run.staging, self._plan.recipe)
        write_text(self._run.staging / CARD, merge_regions(render_card(manifest), self._run.kept_card()))
        write_text(self._run.staging / CROISSANT, croissant)
        write_text(self._run.staging / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        return manifest

    def _shown_texts(self) -> Mapping[str, int] | None:
        """Count the distinct real texts in the prompts, and their rows; None: the recipe asks for none."""
        if "provenance.real_texts" not in optional_columns(self._plan.recipe, {}):
            return None
        return {"rows": self._rows_with_real_texts, "texts": len(self._real_texts)}

    def _write_rejects(self, rejects: Iterable[Reject]) -> None:
        try:
            for reject in self._new(rejects):
                self.outcomes.add_reject(reject)
                self._rejects_file.write(json.dumps(asdict(reject)) + "\n")
        except OSError as error:
            raise self._rejects_error(error) from error

    def _new(self, rejects: Iterable[Reject]) -> Iterator[Reject]:
        """Leave out the rejects of a persona's layers that an earlier row of the persona has written."""
        for reject in rejects:
            if reject.stage == "expression":
                yield reject
            elif (key := (reject.id, reject.stage, reject.attempt)) not in self._known_rejects:
                self._known_rejects.add(key)
                yield reject

    def _rejects_error(self, error: OSError) -> FolderError:
        return FolderError(f"cannot write {self._run.rejects}: {explain(error)}")


def _is_mixed_at_the_end(config: str) -> bool:
    """Return whether the rows of a table come one emotion after another, and are not those of emotions' own tables."""
    return config == "situational" or config.startswith(DEPTH_PREFIX)
