"""Write one row: build its persona and its situation, then have its text written and checked."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from personagen.builder.core.errors import MissingReplyError
from personagen.builder.core.records import Provenance, Reject, Row, layers_of
from personagen.builder.llm.requests import Ask
from personagen.builder.llm.trial import Trials
from personagen.builder.llm.verbalized_sampling import verbalized
from personagen.builder.planning.counterfactuals import counterfactual_persona
from personagen.builder.planning.personas.drawing import Persona
from personagen.builder.planning.plan import Plan, RowPlan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.situations.bank import Scene, draw_scene
from personagen.builder.planning.situations.dealing import DealtEvents, event_of
from personagen.builder.planning.styles import channel_of, style_name
from personagen.builder.writing.attempts import AcceptedReply, Attempts
from personagen.builder.writing.checks import TextRules
from personagen.builder.writing.elaboration import PROSE_TOKENS, ProseRequirements, elaborate
from personagen.builder.writing.expression import (
    Grounding,
    Subject,
    TextChecks,
    beginnings,
    continues_list,
    express,
    expression_request,
    expression_settings,
)
from personagen.builder.writing.grounding import load_grounding, seen_texts
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.prompts import prompt_version
from personagen.builder.writing.replies.caseless import make_caseless
from personagen.metrics.texts.emotion_words import NO_WORD, emotion_pattern


class AskOf(Protocol):
    """Returns the `Ask` of one stage of a row."""

    def __call__(self, priority: int, stage: str, model: int, /) -> Ask:
        """Return the function that sends the stage's requests to a model; the lowest priority number is sent first."""


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """A written row (None: all attempts of a stage were rejected) and the rejected replies."""

    row: Row | None
    rejects: tuple[Reject, ...]


