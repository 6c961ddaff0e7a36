"""Evidence whether the replies of a stage can be used."""

import asyncio

from personagen.builder.llm.trial import (
    HOPELESS_EMOTION_REPLIES,
    HOPELESS_REPLIES,
    TRIAL_REQUESTS,
    UNFIT_REPLIES,
    Trial,
    Trials,
)


async def use(trial: Trial, reason: str | None, *, unfit: bool = False) -> bool:
    """Send one request that is answered at once."""
    if not await trial.begin():
        return False
    trial.end(reason, "No.", unfit=unfit)
    return True


def test_a_stage_is_hopeless_after_a_dozen_useless_replies() -> None:
    async def run() -> None:
        trial = Trials(paid=True).of_stage("expression")
        sent = [await use(trial, "refusal") for _ in range(HOPELESS_REPLIES + 2)]
        assert sent == [True] * HOPELESS_REPLIES + [False] * 2
        assert (trial.is_hopeless, trial.last, trial.reasons) == (True, "No.", {"refusal": HOPELESS_REPLIES})

    asyncio.run(run())


def test_a_usable_reply_ends_the_trial_for_ever() -> None:
    async def run() -> None:
        trial = Trials(paid=True).of_stage("expression")
        assert await use(trial, None)
        assert all([await use(trial, "refusal") for _ in range(3 * UNFIT_REPLIES)])
        assert not trial.is_hopeless

    asyncio.run(run())


def test_texts_that_do_not_fit_have_more_tries() -> None:
    """A strict check of the label rejects most texts of a good model too."""

    async def run() -> None:
        trial = Trials(paid=True).of_stage("expression")
        assert all([await use(trial, "label", unfit=True) for _ in range(UNFIT_REPLIES)])
        assert trial.is_hopeless

    asyncio.run(run())


def test_no_more_is_paid_for_than_the_verdict_takes() -> None:
    """Requests beyond that wait; they go on after a usable reply, and never if there is none."""

    async def run(reason: str | None) -> list[bool]:
        trial = Trials(paid=True).of_stage("expression")
        answered = asyncio.Event()
        sent = 0

        async def request() -> bool:
            nonlocal sent
            if not await trial.begin():
                return False
            sent += 1
            await answered.wait()
            trial.end(reason)
            return True

        requests = [asyncio.create_task(request()) for _ in range(100)]
        await asyncio.sleep(0)
        assert sent == TRIAL_REQUESTS
        answered.set()
        return await asyncio.gather(*requests)

    assert all(asyncio.run(run(None)))
    assert asyncio.run(run("refusal")) == [True] * TRIAL_REQUESTS + [False] * (100 - TRIAL_REQUESTS)


def test_a_cancelled_request_makes_room_for_another() -> None:
    async def run() -> None:
        trial = Trials(paid=True).of_stage("expression")
        assert all([await trial.begin() for _ in range(TRIAL_REQUESTS)])
        waiting = asyncio.create_task(trial.begin())
        await asyncio.sleep(0)
        assert not waiting.done()
        trial.cancel()
        assert await waiting

    asyncio.run(run())


def test_local_models_are_not_held_back() -> None:
    """Their replies cost nothing, and a batch of them is faster."""

    async def run() -> None:
        trial = Trials().of_stage("expression")
        assert all([await trial.begin() for _ in range(10 * TRIAL_REQUESTS)])

    asyncio.run(run())


async def use_all(trials: list[Trial], reason: str | None) -> bool:
    """Send one request of a stage that knows the emotion."""
    emotion, stage = trials
    if not await emotion.begin():
        return False
    if not await stage.begin():
        emotion.cancel()
        return False
    emotion.end(reason)
    stage.end(reason)
    return True


def test_an_emotion_can_be_hopeless_alone() -> None:
    """It has more tries once another emotion was written; the others go on."""

    async def run() -> None:
        trials = Trials(paid=True, emotions=2)
        assert await use_all(trials.of_emotion("expression", "joy"), None)
        sent = [await use_all(trials.of_emotion("expression", "anger"), "refusal") for _ in range(30)]
        assert sent.count(True) == HOPELESS_EMOTION_REPLIES
        assert await use_all(trials.of_emotion("expression", "joy"), None)
        assert not trials.is_hopeless

    asyncio.run(run())


def test_a_stage_is_hopeless_only_after_a_second_emotion() -> None:
    """The first emotion of a plan may be the one that the model refuses."""

    async def run() -> None:
        trials = Trials(paid=True, emotions=7)
        sent = [await use_all(trials.of_emotion("expression", "anger"), "refusal") for _ in range(20)]
        assert (sent.count(True), trials.is_hopeless) == (HOPELESS_REPLIES, False)
        sent = [await use_all(trials.of_emotion("expression", "joy"), "refusal") for _ in range(20)]
        assert (sent.count(True), trials.is_hopeless) == (TRIAL_REQUESTS - HOPELESS_REPLIES, True)

    asyncio.run(run())


def test_a_plan_of_one_emotion_is_hopeless_with_it() -> None:
    async def run() -> None:
        trials = Trials(paid=True, emotions=1)
        assert all([await use_all(trials.of_emotion("expression", "joy"), "empty") for _ in range(HOPELESS_REPLIES)])
        assert trials.is_hopeless

    asyncio.run(run())


def test_texts_that_repeat_one_are_hopeless_until_a_second_one_differs() -> None:
    repeating, varied = Trials(), Trials()
    varied.record_text(repeats=False)
    for trials in (repeating, varied):
        trials.record_text(repeats=False)
        for _ in range(HOPELESS_REPLIES):
            assert not trials.is_hopeless
            trials.record_text(repeats=True)
    assert (repeating.is_hopeless, varied.is_hopeless) == (True, False)
