"""Keep every test offline and away from the user's caches; set before anything of Hugging Face is imported."""

import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="personagen-test-hf-")
os.environ.pop("OPENAI_API_KEY", None)
os.environ.pop("PERSONAGEN_RELEASE", None)