class RowWriter:
    """Writes the rows of one plan.

    Attributes:
        plan: plan of the rows.
        trials: evidence whether replies of the stages can be used.
        on_written: called with each row whose text has passed its checks; it may still repeat an earlier one.
        on_missing: called with each row that lacks a reply where no request may be sent. None: the error is raised.

    """

    def __init__(
        self,
        plan: Plan,
        ask_of: AskOf,
        *,
        models: Sequence[str],
        label_check: LabelCheck | None = None,
        grounding_of: Callable[[RowPlan], Grounding] | None = None,
        paid: bool = False,
    ) -> None:
        """Prepare what all rows share.

        Args:
            plan: plan of the rows.
            ask_of: returns the `Ask` of a row's stage.
            models: names of the models by number, for the provenance.
            label_check: check of the label of every text; None: no check.
            grounding_of: returns the content of a row's prompt beside its layers. None: that of the recipe.
            paid: whether replies may cost money; see `Backend`.

        """
        recipe = plan.recipe
        self.plan = plan
        self.on_written: Callable[[Row], None] = lambda row: None
        self.on_missing: Callable[[RowPlan], None] | None = None
        self.trials = Trials(paid=paid, emotions=len(recipe.chosen_taxonomy().names))
        self._ask_of = _verbalized(ask_of) if recipe.grounding and recipe.grounding.verbalized else ask_of
        self._models = models
        self._label_check = label_check
        self._grounding_of = grounding_of or load_grounding(recipe)
        self._taxonomy = recipe.chosen_taxonomy()
        self._settings = expression_settings(recipe)
        limit = max(PROSE_TOKENS, recipe.draw.max_tokens or 0)
        self._prose = ProseRequirements(recipe.text.language, limit, self._settings.templates)
        self._elaborated = recipe.elaborated()
        self._prompt_version = prompt_version(self._settings.templates, styled=plan.mixture is not None)
        self._dealt: DealtEvents = {}
        self._choosing = asyncio.Lock()
        self._reject_expressions = recipe.checks.expression == "reject"
        self._rules = {name: _text_rules(recipe, name) for name in self._taxonomy.names}

    async def write(self, row: RowPlan, *, priority: int, first_attempt: int = 0) -> RowOutcome:
        """Take a row through its stages.

        Args:
            row: a row of the plan.
            priority: position of the row in the plan; requests of earlier rows are sent first.
            first_attempt: number of the first attempt at its text; a retry continues after the last one.

        """
        stages = _RowStages(row, priority, [])
        try:
            return await self._write(stages, first_attempt)
        except MissingReplyError:
            if self.on_missing is None:
                raise
            self.on_missing(row)
            return RowOutcome(None, tuple(stages.rejects))

    async def _write(self, stages: "_RowStages", first_attempt: int) -> RowOutcome:
        """Take a row through its stages; see `write`."""
        row = stages.row
        subject = await self._subject(stages)
        if subject is None:
            return RowOutcome(None, tuple(stages.rejects))
        subject = await self._in_channel(row, subject)
        emotion = self._taxonomy[row.emotion]
        grounding = self._grounding_of(row)
        request = expression_request(self._settings, self.plan.recipe, row, emotion, subject, grounding)
        seed_id = row.counterfactual.original_id if row.counterfactual else row.id
        attempts = self._attempts(stages, row.id, "expression", seed_id, first_attempt)
        together = None if self._label_check is None else partial(self._label_check, emotion=row.emotion)
        starts: Sequence[str] = ()
        if self._settings.continues and not continues_list(row, grounding):
            starts = beginnings(self.plan.recipe.seed, row, emotion, subject.scene, grounding)
        accepted = await express(
            request,
            emotion,
            ask=self._ask_of(stages.priority, "expression", row.model),
            attempts=attempts,
            checks=TextChecks(
                self._rules_of(row, subject), together, row.style, reject_expressions=self._reject_expressions
            ),
            beginnings=starts,
        )
        written = None if accepted is None else self._record(row, subject, accepted, seen_texts(grounding, request))
        if written is not None:
            self.on_written(written)
        return RowOutcome(written, tuple(stages.rejects))

    async def _subject(self, stages: "_RowStages") -> Subject | None:
        """Build the layers of a row up to its depth; None: all attempts at the prose of one were rejected."""
        row = stages.row
        if not layers_of(row.depth):
            return Subject(None, None)
        original = await self._drawn(row.persona)
        persona = await self._persona(stages, original)
        if persona is None or "situational" not in layers_of(row.depth):
            return None if persona is None else Subject(persona, None)
        scene = await self._scene(stages, original, persona)
        return None if scene is None else Subject(persona, scene)

    async def _in_channel(self, row: RowPlan, subject: Subject) -> Subject:
        """Return the subject with the channel of the row where the recipe names channels."""
        channels = self.plan.channels
        if channels is None:
            return subject
        if channels.has_conditions and self.plan.has_personas:
            await self._drawn(row.persona)
        return replace(subject, channel=self.plan.channel_of(row))

    def _rules_of(self, row: RowPlan, subject: Subject) -> TextRules:
        """Return the requirements on the text of a row: those of its emotion, with the length of its channel."""
        rules, channel = self._rules[row.emotion], subject.channel
        if channel is None or (row.style is not None and row.style.style is not None):
            return rules
        return replace(rules, min_words=channel.min_words, max_words=channel.max_words)

    async def _drawn(self, number: int) -> Persona:
        """Draw a persona, and let requests leave before the draw of another one is chosen.

        The window of a run opens for hundreds of rows at once, and choosing takes a third of a millisecond per persona.
        """
        people = self.plan.people
        if not people.is_ready(number):
            async with self._choosing:
                people.persona(number)
                await asyncio.sleep(0)
        return people.persona(number)

    async def _persona(self, stages: "_RowStages", original: Persona) -> Persona | None:
        """Build the persona of a row, elaborated by the model where the recipe requests it.

        A counterfactual's persona has one attribute changed. Its prose is requested with the seeds of the original.
        All rows of a persona share its prose, which one model writes: see `Plan.model_of_persona`.
        """
        row, model = stages.row, self.plan.model_of_persona(stages.row.persona)
        persona = (
            original
            if row.counterfactual is None
            else counterfactual_persona(original, row.counterfactual, self.plan.people.tables)
        )
        for layer in ("demographic", "sociocultural"):
            if layer not in layers_of(row.depth) or layer not in self._elaborated:
                continue
            if getattr(persona, layer).prose is not None:  # of the persona's source
                continue
            # A layer before the changed one has the prose of the original.
            is_original = layer == "demographic" and persona.demographic == original.demographic
            id_ = original.id if is_original else persona.id
            attempts = self._attempts(stages, id_, layer, original.id, model=model)
            facts = _persona_values(persona)
            prose = await elaborate(layer, self._ask_of(stages.priority, layer, model), attempts, self._prose, **facts)
            if prose is None:
                return None
            if layer == "demographic":
                persona = replace(persona, demographic=replace(persona.demographic, prose=prose))
            else:
                persona = replace(persona, sociocultural=replace(persona.sociocultural, prose=prose))
        return persona

    async def _scene(self, stages: "_RowStages", original: Persona, persona: Persona) -> Scene | None:
        """Build the situation of a row, elaborated by the model where the recipe requests it.

        A counterfactual has the situation of its original; its prose is about the changed persona.
        """
        row, recipe = stages.row, self.plan.recipe
        emotion = self._taxonomy[row.emotion]
        event = event_of(self.plan, emotion, row, self._dealt)
        scene = draw_scene(emotion, event, original, seed=recipe.seed, turn=row.turn, number=row.situation)
        if (channel := self.plan.channel_of(row)) is not None:
            scene = scene.in_channel(channel.name, channel.form)
        elif row.style is not None and row.style.style is not None:
            scene = scene.in_channel(*channel_of(row.style.style))
        if "situational" not in self._elaborated:
            return scene
        id_ = scene.id if row.counterfactual is None else f"{persona.id}-s{row.situation}"
        attempts = self._attempts(stages, id_, "situational", scene.id)
        facts = {**_persona_values(persona), "scene": scene}
        prose = await elaborate(
            "situational", self._ask_of(stages.priority, "situational", row.model), attempts, self._prose, **facts
        )
        return None if prose is None else replace(scene, situational=replace(scene.situational, prose=prose))

    def _attempts(
        self, stages: "_RowStages", id_: str, stage: str, seed_id: str, first: int = 0, model: int | None = None
    ) -> Attempts:
        """Return the attempts of a stage; `model` None: that of the row."""
        recipe, number = self.plan.recipe, stages.row.model if model is None else model
        if stage in ("situational", "expression"):
            trials = self.trials.of_emotion(stage, stages.row.emotion, number)
        else:
            trials = [self.trials.of_stage(stage, number)]
        return Attempts(id_, seed_id, stage, recipe.seed, first, recipe.checks.attempts, stages.rejects.append, trials)

    def _persona_model(self, planned: RowPlan) -> str | None:
        """Return the model that wrote the prose of the persona; None: see `Provenance`."""
        prose = {"demographic", "sociocultural"} & {*self._elaborated} & {*layers_of(planned.depth)}
        if not prose or len(self._models) == 1:
            return None
        return self._models[self.plan.model_of_persona(planned.persona)]

    def _record(self, planned: RowPlan, subject: Subject, accepted: AcceptedReply, real_texts: str | None) -> Row:
        persona, scene, verdict = subject.persona, subject.scene, accepted.verdict
        return Row(
            id=planned.id,
            text=verdict.text,
            label=planned.emotion,
            depth=planned.depth,
            intensity=planned.intensity,
            demographic=persona.demographic if persona else None,
            sociocultural=persona.sociocultural if persona and "sociocultural" in layers_of(planned.depth) else None,
            situational=scene.situational if scene else None,
            persona_id=persona.id if persona else None,
            situation_id=scene.id if scene else None,
            provenance=Provenance(
                model=self._models[planned.model],
                prompt_version=self._prompt_version,
                seed=accepted.seed,
                attempts=accepted.attempt + 1,
                leaked=verdict.leaked,
                checker_label=verdict.label,
                checker_confidence=verdict.confidence,
                expression_found=verdict.expression,
                wording=planned.wording,
                persona_model=self._persona_model(planned),
                real_texts=real_texts,
            ),
            expression=planned.style.expression if planned.style else None,
            style=style_name(planned.style.style) if planned.style and planned.style.style else None,
            attributes=(persona.attributes or None) if persona else None,
        )


