"""Validate a template before any call: its syntax, its blocks, its variables and their attributes.

Attributes are followed from the names of records, in every branch, whether or not a row reaches it. Names that the
template binds itself (loops, `set`, arguments of macros) are left to the rendering.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jinja2 import TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

from personagen.builder.planning.prompts.files import FURTHER, LAYERS, MACRO_FILES, PromptFile
from personagen.builder.planning.prompts.sandbox import PromptSandbox
from personagen.builder.planning.prompts.syntax import first_stray
from personagen.builder.planning.prompts.variables import (
    FUNCTIONS,
    FURTHER_VARIABLES,
    MACROS,
    VARIABLES,
    attributes_of,
    record_type,
    variables_of,
)
from personagen.builder.planning.suggestions import did_you_mean


def validate_templates(files: Sequence[PromptFile]) -> None:
    """Raise ValueError unless all files are templates that could be rendered.

    Args:
        files: templates of a recipe; `_layers` comes first, as files are in order.

    """
    macros: tuple[str, ...] = MACROS
    for file in files:
        validate_template(file, macros)
        if file.template == LAYERS:
            macros = tuple(node.name for node in PromptSandbox().parse(file.text).find_all(nodes.Macro))


def validate_template(file: PromptFile, macros: Sequence[str] = MACROS) -> None:
    """Raise ValueError unless a file is a template that could be rendered.

    Args:
        file: the template.
        macros: names of the macros of `layer`.

    """
    sandbox = PromptSandbox()
    try:
        tree = sandbox.parse(file.text)
        sandbox.from_string(file.text)
        _validate_tree(file, tree, macros)
    except TemplateSyntaxError as error:
        raise ValueError(f"{place_of(file, error.lineno)}: {_one_line(error.message or 'no template')}") from None
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        raise ValueError(
            f"{place_of(file)}: cannot be compiled ({_one_line(str(error))[:120]}); nest fewer parts"
        ) from None


def place_of(file: PromptFile, line: int | None = None) -> str:
    """Return file and line for a message."""
    key = f"prompts.{file.template}: {file.name}"
    return key if line is None else f"{key}, line {line}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _validate_tree(file: PromptFile, tree: nodes.Template, macros: Sequence[str]) -> None:
    if file.template in MACRO_FILES:
        _validate_macros(tree)
        known: tuple[str, ...] = FURTHER_VARIABLES if file.template == FURTHER else ()
    else:
        _validate_turns(file, tree)
        known = variables_of(file.template)
    for name in sorted(find_undeclared_variables(tree) - set(FUNCTIONS)):
        if name not in known:
            line = next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), 1)
            raise TemplateSyntaxError(_unknown("variable", name, known), line)
    _validate_attributes(tree, known, macros)


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return f"unknown {kind} {name!r}{did_you_mean(name, names)}; known: {', '.join(names) or 'none'}"


def _validate_turns(file: PromptFile, tree: nodes.Template) -> None:
    blocks = {block.name: block for block in tree.find_all(nodes.Block)}
    if "user" not in blocks:
        raise TemplateSyntaxError(
            "has no block `user`, wanted {% block user %}...{% endblock %} around the turn of the user", 1
        )
    if file.template == "list" and "system" in blocks:
        raise TemplateSyntaxError(
            "has a block `system`, and a list that a model continues has no turns; leave it out",
            blocks["system"].lineno,
        )


def _validate_macros(tree: nodes.Template) -> None:
    """Raise TemplateSyntaxError unless a tree has the macros of the layers, and nothing that is printed."""
    macros = [node.name for node in tree.body if isinstance(node, nodes.Macro)]
    if (stray := first_stray(tree, nodes.Macro)) is not None:
        raise TemplateSyntaxError(
            "has a part outside of its macros, which would not be sent; leave it out", stray.lineno
        )
    for name in MACROS:
        if name not in macros:
            raise TemplateSyntaxError(f"lacks the macro {name!r}, which templates call as `layer.{name}(...)`", 1)


def _validate_attributes(tree: nodes.Template, known: Sequence[str], macros: Sequence[str]) -> None:
    bound = set(_bound_names(tree))
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        root, path = _path_of(node)
        if root == "layer" in known and root not in bound and path[0] not in macros:
            raise TemplateSyntaxError(_unknown("macro of layer", path[0], macros), node.lineno)
        record = VARIABLES[root].record if root in VARIABLES and root in known and root not in bound else None
        if record is None:
            continue
        owner, wrong = record_type(record, path)
        if wrong is not None and owner is not None:
            names: Mapping[str, object] = attributes_of(owner)
            where = ".".join((root, *path[: path.index(wrong)]))
            raise TemplateSyntaxError(_unknown(f"attribute of {where}", wrong, names), node.lineno)


def _bound_names(tree: nodes.Template) -> Iterator[str]:
    """Yield the names that a template binds itself."""
    yield from (node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param"))


def _path_of(node: nodes.Node) -> tuple[str, tuple[str, ...]]:
    """Return the name that a chain of attributes begins with ("": none), and the attributes."""
    path: list[str] = []
    while True:
        if isinstance(node, nodes.Getattr):
            path.append(node.attr)
            node = node.node
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            path.append(node.arg.value)
            node = node.node
        else:
            return (node.name if isinstance(node, nodes.Name) else ""), tuple(reversed(path))
