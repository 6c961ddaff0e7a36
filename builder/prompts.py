"""Show the requests of a recipe without sending them, and write its prompt templates to a folder.

The first rows of the plan go through the real stages. Where a prompt has prose that the model has yet to write, a
stand-in takes its place.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError
from personagen.builder.core.event_loop import compute_in_thread, run_blocking
from personagen.builder.core.files import make_folder, require_usable_name, write_bytes, write_text
from personagen.builder.core.records import Situational, as_mapping
from personagen.builder.llm.requests import Ask, Candidate, Reply, Request
from personagen.builder.planning.batches import turns_in_order
from personagen.builder.planning.plan import Plan, RowPlan, make_plan
from personagen.builder.planning.prompts.variables import VARIABLES, attributes_of
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.prompt_templates import used_templates
from personagen.builder.planning.situations.possible import with_assumed_events
from personagen.builder.planning.situations.sources import wanted_inventions
from personagen.builder.rehearsal import prose_reply, require_writable, stand_in_of, with_attempts
from personagen.builder.writing.invention.batches import Batch, batch_request
from personagen.builder.writing.invention.stage import STAGE as EVENTS_STAGE
from personagen.builder.writing.prompts import EVENTS_NAME, published_templates
from personagen.builder.writing.rows import RowWriter

TEXT_STAGE = "expression"
"""Stage of the text."""


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """The first request of a stage of a row.

    Attributes:
        id: id of the row.
        stage: layer whose prose is written, or "expression" for the text.
        wording: name of the wording of the prompt. None: the prompt has one.
        request: the request as the backend gets it, which may adapt it to its server.
        stand_ins: stages whose replies the prompt depends on; stand-ins take their place.
        model: name of the model that gets the request. None: the recipe has a single model.

    """

    id: str
    stage: str
    wording: str | None
    request: Request
    stand_ins: tuple[str, ...]
    model: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the request as plain data."""
        fields = dict(as_mapping(self.request))
        fields["messages"] = [dict(as_mapping(message)) for message in self.request.messages]
        fields["sampling"] = dict(as_mapping(self.request.sampling))
        named = {"id": self.id, "stage": self.stage, "wording": self.wording, "stand_ins": list(self.stand_ins)}
        return named | ({} if self.model is None else {"model": self.model}) | fields

    def sampling_facts(self) -> list[str]:
        """Return the decoding parameters that are set, and the form of the reply, one text each."""
        request = self.request
        facts = [f"{name} {value}" for name, value in as_mapping(request.sampling).items() if value is not None]
        facts += [f"seed {request.seed}", f"candidates {request.candidates}"]
        facts += [f"stop {json.dumps(list(request.stop))}"] if request.stop else []
        return facts + ([f"JSON schema {json.dumps(request.schema)}"] if request.schema is not None else [])


def planned_requests(recipe: Recipe, number: int) -> list[PlannedRequest]:
    """Return the requests of the first rows of a recipe, one emotion after the other; nothing is sent.

    They are the requests of `generate`: equal ones have the same key in the journal. A request that several rows share
    is returned once.

    Args:
        recipe: the recipe; its ablations and counterfactuals are left out.
        number: number of rows.

    Raises:
        RecipeError: a template cannot be rendered, or the embedded model cannot write the texts.

    """
    return run_blocking(aplanned_requests(recipe, number))


async def aplanned_requests(recipe: Recipe, number: int) -> list[PlannedRequest]:
    """Return the requests of the first rows in the running event loop; see `planned_requests`."""
    await require_writable(recipe)
    single = with_attempts(recipe, 1)
    plan = await compute_in_thread(lambda: with_assumed_events(make_plan(single), stand_in_of(EVENTS_STAGE)))
    requests: list[PlannedRequest] = []
    for row in (plan.turn(emotion, turn) for emotion, turn in islice(turns_in_order(plan), number)):
        known = [(planned.model, planned.request) for planned in requests]
        new = await _requests_of(plan, row)
        requests += [planned for planned in new if (planned.model, planned.request) not in known]
    return requests


async def _requests_of(plan: Plan, row: RowPlan) -> list[PlannedRequest]:
    names = [choice.model or "" for choice in plan.recipe.backends]
    requests = [
        PlannedRequest(
            batch.id, EVENTS_STAGE, None, batch_request(plan, batch), (), names[0] if len(names) > 1 else None
        )
        for batch in _first_batch(plan, row.emotion)
    ]

    def ask_of(priority: int, stage: str, model: int) -> Ask:
        async def ask(request: Request) -> Reply:
            prompt = "".join(message.content for message in request.messages)
            stand_ins = tuple(planned.stage for planned in requests if stand_in_of(planned.stage) in prompt)
            wording = row.wording if stage == TEXT_STAGE else None
            name = names[model] if len(names) > 1 else None
            requests.append(PlannedRequest(row.id, stage, wording, request, stand_ins, name))
            return Reply((Candidate("", "stop"),), 0, 0) if stage == TEXT_STAGE else prose_reply(stage)

        return ask

    await RowWriter(plan, ask_of, models=names).write(row, priority=0)
    return requests


def _first_batch(plan: Plan, emotion: str) -> list[Batch]:
    """Return the first batch of events of an emotion; empty: the model invents none."""
    is_wanted = emotion in wanted_inventions(plan.recipe)
    return [Batch(plan.recipe.chosen_taxonomy()[emotion], None, 0)] if is_wanted else []


def export_prompts(recipe: Recipe, folder: Path) -> list[Path]:
    """Write the templates that a recipe's requests are rendered from, and a README with their variables.

    Named as `prompts:` of the recipe, the folder gives the same prompts.

    Args:
        recipe: the recipe.
        folder: a new or an empty folder.

    Returns:
        The files.

    Raises:
        FolderError: the folder holds something, or cannot be written.

    """
    require_usable_name(folder)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FolderError(f"{folder} is there already and is no empty folder; name a new one")
        make_folder(folder)
        for name, content in published_templates(recipe).items():
            if name != f"{EVENTS_NAME}.md":  # which no recipe replaces
                write_bytes(folder / name, [content])
    except OSError as error:
        raise FolderError(
            f"cannot write {folder}: {(error.strerror or str(error)).lower()}; name another folder"
        ) from error
    write_text(folder / "README.md", _readme(used_templates(recipe)))
    return sorted(folder.iterdir())


def _readme(templates: Sequence[str]) -> str:
    names = [name for name, variable in VARIABLES.items() if set(variable.templates) & set(templates)]
    records = {name: record for name in names if (record := VARIABLES[name].record) is not None}
    lines = [
        "# Prompt templates",
        "",
        "Edit these files and name the folder in the recipe: `prompts: FOLDER`. A file that is left out is that of the",
        "package. Files `NAME.WORDING.md` of one template are wordings, which rows have in turn. Each template has a",
        "block `user` and perhaps a block `system`. The language is a part of Jinja.",
        "",
        "| variable | templates | meaning |",
        "| --- | --- | --- |",
        *(f"| `{name}` | {_with_variable(name, templates)} | {VARIABLES[name].meaning} |" for name in names),
        "",
        *(f"- `{name}` has {', '.join(attributes_of(record))}" for name, record in records.items()),
        *(["- `scene.situational` has " + ", ".join(attributes_of(Situational))] if "scene" in records else []),
    ]
    return "\n".join(lines) + "\n"


def _with_variable(name: str, templates: Sequence[str]) -> str:
    return ", ".join(template for template in templates if template in VARIABLES[name].templates)
