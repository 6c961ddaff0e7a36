"""What a run's replies belong to: its recipe, and everything else that its requests are made from."""

import hashlib
import json
from collections.abc import Sequence

from personagen.builder.core.package_data import digests
from personagen.builder.llm.journal_only import ModelIdentity
from personagen.builder.planning.plan import Plan
from personagen.builder.planning.recipe.public import public_recipe
from personagen.builder.segments.segment import Origin
from personagen.builder.version import __version__
from personagen.builder.writing.prompts import templates_of, versions


def origin_of(plan: Plan, models: Sequence[ModelIdentity] = ()) -> Origin:
    """Return the origin of the replies of a plan; `models`: those that are asked, none if they are unknown."""
    recipe, styled = plan.recipe, plan.mixture is not None
    material = {
        "templates": versions(templates_of(recipe), styled=styled),
        "tables": digests(styles=styled),
        "personas": None if plan.source is None else dict(plan.source),
    }
    digest = hashlib.sha256(json.dumps(material, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return Origin(recipe.fingerprint(), public_recipe(recipe), digest, __version__, tuple(models))
