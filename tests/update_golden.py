"""Write the golden files after an intended change: python -m tests.update_golden, then read the diff."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from personagen.builder.release.cards.card import render_card
from tests.cli.test_main import help_text
from tests.helpers.releasing import GOLDEN, manifest_of
from tests.planning.recipe.test_recipe_page import SCHEMA, schema_text
from tests.release.cards.test_card import CARD, MANIFEST, make_golden_release
from tests.writing.test_styled_prompts import PROMPT, golden_prompt


def main() -> None:
    """Write help.txt, manifest.json, card.md, styled_prompt.txt and docs/recipe.schema.json."""
    GOLDEN.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        manifest = manifest_of(make_golden_release(Path(folder) / "personagen"))
    MANIFEST.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    CARD.write_text(render_card(manifest), encoding="utf-8")
    (GOLDEN / "help.txt").write_text(help_text(), encoding="utf-8")
    PROMPT.write_text(golden_prompt(), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
