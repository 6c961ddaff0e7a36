"""Progress of long calls: one protocol for every verb and every display.

A verb (generate, evaluate, audit, compare, report) reports to a `Progress`. The command line draws bars and log lines
on stderr, a notebook draws `tqdm.auto` bars, and `SILENT` displays nothing.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from personagen.builder.core.foreign_text import printable


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """Requests of one of several models at one moment.

    Attributes:
        model: name of the model.
        in_flight: see `RunStatus`.
        refused: see `RunStatus`.
        paused_s: see `RunStatus`.

    """

    model: str
    in_flight: int
    refused: float | None
    paused_s: float


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Counts of a generation run at one moment.

    Attributes:
        accepted: rows accepted so far.
        wanted: rows of the release, ablations and counterfactuals included.
        rejected: replies that a check rejected.
        in_flight: requests sent and not answered yet.
        tokens: tokens of all replies in the journal, earlier runs of the folder included.
        cost: their cost in the currency of the recipe's prices; None: the recipe has no price for the model.
        estimated: whether some of the tokens are upper bounds, since the server counted none.
        replies: distinct replies used by this run, received or read from the journal.
        waiting: texts that have passed their checks and wait for an earlier row to be accepted.
        limit: requests that may be in flight now.
        maximum: upper bound on that limit.
        refused: fraction of the recent requests that the endpoint refused (429, 503) or did not answer in time;
            None: no request has ended yet. Of several models, the greatest one.
        paused_s: seconds until the end of the wait that the endpoint asked for; 0: it asked for none. Of several
            models, the shortest one.
        retrying: requests that failed and wait for their retry.
        first_text: first text of the run that passed its checks; None: there is none yet.
        models: requests of each model; empty: there is a single model.

    """

    accepted: int
    wanted: int
    rejected: int
    in_flight: int
    tokens: int
    cost: float | None
    replies: int = 0
    waiting: int = 0
    limit: int = 0
    maximum: int = 0
    refused: float | None = None
    paused_s: float = 0.0
    retrying: int = 0
    first_text: str | None = None
    estimated: bool = False
    models: tuple[ModelLoad, ...] = ()


class Progress(Protocol):
    """Receiver of the progress of one call."""

    def update(self, status: RunStatus) -> None:
        """Receive the counts of a generation run: after every finalized row, and twice per second."""

    def step(self, name: str) -> None:
        """Receive the name of the step that begins, in the present participle: "computing realism"."""

    def advance(self, done: int, total: int) -> None:
        """Receive the finished and the total number of units of the current step."""

    def warn(self, message: str) -> None:
        """Receive one line on something that the caller should know and that does not end the call."""


class _Silent:
    def update(self, status: RunStatus) -> None:
        pass

    def step(self, name: str) -> None:
        pass

    def advance(self, done: int, total: int) -> None:
        pass

    def warn(self, message: str) -> None:
        pass


SILENT: Progress = _Silent()
"""Display nothing."""


RATE_WINDOW_S = 120.0
"""Seconds over which the rate of a run is measured; a server with 20 s per reply sends several in that time."""

SAMPLE_INTERVAL_S = 0.5
"""Least seconds between two samples of the counts."""

MIN_RATE_TEXTS = 3
"""Texts below which the time left is unknown, and a window is extended."""

LINE_COLUMNS = 100
"""Width of a line where there is no terminal."""

REDRAW_S = 0.2
"""Seconds between two drawings of a bar on a terminal or in a notebook."""

FIRST_LOG_S = 10.0
"""Seconds from the start of a run to its first line in a log."""

LOG_INTERVAL_S = 60.0
"""Seconds between two further lines in a log."""

NOTABLE_REFUSALS = 0.01
"""Fraction of refused requests from which displays mention it."""


@dataclass(frozen=True, slots=True)
class RunRate:
    """Speed of a run.

    Attributes:
        tokens_per_s: tokens of replies per second; None: no reply was received in this run yet.
        left_s: seconds until all texts are written at the present rate; None: unknown.

    """

    tokens_per_s: float | None
    left_s: float | None


@dataclass(frozen=True, slots=True)
class _RateSample:
    at: float
    texts: int
    tokens: int


