"""The sandbox of prompt templates: bounded work without a clock, and no way to Python."""

from dataclasses import dataclass
from typing import Any

import pytest
from jinja2 import TemplateSyntaxError
from jinja2.exceptions import SecurityError, TemplateRuntimeError, UndefinedError

from personagen.builder.planning.prompts.sandbox import PromptSandbox, TemplateBoundError, budget


@dataclass(frozen=True, slots=True)
class Thing:
    """A record as templates get them."""

    age: int = 3
    name: str = "Ann"


def rendered(body: str, **values: Any) -> str:
    """Render the body of a block with a thing and two texts."""
    values = {"thing": Thing(), "texts": ("a", "b"), "text": "abc", "nothing": None, "big": "ab" * 9000} | values
    with budget():
        template = PromptSandbox().from_string(f"{{% block user %}}{body}{{% endblock %}}")
        return "".join(template.blocks["user"](template.new_context(values)))


def grown(start: str, step: str) -> str:
    """Return a template that takes a step from a value 99 times."""
    return f"{{% set s = namespace(x={start}) %}}{{% for i in range(99) %}}{{% set s.x = {step} %}}{{% endfor %}}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{{ thing.age }} {{ thing['name'] }}", "3 Ann"),
        ("{% for x in texts %}{{ loop.index }}{{ x }}{{ ', ' if not loop.last }}{% endfor %}", "1a, 2b"),
        ("{{ texts | join('-') }} {{ text | upper | replace('B', 'x') }}", "a-b AxC"),
        ("{{ text.upper() }} {{ text ~ 1 ~ thing.age }}", "ABC abc13"),
        ("{% set ns = namespace(n=0) %}{% for x in range(3) %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}", "3"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}{{ m('b') }}", "<1><b>"),
        ("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}c{% endcall %}", "<c>"),
        ("{% filter upper %}abc{% endfilter %}{% with a = text %}{{ a }}{% endwith %}", "ABCabc"),
        ("{{ {'a': 'x', 'b': 'y'}['b'] }} {{ 7 // 2 }} {{ 5 % 3 }} {{ 1.26 | round(1) }}", "y 3 2 1.3"),
        ("{% for a, b in [('x', 1), ('y', none)] if b is not none %}{{ a }}{{ b }}{% endfor %}", "x1"),
        ("{{ 'a\nb' | indent(2) }}{{ 'x' if nothing }}", "a\n  b"),
    ],
)
def test_ordinary_templates_are_rendered(body: str, text: str) -> None:
    assert rendered(body) == text


USES_OF_A_TEXT = (
    "{{ JOINED }}", "{{ (JOINED) | upper }}", "{{ [JOINED] | length }}", "{{ {'a': JOINED}['a'] }}",
    "{% for c in JOINED %}{% endfor %}", "{% set a = JOINED %}", "{{ text.startswith(JOINED) }}",
    "{{ text | default(JOINED) }}", "{{ (JOINED).upper() }}", "{{ (JOINED)[0] }}", "{% if JOINED %}{% endif %}",
    "{{ text in JOINED }}", "{% with a = JOINED %}{% endwith %}", "{{ 1 if JOINED }}", "{{ (JOINED) is string }}",
)  # fmt: skip
"""Places of an expression, in each of which a joined text is bounded before it is made."""


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{% for x in range(1000000000) %}.{% endfor %}", r"has a range of 1,000,000,000 numbers, wanted 1,000"),
        ("{% for a in range(999) %}{% for b in range(999) %}.{% endfor %}{% endfor %}", r"takes too many steps"),
        ("{% for a in range(999) %}{% for b in range(999) if b < 0 %}{% endfor %}{% endfor %}", r"too many steps"),
        (grown("'ab'", "s.x ~ s.x"), r"65,536 char"),
        (
            "{% set s = namespace(x='ab') %}{% for i in range(99) %}"
            "{% set s.x %}{{ s.x }}{{ s.x }}{% endset %}{% endfor %}",
            r"makes a text of 65,536 characters, wanted 50,000 or fewer",
        ),
        (grown("'ab'", "s.x + s.x"), r"65,536 char"),
        (grown("[1]", "s.x + s.x"), r"1,024 items"),
        (grown("[1]", "[s.x, s.x]"), r"a list into a"),
        ("{{ [[[1]]] }}", r"puts a list into a list, wanted texts, numbers and lists of up to 8 of them"),
        ("{{ [{'a': 1}] }}", r"puts a mapping into a list, wanted texts and numbers in it"),
        (grown("9", "s.x * s.x"), r"computes a number above 1,000,000,000,000,000, wanted a smaller one"),
        ("{% macro f() %}{% for i in range(999) %}.{% endfor %}{% endmacro %}" + "{{ f() }}" * 60, r"too many steps"),
        ("{{ 'x' | replace('', 'y' ~ text | join('z')) | indent(100000000) }}", r"too many steps"),
        (grown("'ab'", "s.x | replace('a', 'aaaa')"), "81,921"),
        ("{% set x = big | list %}{% for a in range(99) %}{% set y = x | sort %}{% endfor %}", r"too many steps"),
        (
            "{% for a in range(999) %}{% for b in range(99) %}{% set x = big.split('b') %}{% endfor %}{% endfor %}",
            r"steps",
        ),
        *((use.replace("JOINED", "big ~ big ~ big"), r"54,000 characters") for use in USES_OF_A_TEXT),
        ("{{ 1.5 | round(-100000000) }}", r"rounds to -100000000 digits, wanted 0 to 10"),
    ],
)
def test_work_and_size_are_bounded(body: str, problem: str) -> None:
    with pytest.raises(TemplateBoundError, match=problem):
        rendered(body)


