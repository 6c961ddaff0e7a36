"""Gates of the fake Hub: requests are held until a test opens them, drops them, or all have arrived."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.servers.hub.faults import Gate
from tests.helpers.servers.hub.server import Hub

ASK = """
import json
from huggingface_hub import HfApi
try: print(json.dumps(["done", HfApi().whoami()["name"]]))
except Exception as error: print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.mark.parametrize("opened", [True, False])
def test_a_held_request_waits_for_the_gate(opened: bool, tmp_path: Path) -> None:
    with Hub() as hub:
        gate = hub.hold("GET .*/whoami-v2")
        env = os.environ | hub.env() | {"HF_HOME": str(tmp_path), "HF_TOKEN": "hf_any"}
        with subprocess.Popen([sys.executable, "-c", ASK], env=env, stdout=subprocess.PIPE, text=True) as client:
            gate.wait()
            (record,) = hub.log
            assert (record.path, record.status) == ("/api/whoami-v2", 0)
            gate.open() if opened else gate.drop()
            answer = json.loads(client.communicate()[0])
    assert answer[0] in ({"done"} if opened else {"ReadError", "RemoteProtocolError"}), answer
    assert record.status == (200 if opened else 0)


def test_a_gate_opens_when_all_have_arrived() -> None:
    async def enter(gate: Gate) -> list[bool]:
        first = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        assert not first.done()
        return [await gate.enter(), await first, await gate.enter()]

    assert asyncio.run(enter(Gate(opens_at=2))) == [True, True, True]