class RateMeter:
    """Measures the rate of a run by the texts that are accepted or wait for an earlier row.

    The rate of accepted texts alone is zero behind a slow row, and too high after it. Texts whose replies are in the
    journal do not count: their rate is not that of the endpoint.
    """

    def __init__(self, *, window_s: float = RATE_WINDOW_S, min_texts: int = MIN_RATE_TEXTS) -> None:
        """Begin without samples.

        Args:
            window_s: seconds over which the rate is measured; longer if they saw fewer than `min_texts`.
            min_texts: texts below which the time left is unknown.

        """
        self._window_s = window_s
        self._min_texts = min_texts
        self._samples: deque[_RateSample] = deque()
        self._latest = _RateSample(0.0, 0, 0)
        self._written_at = 0.0
        self._is_answered = False

    def add(self, status: RunStatus, now: float) -> None:
        """Record the counts at a time, in seconds of any monotonic clock."""
        sample, samples = _RateSample(now, status.accepted + status.waiting, status.tokens), self._samples
        if not samples:
            samples.append(sample)
        if sample.texts != self._latest.texts:
            self._written_at = now
        self._latest = sample
        self._is_answered = self._is_answered or sample.tokens > samples[0].tokens
        last = samples[-1]
        if (sample.texts, sample.tokens) == (last.texts, last.tokens):
            return
        if not self._is_answered:
            samples.clear()
        elif now - last.at < SAMPLE_INTERVAL_S:
            return
        samples.append(sample)
        while len(samples) > 1 and samples[1].at <= now - self._window_s:
            if sample.texts - samples[1].texts < self._min_texts:
                return
            samples.popleft()

    def rate(self, wanted: int) -> RunRate:
        """Return the rate over the window; `wanted`: texts of the run.

        The time left is at least the time since the last text: the last few texts depend on the slowest reply.
        """
        if not self._is_answered:
            return RunRate(None, None)
        first, latest = self._samples[0], self._latest
        elapsed_s, texts = latest.at - first.at, latest.texts - first.texts
        if elapsed_s <= 0:
            return RunRate(None, None)
        left_s = None
        if texts >= self._min_texts:
            left_s = max((wanted - latest.texts) * elapsed_s / texts, latest.at - self._written_at)
        return RunRate((latest.tokens - first.tokens) / elapsed_s, left_s)


def count_texts(status: RunStatus, rate: RunRate) -> list[str]:
    """Return the counts of a run beside its accepted texts and its time, the most important first."""
    speed = "" if rate.tokens_per_s is None else f" ({short_number(rate.tokens_per_s)}/s)"
    replies = "1 reply" if status.replies == 1 else f"{short_number(status.replies)} replies"
    texts = [*load_texts(status), replies]
    unit = "tokens, estimated" if status.estimated else "tokens"
    texts += [f"{short_number(status.tokens)} {unit}{speed}", f"{short_number(status.rejected)} rejected"]
    return texts if status.cost is None else [*texts, f"cost {status.cost:.4f}"]


def load_texts(status: RunStatus) -> list[str]:
    """Describe the requests in flight, and the wait, refusals and retries that keep others from being sent."""
    pending = f"{status.retrying} {'retry' if status.retrying == 1 else 'retries'} pending"
    is_running = status.in_flight > 0 or status.accepted < status.wanted
    loads = status.models or (ModelLoad("", status.in_flight, status.refused, status.paused_s),)
    texts = [text for load in loads for text in _texts_of_model(load, is_running=is_running)]
    return [*texts, *([pending] if status.retrying else [])]


def _texts_of_model(load: ModelLoad, *, is_running: bool) -> list[str]:
    """Describe the requests in flight of one model, after its name if there are several."""
    name, in_flight = f"{load.model}: " if load.model else "", f"{load.in_flight} in flight"
    if is_running and load.refused is not None and load.refused >= NOTABLE_REFUSALS:
        in_flight = f"endpoint refuses {load.refused:.0%}: {in_flight}"
    wait = [f"endpoint asks to wait {short_duration(load.paused_s)}"] if load.paused_s >= 1 else []
    return [f"{name}{text}" for text in (*wait, in_flight)]


def waiting_text(status: RunStatus) -> str:
    """Describe the texts that wait for an earlier one, to follow the accepted ones; empty: there are none."""
    return f" (+{status.waiting} written)" if status.waiting else ""


def run_bar_format(status: RunStatus, rate: RunRate) -> str:
    """Return the format of a `tqdm` bar with the counts of a run in place of the rate of accepted texts."""
    left = "?" if rate.left_s is None else duration(rate.left_s).removeprefix("0:")
    texts = f"{status.accepted}/{status.wanted} texts{waiting_text(status)}"
    return f"{{l_bar}}{{bar}}| {texts} [{{elapsed}}<{left}] {', '.join(count_texts(status, rate))}"


def first_text_line(text: str, columns: int | None) -> str:
    """Return the first text of a run as one line; `columns` None: the terminal has no width."""
    line = printable(f"first text: {' '.join(text.split())}")
    width = columns or LINE_COLUMNS
    return line if len(line) <= width else f"{line[: width - 1]}…"


def duration(seconds: float) -> str:
    """Format a time as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def short_duration(seconds: float) -> str:
    """Format a time in seconds below two minutes, else as h:mm:ss."""
    return f"{seconds:.0f} s" if seconds < 120 else duration(seconds)


def short_number(number: float) -> str:
    """Format a count with a metric prefix: 950, 12.3k, 4.5M."""
    for prefix in ("", "k", "M", "G"):
        if abs(number) < 1000 or prefix == "G":
            break
        number /= 1000
    return f"{number:.0f}" if prefix == "" else f"{number:.1f}{prefix}"
