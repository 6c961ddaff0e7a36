"""The part of Jinja that prompt templates have, and its syntax trees with the hooks by which a rendering is bounded.

A template is two blocks, `user` and perhaps `system`; nothing stands outside them. The template `_layers` is macros.
"""

from collections.abc import Iterator

from jinja2 import TemplateSyntaxError, nodes

from personagen.builder.planning.suggestions import did_you_mean

PLAIN_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last",
    "length", "list", "lower", "max", "min", "reject", "reverse", "select", "sort", "string", "title", "trim",
    "unique", "upper", "wordcount",
)  # fmt: skip
"""Filters of Jinja that make no input larger."""

TEXT_FILTERS = frozenset({"capitalize", "lower", "string", "title", "trim", "upper", "wordcount"})
"""Filters that make a text of any input: that of an object would have its address, which no seed determines."""

FILTERS = (*PLAIN_FILTERS, "indent", "join", "replace", "round", "sum")
"""Filters of templates. `map`, `attr` and `format`, which reach attributes or filters by name, are left out, and so is
`random`."""

PLAIN_TESTS = (
    "!=", "<", "<=", "==", ">", ">=", "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false",
    "float", "ge", "greaterthan", "gt", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping",
    "ne", "none", "number", "odd", "sequence", "string", "true", "undefined", "upper",
)  # fmt: skip
"""Tests of templates."""

BLOCKS = ("system", "user")
"""Blocks of a template: the turns of its chat."""

STATEMENTS = (
    nodes.Assign, nodes.AssignBlock, nodes.Block, nodes.CallBlock, nodes.FilterBlock, nodes.For, nodes.If, nodes.Macro,
    nodes.Output, nodes.Scope, nodes.With,
)  # fmt: skip
EXPRESSIONS = (
    nodes.Add, nodes.And, nodes.Call, nodes.Compare, nodes.Concat, nodes.CondExpr, nodes.Const, nodes.Dict, nodes.Div,
    nodes.Filter, nodes.FloorDiv, nodes.Getattr, nodes.Getitem, nodes.List, nodes.Mod, nodes.Mul, nodes.NSRef,
    nodes.Name, nodes.Neg, nodes.Not, nodes.Or, nodes.Pos, nodes.Slice, nodes.Sub, nodes.TemplateData, nodes.Test,
    nodes.Tuple,
)  # fmt: skip
PARTS = (nodes.Keyword, nodes.Operand, nodes.Pair)

TEMPLATE_STATEMENTS = (nodes.Extends, nodes.FromImport, nodes.Import, nodes.Include)
"""Statements that read another template."""

INNER_NAMES = ("self", "super", "varargs", "kwargs")
"""Names of Jinja for blocks and arguments, which templates have no need of."""


def bounded_tree(tree: nodes.Template) -> nodes.Template:
    """Return the tree of a template with hooks that bound its rendering.

    Raises:
        TemplateSyntaxError: it uses what templates may not.

    """
    for node in _all_nodes(tree):
        _require_known(node)
    names = {node.name for node in tree.find_all(nodes.Block)}
    if names:
        _require_blocks(tree)
    _hook(tree)
    return tree


def _all_nodes(tree: nodes.Node) -> Iterator[nodes.Node]:
    pending = list(tree.iter_child_nodes())
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.iter_child_nodes())


def _require_known(node: nodes.Node) -> None:
    """Raise TemplateSyntaxError for a node that templates may not have."""
    if isinstance(node, TEMPLATE_STATEMENTS):
        _refuse("reads another template, which none may; the macros of _layers are in `layer`", node)
    if isinstance(node, nodes.Pow):
        _refuse("computes a power, which no template may; write the number", node)
    if isinstance(node, nodes.For) and node.recursive:
        _refuse("has a recursive loop, which no template may; write a loop in a loop", node)
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        _refuse(f"unknown filter {node.name!r}{did_you_mean(node.name, FILTERS)}; known: {', '.join(FILTERS)}", node)
    if isinstance(node, nodes.Test) and node.name not in PLAIN_TESTS:
        hint = did_you_mean(node.name, PLAIN_TESTS)
        _refuse(f"unknown test {node.name!r}{hint}; known: {', '.join(PLAIN_TESTS)}", node)
    if isinstance(node, nodes.Name) and (node.name in INNER_NAMES or node.name.startswith("_")):
        _refuse(f"uses {node.name!r}, which no template may", node)
    _require_no_inner_attribute(node)
    if not isinstance(node, STATEMENTS + EXPRESSIONS + PARTS):
        _refuse(f"has a part that no template may have ({type(node).__name__})", node)


