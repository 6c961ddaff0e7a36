"""Parse YAML of plain values, as people write it in recipes, lists of events and dataset cards."""

import re
from typing import Any

import yaml

from personagen.builder.core.foreign_text import quote

TAG_PREFIX = "tag:yaml.org,2002:"
PLAIN_KINDS = frozenset({"str", "int", "float", "bool", "null", "seq", "map", "merge"})
"""Types of values that a recipe can have, by the last part of their tag."""

ODD_NUMBER = re.compile(r"[-+]?(\d+(:\d+)+|0[0-7_]+$)")
"""Numbers of base 60 and 8, which people do not write on purpose."""

MAX_YAML_CHARS = 2_000_000
"""Upper bound on a text, which is parsed at 100,000 characters per second."""

MAX_REPEATED_VALUES = 10_000
"""Upper bound on the values that aliases add."""


def load_plain_yaml(text: str) -> Any:
    """Parse YAML of text, numbers, truth values, null, lists and mappings; dates are text.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: the text is not YAML; it names a key twice, repeats values by
            aliases without bound, or has values of other types.

    """
    if len(text) > MAX_YAML_CHARS:
        raise ValueError(f"more than {MAX_YAML_CHARS:,} characters")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        sizes: dict[int, int] = {}
        if _validate_node(node, sizes) > len(sizes) + MAX_REPEATED_VALUES:
            raise ValueError(f"aliases repeat more than {MAX_REPEATED_VALUES:,} values; write them out")
        try:
            return loader.construct_document(node)
        except LookupError as error:  # a value that its tag does not have: !!bool maybe
            raise ValueError(f"no such value: {quote(str(error), limit=40)}") from None
    finally:
        loader.dispose()


def _validate_node(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Validate a node and return the number of values in it with aliases written out; `sizes`: by node, known ones."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise yaml.MarkedYAMLError(problem="an alias contains itself", problem_mark=node.start_mark)
        return sizes[id(node)]
    sizes[id(node)] = 0
    _validate_tag(node)
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        _require_unique_keys(node)
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    sizes[id(node)] = 1 + sum(_validate_node(child, sizes) for child in children)
    return sizes[id(node)]


def _validate_tag(node: yaml.Node) -> None:
    if isinstance(node, yaml.ScalarNode) and not node.value.isascii():  # JSON escapes an emoji as two halves
        node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    kind = node.tag.removeprefix(TAG_PREFIX)
    if kind == "timestamp":
        node.tag = f"{TAG_PREFIX}str"
    elif kind not in PLAIN_KINDS:
        problem = (
            f"a value of type {quote(kind.removeprefix('!'), limit=40)}; wanted text, a number, a list or a mapping"
        )
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    elif (
        isinstance(node, yaml.ScalarNode)
        and not node.style
        and kind in ("int", "float")
        and ODD_NUMBER.match(node.value)
    ):
        problem = f"got {quote(node.value, limit=40)}, a number of base 60 or 8; put it in quotes"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    elif isinstance(node, yaml.ScalarNode) and any("\ud800" <= char <= "\udfff" for char in node.value):
        raise yaml.MarkedYAMLError(
            problem="half of a surrogate pair, which is no character", problem_mark=node.start_mark
        )


def _require_unique_keys(node: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for position, (key, _) in enumerate(node.value, 1):
        if not isinstance(key, yaml.ScalarNode):
            continue  # refused by the constructor, with its line
        line = key.start_mark.line + 1
        if (first := lines.setdefault((key.tag, key.value), line)) != line or len(lines) < position:
            problem = f"the key {quote(key.value, limit=40)} stands twice, in lines {first} and {line}; name it once"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
