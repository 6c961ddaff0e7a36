"""Templates are validated when a recipe is read: variables and attributes in every branch, blocks, macros, syntax."""

import pytest

from personagen.builder.planning.prompts.files import TEMPLATE_NAMES, PromptFile
from personagen.builder.planning.prompts.validation import validate_template, validate_templates
from personagen.builder.planning.prompts.variables import MACROS as NAMES
from tests.helpers.releasing import ROOT

MACROS = "".join(f"{{% macro {name}(x) %}}.{{% endmacro %}}" for name in NAMES)


def file_of(text: str, template: str = "styled") -> PromptFile:
    return PromptFile(template, None, "own.md", text.encode())


def user(body: str) -> str:
    return f"{{% block user %}}\n{body}{{% endblock %}}"


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_the_templates_of_the_package_are_valid(name: str) -> None:
    validate_template(file_of((ROOT / "builder" / "templates" / f"{name}.md").read_text(encoding="utf-8"), name))


@pytest.mark.parametrize("path", sorted((ROOT / "recipes" / "prompts").iterdir()), ids=lambda path: path.name)
def test_the_templates_beside_the_recipes_are_valid(path: object) -> None:
    validate_template(file_of((ROOT / "recipes" / "prompts" / str(path)).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{{ emotoin }}", r"unknown variable 'emotoin', did you mean 'emotion'\?; known: attributes, definition, "),
        ("{% if intensity == 'high' %}{{ emotoin }}{% endif %}", r"unknown variable 'emotoin'"),
        ("{% for one in exampels %}{% endfor %}", r"unknown variable 'exampels', did you mean 'examples'\?"),
        ("{{ scene.plaice }}", r"unknown attribute of scene 'plaice', did you mean 'place'\?; known: channel, "),
        ("{{ scene['plaice'] }}", r"unknown attribute of scene 'plaice'"),
        ("{% if source %}{{ demographic.agee }}{% endif %}", r"unknown attribute of demographic 'agee', did you mean"),
        ("{{ scene.situational.evnt }}", r"unknown attribute of scene\.situational 'evnt', did you mean 'event'\?"),
        ("{{ scene.situational.appraisal.agenci }}", r"unknown attribute of scene\.situational\.appraisal 'agenci'"),
        ("{{ layer.demografic(demographic) }}", r"unknown macro of layer 'demografic', did you mean 'demographic'\?"),
        ("{% set mood = 1 %}", None),
        ("{% for demographic in examples %}{{ demographic.whatever }}{% endfor %}", None),
        ("{{ demographic.prose.upper() if demographic.prose }}", None),
        ("{{ attributes.dialect }} {{ attributes['children'] }}", None),
    ],
)
def test_names_are_known_in_every_branch(body: str, problem: str | None) -> None:
    if problem is None:
        validate_template(file_of(user(body)))
        return
    with pytest.raises(ValueError, match=rf"^prompts\.styled: own\.md, line 2: {problem}") as caught:
        validate_template(file_of(user(body)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (user("{% if emotion %}"), r"line 2: Encountered unknown tag 'endblock'"),
        (user("{{ emotion "), r"line 2: .*expected token"),
        ("{% block system %}a{% endblock %}", r"line 1: has no block `user`, wanted \{% block user %\}"),
        ("Write a text.", r"has no block `user`"),
        ("Write:\n" + user("a"), r"line 1: has a part outside of its blocks, which would not be sent; move it into"),
        ("{% set a = 1 %}" + user("{{ a }}"), r"has a part outside of its blocks"),
        ("{% block usr %}a{% endblock %}", r"line 1: unknown block 'usr', did you mean 'user'\?; known: system, user"),
        (user("a") + user("b"), r"line 2: block 'user' defined twice"),
        (user("{% block system %}b{% endblock %}"), r"has a block within the block 'user'; write one after the other"),
        (user("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}"), r"own\.md: cannot be compiled \(.*\); nest fewer parts"),
        (
            user("{% for a in examples %}" * 30 + "{% endfor %}" * 30),
            r"cannot be compiled \(too many statically",
        ),
        (user("{{ ''.__class__ }}"), r"line 2: uses the attribute '__class__', which no template may"),
        (user("{% for x in range(10**9) %}{% endfor %}"), r"line 2: computes a power, which no template may"),
    ],
)
def test_the_form_of_a_template(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        validate_template(file_of(text))
    assert "\n" not in str(caught.value)


def test_a_list_has_no_system_turn() -> None:
    text = "{% block system %}a{% endblock %}" + user("a")
    with pytest.raises(ValueError, match=r"^prompts\.list: own\.md, line 1: has a block `system`, and a list that a"):
        validate_template(file_of(text, "list"))


def test_the_macros_of_the_layers() -> None:
    validate_template(file_of(MACROS, "_layers"))
    with pytest.raises(ValueError, match=r"^prompts\._layers: own\.md, line 1: lacks the macro 'situational', which"):
        validate_template(file_of(MACROS.replace("situational", "scene"), "_layers"))
    with pytest.raises(ValueError, match=r"has a part outside of its macros, which would not be sent; leave it out"):
        validate_template(file_of(MACROS + "text", "_layers"))
    with pytest.raises(ValueError, match=r"unknown variable 'emotion'; known: none"):
        validate_template(file_of(MACROS + "{% macro other() %}{{ emotion }}{% endmacro %}", "_layers"))


def test_a_template_may_call_the_macros_of_the_recipe() -> None:
    layers = file_of(MACROS + "{% macro work(d) %}{{ d.work }}{% endmacro %}", "_layers")
    own = file_of(user("{{ layer.work(demographic) }}"))
    validate_templates([layers, own])
    with pytest.raises(ValueError, match=r"unknown macro of layer 'work'; known: demographic, introduction, sit"):
        validate_templates([own])
