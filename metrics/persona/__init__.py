"""What English texts show of the personas that they were written for, by words and to a reader model."""

from personagen.metrics.persona.traces import AttributeTrace, persona_traces
from personagen.metrics.persona.words import shown_attributes

__all__ = ["AttributeTrace", "persona_traces", "shown_attributes"]
