"""Arms of a comparison: conditions under which texts are written, or real texts that are drawn for comparison.

    reference -> parts of real texts -> conditions -> texts of every arm and seed

Imports the flow `generate` and the rooms below it, and nothing else of `evaluation`.
"""

from personagen.builder.evaluation.arms.conditions import ARMS, ArmSetting, ArmText, WritingTask
from personagen.builder.evaluation.arms.delivery import TreatmentDelivery, deliveries
from personagen.builder.evaluation.arms.planning import ordered_arms, part_recipes, plan_arms, require_memory
from personagen.builder.evaluation.arms.recipes import arm_recipe, best_arm, recipe_text, require_real_texts
from personagen.builder.evaluation.arms.reference_parts import ReferenceParts, read_parts
from personagen.builder.evaluation.arms.writing import WrittenArm, write_arms

__all__ = [
    "ARMS",
    "ArmSetting",
    "ArmText",
    "ReferenceParts",
    "TreatmentDelivery",
    "WritingTask",
    "WrittenArm",
    "arm_recipe",
    "best_arm",
    "deliveries",
    "ordered_arms",
    "part_recipes",
    "plan_arms",
    "read_parts",
    "recipe_text",
    "require_memory",
    "require_real_texts",
    "write_arms",
]