def test_a_macro_that_calls_itself_ends() -> None:
    with pytest.raises((RecursionError, TemplateBoundError)):
        rendered("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")


def test_calls_count_by_the_size_of_the_macro() -> None:
    """Each level calls the one below it ten times: 10,000 calls of a macro in five lines."""
    levels = ["{% macro f0() %}.{% endmacro %}"]
    levels += [f"{{% macro f{n}() %}}{f'{{{{ f{n - 1}() }}}}' * 10}{{% endmacro %}}" for n in range(1, 6)]
    with pytest.raises(TemplateBoundError, match="too many steps"):
        rendered("".join(levels) + "{{ f5() }}")


def test_a_budget_is_that_of_one_rendering() -> None:
    loop = "{% for a in range(900) %}{{ a }} {% endfor %}" * 3
    assert [len(rendered(loop)) for _ in range(12)] == [len(rendered(loop))] * 12


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{{ text.__class__ }}", r"uses the attribute '__class__', which no template may"),
        ("{{ thing['__class__'] }}", r"uses the attribute '__class__'"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", r"uses the attribute"),
        ("{{ text.mro }}", r"uses the attribute 'mro'"),
        ("{{ '{0.__class__}'.format(thing) }}", r"uses the attribute 'format', which no template may"),
        ("{{ range.__globals__ }}", r"uses the attribute '__globals__'"),
        ("{{ thing | attr('__class__') }}", r"unknown filter 'attr'; known: abs, "),
        ("{{ texts | map('upper') }}", r"unknown filter 'map'"),
        ("{{ texts | random }}", r"unknown filter 'random'"),
        ("{{ '%s' | format(thing) }}", r"unknown filter 'format'"),
        ("{{ text | uper }}", r"unknown filter 'uper', did you mean 'upper'\?; known: "),
        ("{{ thing is callable }}", r"unknown test 'callable'; known: "),
        ("{% include 'x.md' %}", r"reads another template, which none may; the macros of _layers are in `layer`"),
        ("{% import 'x.md' as x %}", r"reads another template"),
        ("{% from 'x.md' import x %}", r"reads another template"),
        ("{{ 2 ** 1000000000 }}", r"computes a power, which no template may; write the number"),
        ("{% for x in texts recursive %}{{ loop(texts) }}{% endfor %}", r"has a recursive loop, which no template may"),
        ("{{ self.user() }}", r"uses 'self', which no template may"),
        ("{{ super() }}", r"uses 'super', which no template may"),
        ("{{ _hidden }}", r"uses '_hidden', which no template may"),
        ("{% macro m() %}{{ varargs }}{% endmacro %}", r"uses 'varargs'"),
        ("{% autoescape true %}{% endautoescape %}", r"a part that no template may have \(ScopedEval"),
    ],
)
def test_what_no_template_may_is_refused_before_it_is_rendered(body: str, problem: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=problem):
        rendered(body)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{{ thing[('__cla', 'ss__') | join] }}", r"access to attribute '__class__' of 'Thing' object is unsafe"),
        ("{{ texts | sort(attribute='__class__') }}", r"access to attribute '__class__' of 'str' object is unsafe"),
        ("{{ thing.name.zfill(1000000000) }}", r"calls str\.zfill, which templates may not"),
        ("{{ text.encode() }}", r"calls str\.encode, which templates may not"),
        ("{{ thing.age.to_bytes(1000000000, 'big') }}", r"calls int\.to_bytes, which templates may not"),
        ("{{ thing() }}", r"calls Thing, which templates may not"),
        ("{{ 'a' * 1000000000 }}", r"computes str \* int, wanted numbers; `~` joins texts, and `join` repeats none"),
        ("{{ texts * 100000000 }}", r"computes tuple \* int, wanted numbers"),
        ("{{ '%999999999d' % 1 }}", r"computes str % int, wanted numbers"),
    ],
)
def test_what_a_template_reaches_for_is_refused_while_it_is_rendered(body: str, problem: str) -> None:
    with pytest.raises(SecurityError, match=problem):
        rendered(body)


@pytest.mark.parametrize("name", ["lipsum", "cycler", "joiner", "dict", "os", "config"])
def test_other_globals_of_jinja_are_unknown(name: str) -> None:
    with pytest.raises(UndefinedError, match=f"'{name}' is undefined"):
        rendered(f"{{{{ {name} }}}}")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{{ nothing }}", r"prints a value that is null here; write it within {% if \.\.\. %}"),
        ("{{ texts }}", r"prints a list, wanted a text or a number; print its parts, or join them"),
        ("{{ thing }}", r"prints a value of type Thing, wanted a text or a number"),
        ("{{ [nothing] | join }}", r"prints a value that is null"),
        ("{{ range | string }}", r"prints a value of type function"),  # with its address, another one in each run
        ("{{ thing | upper }}", r"prints a value of type Thing"),
        ("{{ texts | select | string }}", r"prints a value of type generator"),
        ("{{ [text] | sum(start='') }}", r"adds what is no number by `sum`, wanted numbers; `join` joins texts"),
        ("{{ [[1], [2]] | sum(start=[]) | length }}", r"adds what is no number"),
    ],
)
def test_only_texts_and_numbers_are_printed(body: str, problem: str) -> None:
    with pytest.raises(TemplateRuntimeError, match=problem):
        rendered(body)
