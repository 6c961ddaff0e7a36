"""Compile and render templates of a user: no way to Python, to files or to other templates, and bounded work.

A rendering has a budget of steps. Every pass of a loop and every call of a macro spends as many as its body has nodes,
every text as many as it has hundreds of characters. So the bound holds on every machine alike, without a clock.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jinja2 import StrictUndefined, TemplateRuntimeError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import Namespace

from personagen.builder.planning.prompts.syntax import PLAIN_FILTERS, PLAIN_TESTS, bounded_tree

MAX_STEPS = 100_000
"""Steps of one rendering; the templates of the package take 1,200 at most."""

MAX_CHARS = 50_000
"""Characters of any text within a rendering, and of a prompt: 12,000 tokens."""

MAX_ITEMS = 1_000
"""Items of a list that a template makes, and numbers of a range."""

MAX_PARTS = 8
"""Items of a list within a list, such as a name and its value."""

MAX_NUMBER = 10**15
"""Upper bound on the absolute value of a number that a template computes."""

CHARS_PER_STEP = 100
"""Characters of a text that is made or looked through, per step."""

TEXT_METHODS = frozenset({
    "capitalize", "endswith", "lower", "lstrip", "removeprefix", "removesuffix", "rstrip", "split", "startswith",
    "strip", "title", "upper",
})  # fmt: skip
"""Methods of texts that a template may call; none makes a text longer."""

MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
"""Methods of mappings that a template may call."""

LOOP_METHODS = frozenset({"changed", "cycle"})
"""Methods of `loop` that a template may call."""

Scalar = str | int | float | bool | None

_steps_left: ContextVar[int] = ContextVar("_steps_left", default=MAX_STEPS)


class TemplateBoundError(TemplateRuntimeError):
    """A template does too much work, or makes a value that is too large."""


@contextmanager
def budget(steps: int = MAX_STEPS) -> Iterator[None]:
    """Give the renderings of a block a budget of their own."""
    token = _steps_left.set(steps)
    try:
        yield
    finally:
        _steps_left.reset(token)


def _spend(steps: int) -> None:
    left = _steps_left.get() - steps
    _steps_left.set(left)
    if left < 0:
        raise TemplateBoundError("takes too many steps: a loop or a macro repeats too often, wanted fewer passes")


def _spend_body(steps: int) -> str:
    """Spend the steps of the body of a macro; the node of this call prints the empty text."""
    _spend(steps)
    return ""


def _iterated(value: Any, steps: int) -> list[Any]:
    """Return the items of a loop, whose passes take so many steps each."""
    items = list(value)
    _spend((len(items) + 1) * steps)
    return items


def _weighed(value: Any) -> Any:
    """Return the input of a filter, and spend the steps that its size costs."""
    if isinstance(value, str):
        _spend(1 + len(value) // CHARS_PER_STEP)
    elif isinstance(value, list | tuple | dict):
        _spend(1 + len(value))
    return value


def _as_text(value: Any) -> Scalar:
    """Return the input of a filter of texts, and spend the steps of its size; raise unless it can be printed."""
    scalar = _printable_value(value)
    _weighed(scalar)
    return scalar


def _item(value: Any) -> Any:
    """Return an item of a list that a template makes: no list but a short one of texts; others could grow endlessly."""
    if isinstance(value, dict | Namespace):
        raise TemplateBoundError("puts a mapping into a list, wanted texts and numbers in it")
    if isinstance(value, list | tuple) and (len(value) > MAX_PARTS or any(map(_is_container, value))):
        wanted = f"texts, numbers and lists of up to {MAX_PARTS} of them"
        raise TemplateBoundError(f"puts a list into a list, wanted {wanted}")
    return value


def _is_container(value: Any) -> bool:
    return isinstance(value, list | tuple | dict | Namespace)


def _bounded_text(text: str) -> str:
    _require_length(len(text))
    return text


def _require_length(length: int) -> None:
    _spend(length // CHARS_PER_STEP)
    if length > MAX_CHARS:
        raise TemplateBoundError(f"makes a text of {length:,} characters, wanted {MAX_CHARS:,} or fewer")


def _joined(parts: Iterable[str]) -> str:
    """Join the parts of an output, as `Environment.concat`."""
    texts = list(parts)
    _require_length(sum(map(len, texts)))
    return "".join(texts)


def joined_parts(parts: Iterable[str]) -> str:
    """Join the parts of a block as they are rendered; they stop where they become too long."""
    texts: list[str] = []
    length = 0
    for part in parts:
        texts.append(part)
        length += len(part)
        if length > MAX_CHARS:
            _require_length(length)
    return "".join(texts)


def _join(values: Iterable[Any], separator: Any = "") -> str:
    """Join texts and numbers, as the filter `join` does without an attribute."""
    texts = [str(_printable_value(value)) for value in values]
    _require_length(sum(map(len, texts)) + len(texts) * len(str(separator)))
    return str(separator).join(texts)


def _replace(text: Any, old: str, new: str) -> str:
    """Replace all occurrences, as the filter `replace` does without a count."""
    whole = str(_printable_value(text))
    _require_length(len(whole) + (whole.count(old) if old else len(whole) + 1) * len(new))
    return whole.replace(old, new)


def _indent(text: Any, width: int = 4, first: bool = False, blank: bool = False) -> str:
    """Indent the lines of a text, as the filter `indent`."""
    text = str(_printable_value(text))
    _require_length(len(text) + (text.count("\n") + 1) * max(0, width))
    return str(FILTERS["indent"](text, width, first, blank))


def _sum(values: Iterable[Any], start: float = 0) -> float:
    """Add numbers, as the filter `sum` does without an attribute."""
    numbers = [start, *values]
    if not all(isinstance(number, int | float) for number in numbers):
        raise TemplateRuntimeError("adds what is no number by `sum`, wanted numbers; `join` joins texts")
    total: float = sum(numbers)
    return total


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    """Round a number to 0 to 10 digits, as the filter `round`."""
    if not 0 <= precision <= 10:
        raise TemplateBoundError(f"rounds to {precision} digits, wanted 0 to 10")
    return FILTERS["round"](value, precision, method)


def _range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > MAX_ITEMS:
        raise TemplateBoundError(f"has a range of {len(numbers):,} numbers, wanted {MAX_ITEMS:,} or fewer")
    return numbers


def _printable_value(value: Any) -> Scalar:
    """Return a value that is printed; raise unless it is a text or a number."""
    if isinstance(value, Undefined):
        return str(value)  # raises the error that names it; empty after `a if b` without an else
    if value is None:
        raise TemplateRuntimeError("prints a value that is null here; write it within {% if ... %}")
    if not isinstance(value, str | int | float):
        kind = "a list" if isinstance(value, list | tuple) else f"a value of type {type(value).__name__}"
        raise TemplateRuntimeError(f"prints {kind}, wanted a text or a number; print its parts, or join them")
    return value


class PromptSandbox(ImmutableSandboxedEnvironment):
    """Environment of the templates of a recipe: a part of Jinja whose renderings are bounded."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    concat = staticmethod(_joined)

    def __init__(self) -> None:
        """Set up filters, tests and globals; nothing is loaded from a file."""
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=False,
            optimized=False,  # constants would be computed while compiling, without a budget
            finalize=_printable_value,
        )
        own = {"join": _join, "replace": _replace, "indent": _indent, "round": _round, "sum": _sum}
        hooks = {
            "_iterated": _iterated,
            "_weighed": _weighed,
            "_as_text": _as_text,
            "_item": _item,
            "_spend": _spend_body,
        }
        self.filters = {name: FILTERS[name] for name in PLAIN_FILTERS} | own | hooks
        self.tests = {name: TESTS[name] for name in PLAIN_TESTS}
        self.globals = {"range": _range, "namespace": Namespace}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return bounded_tree(super()._parse(source, name, filename))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether a template may use an attribute: none whose name begins with an underscore."""
        return not attr.startswith("_") and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute with numbers, and join texts and lists by `+`; all results are bounded."""
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" or not (numbers or operator == "+"):
            kinds = f"{type(left).__name__} {operator} {type(right).__name__}"
            raise SecurityError(f"computes {kinds}, wanted numbers; `~` joins texts, and `join` repeats none")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, str):
            return _bounded_text(result)
        if isinstance(result, list | tuple) and len(result) > MAX_ITEMS:
            raise TemplateBoundError(f"makes a list of {len(result):,} items, wanted {MAX_ITEMS:,} or fewer")
        if isinstance(result, int | float) and abs(result) > MAX_NUMBER:
            raise TemplateBoundError(f"computes a number above {MAX_NUMBER:,}, wanted a smaller one")
        return result

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as in jinja2
        """Call a macro, or a function that is known to be harmless."""
        if not _is_callable(__obj):
            name = getattr(__obj, "__qualname__", type(__obj).__name__)
            raise SecurityError(f"calls {name}, which templates may not")
        _spend(1)
        for value in (getattr(__obj, "__self__", None), *args, *kwargs.values()):
            _weighed(value)
        return __context.call(__obj, *args, **kwargs)


def _is_callable(value: Any) -> bool:
    """Return whether a template may call a value."""
    if isinstance(value, Undefined):
        str(value)  # raises the error that names it
    if isinstance(value, Macro) or value is _range or value is Namespace:
        return True
    owner, name = getattr(value, "__self__", None), getattr(value, "__name__", "")
    if isinstance(owner, LoopContext):
        return name in LOOP_METHODS
    return name in (TEXT_METHODS if isinstance(owner, str) else MAPPING_METHODS if isinstance(owner, Mapping) else ())
