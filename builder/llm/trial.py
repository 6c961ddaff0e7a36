"""Bound what is paid for before the first usable reply, and find out whether there will be one.

A model or a prompt of which no reply can be used is noticed after a dozen replies of the same stage. Until the first
one is used, no more requests are sent than that takes.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

HOPELESS_REPLIES = 12
"""Useless replies without a usable one after which a stage is hopeless: nearly all models give one in two of them."""

HOPELESS_EMOTION_REPLIES = 24
"""The same for one emotion after the stage had a usable reply: a model may refuse some texts of it."""

UNFIT_REPLIES = 40
"""Replies that hold a text which does not fit (too long, of another emotion), for the same: many fail, few fit."""

DISTINCT_TEXTS = 2
"""Different texts after which a model is known not to repeat one."""

TRIAL_REQUESTS = 14
"""Requests of a stage that may be paid for before one is usable: enough for the verdict, and for a second emotion."""


@dataclass(slots=True)
class Trial:
    """Evidence on the replies of one stage; for one event loop.

    Attributes:
        hopeless_after: useless replies without a usable one after which the stage is hopeless.
        max_sent: requests that may be in flight or rejected before the first usable reply; None: no limit.
        on_usable: called when the first reply was used.
        whole: trial of the whole stage, if this one is of one emotion; None: it is not.
        usable: whether a reply was usable.
        reasons: rejected replies by reason.
        last: error or text of the last reply that was rejected.

    """

    hopeless_after: int
    max_sent: int | None = None
    on_usable: Callable[[], None] = lambda: None
    whole: "Trial | None" = None
    usable: bool = False
    reasons: Counter[str] = field(default_factory=Counter)
    last: str = ""
    _unfit: int = 0
    _in_flight: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_hopeless(self) -> bool:
        """Whether so many replies were rejected and none used that further ones are not worth their price."""
        if self.usable:
            return False
        limit = HOPELESS_EMOTION_REPLIES if self.whole is not None and self.whole.usable else self.hopeless_after
        rejected = self.reasons.total()
        return rejected - self._unfit >= limit or rejected >= UNFIT_REPLIES

    async def begin(self) -> bool:
        """Wait until a request may be sent; False: the stage is hopeless, and nothing is to be sent."""
        while not (self.usable or self.is_hopeless or self._has_room):
            await self._changed.wait()
        if self.is_hopeless:
            return False
        self._in_flight += 1
        return True

    def end(self, reason: str | None, text: str = "", *, unfit: bool = False) -> None:
        """Record the outcome of a request that `begin` admitted.

        Args:
            reason: why its reply was rejected; None: it was used.
            text: the error or the reply.
            unfit: whether it holds a text that does not fit, and not something else than a text.

        """
        self._in_flight -= 1
        if reason is None:
            was_usable, self.usable = self.usable, True
            if not was_usable:
                self.on_usable()
        else:
            self.reasons[reason] += 1
            self._unfit += unfit
            self.last = text
        self._wake()

    def cancel(self) -> None:
        """Record that a request that `begin` admitted came to no end."""
        self._in_flight -= 1
        self._wake()

    @property
    def _has_room(self) -> bool:
        if self.max_sent is None or (self.whole is not None and self.whole.usable):
            return True
        return self._in_flight < max(1, self.max_sent - self.reasons.total())

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Trials:
    """The trials of a run: one per stage and model, and one per emotion of a stage that knows the emotion.

    A model may refuse the first emotion of a plan and write the others, so such a stage is hopeless only if replies of
    a second emotion are useless too.

    Attributes:
        paid: whether replies cost money, so that few are requested at first.
        on_usable: called when a stage has its first usable reply.

    """

    def __init__(self, *, paid: bool = False, emotions: int = 1) -> None:
        """Begin without evidence; `emotions`: number of emotions in the plan."""
        self.paid = paid
        self._emotions = emotions
        self.on_usable: Callable[[], None] = lambda: None
        self._stages: dict[tuple[str, int], Trial] = {}
        self._of_emotions: dict[tuple[str, int], dict[str, Trial]] = {}
        self._distinct = self._repeats = 0

    def of_stage(self, stage: str, model: int = 0) -> Trial:
        """Return the trial of a stage of a model whose requests are the same for all emotions."""
        return self._whole(stage, model, HOPELESS_REPLIES)

    def of_emotion(self, stage: str, emotion: str, model: int = 0) -> list[Trial]:
        """Return the trial of a stage of a model and that of an emotion in it."""
        whole, trials = self._whole(stage, model, TRIAL_REQUESTS), self._of_emotions.setdefault((stage, model), {})
        if emotion not in trials:
            trials[emotion] = Trial(HOPELESS_REPLIES, HOPELESS_REPLIES if self.paid else None, whole=whole)
        return [trials[emotion], whole]

    def _whole(self, stage: str, model: int, hopeless_after: int) -> Trial:
        if (stage, model) not in self._stages:
            max_sent = TRIAL_REQUESTS if self.paid else None
            self._stages[stage, model] = Trial(hopeless_after, max_sent, self.on_usable)
        return self._stages[stage, model]

    def record_text(self, *, repeats: bool) -> None:
        """Record whether a text repeats an earlier one."""
        self._repeats += repeats
        self._distinct += not repeats

    @property
    def has_repeats_only(self) -> bool:
        """Whether the model writes one text again and again, as a server does that answers from a cache."""
        return not self.has_distinct_texts and self._repeats >= HOPELESS_REPLIES

    @property
    def has_distinct_texts(self) -> bool:
        """Whether the model is known to write more than one text; then `has_repeats_only` stays False."""
        return self._distinct >= DISTINCT_TEXTS

    @property
    def has_usable_reply(self) -> bool:
        """Whether a reply of any stage was used."""
        return any(trial.usable for trial in self._stages.values())

    @property
    def is_hopeless(self) -> bool:
        """Whether no row can be written: a stage is hopeless, or each emotion in it, or all texts are one."""
        return (
            self.has_repeats_only
            or any(trial.is_hopeless for trial in self._stages.values())
            or any(
                len(trials) == self._emotions and all(trial.is_hopeless for trial in trials.values())
                for trials in self._of_emotions.values()
            )
        )