def _persona_values(persona: Persona) -> dict[str, Any]:
    """Return the variables of a template that describe a persona."""
    return {
        "demographic": persona.demographic,
        "sociocultural": persona.sociocultural,
        "attributes": persona.attributes,
    }


def _verbalized(ask_of: AskOf) -> AskOf:
    def verbalized_ask_of(priority: int, stage: str, model: int, /) -> Ask:
        return verbalized(ask_of(priority, stage, model))

    return verbalized_ask_of


def _text_rules(recipe: Recipe, emotion: str) -> TextRules:
    words = emotion_pattern(emotion)
    if words is None and recipe.text.language is None:  # a neutral text is checked or not checked by its language, too
        words = NO_WORD
    least, greatest = recipe.text_bounds()
    return TextRules(
        min_words=least,
        max_words=greatest,
        language=recipe.text.language,
        emotion_words=None if words is None else make_caseless(words),
        reject_leaks=recipe.checks.leak == "reject",
        reject_personal=recipe.checks.personal == "reject",
        reject_slurs=recipe.checks.slurs == "reject",
    )


@dataclass(frozen=True, slots=True)
class _RowStages:
    """A row on its way through the stages: its plan, its priority, and the replies rejected so far."""

    row: RowPlan
    priority: int
    rejects: list[Reject]
