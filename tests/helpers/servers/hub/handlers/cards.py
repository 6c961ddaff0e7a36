"""The YAML on top of a README.md, and its validation by the Hub."""

import json
from typing import Any

import yaml

TEXTS = ("language", "license", "tags", "size_categories", "task_categories", "task_ids", "source_datasets")
"""Fields that are a string or a list of strings."""


def _block(content: str) -> str | None:
    lines = content.replace("\r\n", "\n").split("\n")
    if lines[0].strip() != "---":
        return None
    ends = [index for index, line in enumerate(lines[1:], 1) if line.rstrip() == "---"]
    return "\n".join(lines[1 : ends[0]]) if ends else None


def front_matter(content: str) -> Any:
    """Return the YAML in JSON types; None: it is missing or malformed."""
    try:
        return json.loads(json.dumps(yaml.safe_load(_block(content) or ""), default=str))
    except (yaml.YAMLError, TypeError, ValueError):
        return None


def check(content: str) -> tuple[list[str], list[str]]:
    """Return the errors and the warnings of a card."""
    block = _block(content)
    if not (block or "").strip():
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        metadata = yaml.safe_load(block or "")
    except yaml.YAMLError as error:
        return [f"Invalid YAML: {error}"], []
    if not isinstance(metadata, dict):
        return ["The metadata must be an object"], []
    errors = [
        f'"{name}" must be a string or an array of strings' for name in TEXTS if not _is_texts(metadata.get(name))
    ]
    if not isinstance(metadata.get("pretty_name", ""), str):
        errors.append('"pretty_name" must be a string')
    return errors + _configs(metadata.get("configs", [])), []


def _is_texts(value: Any) -> bool:
    return (
        value is None or isinstance(value, str) or (isinstance(value, list) and all(isinstance(x, str) for x in value))
    )


def _configs(configs: Any) -> list[str]:
    if not isinstance(configs, list):
        return ['"configs" must be an array']
    bad = [index for index, config in enumerate(configs) if not isinstance(config, dict)]
    named = [config for config in configs if isinstance(config, dict)]
    errors = [f'"configs[{index}]" must be an object' for index in bad]
    errors += [
        f'"configs[{n}].config_name" must be a string' for n, config in enumerate(named) if not _has_name(config)
    ]
    return errors


def _has_name(config: dict[str, Any]) -> bool:
    return isinstance(config.get("config_name", "default"), str)