def _require_no_inner_attribute(node: nodes.Node) -> None:
    name: object = None
    if isinstance(node, nodes.Getattr):
        name = node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        name = node.arg.value
    if isinstance(name, str) and (name.startswith("_") or name in ("mro", "format", "format_map")):
        _refuse(f"uses the attribute {name!r}, which no template may", node)


def _require_blocks(tree: nodes.Template) -> None:
    """Raise TemplateSyntaxError unless the tree is the blocks of a template and nothing else."""
    for block in tree.find_all(nodes.Block):
        if block.name not in BLOCKS:
            _refuse(
                f"unknown block {block.name!r}{did_you_mean(block.name, BLOCKS)}; known: {', '.join(BLOCKS)}", block
            )
        if next(block.find_all(nodes.Block), None) is not None:
            _refuse(f"has a block within the block {block.name!r}; write one after the other", block)
    if (stray := first_stray(tree, nodes.Block)) is not None:
        _refuse("has a part outside of its blocks, which would not be sent; move it into a block", stray)


def first_stray(tree: nodes.Template, wanted: type[nodes.Node]) -> nodes.Node | None:
    """Return the first part of a tree that is neither blank nor a wanted node at its top; None: there is none."""
    for node in tree.body:
        for part in node.nodes if isinstance(node, nodes.Output) else [node]:
            is_blank = isinstance(part, nodes.TemplateData) and not part.data.strip()
            if not is_blank and not isinstance(part, wanted):
                return part
    return None


def _refuse(problem: str, node: nodes.Node) -> None:
    raise TemplateSyntaxError(problem, node.lineno)


def _hook(node: nodes.Node) -> None:
    """Add the hooks of `PromptSandbox` to a tree, in place."""
    for child in list(node.iter_child_nodes()):
        _hook(child)
    for field, value in list(
        node.iter_fields()
    ):  # first, or a hook below would get a text that is made without a bound
        if isinstance(value, nodes.Concat):
            setattr(node, field, _concatenated(value))
        elif isinstance(value, list):
            value[:] = [_concatenated(part) if isinstance(part, nodes.Concat) else part for part in value]
    if isinstance(node, nodes.For):
        node.iter = _filtered(node.iter, "_iterated", _size(node))
    elif isinstance(node, nodes.Macro | nodes.CallBlock):
        node.body.insert(0, nodes.Output([_filtered(nodes.Const(_size(node), lineno=node.lineno), "_spend")]))
    elif isinstance(node, nodes.Filter) and node.node is not None:
        node.node = _filtered(node.node, "_as_text" if node.name in TEXT_FILTERS else "_weighed")
    if isinstance(node, nodes.List | nodes.Tuple) and getattr(node, "ctx", "load") == "load":
        node.items = [_filtered(item, "_item") for item in node.items]
    elif isinstance(node, nodes.Pair):
        node.value = _filtered(node.value, "_item")


def _size(node: nodes.Node) -> int:
    """Return the number of nodes below a node."""
    return 1 + sum(1 for _ in _all_nodes(node))


def _filtered(expression: nodes.Node, name: str, *arguments: int) -> nodes.Filter:
    values = [nodes.Const(argument, lineno=expression.lineno) for argument in arguments]
    return nodes.Filter(expression, name, values, [], None, None, lineno=expression.lineno)


def _concatenated(node: nodes.Concat) -> nodes.Filter:
    """Return `a ~ b` as a filter whose result is bounded."""
    return _filtered(nodes.List(node.nodes, lineno=node.lineno), "join")
