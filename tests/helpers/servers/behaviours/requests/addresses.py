"""Addresses as people type them, redirects, and ways to send the key."""

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, Serve, always
from tests.helpers.servers.behaviours.replies import fail

GROUP = "addresses"

CHAT = "/v1/chat/completions"

NOT_FOUND = OddAnswer(404, {"detail": "Not Found"})


def at(*paths: str) -> Serve:
    """Answer at these paths only."""
    return lambda call: None if call.path in paths else NOT_FOUND


def redirecting(status: int, path: str, location: str) -> Serve:
    """Redirect one path."""

    def serve(call: OddCall) -> OddAnswer | None:
        if call.path == path:
            return OddAnswer(status, b"", {"Location": location})
        return at(CHAT)(call)

    return serve


def azure(call: OddCall) -> OddAnswer | None:
    """Require Azure's path, query and header."""
    if call.path != "/openai/deployments/d/chat/completions" or call.query.get("api-version") != "2024-10-21":
        return OddAnswer(404, {"error": {"code": "404", "message": "Resource not found"}})
    if not call.headers.get("api-key"):
        message = "Access denied due to invalid subscription key or wrong API endpoint."
        return OddAnswer(401, {"error": {"code": "401", "message": message}})
    return None


def azure_next(call: OddCall) -> OddAnswer | None:
    """Require the path of Azure's next API, which takes either header."""
    if call.path != "/openai/v1/chat/completions":
        return OddAnswer(404, {"error": {"code": "404", "message": "Resource not found"}})
    return None if call.headers.get("api-key") or call.headers.get("authorization") else fail(401, "Access denied")


def with_header(name: str, value: str) -> Serve:
    """Require a header."""
    return lambda call: None if call.headers.get(name) == value else fail(403, f"Missing header {name}")


def with_field(name: str, value: object) -> Serve:
    """Require a field of the body."""
    return lambda call: None if call.body.get(name) == value else fail(400, f"{name}: Field required", param=name)


def secure_only(call: OddCall) -> OddAnswer:
    return OddAnswer(400, "Client sent an HTTP request to an HTTPS server.\n", {"Content-Type": "text/plain"})


AZURE_QUERY = "/openai/deployments/d?api-version=2024-10-21"
BY_RECIPE = 'backend: {headers: {api-key: "${OPENAI_API_KEY}"}, query: {api-version: "2024-10-21"}}\n'

ADDRESSES = (
    Behaviour("a slash at the end", GROUP, always(at(CHAT)), "users", address="/v1/"),
    Behaviour("two slashes at the end", GROUP, always(at(CHAT)), "users", address="/v1//"),
    Behaviour("the whole URL", GROUP, always(at(CHAT)), "users", address=CHAT),
    Behaviour("the whole URL and a slash", GROUP, always(at(CHAT)), "users", address=CHAT + "/"),
    Behaviour("no /v1", GROUP, always(at(CHAT)), "users", address="", wasted=2),
    Behaviour("no /v1, a slash", GROUP, always(at(CHAT)), "users", address="/", wasted=2),
    Behaviour("no /v1 anywhere", GROUP, always(at("/chat/completions")), "DeepSeek, Perplexity", address="", wasted=2),
    Behaviour("a prefix", GROUP, always(at("/openai/api/v1/chat/completions")), "gateways", address="/openai/api/v1"),
    Behaviour("another version", GROUP, always(at("/api/paas/v4/chat/completions")), "GLM", address="/api/paas/v4"),
    Behaviour(
        "a path that ends otherwise",
        GROUP,
        always(at("/v1beta/openai/chat/completions")),
        "Gemini",
        address="/v1beta/openai/",
    ),
    Behaviour("blanks around it", GROUP, always(at(CHAT)), "users", address=" /v1 "),
    Behaviour(
        "the list of models",
        GROUP,
        always(at(CHAT)),
        "users",
        address="/v1/models",
    ),
    Behaviour(
        "a path that does not exist",
        GROUP,
        always(at(CHAT)),
        "users",
        address="/api/v2",
        rows=70,
        wasted=20,
        stop=("404",),
        most_calls=20,
    ),
    *(
        Behaviour(
            f"redirect {status}",
            GROUP,
            always(redirecting(status, "/moved/chat/completions", CHAT)),
            "proxies",
            address="/moved",
            batch=False,
        )
        for status in (301, 302, 307, 308)
    ),
    Behaviour(
        "redirect to another host",
        GROUP,
        always(redirecting(308, "/moved/chat/completions", "http://elsewhere.invalid/v1/chat/completions")),
        "parked domains",
        address="/moved",
        stop=("elsewhere.invalid",),
        rows=70,
        wasted=20,
        most_calls=20,
        batch=False,
    ),
    Behaviour(
        "redirect without end",
        GROUP,
        always(lambda call: OddAnswer(308, b"", {"Location": CHAT})),
        "proxies",
        stop=("redirect",),
        rows=70,
        wasted=20,
        most_calls=60,
        batch=False,
    ),
    Behaviour(
        "HTTP where HTTPS is wanted",
        GROUP,
        always(secure_only),
        "nginx, Go servers",
        stop=("https",),
        rows=70,
        wasted=20,
        most_calls=20,
    ),
    Behaviour(
        "Azure, the query in the address", GROUP, always(azure), "Azure OpenAI", address=AZURE_QUERY, batch=False
    ),
    Behaviour(
        "Azure, by the recipe",
        GROUP,
        always(azure),
        "Azure OpenAI",
        address="/openai/deployments/d",
        recipe=BY_RECIPE,
        batch=False,
    ),
    Behaviour("Azure's next API", GROUP, always(azure_next), "Azure OpenAI", address="/openai/v1/", batch=False),
    Behaviour(
        "a header of its own",
        GROUP,
        always(with_header("x-title", "emotions")),
        "OpenRouter, gateways",
        recipe="backend: {headers: {X-Title: emotions}}\n",
        batch=False,
    ),
    Behaviour(
        "a field of its own",
        GROUP,
        always(with_field("provider", "x")),
        "OpenRouter, gateways",
        recipe="backend: {body: {provider: x}}\n",
    ),
)
"""All rows of the group."""
