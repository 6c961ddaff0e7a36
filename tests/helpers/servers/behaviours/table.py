"""The table of behaviours, for tests and for `python -m benchmarks.endpoints`."""

from tests.helpers.servers.behaviours.contents.ends import ENDS
from tests.helpers.servers.behaviours.contents.languages import LANGUAGES
from tests.helpers.servers.behaviours.contents.reasoning import REASONING
from tests.helpers.servers.behaviours.contents.shapes import ENCODING_ROWS, PART_ROWS, STREAM_ROWS
from tests.helpers.servers.behaviours.contents.thoughts import THOUGHTS
from tests.helpers.servers.behaviours.contents.wrappings import WRAPPINGS
from tests.helpers.servers.behaviours.failures.lasting import ACCESS_ROWS, HOPELESS_ROWS, MODERATION_ROWS
from tests.helpers.servers.behaviours.failures.passing import ERROR_TEXT_ROWS, IN_200_ROWS, RATE_ROWS, TRANSIENT_ROWS
from tests.helpers.servers.behaviours.records import Behaviour, always
from tests.helpers.servers.behaviours.requests.addresses import ADDRESSES
from tests.helpers.servers.behaviours.requests.counts import SEVERAL_ROWS, USAGE_ROWS
from tests.helpers.servers.behaviours.requests.formats import FORMAT_ROWS, ROLE_ROWS
from tests.helpers.servers.behaviours.requests.judging import JUDGES
from tests.helpers.servers.behaviours.requests.parameters import PARAMETERS

ORDINARY = Behaviour("ordinary", "control", always(lambda call: None), "OpenAI", judge=True)
"""The server without an oddity."""

BEHAVIOURS = (
    ORDINARY,
    *PARAMETERS,
    *FORMAT_ROWS,
    *ROLE_ROWS,
    *REASONING,
    *THOUGHTS,
    *PART_ROWS,
    *STREAM_ROWS,
    *ENCODING_ROWS,
    *ENDS,
    *IN_200_ROWS,
    *ERROR_TEXT_ROWS,
    *TRANSIENT_ROWS,
    *RATE_ROWS,
    *SEVERAL_ROWS,
    *USAGE_ROWS,
    *ADDRESSES,
    *MODERATION_ROWS,
    *ACCESS_ROWS,
    *HOPELESS_ROWS,
    *LANGUAGES,
    *WRAPPINGS,
    *JUDGES,
)
"""All behaviours; their names are unique."""


def behaviour_named(name: str) -> Behaviour:
    """Return the behaviour of a name."""
    (behaviour,) = [row for row in BEHAVIOURS if row.name == name]
    return behaviour
