"""llama.cpp's own HTTP server for one GGUF: `python -m tests.helpers.real_models.llama_server MODEL PORT`."""

import argparse
import threading


def main() -> None:
    """Serve until the process is ended; print the address first."""
    import xllamacpp

    parser = argparse.ArgumentParser(description="Serve a GGUF by llama.cpp.")
    parser.add_argument("model")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_parallel = 4
    params.n_ctx = 4 * 2048
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.verbosity = -1
    params.ui = False
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201
    threading.Event().wait()


if __name__ == "__main__":
    main()
